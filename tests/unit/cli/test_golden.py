# SPDX-License-Identifier: GPL-2.0-or-later
"""What each command prints for a fixed reply: the text in golden/NAME.txt, with --json the reply itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker, Reply

GOLDEN = Path(__file__).parent / "golden"
STATUS: Mapping[str, Reply] = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
NOTHING: Mapping[str, Reply] = {
    name: {} for name in ("status", "policies", "rules", "interfaces", "connected", "metrics")
}
OK: dict[str, Any] = {"result": "ok"}

CASES: dict[str, tuple[str, Mapping[str, Reply], int]] = {
    # name of the golden file: (command line, the tracker's replies, exit code)
    "status": ("status", STATUS, 0),
    "status-unconfigured": ("status", {**NOTHING, "status": {"problem": "/etc/config/netpath: cannot be read"}}, 0),
    "status-rules-fail": ("status", {**STATUS, "rules": {"error": "worker rules failed"}}, 0),
    "interfaces": ("interfaces", {"interfaces": replies.INTERFACES}, 0),
    "interfaces-none": ("interfaces", NOTHING, 0),
    "policies": ("policies", {"policies": replies.POLICIES}, 0),
    "policies-none": ("policies", NOTHING, 0),
    "status-limited": ("status", {**STATUS, "status": replies.LIMITED_STATUS}, 0),
    "policies-limited": ("policies", {"policies": replies.LIMITED_POLICIES}, 0),
    "rules": ("rules", {"rules": replies.RULES}, 0),
    "rules-none": ("rules", NOTHING, 0),
    "connected": ("connected", {"connected": replies.CONNECTED}, 0),
    "connected-none": ("connected", NOTHING, 0),
    "metrics": ("metrics", {"metrics": replies.METRICS}, 0),
    "metrics-none": ("metrics", NOTHING, 0),
    "watch": ("watch", {"metrics": replies.METRICS}, 0),
    "watch-none": ("watch", NOTHING, 0),
    "history": ("history", {"history": replies.HISTORY}, 0),
    "history-wan": ("history wan", {"history": replies.HISTORY}, 0),
    "events": ("events", {"events": {"events": replies.EVENTS}}, 0),
    "events-members": ("events", {"events": {"events": replies.MEMBER_EVENTS}}, 0),
    "events-none": ("events", {"events": {"events": []}}, 0),
    "explain": ("explain 192.0.2.7 198.51.100.1 tcp 443", {"explain": replies.EXPLAIN}, 0),
    "explain-nothing": ("explain 192.0.2.7 198.51.100.1", {"explain": {}}, 0),
    "diag": ("diag", {"diag": replies.DIAG}, 1),
    "diag-none": ("diag", {"diag": {"checks": []}}, 0),
    "internal": ("internal", {"internal": replies.INTERNAL}, 0),
    "version": ("version", {"version": replies.VERSION}, 0),
    "reload": (
        "reload --config /etc/config/netpath",
        {"reload": {"result": "ok", "warnings": [replies.PROBLEMS["problems"][1]]}},
        0,
    ),
    "reload-refused": ("reload", {"reload": {"error": "1 error", **replies.PROBLEMS}}, 1),
    "ifup": ("ifup wan", {"enable": OK}, 0),
    "ifdown": ("ifdown wan", {"disable": OK}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_text(name: str, tracker: FakeTracker, run: Run) -> None:
    line, tracker.replies, code = CASES[name][0], dict(CASES[name][1]), CASES[name][2]
    result = run(*line.split())
    assert result.out == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert result.code == code


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("ifup", "ifdown", "history-wan")])
def test_json_is_the_reply_itself(name: str, tracker: FakeTracker, run: Run) -> None:
    line, tracker.replies, code = CASES[name][0], dict(CASES[name][1]), CASES[name][2]
    command = line.split()[0]
    reply = tracker.replies["metrics" if command == "watch" else command]
    if command == "rules":
        reply = {"rules": [], **reply} if isinstance(reply, dict) else reply
    result = run("--json", *line.split())
    assert json.loads(result.out) == reply
    assert result.code == code
    assert result.err == ""


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {
        *CASES, "check", "monitor-status", "status-monitor", "bond-invite", "bond-status", "status-bonds",
    }  # fmt: skip
