# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus costs: one scrape of `/metrics`, in the monitor and in the tracker."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from bench import configurations
from bench.figure import Figure
from netpath.lab import Lab, LabError, Process, UplinkSpec
from netpath.lab.namespace import cpu_seconds

PORT = 9478
PAUSE = 0.3
"""Seconds between two scrapes: sooner the monitor would give the same answer again."""
CASES = ((2, 10), (2, 1000), (60, 10), (60, 1000))
"""Uplinks and rules."""
NOTHING: dict[str, Any] = {
    "speeds": dict.fromkeys(f"{path}_{way}" for path in ("direct", "proxy", "wan") for way in ("up", "down")),
    "sources": [],
    "server": None,
    "metrics": None,
    "broker": None,
    "notify": [],
}
"""Of a monitor that does nothing else (docs/monitor.md)."""
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: router\r\nAccept: application/openmetrics-text\r\n\r\n"


def measure(quick: bool) -> list[Figure]:
    """Time as the reader sees it, and processor time of both processes together."""
    return [figure for uplinks, rules in CASES for figure in _case(uplinks, rules, 10 if quick else 30)]


def _case(uplinks: int, rules: int, runs: int) -> list[Figure]:
    specs = [UplinkSpec("wan" if number == 1 else f"wan{number}", ipv6=False) for number in range(1, uplinks + 1)]
    with Lab(specs) as lab:
        text = lab.config(options=configurations.UNTRACKED, rules=configurations.rules(rules, "all"))
        tracker = lab.start_netpath(text)
        own = lab.directory / "own.json"
        own.write_text(json.dumps(NOTHING))
        monitor = lab.python(lab.router, "metrics", str(lab.socket), str(PORT), str(own), "127.0.0.1")
        monitor.wait_for("ready")
        size = max(_scrape(lab)[1] for _ in range(3))  # the first ones still import
        before = _burnt(tracker, monitor)
        times = []
        for _ in range(runs):
            time.sleep(PAUSE)
            times.append(_scrape(lab)[0] * 1000)
        burnt = [(now - then) * 1000 / runs for now, then in zip(_burnt(tracker, monitor), before, strict=True)]
    what = f"scrape, {uplinks} uplinks, {rules} rules"
    note = f"{size / 1024:.0f} KiB of text; of the processor time {burnt[0]:.1f} ms are the tracker's"
    return [
        Figure(f"{what}: time", "ms", tuple(times)),
        Figure(f"{what}: processor time", "ms", (sum(burnt),), note=note),
    ]


def _burnt(*processes: Process) -> list[float]:
    return [cpu_seconds(process.pid) for process in processes]


def _scrape(lab: Lab) -> tuple[float, int]:
    """Seconds and bytes. Raises LabError when it is no whole answer."""

    def ask() -> tuple[float, bytes]:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", PORT), timeout=10) as connection:
            connection.sendall(REQUEST)
            data = b""
            while more := connection.recv(1 << 16):
                data += more
        return time.monotonic() - began, data

    took, data = lab.router.inside(ask)
    if not data.startswith(b"HTTP/1.1 200 ") or not data.endswith(b"# EOF\n"):
        raise LabError(f"no answer to a scrape: {data[:80]!r}")
    return took, len(data)
