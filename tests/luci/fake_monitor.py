# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake of `netpath monitor`: no source behind it, only a socket that speaks docs/monitor.md as a test tells it to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.luci.line_server import LineServer

COLUMNS = ["time", "direct_up", "direct_down", "proxy_up", "proxy_down", "wan_up", "wan_down"]
SPAN = 600
NOTHING = dict.fromkeys(COLUMNS[1:])


def health(status: str = "healthy", reason: str | None = None, failures: int = 0) -> dict[str, Any]:
    """HEALTH of docs/monitor.md: what has failed did so three minutes ago."""
    now = time.time()
    failed = status in ("failing", "given up")
    return {
        "status": status,
        "uptime": 12.34 if failed else 99.9,
        "attempts": 10 + failures,
        "successes": 10,
        "failures": failures,
        "consecutive_failures": failures if failed else 0,
        "last_success": None if status == "starting" else now - (185 if failed else 0),
        "last_failure": now - 184 if failures else None,
        "reason": reason,
    }


def source(name: str, kind: str = "clash", **more: Any) -> dict[str, Any]:
    """A row of `sources` that works, `more` over it."""
    speeds = {"direct_up": 1000, "direct_down": 125_000, "proxy_up": 2000, "proxy_down": 1_250_000}
    wan = {"wan_up": 3000, "wan_down": 2_500_000}
    row = {
        "name": name,
        "type": kind,
        "target": {"clash": "ws://192.0.2.1:9090/connections", "openwrt": "http://192.0.2.2/ubus"}.get(kind, "tracker"),
        **health(),
        "next_attempt": None,
        "speeds": {**NOTHING, **(speeds if kind == "clash" else wan)},
        "connections": 42 if kind == "clash" else None,
        "interfaces": {} if kind == "clash" else {"wan": {"up": 3000, "down": 2_500_000}},
    }
    return {**row, **more}


def failing(reason: str, status: str = "failing") -> dict[str, Any]:
    """What `source` takes of one that fails."""
    return {
        **health(status, reason, 7),
        "speeds": NOTHING,
        "next_attempt": 4.2 if status == "failing" else None,
        "connections": None,
    }


class FakeMonitor(LineServer):
    """Listens at `socket` from `with` to its end. Tests change `reply` and `raw`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.reply: dict[str, Any] = {}
        self.raw: bytes | None = None
        """Instead of any reply, when it is not None."""
        self.asked: list[dict[str, Any]] = []
        self.rows: list[list[float | None]] = []
        self.whole()

    def whole(self) -> None:
        """Running, with two sources that work and ten minutes of history."""
        self.raw = None
        self.asked.clear()
        sources = [source("proxy"), source("router", "openwrt")]
        self.reply = {
            "running": True,
            "since": time.time() - SPAN,
            "problem": None,
            "speeds": {**sources[0]["speeds"], "wan_up": 3000, "wan_down": 2_500_000},
            "sources": sources,
            "server": None,
            "metrics": None,
            "broker": None,
            "notify": [],
        }
        now = int(time.time())
        self.rows = [self._row(now - back) for back in range(SPAN, 0, -1)]

    def _row(self, when: int) -> list[float | None]:
        return [when, *(self.reply.get("speeds", {}).get(name) for name in COLUMNS[1:])]

    def answer(self, request: dict[str, Any]) -> bytes:
        """One line."""
        arguments = request.get("args", request)
        self.asked.append(arguments)
        if self.raw is not None:
            return self.raw
        reply = dict(self.reply)
        now = int(time.time())
        self.rows += [self._row(when) for when in range(int(self.rows[-1][0] or 0) + 1, now + 1)] if self.rows else []
        if arguments.get("history") and reply.get("running"):
            since = arguments.get("since") or 0
            rows = [row for row in self.rows[-SPAN:] if row[0] is not None and row[0] >= since]
            reply["history"] = {"columns": COLUMNS, "interval": 1, "rows": rows}
        return json.dumps(reply).encode() + b"\n"
