# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to a receiver: which ways lead to it now, and a socket by one of them. Never blocks."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from netpath.monitor.notify import threads, uplinks
from netpath.monitor.notify.outcome import UndeliveredError
from netpath.monitor.notify.uplinks import PLAIN, Way
from netpath.probe.base import Context, is_address, words
from netpath.probe.resolve import Resolver
from netpath.steering.marks import MarkSpace

SYSTEM_TIME = 3.0
"""Seconds for the system's resolver, which knows names of the LAN but may ask dead servers for others."""
ASK_TIMES, ASK_PAUSE = 3, 1.5
"""How often a name is asked for by an uplink, and seconds between."""
ADDRESSES = 3
"""Addresses of a name that are tried by one way."""

_NUMBERS = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

Address = tuple[str, str]
"""Family and address."""


class Dialer:
    """Finds `host` for one message after another."""

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._found: list[Address] = []
        """What the system makes of the name."""
        self._plain: list[Address] = []
        """Those of them that need no uplink."""
        self._lookup: asyncio.Future[list[Address]] | None = None

    async def ways(self, rows: Sequence[Mapping[str, Any]] | None) -> list[Way]:
        """The ways to try, best first; none while no uplink works. `rows`: the tracker's, None without a tracker.

        Raises NetlinkError.
        """
        literal = self._literal()
        self._found = [literal] if literal else await self._system()
        served = uplinks.steered() if rows else {}
        if not rows or not served:
            self._plain = self._found
            return [PLAIN]
        self._plain = [address for address in self._found if _is_direct(address, served)]
        if self._plain:
            return [PLAIN]
        found = uplinks.ways(rows, next(iter(served.values())))
        found = [way for way in found if literal is None or way.family == literal[0]][: uplinks.MOST]
        # A family that is left alone goes by the main table, if the others fail.
        self._plain = [address for address in self._found if address[0] not in served]
        return [*found, PLAIN] if self._plain else found

    async def connect(self, way: Way, port: int) -> socket.socket:
        """A blocking socket, connected. Raises UndeliveredError."""
        problem = UndeliveredError(f"the name {self._host} cannot be resolved")
        for family, address in (await self._addresses(way))[:ADDRESSES]:
            try:
                async with asyncio.timeout(self._timeout):
                    return await _connected(way, family, address, port)
            except TimeoutError:
                problem = UndeliveredError(f"no connection after {self._timeout:.0f} s")
            except OSError as error:
                # asyncio has words of its own for it
                problem = UndeliveredError(os.strerror(error.errno).lower() if error.errno else words(error))
        raise problem

    def _literal(self) -> Address | None:
        return next(((family, self._host) for family in _NUMBERS if is_address(self._host, family)), None)

    async def _system(self) -> list[Address]:
        """What the C library finds in time. It cannot be stopped, so there is never more than one thread in it."""
        if self._lookup is None or self._lookup.done():  # what came too late for an earlier message is old
            self._lookup = threads.start(lambda: _resolve(self._host))
        done, _ = await asyncio.wait({self._lookup}, timeout=SYSTEM_TIME)
        if not done:
            return []
        return self._lookup.result()

    async def _addresses(self, way: Way) -> list[Address]:
        if way.uplink is None:
            return self._plain
        if self._literal():
            return self._found
        family = way.uplink.family
        address = await _ask(way, self._host)
        return [(family, address)] if address else [known for known in self._found if known[0] == family]


def _is_direct(found: Address, served: Mapping[str, MarkSpace]) -> bool:
    family, address = found
    return family in served and uplinks.is_direct(address, family, served[family])


def _resolve(host: str) -> list[Address]:
    """Addresses in the system's order; none for a name that it does not find."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # no such name, no servers; a name that is none
        return []
    names = {number: family for family, number in _NUMBERS.items()}
    return [(names[number], str(address[0])) for number, _, _, _, address in found if number in names]


async def _ask(way: Way, name: str) -> str | None:
    """The address of `name` in the way's family, asked for by its uplink as probes do."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    resolver = Resolver(_context(way))

    def found(address: str) -> None:
        if not answer.done():
            answer.set_result(address)

    try:
        for number in range(ASK_TIMES):
            resolver.resolve(number, name, found)
            done, _ = await asyncio.wait({answer}, timeout=ASK_PAUSE)
            if done:
                return answer.result()
    except (OSError, ValueError):  # the device is gone, no servers are known; a name that is none
        return None
    finally:
        resolver.close()
    return None


def _context(way: Way) -> Context:
    assert way.uplink is not None
    return Context(asyncio.get_running_loop(), way.uplink, way.mark, lambda _: None, lambda _, __: None)


async def _connected(way: Way, family: str, address: str, port: int) -> socket.socket:
    if way.uplink is None:
        sock = socket.socket(_NUMBERS[family], socket.SOCK_STREAM)
        sock.setblocking(False)
        place: Any = (address, port)
    else:
        context = _context(way)
        sock = context.open_socket(socket.SOCK_STREAM)
        place = context.sockaddr(address, port)
    try:
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(True)
    return sock
