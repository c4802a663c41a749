# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for the tracker: a unix socket that notes what it is asked and answers what the test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class FakeTracker:
    """`reply` is sent to each request, then the connection is closed; None: nothing is, until the client goes.

    With `drip` one byte of it is sent every 20 ms, again and again.
    """

    def __init__(self, path: Path, reply: bytes | None, *, drip: bool = False) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self._reply = reply
        self._drip = drip
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(ConnectionError):
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        line = client.makefile("rb").readline()
        self.lines.append(line)
        if self._reply is None:
            client.recv(1)
            return
        while self._drip:
            client.sendall(self._reply)
            time.sleep(0.02)
        client.sendall(self._reply)
