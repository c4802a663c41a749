# SPDX-License-Identifier: GPL-2.0-or-later
"""The unix socket: one JSON object a line (docs/socket.md). No client can block the tracker or another client."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from netpath.tracker.arguments import METHODS, BadRequestError, Methods, unwrapped
from netpath.tracker.bounded import fitted, whole
from netpath.tracker.journal import Event, Journal, Log

LINE_LIMIT = 64 * 1024
CLIENTS = 64
WRITE_TIME = 10.0
"""Seconds a client may take to read its reply."""
IDLE_TIME = 300.0
"""Seconds a connection may say nothing."""
FOLLOW_QUEUE = 256
"""Events a follower may be behind before it is dropped."""

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Server:
    """Listens from `start` to `close`. Without a journal there are no events to follow; `methods` are those of ubus."""

    def __init__(
        self, path: Path, handler: Handler, journal: Journal | None, log: Log, methods: Methods = METHODS
    ) -> None:
        self._path = path
        self._handler = handler
        self._journal = journal
        self._log = log
        self._methods = methods
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind with mode 0600; a socket file left by a killed tracker is replaced (the lock says that none runs)."""
        self._path.unlink(missing_ok=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        old = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, str(self._path), limit=LINE_LIMIT)
        finally:
            os.umask(old)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= CLIENTS:
            await _send(writer, whole({"error": f"too many connections ({CLIENTS}); close some and try again"}))
            writer.close()
            return
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, TimeoutError):
            self._log("debug", "a socket client went away in the middle of an exchange")
        except asyncio.CancelledError:
            self._log("debug", "a socket client was disconnected because this process ends")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), IDLE_TIME)
            except ValueError:
                await _send(writer, whole({"error": f"a request is one line of at most {LINE_LIMIT} bytes"}))
                return
            if not line:
                return
            if not line.strip():
                continue
            request = _parse(line)
            if isinstance(request, str):
                await _send(writer, whole({"error": request}))
            elif "args" in request:
                await _send(writer, fitted(request["cmd"], await self._answer_ubus(request)))
            elif self._journal is not None and request["cmd"] == "events" and request.get("follow") is True:
                await self._follow(self._journal, request, reader, writer)
                return
            else:
                await _send(writer, whole(await self._handler(request)))

    async def _answer_ubus(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            plain = unwrapped(request, self._methods)
        except BadRequestError as error:
            return {"error": str(error)}
        return await self._handler(plain)

    async def _follow(
        self, journal: Journal, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer once, then send each event until the client closes or falls too far behind."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()

        def push(event: Event) -> None:
            queue.put_nowait(event if queue.qsize() < FOLLOW_QUEUE else None)

        end = journal.follow(push)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            reply = await self._handler(request)
            await _send(writer, whole(reply))
            if "error" in reply:
                return
            sent = reply["newest"]
            while not gone.done():
                following = asyncio.ensure_future(queue.get())
                try:
                    await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    following.cancel()
                event = following.result() if following.done() else None
                if event is None:
                    return
                if event["seq"] > sent:
                    await _send(writer, whole(event))
        finally:
            gone.cancel()
            end()


def _parse(line: bytes) -> dict[str, Any] | str:
    """The request, or what is wrong with it."""
    try:
        request = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return 'not a JSON object on one line; example: {"cmd":"status"}'
    if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
        return 'a request is a JSON object with a text "cmd"; example: {"cmd":"status"}'
    return request


def _no_constant(name: str) -> float:
    """Python's parser would take NaN and Infinity, which are no JSON."""
    raise ValueError(name)


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    """Raises TimeoutError for a client that does not read."""
    writer.write(line)
    try:
        await asyncio.wait_for(writer.drain(), WRITE_TIME)
    except TimeoutError:
        writer.transport.abort()
        raise
