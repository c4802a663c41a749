# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets datagrams, when, and how many. Pure: no sockets, and the caller says what time it is (monotonic seconds).

Anybody can write somebody else's address on a registration, so a client is only ever owed a bounded number of bytes for
each one, whatever the interval: `FIRST_FACTOR` times what the first ones weighed, `FACTOR` times once the client has
repeated them as a living one does. Bytes count with their IP and UDP headers. What is not used is not saved up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from netpath.monitor.wire import REGISTRATION

KEEP_ALIVE = 5.0
"""Seconds between two registrations of a client that keeps to the protocol."""
PROOF = KEEP_ALIVE / 2
"""A registration that follows the first one by this much shows that the client lives: no error has come back."""
HEADERS_IPV4, HEADERS_IPV6 = 20 + 8, 40 + 8
"""Bytes of IP and UDP without options."""
FIRST_FACTOR, FACTOR = 7, 21
"""Bytes owed for a byte of registration. A registration weighs 30 bytes (IPv4), so that the first factor is enough for
two answers until the next one, and the other for six of the larger answers (a pair: 60 + 44 bytes).
"""
SHARE = 4
"""One address may hold a 1/SHARE of the table."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a datagram came from, which is where answers go."""

    address: str
    port: int
    scope: int = 0
    """Index of the device, of link-local IPv6 addresses."""

    @property
    def headers(self) -> int:
        """Bytes of IP and UDP before each payload to or from here."""
        return HEADERS_IPV6 if ":" in self.address else HEADERS_IPV4


@dataclass(frozen=True, slots=True)
class Way:
    """How it came, which is how answers leave."""

    listener: int
    """Number of the listening socket."""
    local: bytes | None = None
    """Address that was asked, packed; None: the one that the socket is bound to."""
    device: int = 0
    """Index of the device, where the address that was asked is link-local."""


@dataclass(slots=True)
class Client:
    source: Source
    way: Way
    since: float
    last: float
    """Its newest registration."""
    due: float
    """When it is to get its next answer."""
    pace: float = 0.0
    """Seconds between two answers: the interval, or longer where that is what its credit is enough for."""
    credit: int = 0
    """Bytes that it may still get for its newest registration."""
    proven: bool = False
    sent: int = 0
    """Datagrams that left for it."""
    failing: bool = False
    """The last one did not."""


class Verdict(Enum):
    """What became of a datagram."""

    NEW = auto()
    RENEWED = auto()
    REFUSED = auto()
    """A registration of somebody who may not, or finds no room."""
    IGNORED = auto()
    """No registration."""


class Networks:
    """Who may register."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        """Raises ValueError for what is no prefix."""
        networks = [ip_network(prefix, strict=False) for prefix in prefixes]
        self._masks = tuple(
            (network.version, int(network.network_address), int(network.netmask)) for network in networks
        )

    def allow(self, source: Source) -> bool:
        """Whether it is a host in one of them that an answer can be for: never a group, a broadcast, or nobody."""
        try:
            address = ip_address(source.address)
        except ValueError:
            return False
        if not source.port or address.is_multicast or address.is_unspecified or _nobody(address):
            return False
        number = int(address)
        return any(version == address.version and number & mask == base for version, base, mask in self._masks)


def _nobody(address: IPv4Address | IPv6Address) -> bool:
    """IPv4 addresses that no host has: 0.0.0.0/8 and, with the limited broadcast, 240.0.0.0/4."""
    return address.version == 4 and not 0 < int(address) >> 24 < 240


class Clients:
    """The table."""

    def __init__(
        self, networks: Networks, *, interval: float, timeout: float, limit: int, payloads: tuple[int, ...]
    ) -> None:
        """`payloads`: bytes of the datagrams of one answer, at most."""
        self.limit = limit
        self.share = max(1, limit // SHARE)
        self._networks = networks
        self._interval = interval
        self._timeout = timeout
        self._payloads = payloads
        self._table: dict[Source, Client] = {}
        """In the order of their newest registrations, the oldest first."""
        self._held: dict[str, int] = {}
        """Address -> its clients."""

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._table.values()))

    def __contains__(self, source: Source) -> bool:
        return source in self._table

    def received(self, data: bytes, source: Source, way: Way, now: float) -> tuple[Verdict, Client | None]:
        """Judge a datagram. The client is that which is new or renewed; a new one is due at once."""
        if data != REGISTRATION:
            return Verdict.IGNORED, None
        self.expire(now)
        client = self._table.pop(source, None)
        if client is not None:
            self._table[source] = client
            self._renew(client, way, now)
            return Verdict.RENEWED, client
        held = self._held.get(source.address, 0)
        if len(self._table) >= self.limit or held >= self.share or not self._networks.allow(source):
            return Verdict.REFUSED, None
        client = self._table[source] = Client(source, way, since=now, last=now, due=now)
        self._held[source.address] = held + 1
        self._owe(client, KEEP_ALIVE)
        return Verdict.NEW, client

    def due(self, now: float) -> list[Client]:
        """Clients whose next answer is nearer to now than to the next tick, an interval away."""
        self.expire(now)
        return [client for client in self._table.values() if client.due <= now + self._interval / 2]

    def spend(self, client: Client, payloads: Iterable[int], now: float) -> bool:
        """Charge an answer of these payloads before it is sent. False: the client is owed less than that."""
        cost = sum(size + client.source.headers for size in payloads)
        if cost > client.credit:
            return False
        client.credit -= cost
        client.due = now + client.pace
        return True

    def forget(self, source: Source) -> Client | None:
        client = self._table.pop(source, None)
        if client is not None:
            self._held[source.address] -= 1
            if not self._held[source.address]:
                del self._held[source.address]
        return client

    def expire(self, now: float) -> None:
        """Forget those that were silent for the time."""
        while self._table:
            oldest = next(iter(self._table.values()))
            if now - oldest.last < self._timeout:
                return
            self.forget(oldest.source)

    def _renew(self, client: Client, way: Way, now: float) -> None:
        gap = now - client.last
        client.proven = client.proven or now - client.since >= PROOF
        client.last = now
        client.way = way
        self._owe(client, min(gap, KEEP_ALIVE))
        client.due = min(client.due, now + client.pace)

    def _owe(self, client: Client, gap: float) -> None:
        """Credit for one registration, and how it is divided over the time until the next, `gap` from now."""
        answer = sum(size + client.source.headers for size in self._payloads)
        registration = len(REGISTRATION) + client.source.headers
        affordable = (FACTOR if client.proven else FIRST_FACTOR) * registration // answer
        # One more than the time needs, for a registration that is late.
        answers = min(affordable, math.ceil(KEEP_ALIVE / self._interval) + 1)
        client.credit = answers * answer
        client.pace = max(self._interval, gap / (answers - 1 if client.proven else answers))
