# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing in a reply reaches the terminal as a control character, and no reply makes a command crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netpath.cli import figures, reports, state, watch
from netpath.cli.text import PLAIN, Style, clean, clean_reply
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker

EVIL = "wan\x1b[2J\x1b]0;owned\x07\n interface fake is online\r\x9b31m\u202egnol\ud800\x7f"


def poison(value: Any) -> Any:
    """`value` with every text in it, keys of interface tables included, replaced by a hostile one."""
    if isinstance(value, str):
        return EVIL
    if isinstance(value, list):
        return [poison(each) for each in value]
    if isinstance(value, dict):
        return {(key if key.islower() and key != "wan" else EVIL): poison(each) for key, each in value.items()}
    return value


COMMANDS = {
    "status": replies.STATUS,
    "interfaces": replies.INTERFACES,
    "policies": replies.POLICIES,
    "rules": replies.RULES,
    "connected": replies.CONNECTED,
    "metrics": replies.METRICS,
    "history": replies.HISTORY,
    "events": {"events": replies.EVENTS},
    "explain": replies.EXPLAIN,
    "diag": replies.DIAG,
    "internal": replies.INTERNAL,
    "version": replies.VERSION,
    "reload": {"error": "x", **replies.PROBLEMS},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_texts_are_spelled_out(command: str, tracker: FakeTracker, run: Run) -> None:
    tracker.replies = {name: poison(reply) for name, reply in COMMANDS.items()}
    arguments = ["192.0.2.7", "198.51.100.1"] if command == "explain" else []
    for words in ([command, *arguments], [command, *arguments, "--json"]):
        result = run(*words)
        lines = (result.out + result.err).replace("\t", "").splitlines()
        assert lines
        assert all(line.isprintable() for line in lines)
    if command != "internal":
        text = run(command, *arguments)
        assert "\\x1b[2J" in text.out + text.err
        assert not any(line.startswith(" interface fake") for line in text.out.splitlines())
    assert json.loads(result.out) == tracker.replies[command] or command == "rules"


def test_a_hostile_error_is_spelled_out(tracker: FakeTracker, run: Run) -> None:
    tracker.replies["status"] = {"error": EVIL}
    result = run("status")
    assert result.err.count("\n") == 1
    assert result.err[:-1].isprintable()


def test_ordinary_letters_stay() -> None:
    assert clean("Büro Straße 東京") == "Büro Straße 東京"


KEYS = st.sampled_from(
    [
        "interfaces",
        "policies",
        "rules",
        "connected",
        "ipv4",
        "ipv6",
        "members",
        "name",
        "interface",
        "status",
        "metric",
        "weight",
        "latency",
        "jitter",
        "loss",
        "packetloss",
        "reason",
        "device",
        "online",
        "offline",
        "uptime",
        "track_ip",
        "ip",
        "targets",
        "target",
        "rx_rate",
        "tx_rate",
        "rx_bytes",
        "total",
        "default",
        "packets",
        "bytes",
        "last_resort",
        "mode",
        "match",
        "columns",
        "interval",
        "time",
        "wan",
        "events",
        "kind",
        "from",
        "to",
        "message",
        "checks",
        "topic",
        "remedy",
        "why",
        "shares",
        "percent",
        "rejected",
        "rule",
        "criterion",
        "problems",
        "severity",
        "file",
        "line",
        "section",
        "option",
        "value",
        "fix",
        "problem",
        "truncated",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["online", "rx_rate", "time", "interface"])
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)
REPLIES = st.dictionaries(KEYS, JSON, max_size=6)
RENDERERS = (
    state.render_interfaces,
    state.render_policies,
    state.render_rules,
    state.render_connected,
    figures.render_metrics,
    figures.render_history,
    figures.render_samples,
    figures.render_events,
    reports.render_explain,
    reports.render_diag,
    reports.render_internal,
    reports.render_problems,
    reports.render_version,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(REPLIES, REPLIES)
def test_any_reply_gives_printable_lines(first: dict[str, Any], second: dict[str, Any]) -> None:
    reply, other = clean_reply(first), clean_reply(second)
    lines = [line for render in RENDERERS for line in render(reply, PLAIN)]
    lines += state.render_status(reply, other, other, PLAIN)
    lines += watch.frame(reply, watch.remember({}, reply), PLAIN)
    assert all(line.isprintable() for line in lines)


def test_colours_only_where_asked() -> None:
    row = replies.WAN
    assert "\x1b[32monline\x1b[0m" in state.interface_line("wan", row, Style(colour=True))
    assert "\x1b" not in state.interface_line("wan", row, Style(colour=False))
