# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections of a small HTTP server: a bounded number of them, each for a bounded time with a bounded request.

By hand on asyncio, because http.server starts a thread for each connection and has no limits, and the library's WSGI
and ASGI applications compute in place and want a server around them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from netpath.monitor.metrics import http
from netpath.monitor.metrics.http import BadRequestError, Request
from netpath.monitor.readings import ServiceError

MOST = 128
"""Connections at a time; others wait in the kernel's queue."""
QUEUE = 1024
REQUEST_TIME = 5.0
"""Seconds for a request to be complete."""
RESPONSE_TIME = 10.0
"""Seconds for a response to be taken."""
CLOSE_TIME = 1.0
"""Seconds for the other side to close after its response."""
ASKING_SAFE, TAKING_SAFE = 0.5, 1.0
"""Seconds of waiting for a request, and of giving the response away, in which nobody loses the place to others."""
_CHUNK = 2048
_IP_FREEBIND = 15
"""linux/in.h"""

Response = tuple[HTTPStatus, dict[str, str], bytes]
"""Status, fields, body."""


def bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Sockets that listen there. An address need not be up yet; a family that this machine has not is left out.

    Raises ServiceError.
    """
    sockets: list[socket.socket] = []
    problem = "no address to listen on"
    try:
        for address in addresses:
            try:
                sockets.append(_bind(address, port))
            except OSError as error:
                problem = f"cannot listen on {address} port {port}: {error.strerror or error}"
                if error.errno != errno.EAFNOSUPPORT:
                    raise ServiceError(f"{problem}; choose another address or port for metrics") from None
        if not sockets:
            raise ServiceError(f"{problem}; choose another address for metrics")
    except ServiceError:
        close(sockets)
        raise
    return sockets


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(QUEUE)
    except OSError:
        sock.close()
        raise
    return sock


class Listener:
    """Serves connections; `answer` makes a response of a request."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer
        self._open: dict[asyncio.Task[None], float] = {}
        """Connections -> when (by the loop's clock) they may be ended for new ones."""
        self._changed = asyncio.Event()

    async def serve(self, sock: socket.socket) -> None:
        """Until cancelled. Raises ServiceError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
            except ConnectionAbortedError:  # it was gone before its turn
                continue
            except OSError as error:
                raise ServiceError(f"cannot take connections for metrics: {os.strerror(error.errno or 0)}") from None
            try:
                await self._make_room()
            except asyncio.CancelledError:
                connection.close()
                raise
            task = asyncio.create_task(self._serve(connection))
            self._open[task] = loop.time() + ASKING_SAFE
            task.add_done_callback(self._gone)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make_room(self) -> None:
        """Wait until there is room for one more; who only holds a place has to leave it soon."""
        loop = asyncio.get_running_loop()
        while len(self._open) >= MOST:
            task = min(self._open, key=self._open.__getitem__)
            wait = self._open[task] - loop.time()
            if wait <= 0:
                task.cancel()
                del self._open[task]
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait if wait < REQUEST_TIME else None)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        self._changed.set()
        if not task.cancelled():
            task.result()  # a fault of ours goes to the loop's handler, which logs it

    def _safe(self, seconds: float) -> None:
        """The present connection keeps its place for so long, whoever wants it."""
        task = asyncio.current_task()
        if task in self._open:
            self._open[task] = asyncio.get_running_loop().time() + seconds
            self._changed.set()

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                async with asyncio.timeout(REQUEST_TIME):
                    data = await _receive(connection)
                self._safe(math.inf)
                response = await self._respond(data)
                self._safe(TAKING_SAFE)
                async with asyncio.timeout(RESPONSE_TIME):
                    await _send(connection, response)
                self._safe(0)
                async with asyncio.timeout(CLOSE_TIME):
                    await _linger(connection)
            except (OSError, TimeoutError):
                return  # whoever asked went away, or keeps us waiting: nobody is left to be told

    async def _respond(self, data: bytes) -> tuple[bytes, bytes]:
        """Head and body."""
        method = ""
        try:
            http.complete(data)
            request = http.parse(data)
            method = request.method
            status, fields, body = await self._answer(request)
        except BadRequestError as error:
            status, fields, body = error.status, {"Content-Type": http.TEXT}, f"{error}\n".encode()
        return http.head(status, len(body), fields), b"" if method == "HEAD" else body


async def _receive(connection: socket.socket) -> bytes:
    """What came, up to the end of a request or of what one may have. Raises ConnectionError when it ends before."""
    data = b""
    while len(data) < http.LONGEST_HEAD and not http.complete(data):
        more = await asyncio.get_running_loop().sock_recv(connection, _CHUNK)
        if not more:
            raise ConnectionResetError
        data += more
    return data


async def _send(connection: socket.socket, response: tuple[bytes, bytes]) -> None:
    for part in response:
        await asyncio.get_running_loop().sock_sendall(connection, part)


async def _linger(connection: socket.socket) -> None:
    """Closing with something unread would make the kernel drop the response that is still under way (RFC 9112, 9.6)."""
    connection.shutdown(socket.SHUT_WR)
    while await asyncio.get_running_loop().sock_recv(connection, _CHUNK):
        pass
