# SPDX-License-Identifier: GPL-2.0-or-later
"""Inner packets that no path can take whole: fragments where IPv4 allows it, else word to who sent them. Pure.

The device's MTU keeps such packets away, except while a path carries less than that: for the second until the MTU has
followed, or where it may not (1280 with IPv6 inside, or a configured one).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from netpath.bond.limits import Bucket
from netpath.bond.slices import NEEDS_CSUM, VNET

RATE = (50.0, 20.0)
"""Messages a second, and how many at once (RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f))."""
LEAST_IPV6 = 1280
"""RFC 8200, 5: no host sends less, so it need not be told of less."""
_QUOTED4, _QUOTED6 = 28, 1280 - 40 - 8
"""Bytes of the packet that an ICMP message holds: header and 8 more (RFC 792); what fits with all headers into 1280."""
_DONT = 0x40
"""In the first byte of flags and offset."""
_MORE, _OFFSET = 0x2000, 0x1FFF
_ICMP, _ICMP6 = 1, 58
_ERRORS4 = frozenset((3, 4, 5, 11, 12))
_INFORMATION6, _REDIRECT6 = 128, 137
_PLAIN = bytes(VNET.size)

Write = Callable[[Sequence[bytes | memoryview]], None]


class TooBig:
    """Of one peer. `write` hands a packet (virtio_net_hdr, IP) to the device."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._allowed = Bucket(*RATE, 0.0)

    def instead(self, vnet: bytes, packet: bytes, largest: int, now: float, *, settled: bool) -> Sequence[bytes]:
        """What may be sent instead of `packet`, without a virtio_net_hdr; `largest`: bytes that fit. `settled`: no more
        will fit in a moment, when it is known what paths carry. Senders remember for ten minutes what they are told.
        """
        if packet[0] >> 4 == 4 and not packet[6] & _DONT:
            return fragments(completed(vnet, packet), largest)
        message = needed(packet, largest) if settled else None
        if message is not None and self._allowed.take(1.0, now):
            self._write([_PLAIN, message])
        return ()


def completed(vnet: bytes, packet: bytes) -> bytes:
    """With the checksum that the kernel has left to hardware."""
    if not vnet[0] & NEEDS_CSUM:
        return packet
    *_, start, offset = VNET.unpack(vnet)
    at = start + offset
    if at + 2 > len(packet):
        return packet
    return packet[:at] + (_sum(packet[start:]) or 0xFFFF).to_bytes(2, "big") + packet[at + 2 :]


def fragments(packet: bytes, largest: int) -> list[bytes]:
    """An IPv4 packet in fragments (RFC 791, 3.2); none where its header has options, which hardly exist."""
    step = (largest - 20) // 8 * 8
    if packet[0] != 0x45 or step <= 0:
        return []
    place = int.from_bytes(packet[6:8], "big")
    body = packet[20:]
    found = []
    for at in range(0, len(body), step):
        part = body[at : at + step]
        more = place & _MORE or (_MORE if at + step < len(body) else 0)
        where = more | ((place & _OFFSET) + at // 8)
        head = packet[:2] + struct.pack(">H2sH", 20 + len(part), packet[4:6], where) + packet[8:10] + bytes(2)
        head += packet[12:20]
        found.append(head[:10] + _sum(head).to_bytes(2, "big") + head[12:] + part)
    return found


def needed(packet: bytes, largest: int) -> bytes | None:
    """The ICMP message that says how much fits, as from the packet's destination: from there an answer is expected,
    and no reverse path filter or connection tracking minds it. None: nobody may be told, or it is of no use."""
    return _needed6(packet, largest) if packet[0] >> 4 == 6 else _needed4(packet, largest)


def _needed4(packet: bytes, largest: int) -> bytes | None:
    """RFC 1191, 4."""
    if len(packet) < _QUOTED4 or int.from_bytes(packet[6:8], "big") & _OFFSET:
        return None
    at = (packet[0] & 0xF) * 4
    source, dest = packet[12:16], packet[16:20]
    # 0/8, 127/8, multicast and broadcast have no one to tell, or are no one (RFC 1122, 3.2.2).
    if any(each[0] in (0, 127) or each[0] >= 224 for each in (source, dest)) or len(packet) <= at:
        return None
    if packet[9] == _ICMP and packet[at] in _ERRORS4:
        return None
    quoted = packet[: at + 8]
    body = struct.pack(">BBHHH", 3, 4, 0, 0, min(largest, 0xFFFF)) + quoted
    body = body[:2] + _sum(body).to_bytes(2, "big") + body[4:]
    head = struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(body), 0, 0, 64, _ICMP, 0) + dest + source
    return head[:10] + _sum(head).to_bytes(2, "big") + head[12:] + body


def _needed6(packet: bytes, largest: int) -> bytes | None:
    """RFC 4443, 3.2."""
    source, dest = packet[8:24], packet[24:40]
    if len(packet) <= LEAST_IPV6 or source[0] == 0xFF or not any(source):
        return None
    if packet[6] == _ICMP6 and (packet[40] < _INFORMATION6 or packet[40] == _REDIRECT6):
        return None
    if dest[0] == 0xFF:
        return None
    body = struct.pack(">BBHI", 2, 0, 0, max(largest, LEAST_IPV6)) + packet[:_QUOTED6]
    covered = dest + source + struct.pack(">II", len(body), _ICMP6) + body
    body = body[:2] + _sum(covered).to_bytes(2, "big") + body[4:]
    return struct.pack(">IHBB", 6 << 28, len(body), _ICMP6, 64) + dest + source + body


def _sum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
