# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture on every uplink, at the provider's end of its cable, that holds each packet to the policies.

The packet's destination port names its policy, so the truth is static: whatever happens to uplinks, a packet of policy
P never leaves by an uplink that P does not name, and one that nobody steered leaves by the main table's default.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from netpath.lab import SERVERS, Lab, LabError, Namespace, Packet
from netpath.lab.layout import CUSTOMER
from netpath.lab.traffic import parse
from tests.torture.policies import ALLOWED, MAIN

SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33  # asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h
ETH_P_ALL = 3
HEADERS = 128
BUFFER_BYTES = 1 << 25
MARGIN = 0.1
"""Seconds that a packet may take from the router's decision to the provider's end, on a busy machine."""
ROUTERS_TTL = 64
"""Of the router's own packets; those that it forwards have less."""
_TIMESPEC = struct.Struct("qq")
_SERVERS = frozenset(address for addresses in SERVERS.values() for address in addresses)

Flow = tuple[str, str, str, int, str, int]


@dataclass(frozen=True, slots=True)
class Stray:
    """A packet that left by an uplink which its policy forbids."""

    uplink: str
    at: float
    packet: Packet

    @property
    def flow(self) -> Flow:
        p = self.packet
        return (p.family, p.proto, p.src, p.sport, p.dst, p.dport)

    def __str__(self) -> str:
        p = self.packet
        how = "unsteered, by the main default" if self.uplink == MAIN else "by an uplink that its policy does not name"
        ends = f"{p.src} {p.sport} -> {p.dst} {p.dport}"
        return f"{p.family} {p.proto} {ends} (ttl {p.ttl}) left {self.uplink} {how}, at {self.at:.3f}"


@dataclass(slots=True)
class Gap:
    """A time in which somebody else had removed our table: nothing could steer.

    With `sources`: in which the uplink with these addresses was not configured. What the router itself answers from
    them (a reset to what still comes of a connection of before) goes the main table's way, as everything of devices
    that are none of ours.
    """

    begin: float
    end: float | None = None
    sources: frozenset[str] = frozenset()

    def covers(self, stray: Stray) -> bool:
        timely = self.begin <= stray.at and (self.end is None or stray.at <= self.end + MARGIN)
        own = stray.packet.ttl == ROUTERS_TTL and stray.packet.src in self.sources
        return timely and (own or not self.sources)


@dataclass(slots=True)
class Captures:
    """All captures of a lab, and what came so far."""

    _sockets: dict[str, socket.socket] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    """Packets by uplink and port: what proves that there was traffic to judge."""
    _excused: set[Flow] = field(default_factory=set)

    @classmethod
    def of(cls, lab: Lab) -> Captures:
        made = cls()
        for uplink in lab.uplinks:
            made._sockets[uplink.name] = _listen(lab.isps[uplink.number])
        return made

    def strays(self) -> list[Stray]:
        """What left by a forbidden uplink since the last call. Raises LabError when packets were lost.

        A flow that began while nothing could steer stays where it is until its end, as docs/architecture.md says
        ("older than NetPath, or left alone"): it is excused from then on, and so are packets of that time.
        """
        found: list[Stray] = []
        for uplink, sock in self._sockets.items():
            for at, packet in _packets(sock):
                if packet.dst not in _SERVERS or packet.dport not in ALLOWED:
                    continue
                self.seen[uplink, packet.dport] = self.seen.get((uplink, packet.dport), 0) + 1
                if uplink not in ALLOWED[packet.dport]:
                    found.append(Stray(uplink, at, packet))
            _nothing_lost(uplink, sock)
        return [stray for stray in sorted(found, key=lambda s: s.at) if not self._excuse(stray)]

    def _excuse(self, stray: Stray) -> bool:
        covering = [gap for gap in self.gaps if gap.covers(stray)]
        if any(not gap.sources for gap in covering):
            self._excused.add(stray.flow)
        return bool(covering) or stray.flow in self._excused

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()


def _listen(isp: Namespace) -> socket.socket:
    def make() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((CUSTOMER, ETH_P_ALL))
        return sock

    return isp.inside(make)


def _packets(sock: socket.socket) -> Iterator[tuple[float, Packet]]:
    """What the router sent so far, and when (epoch s, by the kernel)."""
    while True:
        try:
            data, ancillary, _, address = sock.recvmsg(HEADERS, 64)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # once, when the device went down
                raise
            continue
        if address[2] == socket.PACKET_OUTGOING:
            continue
        packet = parse(data, False)
        if packet is not None:
            seconds, nanoseconds = _TIMESPEC.unpack_from(ancillary[0][2])
            yield seconds + nanoseconds / 1e9, packet


def _nothing_lost(uplink: str, sock: socket.socket) -> None:
    _, lost = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    if lost:
        raise LabError(f"the capture on {uplink} lost {lost} packets: their absence proves nothing")
