# SPDX-License-Identifier: GPL-2.0-or-later
"""Real programs' traffic to every port, by TCP, UDP and DNS, until killed: `python -m tests.torture.client JSON`.

JSON: {"servers": {family: address}, "ports": [...], "dns": port or 0, "http": port or 0, "sources": {family: [...]}}.
Prints a line of JSON each 0.1 s: answers so far by flow, such as {"hold-tcp4-5000": 17}.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

HOLD, FRESH, PATIENCE = 0.1, 0.25, 1.0
"""Seconds between requests, between new flows, and until an answer is given up."""
QUESTION = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x07example\x00\x00\x01\x00\x01"
"""An A question for lab.example (RFC 1035, 4.1)."""

Talk = Callable[[], AsyncIterator[None]]


class Ends:
    """Where flows of one family and port begin and end."""

    def __init__(self, family: str, server: str, port: int, sources: list[str]) -> None:
        self.family = socket.AF_INET if family == "ipv4" else socket.AF_INET6
        self.to = (server, port)
        self._sources = itertools.cycle(sources or [""])

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(self.family, kind)
        made.setblocking(False)
        source = next(self._sources)
        if source:
            made.bind((source, 0))
        return made

    async def tcp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made = self.socket(socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(made, self.to)
            return await asyncio.open_connection(sock=made)
        except BaseException:
            made.close()
            raise


async def udp(ends: Ends, request: bytes, *, stay: bool) -> AsyncIterator[None]:
    """A flow, one request after the other; without `stay` a single one."""
    loop = asyncio.get_running_loop()
    with ends.socket(socket.SOCK_DGRAM) as made:
        await loop.sock_connect(made, ends.to)
        while True:
            with contextlib.suppress(OSError):  # TimeoutError too: this very flow is what goes on
                await loop.sock_sendall(made, request)
                async with asyncio.timeout(PATIENCE):
                    await loop.sock_recv(made, 2048)
                yield
            if not stay:
                return
            await asyncio.sleep(HOLD)


async def tcp(ends: Ends, request: bytes, *, stay: bool) -> AsyncIterator[None]:
    """The same by TCP; a connection that breaks ends it."""
    reader, writer = await ends.tcp()
    try:
        while True:
            writer.write(request)
            async with asyncio.timeout(PATIENCE):
                if not await reader.read(2048):
                    return
            yield
            if not stay:
                return
            await asyncio.sleep(HOLD)
    finally:
        writer.close()


async def download(ends: Ends) -> AsyncIterator[None]:
    reader, writer = await ends.tcp()
    try:
        writer.write(b"GET /stream?rate=20000 HTTP/1.1\r\nHost: lab.example\r\n\r\n")
        while True:
            async with asyncio.timeout(PATIENCE):
                if not await reader.read(8192):
                    return
            yield
    finally:
        writer.close()


async def repeat(talk: Talk, key: str, counts: dict[str, int], pause: float) -> None:
    """Talk again and again, as programs do; count what was answered."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for _ in talk():
                counts[key] += 1
        await asyncio.sleep(pause)


def flows(spec: dict[str, Any]) -> dict[str, tuple[Talk, float]]:
    """Every flow by its name, and the pause before it begins anew."""
    made: dict[str, tuple[Talk, float]] = {}
    for family, server in spec["servers"].items():
        digit, sources = family[-1], spec["sources"].get(family, [])
        for port in spec["ports"]:
            ends = Ends(family, server, port, sources)
            for name, call in (("tcp", tcp), ("udp", udp)):
                made[f"hold-{name}{digit}-{port}"] = (partial(call, ends, b"x\n", stay=True), HOLD)
                made[f"fresh-{name}{digit}-{port}"] = (partial(call, ends, b"x\n", stay=False), FRESH)
        if spec["dns"]:
            ends = Ends(family, server, spec["dns"], sources)
            made[f"dns-udp{digit}-{spec['dns']}"] = (partial(udp, ends, QUESTION, stay=False), FRESH)
        if spec["http"]:
            ends = Ends(family, server, spec["http"], sources)
            made[f"bulk-tcp{digit}-{spec['http']}"] = (partial(download, ends), HOLD)
    return made


async def run(spec: dict[str, Any]) -> None:
    wanted = flows(spec)
    counts = dict.fromkeys(wanted, 0)
    work: list[Awaitable[None]] = [repeat(talk, key, counts, pause) for key, (talk, pause) in wanted.items()]
    await asyncio.gather(report(counts), *work)


async def report(counts: dict[str, int]) -> None:
    while True:
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
