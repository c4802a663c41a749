# SPDX-License-Identifier: GPL-2.0-or-later
"""The command's side of the tracker's socket (docs/socket.md): one JSON object a line, both ways."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from netpath.cli.errors import CommandError, NotRunningError

CONNECT_TIME = 5.0
REPLY_TIME = 90.0
"""Seconds to wait for a reply; the tracker kills a hanging worker after 60 and says so."""
REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes of one reply line; far above what a tracker sends, so only a stranger on the socket exceeds it."""

Reply = dict[str, Any]


class Client:
    """One open connection. Use as a context manager; requests may follow one another.

    Raises NotRunningError where nobody listens and CommandError for everything else that goes wrong on the way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CONNECT_TIME)
        try:
            self._socket.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise NotRunningError(path) from None
        except PermissionError:
            self._socket.close()
            raise CommandError(f"{path}: permission denied; run this as root") from None
        except OSError as error:
            self._socket.close()
            raise CommandError(f"{path}: {error}") from None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *failure: object) -> None:
        self._socket.close()

    @property
    def peer(self) -> int:
        """Process id of the tracker; 0 when it lives in another pid namespace."""
        size = struct.calcsize("3i")
        return int(struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])

    def call(self, request: Mapping[str, Any], timeout: float = REPLY_TIME) -> Reply:
        """Send one request and return its reply, which may be {"error": text}."""
        self._send(request, timeout)
        return self._receive()

    def follow(self, request: Mapping[str, Any]) -> Iterator[Reply]:
        """Send one request and yield objects until the tracker closes the connection."""
        self._send(request, REPLY_TIME)
        yield self._receive()
        self._socket.settimeout(None)
        while (line := self._line()) is not None:
            yield self._object(line)

    def _send(self, request: Mapping[str, Any], timeout: float) -> None:
        self._socket.settimeout(timeout)
        try:
            self._socket.sendall(json.dumps(request, allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise CommandError(f"{self._path}: the tracker went away ({error}); see `netpath status`") from None

    def _receive(self) -> Reply:
        line = self._line()
        if line is None:
            raise CommandError(f"{self._path}: the tracker closed the connection without an answer; see its log")
        return self._object(line)

    def _line(self) -> bytes | None:
        """The next line; None when the peer closed the connection before it was complete."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > REPLY_LIMIT:
                raise CommandError(f"{self._path}: a reply of over {REPLY_LIMIT} bytes; is that the tracker?")
            try:
                data = self._socket.recv(256 * 1024)
            except TimeoutError:
                seconds = self._socket.gettimeout() or 0
                raise CommandError(
                    f"{self._path}: no answer within {seconds:.0f} s; the tracker hangs, see its log"
                ) from None
            except OSError as error:
                raise CommandError(f"{self._path}: {error}") from None
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _object(self, line: bytes) -> Reply:
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise CommandError(f"{self._path}: the answer is no JSON object; is that really the tracker?")
        return reply


def call(path: Path, request: Mapping[str, Any], timeout: float = REPLY_TIME) -> Reply:
    """One request on a connection of its own."""
    with Client(path) as client:
        return client.call(request, timeout)
