# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake mihomo: a WebSocket server with its messages and its rules for secrets (hub/route of mihomo 1.19)."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


class FakeClash:
    """Counts what `move` says; sends a snapshot at once to whoever connects, and then one each interval."""

    def __init__(self, secret: str = "", *, tls: ssl.SSLContext | None = None, binary: bool = False) -> None:
        self.secret = secret
        self.requests: list[Request] = []
        self.message: bytes | None = None
        """Sent instead of the snapshot."""
        self.silent = False
        self.port = 0
        self._binary = binary
        self._tls = tls
        self._up = self._down = 0
        self._open: dict[str, dict[str, Any]] = {}
        self._server: Any = None

    async def __aenter__(self) -> FakeClash:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """At the same port as before, if there was one. What was counted before is forgotten, as at a restart."""
        self._up = self._down = 0
        self._open.clear()
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            self.port,
            process_request=self._request,
            ssl=self._tls,
            compression=None,
            close_timeout=0.1,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def move(self, key: str, up: int, down: int, *, chains: tuple[str, ...] = ("DIRECT",)) -> None:
        """A connection moves some bytes; it is opened if it is not open."""
        row = self._open.setdefault(
            key,
            {
                "id": key,
                "metadata": {"network": "tcp", "type": "HTTPS", "host": "www.example.com", "process": ""},
                "upload": 0,
                "download": 0,
                "start": "2026-01-01T00:00:00.123456789Z",
                "chains": list(chains),
                "rule": "Match",
                "rulePayload": "",
            },
        )
        row["upload"] += up
        row["download"] += down
        self._up += up
        self._down += down

    def end(self, key: str) -> None:
        del self._open[key]

    def snapshot(self) -> bytes:
        rows = list(self._open.values()) or None
        return json.dumps(
            {"downloadTotal": self._down, "uploadTotal": self._up, "connections": rows, "memory": 0}
        ).encode()

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        where = urlsplit(request.path)
        token = parse_qs(where.query).get("token", [""])[0]
        given = token or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.secret and given != self.secret:
            return connection.respond(401, '{"message":"Unauthorized"}')
        return connection.respond(404, "404 page not found") if where.path != "/connections" else None

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        interval = int(parse_qs(urlsplit(connection.request.path).query)["interval"][0]) / 1000
        try:
            while True:
                if self.silent:
                    return await connection.wait_closed()
                message = self.message if self.message is not None else self.snapshot()
                await connection.send(message if self._binary else message.decode("latin-1"))
                await asyncio.sleep(interval)
        except ConnectionClosed:
            pass  # the other side has gone
