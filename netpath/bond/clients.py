# SPDX-License-Identifier: GPL-2.0-or-later
"""One client as the server keeps it: its peer, what it may send, what waits for it. No I/O but what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netpath.bond import inner, status, transport, troubles
from netpath.bond.engine import Valve
from netpath.bond.fairqueue import FairQueue, room
from netpath.bond.handshake import NO_PSK
from netpath.bond.limits import Bucket
from netpath.bond.paths import Path, State
from netpath.bond.peer import Peer
from netpath.bond.serverside import Client, Standing
from netpath.bond.sides import Sides
from netpath.bond.slices import VNET
from netpath.bonding import BondPeer, Transport

BURST = 0.1
"""Seconds of a client's rate that may go at once, and at least LARGEST bytes."""
LARGEST = 65536
PACKET = 1500
"""Bytes of the largest packet that is tried on a path: devices on the way back are not known."""
IDLE_PATH = 60.0
"""Seconds of silence after which a path is forgotten."""
_LINK_LOCAL = b"\xfe\x80"

Write = Callable[[Sequence[bytes | memoryview]], None]
Owner = Callable[[bytes], object]


class Served:
    """A client. `owner` says whose an inner address is; `write` hands a packet to the device."""

    def __init__(self, settings: BondPeer, standing: Standing, owner: Owner, write: Write, now: float) -> None:
        self.settings = settings
        self.standing = standing
        self._owner = owner
        self._write = write
        self.forward = True
        """Whether it may send to other clients."""
        self.peer: Peer | None = None
        """None: it is not there."""
        self._valve: Valve | None = None
        """Of the peer."""
        self.since = now
        """When it came, or went."""
        self.due = 0.0
        self.changed: float | None = None
        """When its inner addresses changed: the next handshake after that tells it, and is asked for until it comes."""
        self.rates = status.Rates()
        self.problem: str | None = None
        self.spoofed = 0
        """Packets from addresses that are not its own."""
        self.limited = 0
        """Packets beyond its rate, or beyond what waits for it."""
        self._totals = status.Totals()
        self.queue = FairQueue()
        """What waits for it."""
        self.now = now
        """Of the batch that is being read: `write` has no time of its own."""
        self.configure(settings, now)

    def configure(self, settings: BondPeer, now: float) -> None:
        """New settings; the rate's buckets begin full."""
        self.settings = settings
        rate = settings.rate
        self._into = self._out = None
        if rate is not None:
            burst = max(rate * BURST, LARGEST)
            self._into, self._out = Bucket(rate, burst, now), Bucket(rate, burst, now)

    def begin(self, random: Callable[[int], bytes], settings: Transport, heartbeat: float, now: float) -> Peer:
        """It has come, or begun anew."""
        self.end(now)
        self.peer = transport.peer(settings, heartbeat, random, self._checked)
        self._valve = Valve(self.peer, now)
        return self.peer

    def end(self, now: float) -> None:
        """It is not there any more: what it cost is given back, but for its counters."""
        self._totals.add(self.peer)
        self.peer = self._valve = None
        self.since = now
        self.queue.clear()

    @property
    def figures(self) -> dict[str, int]:
        """Counters since the server began."""
        found = self._totals.of(self.peer)
        found["dropped"] += self.limited + self.spoofed + self.queue.dropped
        return found

    def new_path(self, peer: Peer, number: int, overhead: int, now: float) -> Path | None:
        """One that is not known yet; None: it has as many as it may."""
        if len(peer.paths) >= self.settings.streams:
            silent = [path for path in peer.paths.values() if path.state is State.DOWN]
            if not silent:
                return None
            peer.drop_path(min(silent, key=lambda path: path.heard).number, now)
        return peer.add_path(number, None, PACKET - overhead, overhead, now)

    def unconfirmed(self, now: float) -> bool:
        """Whether it has become a problem just now that its handshakes are never confirmed."""
        standing = self.standing
        if standing.unconfirmed < troubles.ATTEMPTS or now - standing.unconfirmed_since <= troubles.PATIENCE:
            return False
        new = self.problem is None
        self.problem = troubles.unconfirmed(standing.unconfirmed)
        return new

    def row(self, sides: Sides, now: float) -> dict[str, Any]:
        """Of the status."""
        peer, standing = self.peer, self.standing
        up = peer is not None and not peer.sender.scheduler.empty
        state = "up" if up else "connecting" if standing.pending else "down"
        head = status.row(
            self.settings.name,
            self.settings.public_key,
            (state, status.epoch(self.since, now), self.problem),
            standing.current.cipher if standing.current is not None else None,
            self.settings.addresses,
        )
        paths = (
            status.path_rows(peer, self.rates, sides.names(peer.paths.values(), now), now) if peer is not None else []
        )
        return {**head, **self.figures, "paths": paths}

    # To the client.

    def opens(self, now: float) -> float:
        """When a packet may be sent to it, which may be long ago."""
        assert self._valve is not None
        opens = self._valve.opens(now)
        return opens if self._out is None else max(opens, self._out.opens())

    def wait(self, packet: bytes) -> None:
        """It cannot take a packet (virtio_net_hdr before it) now. Others' must not wait for that."""
        assert self.peer is not None
        self.queue.push(packet, room(self.peer.speed))

    def charge(self, size: int, now: float) -> None:
        """So many bytes go to it."""
        if self._out is not None:
            self._out.take(size, now)

    # From the client.

    def _checked(self, buffers: Sequence[bytes | memoryview]) -> None:
        """A packet of the client's: virtio_net_hdr, then its parts, of which the first has the whole IP header."""
        packet = buffers[1]
        source = inner.source(packet)
        if not source or self._owner(source) is not self:
            if source[:2] != _LINK_LOCAL:  # every system says such things on a new device
                self.spoofed += 1
            return
        if not self.forward:
            target = self._owner(inner.destination(packet))
            if isinstance(target, Served) and target is not self:
                self.limited += 1
                return
        if self._into is not None and not self._into.take(sum(map(len, buffers)) - VNET.size, self.now):
            self.limited += 1
            return
        self._write(buffers)


def told(settings: BondPeer) -> Client:
    """The client as its sessions know it."""
    return Client(
        settings.name,
        settings.public_key,
        settings.preshared_key or NO_PSK,
        tuple(address + bytes([length]) for address, length in map(inner.parse, settings.addresses)),
        settings.streams,
    )


def prefixes(settings: BondPeer) -> list[str]:
    """What is routed to it."""
    return [inner.host(address) for address in settings.addresses] + list(settings.networks)
