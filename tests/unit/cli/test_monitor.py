# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath monitor status`, and the monitor's part of `netpath status`. tests/monitor/core runs the monitor itself."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netpath.cli import monitor as command
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker

GOLDEN = Path(__file__).parent / "golden"
HEALTHY: dict[str, Any] = {
    "status": "healthy", "uptime": 99.5, "attempts": 3, "successes": 2, "failures": 1, "consecutive_failures": 0,
    "last_success": 1700000000, "last_failure": 1699990000, "reason": "refused", "next_attempt": None,
}  # fmt: skip
FAILING = {**HEALTHY, "status": "failing", "reason": "no route to host", "consecutive_failures": 4, "next_attempt": 8.2}
NONE = dict.fromkeys(("direct_up", "direct_down", "proxy_up", "proxy_down", "wan_up", "wan_down"))
PROXY = {**NONE, "direct_up": 1250, "direct_down": 125000, "proxy_up": 12500, "proxy_down": 1250000}
REPLY: dict[str, Any] = {
    "running": True,
    "since": 1699990000.0,
    "problem": None,
    "speeds": PROXY,
    "sources": [
        {
            "name": "proxy", "type": "clash", "target": "ws://192.0.2.1/connections", "speeds": PROXY,
            "connections": 12, "interfaces": {}, **HEALTHY,
        },
        {
            "name": "attic", "type": "openwrt", "target": "http://192.0.2.2/", "speeds": NONE, "connections": None,
            "interfaces": {"wan": {"up": 125, "down": 250}}, **FAILING,
        },
    ],
    "server": {
        "addresses": ["::"], "port": 17890, "limit": 32, "refused": 2, **HEALTHY,
        "clients": [{"address": "192.0.2.7", "port": 17891, "since": 1699999000, "last": 1700000000, "sent": 77}],
    },
    "metrics": {"addresses": ["127.0.0.1", "::1"], "port": 9919, "scrapes": 4, **HEALTHY},
    "broker": {"target": "mqtt.example.com:1883", "published": 50, **FAILING},
    "notify": [
        {"name": "mail", "type": "email", "target": "a@example.com", "sent": 1, "held": 2, "dropped": 3, **HEALTHY}
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1700000010.0)


@pytest.fixture
def monitor(instance: Path) -> Iterator[FakeTracker]:
    with FakeTracker(instance / "s-monitor", {"monitor": REPLY}) as fake:
        yield fake


def test_status_of_the_monitor(monitor: FakeTracker, run: Run) -> None:
    result = run("monitor", "status")
    assert (result.code, result.out) == (0, (GOLDEN / "monitor-status.txt").read_text(encoding="utf-8"))


def test_in_json_it_is_the_reply_itself(monitor: FakeTracker, run: Run) -> None:
    assert json.loads(run("monitor", "status", "--json").out) == REPLY


def test_a_reply_without_anything_and_an_error(monitor: FakeTracker, run: Run) -> None:
    monitor.replies["monitor"] = {"problem": "switched off"}
    assert "Problem: switched off" in run("monitor", "status").out
    monitor.replies["monitor"] = {"error": "busy"}
    result = run("monitor", "status")
    assert (result.code, "busy" in result.err) == (1, True)


def test_status_of_everything_ends_with_it(tracker: FakeTracker, monitor: FakeTracker, run: Run) -> None:
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    without = (GOLDEN / "status.txt").read_text(encoding="utf-8")
    result = run("status")
    assert result.out.removeprefix(without) == (GOLDEN / "status-monitor.txt").read_text(encoding="utf-8")


def test_status_waits_for_no_monitor_that_hangs(
    tracker: FakeTracker, instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BRIEF_TIME", 0.05)
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(instance / "s-monitor"))
        silent.listen()
        result = run("status")
    assert result.code == 0
    assert "no answer within" in result.out


def test_no_text_of_a_peer_commands_the_terminal(tracker: FakeTracker, monitor: FakeTracker, run: Run) -> None:
    evil = "\x1b[2J\u202eevil\n"
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    hostile = [
        {**each, "name": evil, "target": evil, "reason": evil, "interfaces": {evil: {}}} for each in REPLY["sources"]
    ]
    monitor.replies["monitor"] = {**REPLY, "sources": hostile, "problem": evil}
    for argv in (["monitor", "status"], ["status"]):
        out = run(*argv).out
        assert "evil" in out
        assert not any(c in out for c in "\x1b\u202e")


def test_figures_of_any_kind_are_shown(monitor: FakeTracker, run: Run) -> None:
    kinds: tuple[Any, ...] = (None, "x", [], {}, 1e300, -5, True)
    for odd in kinds:
        row = dict.fromkeys([*REPLY["sources"][0], *REPLY["server"], "published", "scrapes", "sent"], odd)
        monitor.replies["monitor"] = {
            "since": odd, "speeds": odd, "sources": [row], "server": row, "metrics": row, "broker": row,
            "notify": [row],
        }  # fmt: skip
        assert run("monitor", "status").code == 0
