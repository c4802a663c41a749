# SPDX-License-Identifier: GPL-2.0-or-later
"""Acknowledgements that a later one makes needless are not sent (RFC 3449, section 5.2.1: ACK filtering). Pure.

A TCP acknowledgement says that everything before a number has come. Of several of one flow that are read from the
device together, the last one says what all say. Only such are held that say nothing else: no payload, no flag but ACK,
no option but the time stamp, each with a higher number than the one before; duplicates, SACKs, ECN echoes and updates
of a window go out as they are. So a line whose way out is narrow carries other things, and both ends work less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from netpath.bond.slices import VNET

_IP = VNET.size
_TCP = 6
_ACK = 0x10
_STAMP = b"\1\1\x08\x0a"
"""Two fillers and a time stamp's kind and length (RFC 7323): how every stack begins such options."""
_HALF = 1 << 31
_LONGEST = _IP + 40 + 32
"""virtio_net_hdr, IPv6 header, TCP header with a time stamp."""


class _Held(NamedTuple):
    number: int
    stamp: int
    """The sender's time stamp; 0 without one."""
    packet: memoryview
    """A copy."""


class Acks:
    """What is read from the device goes through `sift`; when there is no more at the moment, `rest` goes out too."""

    def __init__(self) -> None:
        self._held: dict[bytes, _Held] = {}
        """The last acknowledgement of each flow, by addresses and ports."""

    def sift(self, packet: memoryview) -> Sequence[memoryview]:
        """Of virtio_net_hdr and IP packets, what is to be sent now; an acknowledgement is held, as a copy."""
        flow = _flow(packet) if len(packet) <= _LONGEST else None
        if flow is None:
            return [*self.rest(), packet] if self._held else (packet,)
        key, at = flow
        number = int.from_bytes(packet[at + 8 : at + 12], "big")
        stamp = int.from_bytes(packet[at + 24 : at + 28], "big") if len(packet) > at + 20 else 0
        before = self._held.get(key)
        self._held[key] = _Held(number, stamp, memoryview(bytes(packet)))
        if before is None or (_later(before.number, number) and (before.stamp == stamp or _later(before.stamp, stamp))):
            return ()
        return (before.packet,)

    def rest(self) -> Sequence[memoryview]:
        """What was held."""
        if not self._held:
            return ()
        held = [each.packet for each in self._held.values()]
        self._held.clear()
        return held


def _flow(packet: memoryview) -> tuple[bytes, int] | None:
    """(addresses and ports, where the TCP header begins) of a bare acknowledgement; None: it is none."""
    if len(packet) < _IP + 40:
        return None
    first, size = packet[_IP], len(packet) - _IP
    if first == 0x45:
        at = _IP + 20
        if packet[_IP + 9] != _TCP or packet[_IP + 6] & 0x3F or packet[_IP + 7]:
            return None
        length, addresses = int.from_bytes(packet[_IP + 2 : _IP + 4], "big"), _IP + 12
    elif first >> 4 == 6 and size >= 60:
        at = _IP + 40
        if packet[_IP + 6] != _TCP:
            return None
        length, addresses = int.from_bytes(packet[_IP + 4 : _IP + 6], "big") + 40, _IP + 8
    else:
        return None
    header = size - (at - _IP)
    if length != size or packet[at + 12] != header << 2 or packet[at + 13] != _ACK:
        return None
    if header != 20 and (header != 32 or packet[at + 20 : at + 24] != _STAMP):
        return None
    return bytes(packet[addresses : at + 4]), at


def _later(old: int, new: int) -> bool:
    """Whether a number of 32 bits that wraps comes after another."""
    return 0 < (new - old & 0xFFFFFFFF) < _HALF
