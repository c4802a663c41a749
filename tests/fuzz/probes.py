# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets: what comes back for probes, at the probers themselves with sockets that read the fuzzer's bytes."""

from __future__ import annotations

import socket
import struct
from typing import Any, cast

from netpath.model import Uplink
from netpath.probe import dns_message, icmp_packet
from netpath.probe.base import Context, is_address
from netpath.probe.dns import PORT, DnsProber
from netpath.probe.endpoint import page
from netpath.probe.http import HttpProber, _Request
from netpath.probe.icmp import IcmpProber
from netpath.probe.neighbour import ArpProber, NeighbourProber, SolicitationProber
from netpath.probe.resolve import Resolver
from tests.fuzz.draw import Draw

V4, V6 = "192.0.2.1", "2001:db8::1"
ICMP_ID = 0x4E50
COOKIE = b"netpath!"
QUERY_ID = 0x4E50
NAME = "www.example.com"


class FakeLoop:
    """Watches nothing."""

    def time(self) -> float:
        return 1000.0

    def add_reader(self, *_: object) -> None:
        pass

    remove_reader = add_writer = remove_writer = add_reader


class FakeSocket:
    """Gives pieces one after the other, then says that there are no more; notes what is sent."""

    type = socket.SOCK_DGRAM

    def __init__(self, pieces: list[bytes], source: str = V4, *, hops: int = 255) -> None:
        self.pieces = pieces
        self.sent: list[bytes] = []
        self._source = source
        self._hops = hops

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        return self.pieces.pop(0)[:size]

    def recvmsg(self, size: int, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        hops = struct.pack("=i", self._hops)
        return self.recv(size), [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, hops)], 0, (self._source, 0)

    def sendto(self, data: bytes, _: object) -> int:
        self.sent.append(data)
        return len(data)

    def send(self, data: bytes) -> int:
        return self.sendto(data, None)

    def fileno(self) -> int:
        return -1

    def getsockname(self) -> tuple[object, ...]:
        return ("wan", 0, 0, 1, b"\x02\0\0\0\0\x01")

    def close(self) -> None:
        pass


class World:
    """One prober's surroundings, and what it reported."""

    def __init__(self, family: str) -> None:
        self.replies: list[int] = []
        self.failures: list[int] = []
        gateway = V4 if family == "ipv4" else V6
        self.target = gateway
        uplink = Uplink("wan", 1, family, "wan", gateway, (), True, ())
        self.context = Context(cast("Any", FakeLoop()), uplink, 0x3F00, self.replies.append, self._failed)

    def _failed(self, token: int, reason: str) -> None:
        assert reason and reason.isprintable()
        self.failures.append(token)

    def once(self, asked: set[int]) -> None:
        """Each token at most once, and no others."""
        told = self.replies + self.failures
        assert len(told) == len(set(told)) and set(told) <= asked


def icmp(data: bytes) -> None:
    """A packet of a raw ICMP socket (the first byte: which family, from whom)."""
    draw = Draw(data)
    flags = draw.number()
    family = "ipv6" if flags & 1 else "ipv4"
    world = World(family)
    stranger = "2001:db8::bad" if flags & 1 else "198.51.100.7"
    source = stranger if flags & 2 else world.target
    sock = FakeSocket([])
    prober = IcmpProber(world.context, 56, 64)
    prober._socket, prober._ident, prober._cookie = cast("Any", sock), ICMP_ID, COOKIE
    for token in (1, 2):
        prober.send(token, world.target)
    assert len(sock.sent) == 2
    while draw:
        packet = draw.piece()
        parsed = (icmp_packet.parse6 if flags & 1 else icmp_packet.parse4)(packet)
        before = len(world.replies)
        prober._received(packet, source)
        match parsed:
            case icmp_packet.Echo(ident, sequence, payload):
                assert 0 <= ident < 1 << 16 and 0 <= sequence < 1 << 16 and len(payload) <= len(packet) - 8
                right = ident == ICMP_ID and payload.startswith(COOKIE) and not flags & 2
                assert right or len(world.replies) == before
            case icmp_packet.Refusal():
                assert is_address(parsed.target, family) and len(world.replies) == before
            case None:
                assert len(world.replies) == before
    world.once({1, 2})
    prober.close()


def dns(data: bytes) -> None:
    """A datagram from a DNS server (the first byte: which family, whether the port is right)."""
    draw = Draw(data)
    flags = draw.number()
    family = "ipv6" if flags & 1 else "ipv4"
    world = World(family)
    prober = DnsProber(world.context, NAME)
    kind = dns_message.TYPE_AAAA if flags & 1 else dns_message.TYPE_A
    query = dns_message.query(QUERY_ID, NAME, kind)
    from netpath.probe.dns import _Asked

    packed = socket.inet_pton(socket.AF_INET6 if flags & 1 else socket.AF_INET, world.target)
    prober._waiting[QUERY_ID] = _Asked(1, packed, query)
    resolver = Resolver(world.context, ())
    found: list[str] = []
    resolver._waiting[1] = NAME, found.append
    while draw:
        message = draw.piece()
        answer = dns_message.answer(message, query)
        before = len(world.replies)
        prober._received(message, (world.target, PORT if not flags & 2 else 5353))
        assert answer is not None or len(world.replies) == before
        if answer is None:
            continue
        assert 0 <= answer.rcode < 16 and 0 <= answer.ttl < 1 << 32 and len(answer.addresses) <= 16
        assert all(is_address(address, family) for address in answer.addresses)
        resolver._answered(NAME, answer)
    assert all(is_address(address, family) for address in found)
    assert all(1060 <= until <= 4600 for _, until in resolver._known.values())
    world.once({1})


def http_reply(data: bytes) -> None:
    """What a web server answers a HEAD request, in pieces (the first byte: whether its path counts)."""
    draw = Draw(data)
    target = "http://192.0.2.1/here" if draw.number() & 1 else V4
    pieces = []
    while draw:
        pieces.append(draw.piece())
    world = World("ipv4")
    prober = HttpProber(world.context, False, Resolver(world.context, ()))
    sock = FakeSocket([*(piece for piece in pieces if piece), b""])
    prober._requests[1] = _Request(page(target, False), b"HEAD / HTTP/1.1\r\n\r\n")
    prober._sockets[1] = cast("Any", sock)
    while 1 in prober._requests:
        assert sock.pieces, "it waits for more, after the end"
        prober._talk(1, cast("Any", sock))
        request = prober._requests.get(1)
        assert request is None or len(request.received) <= 2048
    world.once({1})
    assert world.replies or world.failures
    if world.replies:
        assert b"".join(pieces).lstrip().startswith(b"HTTP/1.")


def neighbours(data: bytes) -> None:
    """ARP replies and neighbour advertisements (the first byte: which, and with what hop limit)."""
    draw = Draw(data)
    flags = draw.number()
    world = World("ipv6" if flags & 1 else "ipv4")
    prober: NeighbourProber = (SolicitationProber if flags & 1 else ArpProber)(world.context)
    pieces = []
    while draw:
        pieces.append(draw.piece())
    count = len(pieces)
    sock = FakeSocket(pieces, hops=64 if flags & 2 else 255)
    prober._socket = cast("Any", sock)
    if not flags & 1:
        prober.send(1, world.target)
        prober.send(2, "gateway")
        assert [len(sent) for sent in sock.sent] == [28, 28]
    else:
        prober._waiting.update({1: world.target, 2: world.target})
    for _ in range(count // 64 + 1):
        prober._readable(cast("Any", sock))
    assert not sock.pieces
    world.once({1, 2})
    assert not world.failures and len(world.replies) <= count
    assert not (world.replies and flags & 3 == 3), "a forwarded advertisement counted"
