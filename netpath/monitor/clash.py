# SPDX-License-Identifier: GPL-2.0-or-later
"""Clash and mihomo as a source: their `/connections` by WebSocket."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from netpath.monitor import snapshot
from netpath.monitor.address import WEBSOCKET, Address, arguments, parse
from netpath.monitor.readings import Proxy, Reading, ServiceError
from netpath.monitor.shares import Shares, Snapshot, Speedometer
from netpath.monitoring import Source

PATH = "/connections"


def address(source: Source) -> Address:
    """Where the source is asked. The token of the URL's query stays there (as browsers must have it), unless the option
    `token` is set, which then is the only one that is sent. Raises ServiceError.
    """
    found = parse(source.url, WEBSOCKET)
    query = arguments(found.query)
    if source.token:
        query = [(name, value) for name, value in query if name != "token"]
    if all(name != "interval" for name, _ in query):
        query.append(("interval", str(max(1, round(source.interval * 1000)))))
    path = found.path if found.path not in ("", "/") else PATH
    return replace(found, path=path, query="&".join(f"{name}={value}" for name, value in query))


def _headers(source: Source, where: Address) -> dict[str, str]:
    if source.token:
        if not source.token.isascii() or not source.token.isprintable():
            raise ServiceError("option token has characters that a header cannot carry")
        return {"Authorization": f"Bearer {source.token}"}
    if where.login is not None:
        return {"Authorization": "Basic " + b64encode(":".join(where.login).encode()).decode()}
    return {}


def _interval(where: Address) -> float:
    """Seconds between two snapshots, as the server is asked for them."""
    text = next(value for name, value in arguments(where.query) if name == "interval")
    if not text.isdecimal() or not 1 <= len(text) <= 9 or int(text) == 0:
        raise ServiceError(
            "the address has an interval that is no number of milliseconds: leave it out, and set option interval"
        )
    return int(text) / 1000


class Clash:
    """A feed (readings.py)."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def run(self, report: Callable[[Reading], None]) -> None:
        try:
            # Only here: no other source wants the library.
            from netpath.monitor.websocket import messages
        except ImportError:
            raise ServiceError("the Python library websockets is missing: install python3-websockets") from None
        where = address(self._source)
        interval = _interval(where)
        timeout = self._source.timeout
        shares, speeds = Shares(), Speedometer(interval)
        received = messages(
            where,
            _headers(self._source, where),
            verify=self._source.verify,
            timeout=timeout,
            silence=interval + timeout,
        )
        async with aclosing(received):
            async for message, at in received:
                now = await _read(message)
                speed = speeds.update(shares.update(now), at)
                if speed is not None:
                    report(Proxy(*speed, connections=len(now.connections)))


async def _read(message: bytes) -> Snapshot:
    """Raises ServiceError."""
    reading = snapshot.parse(message)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            found: Snapshot = done.value
            return found
        await asyncio.sleep(0)
