# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's UDP server: what a tick to a full table takes, and what a flood of strangers costs."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import time

from bench.figure import Figure
from netpath.monitor.readings import Proxy, Speeds, Wan
from netpath.monitor.udp import UdpServer
from netpath.monitor.udp_socket import IP_PKTINFO
from netpath.monitoring import Datagrams, Format
from netpath.tracker.journal import Log

SPEEDS = Speeds(Proxy(1, 2, 3, 4, 5), Wan(6, 7))
REGISTRATION = b"\x01\x00"
TABLES = (32, 1024)
"""Displays: the default of `max_clients`, and the most that it can be."""
INTERVAL = 0.5
STRANGER = """
import socket, sys
stranger, where = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", int(sys.argv[1]))
while True:
    try:
        stranger.sendto(b"\\x01\\x00", where)
    except ConnectionRefusedError:
        pass
"""


def measure(quick: bool) -> list[Figure]:
    """On loopback, where the kernel does the receiving side's work too within each send."""
    runs = 4 if quick else 16
    ticks = [
        Figure(f"monitor: a tick of the UDP server to {number} displays", "ms", _ticks(number, runs))
        for number in TABLES
    ]
    share, taken = _flood(1.0 if quick else 5.0)
    note = f"{taken:.0f} a second were looked at, the kernel dropped the others"
    return [*ticks, Figure("monitor: a flood of strangers at the UDP server", "% of a processor", (share,), note=note)]


class Timed(UdpServer):
    """It notes how long each tick took that found all displays."""

    def __init__(self, clients: int, networks: tuple[str, ...]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.expected = clients
        self.milliseconds: list[float] = []
        settings = Datagrams(("0.0.0.0",), self.port, networks, Format.COMBINED, INTERVAL, 15.0, clients)
        super().__init__(settings, lambda: SPEEDS, Log(use_stderr=False))

    async def serve(self) -> None:
        before = self._sent()
        began = time.perf_counter()
        await super().serve()
        took = time.perf_counter() - began
        if self._sent() - before == self.expected:
            self.milliseconds.append(took * 1000)

    def _sent(self) -> int:
        return sum(client["sent"] for client in self.row()["clients"])


def _ticks(clients: int, runs: int) -> tuple[float, ...]:
    """Each display has an address of its own, all of them are one socket."""
    server = Timed(clients, ("127.0.0.0/8",))

    async def run(sender: socket.socket) -> None:
        task = asyncio.create_task(server.run(lambda: None))
        while len(server.milliseconds) < runs and not task.done():
            for number in range(clients):
                source = struct.pack("=i4s4s", 0, bytes((127, 1, number >> 8, number & 0xFF)), bytes(4))
                sender.sendmsg([REGISTRATION], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, ("127.0.0.1", server.port))
                if number % 32 == 31:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(INTERVAL / 2)
        task.cancel()
        await asyncio.wait({task})

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("0.0.0.0", 0))
        asyncio.run(run(sender))
    return tuple(server.milliseconds[:runs])


def _flood(seconds: float) -> tuple[float, float]:
    """Processor time of the server's thread in percent, and registrations that it refused in a second."""
    server = Timed(32, ("192.0.2.0/24",))

    async def run() -> float:
        task = asyncio.create_task(server.run(lambda: None))
        await asyncio.sleep(0.2)
        before = time.thread_time()
        await asyncio.sleep(seconds)
        used = time.thread_time() - before
        task.cancel()
        await asyncio.wait({task})
        return used

    with subprocess.Popen([sys.executable, "-I", "-c", STRANGER, str(server.port)]) as stranger:
        try:
            used = asyncio.run(run())
        finally:
            stranger.kill()
    return 100 * used / seconds, server.row()["refused"] / seconds
