# SPDX-License-Identifier: GPL-2.0-or-later
"""A unix socket that answers lines, for the fakes of programs that LuCI's pages ask."""

from __future__ import annotations

import json
import socketserver
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self


class LineServer(ABC):
    """`with` it, or `start` and `stop`, as often as a test wants."""

    socket: Path

    _server: socketserver.ThreadingUnixStreamServer | None = None

    @abstractmethod
    def answer(self, request: dict[str, Any]) -> bytes:
        """One line."""

    def start(self) -> None:
        """Listen; `stop` undoes it."""
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(fake.answer(json.loads(line)))

        self.socket.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(self.socket), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more, and the socket is gone."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
