# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests, exit codes and refusals of the commands that talk to a running tracker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from netpath.cli.commands import COMMANDS
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "interfaces",
        "policies",
        "rules",
        "connected",
        "metrics",
        "history",
        "events",
        "events --follow",
        "watch",
        "reload",
        "ifup wan",
        "ifdown wan",
        "use wan true",
    ],
)
def test_without_a_tracker_the_command_says_so_and_what_to_do(line: str, run: Run, instance: Path) -> None:
    words = line.split()
    result = run(*words)
    assert result.code == 3
    assert result.out == ""
    assert "not running" in result.err
    assert "netpath start" in result.err
    assert str(instance / "s") in result.err
    as_json = run(words[0], "--json", *words[1:])
    assert as_json.code == 3
    assert "not running" in json.loads(as_json.out)["error"]


def test_a_socket_file_that_nobody_listens_on_counts_as_not_running(run: Run, instance: Path) -> None:
    with FakeTracker(instance / "s", {}):
        pass
    assert (instance / "s").exists()
    assert run("status").code == 3


def test_a_refusal_is_shown_and_is_exit_code_1(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["enable"] = {"error": "no interface 'nope'; configured are: wan"}
    result = run("ifup", "nope")
    assert (result.code, result.out) == (1, "")
    assert result.err == "netpath: no interface 'nope'; configured are: wan\n"
    assert json.loads(run("ifup", "nope", "--json").out) == tracker.replies["enable"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "statu",
        "ifup",
        "use",
        "use wan",
        "internal ipv5",
        "import pbr",
        "explain 192.0.2.7",
        "explain 192.0.2.7 198.51.100.1 tcp 65536",
        "explain 192.0.2.7 198.51.100.1 tcp https",
        "explain --dst 198.51.100.1 --src 192.0.2.7 --dscp 64",
        "events --since yesterday",
        "events --after -1",
        "events --after newest",
        "status --bogus",
        "completion tcsh",
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_message(line: str, tracker: FakeTracker, run: Run) -> None:
    result = run(*line.split())
    assert result.code == 2
    assert result.err
    assert tracker.requests == []


def test_global_options_count_before_and_after_the_command(
    tracker: FakeTracker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.replies["policies"] = replies.POLICIES
    place = tracker.server_address
    monkeypatch.setenv("NETPATH_SOCKET", "/nonexistent")
    assert run("policies").code == 3
    for line in (
        ["--socket", str(place), "policies"],
        ["policies", f"--socket={place}"],
        ["policies", "--socket", str(place)],
    ):
        assert run(*line).code == 0


def test_explain_sends_the_packet(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["explain"] = replies.EXPLAIN
    run("explain", "192.0.2.7", "198.51.100.1", "udp", "53")
    run(
        *[
            "explain",
            "--src",
            "192.0.2.7",
            "--dst",
            "2001:db8::1",
            "--sport",
            "1024",
            "--dport",
            "0x35",
            "--iface",
            "br-lan",
            "--mac",
            "02:00:00:00:00:01",
        ]
    )
    short, full = tracker.requests
    assert short == {
        "cmd": "explain",
        "src": "192.0.2.7",
        "dst": "198.51.100.1",
        "proto": "udp",
        "sport": 0,
        "dport": 53,
        "dscp": 0,
    }
    assert full == {
        "cmd": "explain",
        "src": "192.0.2.7",
        "dst": "2001:db8::1",
        "proto": "tcp",
        "sport": 1024,
        "dport": 53,
        "iface": "br-lan",
        "mac": "02:00:00:00:00:01",
        "dscp": 0,
    }


def test_rules_are_fetched_page_by_page(tracker: FakeTracker, run: Run) -> None:
    every = [{"name": f"rule{n}", "packets": n, "bytes": 0} for n in range(2500)]

    def page(request: dict[str, Any]) -> dict[str, Any]:
        end = request["offset"] + min(request["limit"], 1000)
        return {"rules": every[request["offset"] : end], "total": len(every), "default": {"packets": 1, "bytes": 2}}

    tracker.replies["rules"] = page
    assert json.loads(run("rules", "--json").out)["rules"] == every
    assert "rule2499" in run("rules").out


def test_rules_end_when_the_tracker_has_fewer_than_it_said(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["rules"] = {"rules": [], "total": 5}
    result = run("rules")
    assert result.code == 0
    assert len(tracker.requests) == 2


def test_status_says_how_many_rules_it_leaves_out(tracker: FakeTracker, run: Run) -> None:
    tracker.replies.update(status={}, policies={}, rules={"rules": replies.RULES["rules"], "total": 900})
    assert "and 898 more; `netpath rules` shows them all" in run("status").out


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1700000000", 1700000000), ("2023-11-14T22:13:20", 1700000000), ("90", 999_999_910), ("10m", 999_999_400)],
)
def test_since_is_sent_as_epoch(
    text: str, expected: float, tracker: FakeTracker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netpath.cli.figures.time.time", lambda: 1_000_000_000.0)
    tracker.replies.update(events={"events": []}, history=replies.HISTORY)
    run("events", "--since", text)
    run("history", "--since", text, "--coarse")
    assert tracker.requests == [
        {"cmd": "events", "since": expected},
        {"cmd": "history", "since": expected, "coarse": True},
    ]


def test_after_is_sent_as_a_number(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["events"] = [{"events": []}]
    run("events", "--after", "17")
    run("events", "--after", "0", "--follow")
    assert tracker.requests == [{"cmd": "events", "after": 17}, {"cmd": "events", "follow": True, "after": 0}]


def test_events_follow_prints_past_and_new_ones_until_the_tracker_ends(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["events"] = [{"events": replies.EVENTS[:1]}, *replies.EVENTS[1:]]
    result = run("events", "--follow")
    assert [line[21:28] for line in result.out.splitlines()] == ["wan2 on", "switch:", "config:"]
    assert result.code == 1
    assert "closed the connection" in result.err
    as_json = run("events", "-f", "--json")
    assert [json.loads(line) for line in as_json.out.splitlines()] == replies.EVENTS
    assert tracker.requests == [{"cmd": "events", "follow": True}] * 2


def test_history_of_an_unknown_interface_is_a_negative_answer(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["history"] = {"columns": [], "interfaces": {}}
    result = run("history", "wan9")
    assert result.code == 1
    assert "wan9" in result.err


def test_version_points_at_a_tracker_of_another_version(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["version"] = {**replies.VERSION, "version": "99.0"}
    result = run("version")
    assert result.code == 0
    assert "netpath 99.0" in result.out
    assert "netpath restart" in result.err


def test_version_needs_no_tracker(run: Run) -> None:
    result = run("version")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("netpath ")


def test_the_tracker_starts_without_the_command_lines_baggage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool, bool]] = []

    def fake(where: Any, *, use_syslog: bool = False, use_stderr: bool = True) -> int:
        seen.append((str(where.config), use_syslog, use_stderr))
        return 7

    monkeypatch.setattr("netpath.tracker.main", fake)
    monkeypatch.delitem(sys.modules, "netpath.cli.parser", raising=False)
    assert run("run", "--config", "/tmp/a", "--syslog").code == 7
    assert run("--config=/tmp/b", "run").code == 7
    assert run("run", "--syslog-only").code == 7
    assert "netpath.cli.parser" not in sys.modules
    assert run("--json", "run").code == 7
    assert [seen[0], seen[1]] == [("/tmp/a", True, True), ("/tmp/b", False, True)]
    assert run("--json", "run", "--syslog-only").code == 7
    assert seen[2][1:] == seen[4][1:] == (True, False)


def test_every_handler_exists() -> None:
    from importlib import import_module

    for command in COMMANDS:
        module, function = command.handler.split(":")
        assert callable(getattr(import_module(f"netpath.cli.{module}"), function))
