# SPDX-License-Identifier: GPL-2.0-or-later
"""The ubus object's plugin: what it lists, asks, answers and never lets through."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netpath.monitor.daemon import METHODS as MONITOR_METHODS
from netpath.tracker import arguments
from netpath.tracker.bounded import UBUS_LIMIT
from netpath.tracker.journal import Journal, Log
from netpath.tracker.server import Server
from tests.unit.rpcd.fake_tracker import FakeTracker
from tests.unit.rpcd.plugin import FLAGS, PLUGIN, call, parsed, run

SHAPE = {"interfaces": {}, "connected": {"ipv4": [], "ipv6": []}, "policies": {"ipv4": {}, "ipv6": {}}}


def test_the_list_is_what_the_tracker_takes() -> None:
    """Names, order and types, each type told by an example of it."""
    examples: dict[str, Any] = {arguments.TEXT: "", arguments.WHOLE: 0, arguments.EPOCH: 0, arguments.FLAG: True}
    listed = parsed(run("list"))
    named = {"name": arguments.TEXT}
    methods = {**arguments.METHODS, "monitor": MONITOR_METHODS["monitor"], "bond": named, "bond_genkey": named}
    wanted = {m: {name: examples[kind] for name, kind in known.items()} for m, known in methods.items()}
    assert json.dumps(listed) == json.dumps(wanted)


def test_only_what_costs_nothing_is_imported(tmp_path: Path) -> None:
    with FakeTracker(tmp_path / "s", b"{}\n"):
        done = subprocess.run(
            [sys.executable, FLAGS, "-X", "importtime", str(PLUGIN), "call", "status"],
            env={**os.environ, "NETPATH_SOCKET": str(tmp_path / "s")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    loaded = set(re.findall(r"\|\s+(\S+)$", done.stderr, re.MULTILINE))
    bare = subprocess.run(
        [sys.executable, FLAGS, "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True
    )
    assert loaded - set(re.findall(r"\|\s+(\S+)$", bare.stderr, re.MULTILINE)) <= {"_socket", "time", "posix"}
    assert PLUGIN.read_text().startswith(f"#!/usr/bin/python3 {FLAGS}\n")
    assert os.access(PLUGIN, os.X_OK), "rpcd passes over what is not executable"


def test_arguments_are_passed_on_and_the_answer_comes_back_unchanged(tmp_path: Path) -> None:
    answer = b'{"interfaces":{"wan":{"status":"online"}}}\n'
    given = '{\n  "section": "interfaces",\n  "interface": "w\\u00e4n"\n}\n'
    with FakeTracker(tmp_path / "s", answer) as tracker:
        assert run("call", "status", stdin=given, socket=tracker.path) == answer
        assert run("call", "version", socket=tracker.path) == answer
    assert [json.loads(line) for line in tracker.lines] == [
        {"args": {"section": "interfaces", "interface": "wän"}, "cmd": "status"},
        {"args": {}, "cmd": "version"},
    ]


@pytest.mark.parametrize(
    "method", ["stop", "use", "follow", "ifdown", "", "status ", 'x","cmd":"stop', "\udcff", "x" * 999]
)
def test_other_methods_are_refused_without_asking(tmp_path: Path, method: str) -> None:
    with FakeTracker(tmp_path / "s", b"{}\n") as tracker:
        assert "unknown method" in parsed(run("call", method, socket=tracker.path))["error"]
    assert tracker.lines == []


@pytest.mark.parametrize("argv", [(), ("call",), ("list", "x"), ("call", "status", "x"), ("status",)])
def test_a_wrong_call_is_told_the_right_one(argv: tuple[str, ...]) -> None:
    assert "usage" in parsed(run(*argv))["error"]


@pytest.mark.parametrize("name", ["absent", 'q"uo\\te', "left over"])
def test_without_a_tracker_the_reply_says_so_in_mwan3s_shape(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "left over":  # of a killed tracker: a file that nobody listens at
        import socket

        socket.socket(socket.AF_UNIX).bind(str(path))
    reply = call("status", {"section": "interfaces"}, socket=path)
    assert {key: reply[key] for key in SHAPE} == SHAPE
    assert reply["running"] is False
    assert str(path) in reply["error"]
    assert reply["remedy"] == "/etc/init.d/netpath start"
    other = call("rules", socket=path)
    assert set(other) == {"running", "error", "remedy"}
    assert other["running"] is False


def quick(tmp_path: Path) -> Path:
    """The plugin with less patience."""
    text = PLUGIN.read_text()
    plugin = tmp_path / "plugin"
    for line in ("TIME_LIMIT = 15.0", "LIVE_LIMIT = 5.0"):
        assert text.count(f"\n{line}\n") == 1
        text = text.replace(line, line.replace(line.rpartition(" ")[2], "0.3"))
    plugin.write_text(text)
    return plugin


@pytest.mark.parametrize(("reply", "drip"), [(None, False), (b"{", True)], ids=["silent", "byte by byte"])
def test_a_hanging_tracker_is_given_up(tmp_path: Path, reply: bytes | None, drip: bool) -> None:
    with FakeTracker(tmp_path / "s", reply, drip=drip) as tracker:
        out = parsed(run("call", "status", socket=tracker.path, plugin=quick(tmp_path)))
    assert "no answer from the tracker within" in out["error"]
    assert out["running"] is True
    assert out["interfaces"] == {}


def test_a_hanging_monitor_is_told_of_sooner(tmp_path: Path) -> None:
    """LuCI asks it each second; an order to the tracker may take longer."""
    plugin = quick(tmp_path)
    plugin.write_text(plugin.read_text().replace("TIME_LIMIT = 0.3", "TIME_LIMIT = 60.0"))
    with FakeTracker(tmp_path / "s", None) as silent:
        out = parsed(run("call", "monitor", socket=silent.path, plugin=plugin))
    assert "no answer from the monitor within" in out["error"]
    assert out["running"] is True


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "ended without an answer"),
        (b'{"half":', "ended without an answer"),
        (b"HTTP/1.0 400 Bad Request\n", "no JSON object"),
        (b"[]\n", "no JSON object"),
        (b'{"x":"' + b"x" * UBUS_LIMIT + b'"}\n', "over"),
        (b"x" * 10_000_000, "over"),
    ],
    ids=["closed", "cut off", "stranger", "list", "too long", "endless"],
)
def test_what_is_no_answer_never_reaches_rpcd(tmp_path: Path, reply: bytes, why: str) -> None:
    with FakeTracker(tmp_path / "s", reply) as tracker:
        out = parsed(run("call", "interfaces", socket=tracker.path))
    assert why in out["error"]
    assert out["remedy"]


def test_the_longest_reply_of_the_tracker_passes(tmp_path: Path) -> None:
    answer = b'{"x":"' + b"x" * (UBUS_LIMIT - 8) + b'"}\n'
    assert len(answer) == UBUS_LIMIT + 1
    with FakeTracker(tmp_path / "s", answer) as tracker:
        assert run("call", "interfaces", socket=tracker.path) == answer


def test_too_long_arguments_are_refused_without_asking(tmp_path: Path) -> None:
    with FakeTracker(tmp_path / "s", b"{}\n") as tracker:
        assert "more than" in call("status", {"interface": "x" * 70_000}, socket=tracker.path)["error"]
    assert tracker.lines == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The tracker's real server, and the requests that got through to its verbs."""
    path, seen = tmp_path_factory.mktemp("served") / "s", list[dict[str, Any]]()
    ready, log = threading.Event(), Log()
    log.set_level("emerg")
    loop = asyncio.new_event_loop()

    async def note(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"got": request}

    async def serve() -> None:
        server = Server(path, note, Journal(log), log)
        await server.start()
        ready.set()
        await end.wait()
        await server.close()

    end = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield path, seen
    loop.call_soon_threadsafe(end.set)
    thread.join(10)
    loop.close()


SMUGGLED = [
    '{},"cmd":"stop","x":{}',
    '{},"cmd":"reload"',
    '{"interface":"wan"},"cmd":"disable"',
    '{},"cmd":"stop"',
    '{},"cmd":"stop"}',
    '{},"cmd":"stop"}\n{"cmd":"stop"}\n{"a":{}',
    '{}}\n{"cmd":"stop"}\n',
    '{},"cmd":"stop","y":"',
    '{},"cmd":"stop","y":"\\',
    '{},"cmd":"stop","y":{"z":1',
    '"x","cmd":"stop","y":"',
    '{},"follow":true,"args":{}',
    '{},"args":{"file":"/etc/shadow"}',
    '{},"keep":true',
    '{"cmd":"stop"}',
    '{"args":{"cmd":"stop"}}',
    '{"follow":true}',
    '{"file":"/etc/shadow"}',
    '{"usable":["wan"]}',
    "[]",
    "null",
    '"',
    "\\",
    "{",
    "}",
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass"),
    b"\xff\xfe",
    '{"interface":NaN}',
]


@pytest.mark.parametrize("stdin", SMUGGLED)
@pytest.mark.parametrize("method", ["events", "check"])
def test_nothing_on_standard_input_changes_the_command(
    served: tuple[Path, list[dict[str, Any]]], method: str, stdin: str | bytes
) -> None:
    path, seen = served
    seen.clear()
    reply = parsed(run("call", method, stdin=stdin, socket=path))
    assert "error" in reply or reply["got"] == seen[0]
    assert all(request["cmd"] == method for request in seen)
    assert all(set(request) == {"cmd"} for request in seen)


PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"',
        ",",
        ":",
        "\\",
        "\n",
        "\r",
        " ",
        '"cmd"',
        '"args"',
        '"reload"',
        "{}",
        '{},"cmd":"reload"',
        "1",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=12))
def test_no_garbage_changes_the_command(served: tuple[Path, list[dict[str, Any]]], pieces: list[str]) -> None:
    path, seen = served
    seen.clear()
    parsed(run("call", "version", stdin="".join(pieces), socket=path))
    assert [request for request in seen if request != {"cmd": "version"}] == []


def test_the_monitor_is_asked_by_its_own_socket(tmp_path: Path) -> None:
    answer = b'{"running":true}\n'
    with FakeTracker(tmp_path / "m", answer) as monitor:
        assert run("call", "monitor", stdin='{"history":true}', socket=monitor.path) == answer
    assert [json.loads(line) for line in monitor.lines] == [{"args": {"history": True}, "cmd": "monitor"}]
    done = subprocess.run(
        [sys.executable, FLAGS, str(PLUGIN), "call", "monitor"],
        env={"NETPATH_SOCKET": str(tmp_path / "m"), "NETPATH_MONITOR_SOCKET": str(tmp_path / "none")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    reply = parsed(done.stdout)
    assert (reply["running"], reply["installed"]) == (False, False)
    assert "the monitor is not running" in reply["error"]
    assert "netpath-monitor" in reply["remedy"]


def test_a_bond_is_asked_by_its_own_socket(tmp_path: Path) -> None:
    answer = b'{"running":true,"name":"home"}\n'
    (tmp_path / "netpath-bond-far.sock").touch()
    with FakeTracker(tmp_path / "netpath-bond-home.sock", answer) as bond:
        assert run("call", "bond", stdin='{"name":"home"}', socket=tmp_path / "s") == answer
        running = call("bond", socket=tmp_path / "s")
    assert [json.loads(line)["cmd"] for line in bond.lines] == ["bond"]
    assert (running["running"], running["bonds"]) == (True, ["far", "home"])
    for name in ("far", "nowhere"):
        reply = call("bond", {"name": name}, socket=tmp_path / "s")
        assert (reply["running"], reply["installed"]) == (False, False)
        assert "not running" in reply["error"] or "nobody listens" in reply["error"]
        assert "netpath-bond" in reply["remedy"]


def test_without_any_bond_it_says_so(tmp_path: Path) -> None:
    reply = call("bond", socket=tmp_path / "s")
    assert (reply["running"], reply["bonds"], reply["installed"]) == (False, [], False)
    assert "install netpath-bond" in reply["remedy"]


@pytest.mark.parametrize("name", ["../x", "-x", ".x", "a/b", "a b", "x" * 65, "a\\u0000"])
@pytest.mark.parametrize("method", ["bond", "bond_genkey"])
def test_what_is_no_name_reaches_nothing(method: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "command").write_text("#!/bin/sh\ntouch made\n")
    (tmp_path / "command").chmod(0o755)
    reply = parsed(run("call", method, stdin=f'{{"name":"{name}"}}', socket=tmp_path / "s"))
    assert "name must be" in reply["error"]
    assert not (tmp_path / "made").exists()


def test_a_key_is_made_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "command"
    command.write_text('#!/bin/sh\necho "{\\"asked\\": \\"$*\\"}"; exit $CODE\n')
    command.chmod(0o755)
    for code in ("0", "1"):
        monkeypatch.setenv("CODE", code)
        reply = call("bond_genkey", {"name": "home"}, socket=tmp_path / "s")
        assert reply == {"asked": "bond genkey home --json"}
    command.write_text("#!/bin/sh\nkill -9 $$\n")
    assert "broke off" in call("bond_genkey", {"name": "home"}, socket=tmp_path / "s")["error"]
    command.unlink()
    assert "No such file" in call("bond_genkey", {"name": "home"}, socket=tmp_path / "s")["error"]
    assert "needs name" in call("bond_genkey", socket=tmp_path / "s")["error"]
