# SPDX-License-Identifier: GPL-2.0-or-later
"""The `netpath` command with stand-ins for the monitor's parts: a program for tests of the process around them.

What a source does is in its name: steady, broken (an exception that nobody foresaw), dumb (says nothing), late (imports
a library that is missing), stubborn (cannot be ended).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from netpath.cli import main
from netpath.monitor.readings import Proxy, Reading, ServiceError, Speeds, Wan
from netpath.monitoring import Datagrams, Source, SourceType


class Feed:
    def __init__(self, source: Source) -> None:
        self.source = source

    async def run(self, report: Callable[[Reading], None]) -> None:
        name = self.source.name
        if name.startswith("broken"):
            raise ValueError("broken by " + self.source.token)
        if name.startswith("late"):
            raise ModuleNotFoundError("No module named 'websockets'", name="websockets")
        proxy = Proxy(1000, 2000, 3000, 4000, 5)
        while not name.startswith("dumb"):
            report(proxy if self.source.type is SourceType.CLASH else Wan(70, 80, {"wan": (70, 80)}))
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                if not name.startswith("stubborn"):
                    raise
        await asyncio.sleep(3600)


class UdpServer:
    def __init__(self, settings: Datagrams, speeds: Callable[[], Speeds], log: object) -> None:
        self.settings = settings
        self.runs = 0

    async def run(self, working: Callable[[], None]) -> None:
        self.runs += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            try:
                bound.bind(("127.0.0.1", self.settings.port))
            except OSError as error:
                raise ServiceError(f"port {self.settings.port}: {error.strerror}") from None
            working()
            await asyncio.sleep(3600)

    def row(self) -> dict[str, Any]:
        return {"refused": self.runs}


def install() -> None:
    feeds, udp = ModuleType("netpath.monitor.feeds"), ModuleType("netpath.monitor.udp")
    feeds.feed = lambda source, tracker: Feed(source)  # type: ignore[attr-defined]
    feeds.target = lambda source: source.url.partition("?")[0]  # type: ignore[attr-defined]
    udp.UdpServer = UdpServer  # type: ignore[attr-defined]
    sys.modules |= {"netpath.monitor.feeds": feeds, "netpath.monitor.udp": udp}


if __name__ == "__main__":
    install()
    sys.exit(main())
