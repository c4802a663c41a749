# SPDX-License-Identifier: GPL-2.0-or-later
"""Data frames -> inner packets for the device, in order. No I/O; the hot way in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netpath.bond.assemble import Assembler, Write
from netpath.bond.dataframes import COPY, HEADER, LOOSE, NUMBERS, PARTIAL
from netpath.bond.frames import Type
from netpath.bond.reorder import Reorder
from netpath.bond.replay import WINDOW, ReplayWindow
from netpath.bond.slices import NEEDS_CSUM, VNET

TIMEOUT = 0.1
"""Seconds that a frame waits for earlier ones of its flow until more is known of the paths."""
_SLICE = Type.SLICE
_KNOWN = 0xE8
"""Bits of the first byte that are the same in all PACKETs and SLICEs."""
_PLAIN = bytes(VNET.size)
_SHORTEST = 20
"""Bytes of the smallest IP packet."""


@dataclass(slots=True)
class Counts:
    packets: int = 0
    """Inner ones, as the device got them."""
    bytes: int = 0
    copies: int = 0
    """Data frames that had come by another path already."""
    faulty: int = 0


class Receiver:
    """One direction of one bond. `frame` for each data frame, `flush` after each batch."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.order: Reorder[bytes] = Reorder(TIMEOUT)
        self.assembler = Assembler(self._count_and_write)
        self.counts = Counts()
        self.protect: Callable[[int, bytes], None] | None = None
        """Called with number and bytes of each data frame that came, where there is error correction."""
        self.highest = -1
        """The highest number that came, as a count that does not wrap."""
        self._copies = ReplayWindow(WINDOW)

    def frame(self, frame: bytes, now: float) -> int:
        """A data frame, whole. Its number, as a count that does not wrap; -1: it was faulty, or here before."""
        if len(frame) < HEADER + 1 or frame[0] & _KNOWN != Type.PACKET << 4:
            self.counts.faulty += 1
            return -1
        value = int.from_bytes(frame[:HEADER], "big")
        number = value & 0xFFFFFFFF
        ahead = (number - self.highest) % NUMBERS
        count = self.highest + (ahead if ahead < NUMBERS // 2 else ahead - NUMBERS)
        if count > self.highest:
            self.highest = count
        elif count < 0:
            self.counts.faulty += 1
            return -1
        first = frame[0]
        if first & COPY and not self._copies.enter(count):
            self.counts.copies += 1
            return -1
        if self.protect is not None:
            self.protect(number, frame)
        flow, order = value >> 32 & 0xFFFF, value >> 48 & 0xFFFFFF
        for ready in self.order.push(flow, order, number, frame, now, loose=bool(first & LOOSE)):
            self._deliver(ready)
        return count

    def passed(self, number: int) -> None:
        """Every data frame before `number` has arrived or is lost."""
        if self.order.waiting:
            self._all(self.order.passed(number % NUMBERS))

    def expire(self, now: float) -> None:
        """The reorder timeout."""
        if self.order.waiting:
            self._all(self.order.expire(now))

    def flush(self) -> None:
        """Give the device what is whole so far."""
        self.assembler.flush()

    def reset(self) -> None:
        """The sender has begun anew."""
        self._all(self.order.reset())
        self.assembler.forget()
        self.highest = -1
        self._copies = ReplayWindow(WINDOW)

    def _all(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            self._deliver(frame)

    def _deliver(self, frame: bytes) -> None:
        if frame[0] >> 4 == _SLICE:
            value = int.from_bytes(frame[1:6], "big")
            self.assembler.add(value & 0xFFFF, value >> 16, frame)
            return
        vnet, at = _PLAIN, HEADER + 2 if frame[0] & PARTIAL else HEADER
        if len(frame) - at < _SHORTEST or frame[at] >> 4 not in (4, 6):
            self.counts.faulty += 1
            return
        if frame[0] & PARTIAL:
            start, offset = frame[HEADER], frame[HEADER + 1]
            if start + offset + 2 > len(frame) - at:
                self.counts.faulty += 1
                return
            vnet = VNET.pack(NEEDS_CSUM, 0, 0, 0, start, offset)
        self._count_and_write([vnet, memoryview(frame)[at:]])

    def _count_and_write(self, buffers: Sequence[bytes | memoryview]) -> None:
        self.counts.packets += 1
        self.counts.bytes += sum(map(len, buffers)) - VNET.size
        self._write(buffers)
