# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of the ubus object: what is taken, and in what words the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from netpath.tracker.arguments import HISTORY_ROWS, METHODS, BadRequestError, unwrapped


def ask(cmd: str, **args: Any) -> dict[str, Any]:
    return unwrapped({"args": args, "cmd": cmd})


def test_arguments_stand_beside_the_command_afterwards() -> None:
    assert ask("status", section="policies", interface=None) == {"cmd": "status", "section": "policies"}
    assert ask("events", since=1.5, before=7, limit=3) == {"cmd": "events", "since": 1.5, "before": 7, "limit": 3}


def test_rpcds_session_is_no_argument() -> None:
    for method in METHODS:
        needed = {"interface": "wan"} if method in ("enable", "disable") else {}
        needed = {"src": "192.0.2.1", "dst": "192.0.2.2"} if method == "explain" else needed
        plain = ask(method, ubus_rpc_session="0123456789abcdef", **needed)
        assert "ubus_rpc_session" not in plain


@pytest.mark.parametrize("cmd", ["stop", "use", "ifup", "nonesuch", ""])
def test_only_the_objects_methods(cmd: str) -> None:
    with pytest.raises(BadRequestError, match="no method of the ubus object"):
        ask(cmd)


@pytest.mark.parametrize(
    ("cmd", "args", "words"),
    [
        ("status", {"iface": "wan"}, ["status", "'iface'", "known: section, interface"]),
        ("version", {"x": 1}, ["version", "'x'", "takes none"]),
        ("check", {"file": "/etc/shadow"}, ["'file'"]),
        ("events", {"follow": True}, ["'follow'"]),
        ("status", {"interface": 5}, ["interface must be text", "given: 5"]),
        ("status", {"interface": {"a": "b" * 100}}, ["interface must be text", 'given: {"a": "bbb', "..."]),
        ("rules", {"offset": "7"}, ["offset must be a whole number from 0", 'given: "7"']),
        ("rules", {"offset": -1}, ["offset must be", "given: -1"]),
        ("rules", {"limit": 1.5}, ["limit must be", "given: 1.5"]),
        ("rules", {"limit": True}, ["limit must be", "given: true"]),
        ("rules", {"limit": 2**70}, ["limit must be"]),
        ("history", {"since": float("inf")}, ["since must be a number (epoch seconds)"]),
        ("history", {"coarse": 1}, ["coarse must be true or false", "given: 1"]),
        ("enable", {}, ["enable", "interface is missing", "text"]),
        ("explain", {"src": "192.0.2.1"}, ["dst is missing"]),
    ],
)
def test_an_error_names_the_argument_what_was_given_and_what_is_wanted(
    cmd: str, args: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(cmd, **args)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("args", [[], "x", 1, None, True])
def test_arguments_are_an_object(args: Any) -> None:
    with pytest.raises(BadRequestError, match="args must be an object"):
        unwrapped({"args": args, "cmd": "status"})


def test_nothing_stands_beside_args() -> None:
    with pytest.raises(BadRequestError, match="'follow' stands beside args"):
        unwrapped({"args": {}, "follow": True, "cmd": "events"})


def test_history_is_asked_for_no_more_than_fits() -> None:
    assert ask("history")["limit"] == HISTORY_ROWS
    assert ask("history", limit=10)["limit"] == 10
    assert ask("history", limit=10**9)["limit"] == HISTORY_ROWS
