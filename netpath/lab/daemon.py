# SPDX-License-Identifier: GPL-2.0-or-later
"""Talking to a running NetPath by its socket (docs/socket.md)."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netpath.lab.namespace import LabError

CALL_SECONDS = 30.0


class Connection:
    """One connection: a JSON object a line, both ways. Raises OSError when nobody listens."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = b""
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def send(self, request: Mapping[str, Any]) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next object. Raises LabError when none comes in time or the other side closes."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                raise LabError(f"nothing from NetPath's socket for {timeout:.1f} s") from None
            if not data:
                raise LabError("NetPath closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()


def call(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask once, return the reply as it is (it may be an `error`)."""
    with Connection(path) as connection:
        connection.send(request)
        return connection.receive(CALL_SECONDS)


class Events(Connection):
    """The daemon's events from now on, in order; each is looked at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.send({"cmd": "events", "follow": True})
        self.past: list[dict[str, Any]] = self.receive(CALL_SECONDS)["events"]
        """What had happened before."""
        self.seen: list[dict[str, Any]] = []

    def wait(self, interface: str, to: str, timeout: float = 10.0) -> dict[str, Any]:
        """The next event by which `interface` enters state `to`. Raises LabError when it does not come in time."""
        wanted = {"interface": interface, "to": to}
        return self.wait_for(lambda event: wanted.items() <= event.items(), f"{interface} {to}", timeout)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], what: str, timeout: float = 10.0) -> dict[str, Any]:
        """The next event that `wanted` accepts; events passed over are kept in `seen`."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self.receive(max(0.001, deadline - time.monotonic()))
            except LabError as error:
                raise LabError(f"event {what!r} did not come in {timeout} s ({error}); came: {self.seen}") from None
            self.seen.append(event)
            if wanted(event):
                return event
