# SPDX-License-Identifier: GPL-2.0-or-later
"""The live traffic of a tortured lab: LAN clients and the router's own programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netpath.lab import SERVERS, Lab, Namespace, Process
from netpath.lab.plan import DNS_PORT, HTTP_PORT
from netpath.lab.world import PACKAGE_ROOT
from tests.torture.policies import TRUTHS

SERVER = 2
"""Which of the servers is talked to: not one that is probed."""
ROUTERS_PORTS = (5000, 5001, 5002)
TAIL = 1 << 16


class Traffic:
    """Clients that run; how many answers each flow has got."""

    def __init__(self, lab: Lab) -> None:
        ports = [t.port for t in TRUTHS if t.port >= 5000]
        sources = {family: lab.clients_of(family) for family in SERVERS}
        self._clients = {
            "lan": _start(lab, lab.lan, {"ports": ports, "dns": DNS_PORT, "http": HTTP_PORT, "sources": sources}),
            "router": _start(lab, lab.router, {"ports": ROUTERS_PORTS, "dns": 0, "http": 0, "sources": {}}),
        }

    def answers(self) -> dict[str, int]:
        """Answers so far by flow. Raises LabError when a client has ended."""
        return {f"{who} {key}": n for who, client in self._clients.items() for key, n in _last(client.out).items()}

    def silent(self, since: Mapping[str, int], seconds: float, more: int = 3) -> list[str]:
        """The flows that do not get `more` answers within `seconds`, counted from `since`."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.answers()
            waiting = sorted(key for key in now if now[key] < since.get(key, 0) + more) if now else ["all"]
            if not waiting or time.monotonic() > deadline:
                return waiting
            time.sleep(0.05)

    def ended(self) -> list[str]:
        """What clients have said before they ended; they never should."""
        return [client.output()[-2000:] for client in self._clients.values() if not client.running]


def _start(lab: Lab, where: Namespace, spec: Mapping[str, Any]) -> Process:
    servers = {family: addresses[SERVER] for family, addresses in SERVERS.items()}
    argv = [sys.executable, "-m", "tests.torture.client", json.dumps({"servers": servers, **spec})]
    return where.popen(argv, name="client", env={"PYTHONPATH": str(PACKAGE_ROOT)})


def _last(out: Path) -> dict[str, int]:
    """The last whole line."""
    with out.open("rb") as lines:
        lines.seek(max(0, out.stat().st_size - TAIL))
        found = lines.read().split(b"\n")[-2:-1]
    answers: dict[str, int] = json.loads(found[0]) if found and found[0].startswith(b"{") else {}
    return answers


def kinds(keys: Iterable[str]) -> str:
    """Names of flows in one line, at most eight."""
    listed = list(keys)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
