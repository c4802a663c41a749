# SPDX-License-Identifier: GPL-2.0-or-later
"""A metrics server in this process, and a reader that is as rude as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from netpath.monitor.metrics import MetricsServer
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Listener
from netpath.tracker.journal import Log
from tests.lines import Lines
from tests.monitor.metrics.own import OWN

PATIENCE = 20.0
"""Seconds after which a test has failed."""
TABLE = "netpath-absent"


@contextlib.asynccontextmanager
async def serving(
    socket: Path,
    own: Callable[[], dict[str, Any]] = lambda: OWN,
    *,
    addresses: tuple[str, ...] = ("127.0.0.1",),
    log: Log | None = None,
) -> AsyncIterator[MetricsServer]:
    """A server on a free port; `row()` tells which."""
    server = MetricsServer(Listener(addresses, 0), Tracker(socket), own, TABLE, log or Lines())
    working = asyncio.Event()
    task = asyncio.create_task(server.run(working.set))
    waiting = asyncio.create_task(working.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        if task.done():
            task.result()
        yield server
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.done()


def port(server: MetricsServer) -> int:
    number: int = server.row()["port"]
    return number


async def connect(
    server: MetricsServer, address: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(asyncio.open_connection(address, port(server)), PATIENCE)


async def exchange(server: MetricsServer, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await connect(server, address)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


async def get(
    server: MetricsServer, path: str = "/metrics", *fields: str, method: str = "GET", address: str = "127.0.0.1"
) -> tuple[int, dict[str, str], bytes]:
    """Status, fields, body."""
    request = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: router", *fields, "", ""]).encode()
    return split(await exchange(server, request, address))


def split(response: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body
