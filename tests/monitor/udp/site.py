# SPDX-License-Identifier: GPL-2.0-or-later
"""Displays of both families in two LANs, and the server on the router between them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from netpath.monitor.readings import Proxy, Speeds, Wan
from netpath.monitor.udp import UdpServer
from netpath.monitoring import Datagrams, Format
from tests.kernel.nsbox import Box
from tests.lines import Lines

PORT = 17890
ROUTERS = (("192.0.2.1", "2001:db8:1::1"), ("198.51.100.1", "2001:db8:2::1"))
HOSTS = (("192.0.2.7", "2001:db8:1::7"), ("198.51.100.7", "2001:db8:2::7"))
REGISTRATION = b"\x01\x00"
SPEEDS = Speeds(Proxy(1, 2, 3, 4, 5), Wan(6, 7))
COMBINED = struct.pack("<6Q", 1, 2, 3, 4, 6, 7)
IP_TRANSPARENT = 19  # linux/in.h
LIMIT = 10.0
"""Seconds in which whatever is awaited must have come."""


def settings(**changes: Any) -> Datagrams:
    given: dict[str, Any] = {
        "addresses": ("::",),
        "port": PORT,
        "networks": ("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32", "fe80::/10", "127.0.0.0/8", "::1/128"),
        "format": Format.COMBINED,
        "interval": 0.05,
        "client_timeout": 15.0,
        "max_clients": 16,
    }
    return Datagrams(**{**given, **changes})


@dataclass
class Running:
    """A server that runs, and what it has said."""

    server: UdpServer
    task: asyncio.Task[None]
    log: Lines

    def row(self) -> dict[str, Any]:
        return self.server.row()

    def clients(self) -> list[tuple[str, int]]:
        return [(client["address"], client["port"]) for client in self.row()["clients"]]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert not self.task.done(), self.task
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.row()} {self.log.lines}"
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@contextlib.asynccontextmanager
async def serving(speeds: Callable[[], Speeds] = lambda: SPEEDS, **changes: Any) -> AsyncIterator[Running]:
    """A server in the namespace of this thread; it listens when this is entered, and has not failed when it is left."""
    log = Lines()
    server = UdpServer(settings(**changes), speeds, log)
    listening = asyncio.Event()
    task = asyncio.create_task(server.run(listening.set))
    first = asyncio.create_task(listening.wait())
    await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED, timeout=LIMIT)
    running = Running(server, task, log)
    try:
        if task.done():
            task.result()
        yield running
        assert not task.done(), task
    finally:
        first.cancel()
        await running.stop()


class Display:
    """A client that is connected to the address which it asks: it hears that address and no other."""

    def __init__(self, host: Box, server: str, port: int = 0, source: str = "", scope: int = 0) -> None:
        with host.inside():
            self.socket = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        if source and ":" not in source:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)  # it may be somebody else's
        if source or port:
            self.socket.bind((source, port))
        self.socket.connect((server, PORT, 0, scope) if ":" in server else (server, PORT))

    @property
    def name(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes = REGISTRATION) -> None:
        self.socket.send(data)

    async def receive(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 2048), LIMIT)

    async def served(self, times: int = 2) -> list[bytes]:
        """What comes in answer to so many registrations, one after the other."""
        found = []
        for _ in range(times):
            self.send()
            found.append(await self.receive())
        return found

    def waiting(self) -> list[bytes]:
        """What has come and was not received."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(2048))
        return found

    def close(self) -> None:
        self.socket.close()


@dataclass
class Site:
    """`a` is in the router's first LAN, `b` in the second."""

    router: Box
    a: Box
    b: Box
    _displays: list[Display] = field(default_factory=list)

    def display(self, host: Box, server: str, **how: Any) -> Display:
        made = Display(host, server, **how)
        self._displays.append(made)
        return made

    def run(self, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`test` in the router's namespace; displays are closed when it has ended."""
        try:
            with self.router.inside():
                asyncio.run(test())
        finally:
            for display in self._displays:
                display.close()

    @contextlib.contextmanager
    def weighed(self) -> Iterator[Callable[[], dict[str, tuple[int, int]]]]:
        """Packets and bytes of IP that the router took in and gave out for the port: `in_4`, `out_4` and so on."""
        text = "table inet weigh {\n"
        for way, hook, port in (("in", "input", "dport"), ("out", "output", "sport")):
            rules = [f"meta nfproto ipv{family} udp {port} {PORT} counter name {way}_{family}" for family in "46"]
            text += f"counter {way}_4 {{ }}\ncounter {way}_6 {{ }}\n"
            text += f"chain {hook} {{\ntype filter hook {hook} priority 0\n" + "\n".join(rules) + "\n}\n"
        self.router.nft(text + "}\n")

        def read() -> dict[str, tuple[int, int]]:
            items = [item["counter"] for item in self.router.listing("weigh") if "counter" in item]
            return {item["name"]: (item["packets"], item["bytes"]) for item in items}

        yield read
        self.router.nft("delete table inet weigh")
