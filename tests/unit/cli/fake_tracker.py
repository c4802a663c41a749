# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake tracker: speaks docs/socket.md over a unix socket with replies that a test lays down.

As a program it listens on $NETPATH_SOCKET, answers `status`, and ends on `stop`.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Reply = dict[str, Any] | list[dict[str, Any]] | bytes | Callable[[dict[str, Any]], dict[str, Any]]
"""An object; objects to stream before closing; raw bytes before closing; or a function of the request."""


class FakeTracker(socketserver.ThreadingUnixStreamServer):
    """Serves in a thread between `__enter__` and `__exit__`; `requests` holds what was asked."""

    daemon_threads = True

    def __init__(self, path: Path, replies: Mapping[str, Reply]) -> None:
        self.replies = dict(replies)
        self.requests: list[dict[str, Any]] = []
        super().__init__(str(path), _Connection)

    def __enter__(self) -> FakeTracker:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may go away at any time; everything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    server: FakeTracker

    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            self.server.requests.append(request)
            reply = self.server.replies.get(request["cmd"], {"error": f"unknown cmd {request['cmd']!r}"})
            if callable(reply):
                reply = reply(request)
            if isinstance(reply, bytes):
                self.wfile.write(reply)
                return
            if isinstance(reply, list):
                self.wfile.writelines(json.dumps(each).encode() + b"\n" for each in reply)
                return
            self.wfile.write(json.dumps(reply).encode() + b"\n")


def _serve_until_stopped() -> None:
    path = Path(os.environ["NETPATH_SOCKET"])
    problem = os.environ.get("FAKE_PROBLEM")
    if problem == "dies":
        sys.exit("netpath: the fake cannot start")
    stopped = threading.Event()

    def stop(request: dict[str, Any]) -> dict[str, Any]:
        (path.parent / "stop-request.json").write_text(json.dumps(request))
        stopped.set()
        return {"result": "ok"}

    status: dict[str, Any] = {"interfaces": {"wan": {"status": "online"}, "wan2": {"status": "offline"}}}
    if problem:
        status["problem"] = problem
    with FakeTracker(path, {"status": status, "stop": stop}):
        stopped.wait()
    path.unlink()


if __name__ == "__main__":
    _serve_until_stopped()
