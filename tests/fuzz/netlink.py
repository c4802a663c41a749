# SPDX-License-Identifier: GPL-2.0-or-later
"""Target: netlink messages. The kernel is trusted, so a damaged body may be refused by whatever error its decoder has,
but nothing hangs, reads beyond a message, or gives a figure that no field can hold."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from netpath.kernel import conntrack, monitor, netlink, nftdump, rtnl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket
from netpath.probe.base import is_address
from tests.fuzz.draw import Draw

REFUSALS = (struct.error, LookupError, ValueError)
"""Of decoders, for bodies that no kernel makes."""


class FakeKernel:
    """A socket that answers each request with the fuzzer's datagrams, then with the end of a dump."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self.datagrams = datagrams
        self.receipts = 0

    def send(self, data: bytes) -> int:
        self.sequence = struct.unpack_from("=I", data, 8)[0]
        return len(data)

    def recv_into(self, buffer: bytearray, *_: int) -> int:
        self.receipts += 1
        done = struct.pack("=IHHIIi", 20, netlink.NLMSG_DONE, 0, self.sequence, 0, 0)
        # Its last word: without one a real socket would wait for ever, which is no fault.
        data = self.datagrams.pop(0) if self.datagrams else done
        buffer[: len(data)] = data
        return len(data)


def socket_of(datagrams: list[bytes]) -> tuple[NetlinkSocket, FakeKernel]:
    made = NetlinkSocket.__new__(NetlinkSocket)
    kernel = FakeKernel(datagrams)
    made._socket, made._buffer, made._sequence = cast("Any", kernel), bytearray(65536), 0
    return made, kernel


def messages(data: bytes) -> None:
    """The first byte: how it is read; then datagrams, each with two bytes of length before it."""
    draw = Draw(data)
    how = draw.number()
    datagrams = []
    while draw:
        datagrams.append(draw.piece())
    sock, kernel = socket_of(datagrams)
    most = len(datagrams) + 5
    if how % 8 < 4:
        decode = (_link, _address, _route, _rule)[how % 8]
        with suppress(NetlinkError):
            sock.dump(Message(0, 0, b""), decode)
        most *= 4
    elif how % 8 == 4:
        with suppress(NetlinkError):
            for bodies in sock.parts(Message(0, 0, b"")):
                for body in bodies:
                    with suppress(*REFUSALS):
                        assert 0 <= conntrack._mark(body) < 1 << 32
    elif how % 8 == 5:
        with suppress(NetlinkError):
            sock.dump(Message(0, 0, b""), _nft)
        most *= 4
    else:
        for datagram in datagrams:
            event(datagram)
    assert kernel.receipts <= most


def event(datagram: bytes) -> None:
    """The type in two bytes, then the body."""
    kind, body = int.from_bytes(datagram[:2], "little"), memoryview(datagram[2:])
    with suppress(*REFUSALS):
        found = monitor._decode(kind, body)
        assert found is None or found.kind in ("link", "address", "route", "rule")
    attributes = list(netlink.each_attribute(body))
    assert sum(len(value) for _, value in attributes) <= len(body)


def _refusing(decode: Callable[[int, memoryview], Any]) -> Callable[[int, memoryview], Any]:
    def decoded(kind: int, body: memoryview) -> Any:
        try:
            return decode(kind, body)
        except REFUSALS:
            return None

    return decoded


@_refusing
def _link(kind: int, body: memoryview) -> rtnl.Link | None:
    link = rtnl.decode_link(kind, body)
    assert link is None or (not link.carrier or link.up)
    return link


@_refusing
def _address(kind: int, body: memoryview) -> rtnl.Address | None:
    found = rtnl.decode_address(kind, body)
    assert found is None or (is_address(found.address, found.family) and found.prefixlen < 256)
    return found


@_refusing
def _route(kind: int, body: memoryview) -> list[rtnl.RouteEntry]:
    entries = rtnl.decode_route(body)
    for entry in entries:
        assert entry.gateway is None or is_address(entry.gateway, "ipv4") or is_address(entry.gateway, "ipv6")
        assert 0 <= entry.table < 1 << 32 and -(1 << 31) <= entry.oif < 1 << 32
    return entries


@_refusing
def _rule(kind: int, body: memoryview) -> rtnl.RuleEntry:
    found = rtnl.decode_rule(kind, body)
    assert 0 <= found.priority < 1 << 32 and 0 <= found.mask < 1 << 32 and found.action
    return found


@_refusing
def _nft(kind: int, body: memoryview) -> None:
    del kind
    packets, size = nftdump._object_counter(body)
    assert packets >= 0 and size >= 0
