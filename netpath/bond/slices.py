# SPDX-License-Identifier: GPL-2.0-or-later
"""Unsegmented TCP packets, cut for datagrams and put together again (docs/bond-protocol.md, "Slices"). Pure.

What the kernel calls a GSO packet: up to 64 KiB of one TCP stream under one header, with a `struct virtio_net_hdr`
(linux/virtio_net.h) that says how it is to be segmented. No checksum is computed here over payload, ever.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

VNET = struct.Struct("<BBHHHH")
"""struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""
NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_ECN = 0, 1, 4, 0x80
_BLOCK = struct.Struct(">BBHH10sB")
_FIN_PSH = 0x09
_CWR = 0x80
MOST_SLICES = 255


class SliceError(ValueError):
    """An authentic head block that cannot be, or a packet that cannot be cut."""


class Head(NamedTuple):
    """What the head block of a slice says of its packet."""

    slices: int
    size: int
    total: int
    vnet: bytes
    headers: bytes
    """IP and TCP header."""

    @property
    def overhead(self) -> int:
        return _BLOCK.size + len(self.headers)

    def begin(self, index: int) -> int:
        """Where in the packet's payload slice `index` begins."""
        return index * self.size - self.overhead if index else 0

    def length(self, index: int) -> int:
        """Payload bytes of slice `index`."""
        return (self.total if index == self.slices - 1 else self.begin(index + 1)) - self.begin(index)

    def block(self, index: int) -> bytes:
        """The head block in slice `index`."""
        return _BLOCK.pack(index, self.slices, self.size, self.total, self.vnet, len(self.headers)) + self.headers


def plan(vnet: bytes, packet: bytes | memoryview, room: int) -> Head:
    """How to cut `packet` (IP packet of a GSO `vnet`) into slices of at most `room` bytes, head blocks included.

    All are of one size: the last one lacks less than a byte for each slice. Raises SliceError when it is no TCP packet
    or the room is too small.
    """
    start = VNET.unpack(vnet)[4]
    if start + 20 > len(packet):
        raise SliceError("a packet that ends before its TCP header")
    length = start + (packet[start + 12] >> 4) * 4
    total = len(packet) - length
    if not start + 20 <= length <= 255 or total < 0:
        raise SliceError("a TCP header that cannot be")
    overhead = _BLOCK.size + length
    if total + overhead <= room:
        return Head(1, total + overhead, total, vnet, bytes(packet[:length]))
    if room <= overhead:
        raise SliceError(f"a head block does not go into slices of {room}")
    count = -(-(total + 2 * overhead) // room)
    size = -(-(total + 2 * overhead) // count)
    if count > MOST_SLICES or size - overhead < count:
        raise SliceError(f"{total} bytes do not go into slices of {room}")
    return Head(count, size, total, vnet, bytes(packet[:length]))


def read_block(frame: bytes | memoryview, at: int) -> tuple[int, Head, int]:
    """(index, head, where the payload begins) of the head block at `at`. Raises SliceError."""
    try:
        index, count, size, total, vnet, length = _BLOCK.unpack_from(frame, at)
    except struct.error:
        raise SliceError("a head block that is cut off") from None
    begin = at + _BLOCK.size + length
    headers = bytes(frame[at + _BLOCK.size : begin])
    if len(headers) != length or index not in (0, count - 1):
        raise SliceError("a head block that cannot be")
    return index, _head(count, size, total, vnet, headers), begin


@lru_cache(16)
def _head(count: int, size: int, total: int, vnet: bytes, headers: bytes) -> Head:
    """The last slice says what the first one said."""
    head = Head(count, size, total, vnet, headers)
    _check(head, len(headers))
    return head


def _check(head: Head, length: int) -> None:
    """What the kernel, and `run`, may rely on."""
    flags, gso_type, _, gso_size, start, offset = VNET.unpack(head.vnet)
    version = {GSO_TCPV4: 4, GSO_TCPV6: 6}.get(gso_type & ~GSO_ECN)
    headers = head.headers
    fine = (
        length >= 40
        and version == headers[0] >> 4
        and flags == NEEDS_CSUM
        and gso_size > 0
        and offset == 16
        and start + 20 <= length == start + (headers[start + 12] >> 4) * 4
        and start == ((headers[0] & 0xF) * 4 if version == 4 else start)
        and start >= (20 if version == 4 else 40)
        and (head.slices == 1 or head.size > head.overhead)
        and 0 < head.length(head.slices - 1) <= head.size
        and int.from_bytes(headers[2:4] if version == 4 else headers[4:6], "big")
        == length + head.total - (0 if version == 4 else 40)
    )
    if not fine:
        raise SliceError("a head block that cannot be")


def run(head: Head, first: int, last: int) -> tuple[bytes, bytes]:
    """(vnet header, IP and TCP header) for slices `first` to `last` as one packet; its payload is theirs, in order."""
    if first == 0 and last == head.slices - 1:
        return head.vnet, head.headers
    begin = head.begin(first)
    payload = head.begin(last) + head.length(last) - begin
    flags, gso_type, hdr_len, gso_size, start, offset = VNET.unpack(head.vnet)
    segments = begin // gso_size
    if payload <= gso_size:
        gso_type = GSO_NONE
        gso_size = 0
    headers = bytearray(head.headers)
    _shorten(headers, start, head.total - payload, segments)
    sequence = int.from_bytes(headers[start + 4 : start + 8], "big") + begin
    headers[start + 4 : start + 8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
    if last != head.slices - 1:
        headers[start + 13] &= ~_FIN_PSH & 0xFF
    if first != 0:
        headers[start + 13] &= ~_CWR & 0xFF
    return VNET.pack(flags, gso_type, hdr_len, gso_size, start, offset), bytes(headers)


def _shorten(headers: bytearray, start: int, missing: int, segments: int) -> None:
    """Lengths, IPv4 identification and sum, and the sum of the pseudo header, for `missing` bytes less of payload."""
    if headers[0] >> 4 == 4:
        length = int.from_bytes(headers[2:4], "big") - missing
        headers[2:4] = length.to_bytes(2, "big")
        identification = int.from_bytes(headers[4:6], "big") + segments
        headers[4:6] = (identification & 0xFFFF).to_bytes(2, "big")
        headers[10:12] = b"\0\0"
        words = struct.unpack(f">{start // 2}H", headers[:start])
        headers[10:12] = (folded(sum(words)) ^ 0xFFFF).to_bytes(2, "big")
    else:
        length = int.from_bytes(headers[4:6], "big") - missing
        headers[4:6] = length.to_bytes(2, "big")
    # The kernel has put the sum of the pseudo header there, not inverted, with the length of all that was one packet.
    partial = int.from_bytes(headers[start + 16 : start + 18], "big") + 0xFFFF - missing % 0xFFFF
    headers[start + 16 : start + 18] = folded(partial).to_bytes(2, "big")


def folded(total: int) -> int:
    """A sum of 16 bit words with its carries added in (RFC 1071)."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
