# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources run as the monitor runs them, and peers that answer with given bytes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from netpath.monitor.feeds import feed
from netpath.monitor.readings import Reading, ServiceError
from netpath.monitor.retry import PRESETS
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Source, SourceType

PATIENCE = 20.0
"""Seconds after which a test has failed."""
NOBODY = Tracker(Path("/nonexistent/netpath.sock"))


def source(type: SourceType, url: str = "", **other: Any) -> Source:
    values: dict[str, Any] = {
        "name": "it", "type": type, "url": url, "token": "", "username": "root", "password": "netpath",
        "interfaces": (), "interval": 0.1, "timeout": 3.0, "verify": True, "retry": PRESETS["fast"],
    }  # fmt: skip
    return Source(**{**values, **other})


async def readings(
    source: Source, count: int, tracker: Tracker = NOBODY, between: Callable[[int], Awaitable[None]] | None = None
) -> list[Reading]:
    """The first `count` readings; `between` is called after each with its number. Raises ServiceError."""
    found: asyncio.Queue[Reading] = asyncio.Queue()
    task = asyncio.create_task(feed(source, tracker).run(found.put_nowait))
    try:
        async with asyncio.timeout(PATIENCE):
            got: list[Reading] = []
            while len(got) < count:
                get = asyncio.create_task(found.get())
                await asyncio.wait({get, task}, return_when=asyncio.FIRST_COMPLETED)
                if not get.done():
                    get.cancel()
                    await task
                    raise AssertionError("it ended without an error")
                got.append(get.result())
                if between is not None:
                    await between(len(got))
            return got
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def failure(source: Source, tracker: Tracker = NOBODY) -> str:
    """What an attempt fails with."""
    try:
        async with asyncio.timeout(PATIENCE):
            await feed(source, tracker).run(lambda _: None)
    except ServiceError as error:
        return str(error)
    raise AssertionError("it ended without an error")


@asynccontextmanager
async def peer(answer: bytes, *, hold: bool = False, drip: float = 0.0) -> AsyncIterator[int]:
    """The port of one that answers whatever comes with `answer`; `hold`: it does not end the connection; `drip`: it
    sends the last byte of the answer again and again, with as many seconds between."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(4096)
            writer.write(answer)
            while drip:
                await asyncio.sleep(drip)
                writer.write(answer[-1:])
                await writer.drain()
            await writer.drain()
            if hold:
                await reader.read()
        except OSError:
            pass  # the other side has gone, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def certificate(directory: Path) -> Path:
    """A self-signed one for localhost with its key, as uhttpd makes one for itself."""
    path = directory / "certificate.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(path)]
    subprocess.run(["openssl", "req", *kind, *name, *files], check=True, capture_output=True)
    return path
