# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets: what local programs ask: the tracker's socket, rpcd's plugin, the bond's socket; and replies to the cli."""

from __future__ import annotations

import ast
import asyncio
import builtins
import json
import re
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any, NoReturn, cast

from netpath.bond.control import LINE_LIMIT as BOND_LINE_LIMIT
from netpath.bond.control import PENDING, Control
from netpath.cli import bond_text, monitor, state, watch
from netpath.cli.client import Client
from netpath.cli.errors import CommandError
from netpath.cli.text import PLAIN, clean_reply
from netpath.monitor.daemon import METHODS as MONITOR_METHODS
from netpath.steering.interpret import decide
from netpath.tracker.arguments import METHODS, BadRequestError, unwrapped
from netpath.tracker.bounded import REPLY_LIMIT
from netpath.tracker.journal import Journal, Log
from netpath.tracker.metrics import Metrics
from netpath.tracker.server import LINE_LIMIT, Server
from netpath.tracker.verbs import Verbs
from netpath.worker import explain
from netpath.worker import reports as workers_reports
from tests.fuzz.draw import Draw
from tests.unit.cli.test_hostile import RENDERERS as OF_THE_TRACKER

PLUGIN = Path(__file__).parents[2] / "files/usr/libexec/rpcd/netpath"
BOND_NAMES = {**MONITOR_METHODS, "bond": {"name": "text"}, "bond_genkey": {"name": "text"}}


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all inputs: to make one takes longer than most of them."""
    return asyncio.new_event_loop()


class Writer:
    """A stream's other end that reads everything at once."""

    transport = SimpleNamespace(abort=lambda: None)

    def __init__(self) -> None:
        self.sent = bytearray()

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass


class Workers:
    """Worker processes, up to where they would ask the kernel."""

    async def report(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        assert job in ("connected", "rules", "internal", "config", "explain", "diag", "check", "preview")
        request = json.loads(json.dumps(request))
        if job == "explain":
            try:
                flow = explain._flow(request)
            except explain.QuestionError as error:
                return {"error": str(error)}
            assert 0 <= flow.sport <= 65535 and 0 <= flow.dport <= 65535 and 0 <= flow.dscp <= 63
            assert 0 <= flow.proto <= 255 and flow.src < 1 << (32 if flow.family == "ipv4" else 128)
            decide((), flow)
        if job in ("rules", "connected"):
            try:
                assert workers_reports._count(request, "offset", 0) >= 0
            except workers_reports.ArgumentError as error:
                return {"error": str(error)}
        return {"job": job}


@cache
def tracker() -> tuple[Server, Journal]:
    """The real server and verbs, of a tracker that has loaded nothing."""
    log = Log()
    log.set_level("emerg")
    journal = Journal(log)

    def internal(error: Exception, what: str) -> NoReturn:
        raise AssertionError(f"{what} {error!r}") from error

    async def reload() -> dict[str, Any]:
        return {"result": "ok"}

    def set_admin(name: str, *, enabled: bool) -> dict[str, Any]:
        assert isinstance(name, str) and name
        return {"error": f"no interface {name!r}; to be {'enabled' if enabled else 'disabled'}"}

    daemon = SimpleNamespace(
        problem=None,
        applied=None,
        view=None,
        usable=frozenset(),
        uplinks={},
        journal=journal,
        workers=Workers(),
        members=SimpleNamespace(rows=dict, words=dict),
        log=SimpleNamespace(internal=internal),
        reload=reload,
        set_admin=set_admin,
        stop=lambda *, keep: None,
    )
    metrics = Metrics(cast("Any", daemon))
    for n in range(3):
        journal.add("reload", "debug", number=n)
    verbs = Verbs(cast("Any", daemon), metrics)
    return Server(Path("/nonexistent"), verbs.answer, journal, log), journal


def tracker_socket(data: bytes) -> None:
    """What a client writes, up to the end of its connection."""
    server, journal = tracker()

    async def talk() -> bytes:
        reader, writer = asyncio.StreamReader(LINE_LIMIT), Writer()
        reader.feed_data(data)
        reader.feed_eof()
        await server._serve(reader, cast("Any", writer))
        return bytes(writer.sent)

    sent = loop().run_until_complete(talk())
    lines = sent.split(b"\n")
    assert lines.pop() == b"" and len(lines) <= data.count(b"\n") + 1
    for line in lines:
        assert len(line) <= REPLY_LIMIT
        assert isinstance(strict(line), dict)
    assert not journal._followers


def rpcd(data: bytes) -> None:
    """A call of the ubus object: method (by the first byte, or as it is), arguments, and what the other end answers."""
    draw = Draw(data)
    which = draw.number()
    names = [*METHODS, *BOND_NAMES]
    method = names[which] if which < len(names) else draw.piece().decode("utf-8", "surrogateescape")
    given, answer = draw.piece(), draw.rest()
    world = Plugin(given, answer)
    printed = world.run(method)
    if not world.asked:
        if not world.spawned:
            assert isinstance(strict(printed), dict)
        return
    assert method in names
    (line,) = world.asked
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) <= LINE_LIMIT
    assert re.fullmatch(rb"/run/(t|m|netpath-bond-[A-Za-z0-9_.-]*)(\.sock)?", world.path)
    if printed != answer[: answer.find(b"\n") + 1] and not answer.startswith(printed):
        assert isinstance(strict(printed), dict)
    taken(line, method)


def taken(line: bytes, method: str) -> None:
    """What the tracker makes of the plugin's line: this method with known arguments, or an error."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return
    assert isinstance(request, dict) and request["cmd"] == method
    methods = {**METHODS, **BOND_NAMES}
    assert "args" in request
    try:
        plain = unwrapped(request, methods)
    except BadRequestError as error:
        assert len(json.dumps({"error": str(error)})) < 4096
        return
    assert plain["cmd"] == method and set(plain) <= {"cmd", *methods[method], "limit"}


class Plugin:
    """rpcd's plugin in this process, with the calls that it makes of the system in place of the real ones."""

    def __init__(self, given: bytes, answer: bytes) -> None:
        self.asked: list[bytes] = []
        self.spawned: list[list[bytes]] = []
        self.path = b""
        self._given, self._answer = given, answer

    def run(self, method: str) -> bytes:
        """What it prints."""
        space: dict[str, Any] = {"__name__": "plugin"}
        space["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(_plugin(), space)
        space["posix"] = SimpleNamespace(
            read=self._read,
            environ={
                b"NETPATH_SOCKET": b"/run/t",
                b"NETPATH_MONITOR_SOCKET": b"/run/m",
                b"NETPATH_BOND_DIR": b"/run",
            },
            stat=self._stat,
            listdir=lambda _: [b"netpath-bond-home.sock", b"netpath-bond-\xff.sock", b"netpath.sock"],
            posix_spawn=self._spawn,
            waitpid=lambda *_: (1, 0),
            WIFSIGNALED=lambda _: False,
            WEXITSTATUS=lambda _: 0,
        )
        printed: bytes = space["main"](["netpath", "call", method])
        return printed

    def _read(self, _: int, size: int) -> bytes:
        piece, self._given = self._given[:size], self._given[size:]
        return piece

    def _stat(self, _: str) -> NoReturn:
        raise FileNotFoundError

    def _spawn(self, _: bytes, argv: list[bytes], __: object) -> int:
        assert re.fullmatch(rb"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", argv[3]) and b"/" not in argv[3]
        self.spawned.append(argv)
        return 1

    def _import(self, name: str, *more: Any) -> ModuleType:
        if name == "_socket":
            return cast("ModuleType", SimpleNamespace(AF_UNIX=1, SOCK_STREAM=1, socket=lambda *_: self))
        found: ModuleType = builtins.__import__(name, *more)
        return found

    def settimeout(self, _: float) -> None:
        pass

    def connect(self, path: bytes) -> None:
        self.path = path

    def sendall(self, line: bytes) -> None:
        self.asked.append(line)

    def recv(self, size: int) -> bytes:
        piece, self._answer = self._answer[:size], self._answer[size:]
        return piece


@cache
def _plugin() -> CodeType:
    """The program without its last line, which runs it."""
    tree = ast.parse(PLUGIN.read_text(encoding="utf-8"))
    assert isinstance(tree.body.pop(), ast.Expr)
    return compile(tree, str(PLUGIN), "exec")


@cache
def control() -> Control:
    log = Log()
    log.set_level("emerg")
    made = Control.__new__(Control)
    made._path, made._log, made._bond, made._connections = Path("/s"), log, lambda now: {"now": now}, {}
    return made


def bond_socket(data: bytes) -> None:
    """What a client writes to a bond's socket, in pieces of a receive."""
    from netpath.bond.control import _Connection

    connection = _Connection(cast("Any", None), 0.0)
    requests = data.count(b"\n")
    for at in range(0, len(data), BOND_LINE_LIMIT):
        connection.incoming += data[at : at + BOND_LINE_LIMIT]
        control()._answer_lines(connection, 1.0)
        assert len(connection.incoming) <= 2 * BOND_LINE_LIMIT and len(connection.outgoing) < PENDING + BOND_LINE_LIMIT
    lines = bytes(connection.outgoing).split(b"\n")
    assert lines.pop() == b"" and len(lines) <= requests + len(data) // BOND_LINE_LIMIT
    assert all(isinstance(strict(line), dict) for line in lines)


RENDERERS = (
    *OF_THE_TRACKER,
    monitor.render_monitor,
    bond_text.render_bonds,
)


class FakePeer:
    """The tracker's end of a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece


def cli_replies(data: bytes) -> None:
    """A line that is called the tracker's, in every table and report of the command line."""
    asked = Client.__new__(Client)
    asked._path, asked._buffer, asked._socket = Path("/s"), bytearray(), cast("Any", FakePeer(data))
    try:
        reply = clean_reply(asked._receive())
    except CommandError as error:
        assert "\n" not in str(error)
        return
    lines = [line for render in RENDERERS for line in render(reply, PLAIN)]
    lines += state.render_status(reply, reply, reply, PLAIN)
    lines += bond_text.render_bonds({"bonds": {"home": reply}}, PLAIN)
    lines += watch.frame(reply, watch.remember({}, reply), PLAIN)
    assert all(line.isprintable() for line in lines)


def strict(line: bytes) -> Any:
    """JSON as everybody reads it."""
    return json.loads(line, parse_constant=_no_json)


def _no_json(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")
