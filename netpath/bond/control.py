# SPDX-License-Identifier: GPL-2.0-or-later
"""The bond's unix socket, inside the loop (docs/bond.md, "Its socket"). Who asks wrongly or slowly harms nobody."""

from __future__ import annotations

import json
import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netpath
from netpath.bond.loop import Loop
from netpath.tracker.journal import Log

LINE_LIMIT = 64 * 1024
CLIENTS = 16
BACKLOG = 128
PENDING = 4 * 1024 * 1024
"""Bytes of replies that one connection may leave unread."""
IDLE = 300.0
"""Seconds that a connection may say nothing."""


class _Connection:
    __slots__ = ("incoming", "last", "outgoing", "sock")

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.last = now

    def fileno(self) -> int:
        return self.sock.fileno()


class Control:
    """Listens until `close`."""

    def __init__(self, path: Path, loop: Loop, log: Log, bond: Callable[[float], dict[str, Any]]) -> None:
        """`bond` gives the reply of `{"cmd":"bond"}`. Raises OSError."""
        self._path = path
        self._loop = loop
        self._log = log
        self._bond = bond
        self._connections: dict[int, _Connection] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        old = os.umask(0o177)
        try:
            self._sock.bind(str(path))
            self._sock.listen(BACKLOG)
        except OSError:
            self._sock.close()
            raise
        finally:
            os.umask(old)
        loop.add(self._sock, self._accept)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            self._end(connection)
        self._loop.remove(self._sock)
        self._sock.close()
        self._path.unlink(missing_ok=True)

    def _accept(self, now: float) -> None:
        for _ in range(CLIENTS):
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._log("debug", f"a connection to {self._path} has gone again: {error}")
                return
            self._begin(sock, now)

    def _begin(self, sock: socket.socket, now: float) -> None:
        sock.setblocking(False)
        self._make_room(now)
        connection = _Connection(sock, now)
        self._connections[sock.fileno()] = connection
        self._loop.add(connection, lambda now: self._ready(connection, now))

    def _make_room(self, now: float) -> None:
        """Drop connections that say nothing, and when there are too many, the one that has been silent longest."""
        for connection in sorted(self._connections.values(), key=lambda c: c.last):
            if now - connection.last > IDLE or len(self._connections) >= CLIENTS:
                self._end(connection)

    def _ready(self, connection: _Connection, now: float) -> None:
        connection.last = now
        try:
            if not connection.outgoing and b"\n" not in connection.incoming and not self._read(connection):
                return
            self._answer_lines(connection, now)
            if connection.outgoing:
                del connection.outgoing[: connection.sock.send(connection.outgoing)]
        except BlockingIOError:
            pass  # it is told when there is room, or something to read
        except OSError as error:
            self._log("debug", f"a connection to {self._path} broke: {error}")
            self._end(connection)
            return
        if connection.fileno() in self._connections:
            # While a reply is unread, no further request is taken.
            waiting = bool(connection.outgoing) or b"\n" in connection.incoming
            self._loop.listen(connection, not waiting, writing=waiting)

    def _read(self, connection: _Connection) -> bool:
        """False: it has ended."""
        received = connection.sock.recv(LINE_LIMIT)
        if not received:
            self._end(connection)
            return False
        connection.incoming += received
        return True

    def _answer_lines(self, connection: _Connection, now: float) -> None:
        incoming = connection.incoming
        while (end := incoming.find(b"\n")) >= 0 and len(connection.outgoing) < PENDING:
            line = bytes(incoming[:end])
            del incoming[: end + 1]
            if line.strip():
                connection.outgoing += json.dumps(self._answer(line, now), allow_nan=False).encode() + b"\n"
        if len(incoming) > LINE_LIMIT:
            incoming.clear()
            connection.outgoing += b'{"error": "a request is one line of at most %d bytes"}\n' % LINE_LIMIT

    def _answer(self, line: bytes, now: float) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        match request.get("cmd") if isinstance(request, dict) else None:
            case "bond":
                return self._bond(now)
            case "version":
                return {"version": netpath.__version__, "python": platform.python_version()}
            case str():
                return {"error": 'an unknown "cmd"; there are bond and version'}
        return {"error": 'not a JSON object with a text "cmd" on one line; example: {"cmd":"bond"}'}

    def _end(self, connection: _Connection) -> None:
        if self._connections.pop(connection.fileno(), None) is not None:
            self._loop.remove(connection)
            connection.sock.close()
