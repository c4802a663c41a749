# SPDX-License-Identifier: GPL-2.0-or-later
"""What client and server do alike: batches of sockets -> sessions -> peers, trains of peers -> sockets. Hot.

What comes is dropped, without an answer and as cheaply as can be, until a session has opened it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from netpath.bond.acks import Acks
from netpath.bond.links import NOWHERE, Address, Batch, Link
from netpath.bond.loop import Loop
from netpath.bond.peer import Datagram, Peer
from netpath.bond.rows import Arena, Cuts, Row
from netpath.bond.sender import Train
from netpath.bond.session import ExpiredError, Session
from netpath.bond.wire import HEAD, LEAST, MOST, Kind, Veil
from netpath.tracker.journal import Log

BATCHES = 16
"""Reads of one socket, about, before others than sockets have their turn."""
HOLD = 0.5
"""Seconds for which packets wait when there is no path: a failover takes less, and what is older is of no use."""
_DATA = int(Kind.DATA)
_QUIET = 60.0
"""Seconds between two log lines of one kind."""

Owner = TypeVar("Owner")


class Place(NamedTuple):
    """Where datagrams of a path go, and where they leave from."""

    link: Link
    address: Address
    local: bytes = NOWHERE

    @property
    def uplink(self) -> str:
        """The client's link; on a server the address that it comes from, as its streams have the same."""
        return self.link.uplink or self.address[0]


class Greeting(NamedTuple):
    """An initiation or response."""

    kind: int
    path: int
    datagram: bytes
    place: Place
    """Where it comes from."""


class Valve:
    """Back-pressure of one peer: when the next packet may be taken for it."""

    __slots__ = ("_last", "_peer")

    def __init__(self, peer: Peer, now: float) -> None:
        self._peer = peer
        self._last = now
        """When there was a path."""

    def opens(self, now: float) -> float:
        """Which may be long ago. Without a path, packets wait for a moment, and are then dropped."""
        found = self._peer.sender.scheduler.opens()
        if found is None:
            return self._last + HOLD
        self._last = now
        return found


class Engine(ABC, Generic[Owner]):
    """Client and server fill in the abstract methods; an owner is who sessions belong to."""

    def __init__(self, loop: Loop, log: Log, veil: Veil | None) -> None:
        self.loop = loop
        self.log = log
        self._veil = veil
        self._arena = Arena()
        self._acks = Acks()
        self._ready: dict[Link, None] = {}
        """Sockets in which there is something, each once."""
        self._posted: dict[Peer, None] = {}
        """Those that may have something left, in order."""
        self.unknown = 0
        """Datagrams that were dropped unopened: too short, too long, of no session or kind that is known."""
        self.refused = 0
        """Datagrams of a session that were not authentic, or were here before."""
        self._spoken: dict[str, float] = {}

    @abstractmethod
    def _session_of(self, number: int, now: float) -> tuple[Owner, Session] | None:
        """Whose a datagram for `number` is."""

    @abstractmethod
    def _opened(
        self, found: tuple[Owner, Session], path: int, plaintexts: list[bytes] | Row, place: Place | None, now: float
    ) -> None:
        """Authentic plaintexts of one path, opened by what `_session_of` gave.

        `place`: where they come from; None: newer ones came before, so that this may be where the peer was once.
        """

    @abstractmethod
    def _handshake(self, greeting: Greeting, now: float) -> None:
        """An initiation or response; nothing of it was looked at."""

    @abstractmethod
    def _batches_done(self, now: float) -> None:
        """Sockets have been read: what is whole goes to the device."""

    @abstractmethod
    def _tick(self, now: float) -> float:
        """What is due; when to do so again."""

    @abstractmethod
    def _expired(self, peer: Peer, now: float) -> None:
        """Its keys are too old: nothing is sent until there are new ones."""

    # What comes in.

    def run(self) -> None:
        """Until the loop is stopped."""
        self.loop.run(self._turn)

    def listen(self, link: Link) -> None:
        """Read this socket from now on."""
        self.loop.add(link, lambda _: self._ready.update({link: None}))

    def forget(self, link: Link) -> None:
        """No more, and close it."""
        self.loop.remove(link)
        link.close()

    def _turn(self, now: float) -> float:
        """Whatever woke the loop: read what has come, then what is due."""
        if self._ready:
            self._read(now)
            now = time.monotonic()
        due = self._tick(now)
        return now if self._ready else due

    def _read(self, now: float) -> None:
        """The sockets in which there is something, in the order in which it came: then less has to wait for what is
        still in another one.
        """
        links, self._ready = self._ready, {}
        heads = [(batch, link) for link in links if (batch := self._next(link, now)) is not None]
        for _ in range(BATCHES * len(links)):
            if not heads:
                break
            n = min(range(len(heads)), key=lambda n: heads[n][0].at) if len(heads) > 1 else 0
            batch, link = heads[n]
            self._came(batch, link)
            following = self._next(link, now)
            if following is None:
                del heads[n]
            else:
                heads[n] = following, link
        for batch, link in heads:  # others have their turn
            self._came(batch, link)
            self._ready[link] = None
        self._batches_done(now)

    def _next(self, link: Link, now: float) -> Batch | None:
        if link.fileno() < 0:  # what came has closed it
            return None
        try:
            return link.receive()
        except OSError as error:
            self.seldom("error", f"a socket cannot be read: {error.strerror}", now)
            return None

    def _came(self, batch: Batch, link: Link) -> None:
        place = Place(link, batch.address, batch.local)
        self._batch(batch.data, batch.segment, place, batch.at, None if batch.begin else link.cuts)

    def _batch(self, data: memoryview, segment: int, place: Place, now: float, cuts: Cuts | None = None) -> None:
        """`cuts`: of the buffer that begins with `data`."""
        size = len(data)
        if not LEAST <= segment <= MOST:
            self.unknown += 1
            return
        if self._veil is not None:
            self._veil.reveal(data, segment)
        at = 0
        while at < size:
            if size - at < LEAST:
                self.unknown += 1
                return
            first = int.from_bytes(data[at : at + HEAD], "big") >> 48
            kind = first >> 12 & 0xF
            if kind == _DATA:
                found = self._session_of(first >> 16, now)
                if found is None:
                    self.unknown += 1
                    at += segment
                    continue
                if cuts is not None and not at and size > segment:
                    row = found[1].open_row(self._arena, data, segment, first, now, cuts=cuts)
                    if row is not None:
                        self._opened(found, first & 0xFFF, row, place, now)
                        return
                plaintexts, refused, at, newest = found[1].open_all(data, segment, at, first, now)
                self.refused += refused
                if plaintexts:
                    self._opened(found, first & 0xFFF, plaintexts, place if newest else None, now)
            elif kind < _DATA:
                self._handshake(Greeting(kind, first & 0xFFF, bytes(data[at : at + segment]), place), now)
                at += segment
            else:
                self.unknown += 1
                at += segment

    # What goes out.

    def send(self, peer: Peer, datagrams: Sequence[Datagram], trains: Sequence[Train], now: float) -> None:
        """What a peer's `tick` gave."""
        for _, place, data in datagrams:
            assert isinstance(place, Place)
            self._send(place, [data if self._veil is None else self._veil.veiled(data)], len(data), 1, now)
        if trains:
            self.send_trains(peer, trains, now)

    def send_trains(self, peer: Peer, trains: Sequence[Train], now: float) -> None:
        """What packets became."""
        paths, veil = peer.paths, self._veil
        for path, buffers, segment, *_ in trains:
            if (found := paths.get(path)) is None or (place := found.address.proven) is None:
                continue  # it went while the packet was made: the peer sends such again
            assert isinstance(place, Place)
            self._send(place, buffers if veil is None else veil.hide(buffers), segment, 2, now)

    def post(self, peer: Peer, packet: memoryview, now: float) -> None:
        """A packet of the device goes to the peer now, or with the next ones, or with `deliver`."""
        self._posted[peer] = None
        try:
            self.send_trains(peer, peer.packet(packet, now), now)
        except ExpiredError:
            self._expired(peer, now)

    def deliver(self, now: float) -> None:
        """What is left. To be called when nothing more is read from the device at the moment."""
        for peer in self._posted:
            try:
                self.send_trains(peer, peer.rest(now), now)
            except ExpiredError:
                self._expired(peer, now)
        self._posted.clear()

    def send_handshake(self, place: Place, datagram: bytes, now: float) -> None:
        """An initiation or response."""
        veil = self._veil
        self._send(place, [datagram if veil is None else veil.veiled(datagram, veil.HANDSHAKE)], len(datagram), 1, now)

    def _send(self, place: Place, buffers: Sequence[bytes], segment: int, each: int, now: float) -> None:
        link, address, local = place
        if link.fileno() < 0:
            return  # closed; its path is going down
        try:
            link.send(buffers, segment, address, each, local)
        except OSError as error:
            self.seldom("error", f"nothing can be sent to {address[0]}: {error.strerror}", now)

    def seldom(self, level: str, message: str, now: float, *, about: str = "") -> None:
        """Log, but lines about one thing once a minute at most."""
        key = about or message
        if now - self._spoken.get(key, -_QUIET) >= _QUIET:
            if len(self._spoken) >= 256:
                self._spoken.clear()
            self._spoken[key] = now
            self.log(level, message)
