# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings, a tracker that says what a test wants, a notifier that is run as the monitor runs it, and receivers."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from netpath.monitor.notify import Notifier
from netpath.monitor.readings import ServiceError
from netpath.monitor.tracker import Position, Tracker, TrackerError
from netpath.monitoring import Channel, Notify, Retry
from netpath.statedir import StateDir
from tests.lines import Lines

PATIENCE = 15.0
NOW = 1_800_000_000.0

SETTINGS = Notify(
    name="people",
    type=Channel.WEBHOOK,
    events=("online", "offline"),
    interfaces=(),
    url="",
    token="",
    server="",
    port=25,
    security="none",
    username="",
    password="",
    sender="NetPath <netpath@example.org>",
    recipients=("admin@example.org",),
    verify=True,
    timeout=2.0,
    limit=1000,
    gather=0.0,
    retry=Retry(attempts=None, first=0.02, most=0.1, factor=2.0, jitter=0.2),
)


def settings(**changes: Any) -> Notify:
    return replace(SETTINGS, **changes)


def event(seq: int, interface: str = "wan", old: str = "online", new: str = "offline", **more: Any) -> dict[str, Any]:
    row = {"seq": seq, "time": NOW + seq, "kind": "interface", "interface": interface, "from": old, "to": new}
    return {**row, "reason": "no answer", **more}


class FakeTracker(Tracker):
    """`rows` None: it is not there."""

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(Path("/nonexistent"))
        self.rows = rows
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.position: Position | None = None

    def say(self, *events: dict[str, Any]) -> None:
        for each in events:
            self._queue.put_nowait(each)

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        if self.rows is None:
            raise TrackerError("not there")
        return {"interfaces": self.rows}

    async def events(self, position: Position | None = None) -> AsyncIterator[dict[str, Any]]:
        self.position = position
        while True:
            each = await self._queue.get()
            if position is not None:
                position.seq, position.time = each["seq"], each["time"]
            yield each


@dataclass
class Running:
    notifier: Notifier
    tracker: FakeTracker
    failures: list[str] = field(default_factory=list)
    worked: int = 0
    log: Lines = field(default_factory=Lines)

    def has_worked(self) -> None:
        self.worked += 1


@asynccontextmanager
async def running(
    wanted: Notify, tracker: FakeTracker | None = None, state: StateDir | None = None
) -> AsyncIterator[Running]:
    """As the monitor does it: each failed run is followed by another one."""
    tracker = tracker or FakeTracker()
    log = Lines()
    notifier = Notifier(wanted, tracker, log, state)
    found = Running(notifier, tracker, log=log)

    async def go() -> None:
        while True:
            try:
                await notifier.run(found.has_worked)
            except ServiceError as error:
                found.failures.append(str(error))
                await asyncio.sleep(0.02)

    task = asyncio.ensure_future(go())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 2 * PATIENCE))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: str
    peer: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver(ThreadingHTTPServer):
    """Answers with `plan` one after another, then with 204; each is a status and headers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        self.plan: list[tuple[int, dict[str, str]]] = []
        self.requests: queue.Queue[Request] = queue.Queue()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    async def next(self) -> Request:
        return await asyncio.to_thread(self.requests.get, True, PATIENCE)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.requests.put(Request(self.path, dict(self.headers), body, self.client_address[0]))
        status, headers = self.server.plan.pop(0) if self.server.plan else (204, {})
        self.send_response(status, "\x1b[31mwords of theirs")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    server = Receiver(port)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def talker(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does with each connection what `talk` does; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(talk, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _quietly(talk: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            talk(connection)
        except OSError:
            return


def certificate(directory: Path, name: str = "localhost") -> ssl.SSLContext:
    """A server's TLS; the certificate to trust is crt.pem in the directory."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    argv += ["-keyout", str(directory / "key.pem"), "-out", str(directory / "crt.pem")]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "crt.pem", directory / "key.pem")
    return context
