# SPDX-License-Identifier: GPL-2.0-or-later
"""Data frames -> inner packets for the device, in order. No I/O; the hot way in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netpath.bond.assemble import Assembler, Write
from netpath.bond.dataframes import COPY, HEADER, LOOSE, NUMBERS, PARTIAL, SLICE
from netpath.bond.fec import CODEC
from netpath.bond.fec.groups import Decoder
from netpath.bond.frames import FrameError, Type
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
    """One direction of one bond. `frame` for each data frame, `look` after each batch."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.order: Reorder[bytes] = Reorder(TIMEOUT)
        self.assembler = Assembler(self._count_and_write)
        self.counts = Counts()
        self.decoder = Decoder(CODEC)
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
        count = self.count(number)
        if count > self.highest:
            self.highest = count
        elif count < 0:
            self.counts.faulty += 1
            return -1
        first = frame[0]
        if first & COPY and not self._copies.enter(count):
            self.counts.copies += 1
            return -1
        if not self.decoder.add(number, frame):
            self.counts.copies += 1
            return count
        flow, order = value >> 32 & 0xFFFF, value >> 48 & 0xFFFFFF
        for ready in self.order.push(flow, order, number, frame, now, loose=bool(first & LOOSE)):
            self._deliver(ready)
        return count

    def frames(self, frames: list[bytes], now: float) -> int:
        """Data frames of one batch; the highest count of them, -1 without one.

        Most of a bulk transfer are slices without a head that come in order: for them this is `frame` and all that it
        calls in one place, which takes a third of the time.
        """
        add, expected, gaps, streams = self.decoder.add, self.order.next, self.order.gaps, self.assembler.streams
        top, highest = -1, self.highest
        for frame in frames:
            value = int.from_bytes(frame[:HEADER], "big")
            flow = value >> 32 & 0xFFFF
            order = value >> 48 & 0xFFFFFF
            stream = streams.get(flow)
            if (
                value >> 72 == SLICE
                and stream is not None
                and stream.end == order == expected[flow]
                and stream.parts
                and stream.head is not None  # those without are counted by `add`
                and flow not in gaps
                and highest >= 0
            ):
                number = value & 0xFFFFFFFF
                ahead = number - highest & 0xFFFFFFFF
                if ahead < NUMBERS // 2:
                    highest += ahead
                    top = highest
                if add(number, frame):
                    stream.parts.append(frame[HEADER:])
                    stream.end = expected[flow] = order + 1 & 0xFFFFFF
                else:
                    self.counts.copies += 1
                continue
            self.highest = highest
            top = max(top, self.repair(frame, now) if frame[0] >> 4 == Type.REPAIR else self.frame(frame, now))
            highest = self.highest
        self.highest = highest
        return top

    def repair(self, frame: bytes, now: float) -> int:
        """A REPAIR frame. The number after its group, as a count; -1: it was faulty."""
        try:
            return self.count(self.decoder.repair(frame, now))
        except FrameError:
            self.counts.faulty += 1
            return -1

    def count(self, number: int) -> int:
        """A number near the highest one as a count that does not wrap."""
        ahead = (number - self.highest) % NUMBERS
        return self.highest + (ahead if ahead < NUMBERS // 2 else ahead - NUMBERS)

    def look(self, passed: int | None, now: float, *, expire: bool = False) -> None:
        """After a batch, and when `due`: recover and give up what can be. Every data frame before `passed` has arrived
        or is lost; None: nothing is known of that. `expire`: all that has come was read, so that what is missing is not
        waiting in some socket while this process was busy.
        """
        if passed is not None:
            self.decoder.passed(passed % NUMBERS)
        for number, frame in self.decoder.due(now):
            if self._first_of_copies(number, frame):
                value = int.from_bytes(frame[:HEADER], "big")
                flow, order = value >> 32 & 0xFFFF, value >> 48 & 0xFFFFFF
                self._all(self.order.push(flow, order, number, frame, now, loose=bool(frame[0] & LOOSE)))
        if self.order.waiting:
            if passed is not None:
                self._all(self.order.passed(self.decoder.settled(passed) % NUMBERS))
            if expire:
                self._all(self.order.expire(now))
        self.assembler.flush()

    def due(self) -> float | None:
        """When `look` has something to do, whatever comes until then."""
        times = [time for time in (self.order.due(), self.decoder.deadline) if time is not None]
        return min(times, default=None)

    def _first_of_copies(self, number: int, frame: bytes) -> bool:
        return not frame[0] & COPY or self._copies.enter(self.count(number))

    def reset(self) -> None:
        """The sender has begun anew."""
        self._all(self.order.reset())
        self.assembler.forget()
        self.highest = -1
        self._copies = ReplayWindow(WINDOW)
        self.decoder = Decoder(CODEC, self.decoder.patience)

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
