# SPDX-License-Identifier: GPL-2.0-or-later
"""Data frames -> inner packets for the device, in order. No I/O; the hot way in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import sub
from struct import Struct

from netpath.bond.assemble import Assembler, Write
from netpath.bond.dataframes import COPY, FLOWS, HEAD, HEADER, LOOSE, NUMBERS, PARTIAL, SLICE
from netpath.bond.fec import CODEC
from netpath.bond.fec.groups import Decoder
from netpath.bond.frames import FrameError, Type
from netpath.bond.reorder import Reorder
from netpath.bond.rows import Row
from netpath.bond.slices import NEEDS_CSUM, VNET

TIMEOUT = 0.1
"""Seconds that a frame waits for earlier ones of its flow until more is known of the paths."""
_SLICE = Type.SLICE
_SLICES = {SLICE | flags for flags in (0, HEAD, COPY, HEAD | COPY)}
"""First bytes."""
_FRONT = Struct(">HQ").unpack_from
"""Of a data frame: type, flags and the high byte of the order; the rest of the order, flow, number."""
_FIELDS = "HLL"
"""Of a data frame's header: the same two bytes; low bytes of the order with the flow; number."""
_STEP = 1 << 48 | 1
"""What the latter grows by from a frame to the next."""
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
    recovered: int = 0
    """Data frames, from repairs."""
    faulty: int = 0


class Receiver:
    """One direction of one bond. `frame` for each data frame, `look` after each batch."""

    def __init__(self, write: Write) -> None:
        self.order: Reorder[bytes] = Reorder(TIMEOUT)
        self.counts = Counts()
        self._write = _counting(self.counts, write)
        self.assembler = Assembler(self._write)
        self.decoder = Decoder(CODEC)
        self.highest = -1
        """The highest number that came, as a count that does not wrap."""

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
        if not self.decoder.add(number, frame):
            self.order.copies += 1
            return count
        self._push(number, [frame], now)
        return count

    def frames(self, frames: Sequence[bytes], now: float) -> int:
        """Data frames of one batch; the highest count of them, -1 without one.

        Most of a bulk transfer are runs of slices, in which orders and numbers follow each other: a run costs little
        more than one frame.
        """
        if frames[0][0] >> 4 == Type.REPAIR or len(min(frames, key=len)) <= HEADER:
            return max([self._one(frame, now) for frame in frames])
        kinds, values = zip(*map(_FRONT, frames), strict=True)
        keys = list(map(sub, values, range(0, len(frames) * _STEP, _STEP)))
        top = -1
        for begin, end in _equal(keys):
            part = frames[begin:end]
            found = self._run(kinds[begin:end], values[begin], part, now)
            if found is None:
                found = max(self._one(frame, now) for frame in part)
            top = max(top, found)
        return top

    def row(self, row: Row, now: float) -> int | None:
        """A row of slices whose numbers follow each other, or of needless repairs, as `frames` would take it; None, and
        nothing is done: it is something else.
        """
        fronts, length = row.fields(_FIELDS), len(row)
        kinds, values, number = fronts[::3], fronts[1::3], fronts[2]
        if kinds[0] >> 12 == Type.REPAIR:
            passed = self.decoder.needless(row)
            return None if passed is None else self.count(passed)
        firsts = {kind >> 8 for kind in set(kinds)}
        if not firsts <= _SLICES or fronts[2::3] != tuple(range(number, number + length)):
            return None
        last = self.count(number) + length - 1
        if last < length - 1:
            return None
        frames: Sequence[bytes] = ()
        # What has to wait is copied in any case.
        if not self.order.is_due(*_place(kinds[0], values[0])) or not self.decoder.spare(number, row):
            frames = row.plaintexts()
            if not self.decoder.add_row(number, frames):
                return None
        self.highest = max(self.highest, last)
        for begin, end in _runs(kinds, values):
            flow, order = _place(kinds[begin], values[begin])
            if self.order.straight(flow, order, end - begin):
                self.assembler.add_row(flow, order, row.part(begin, end), kinds[begin:end])
            else:
                frames = frames or row.plaintexts()
                self._all(self.order.push(flow, order, number + begin, frames[begin:end], now))
        return last

    def _run(self, kinds: Sequence[int], value: int, frames: Sequence[bytes], now: float) -> int | None:
        """Frames of one flow whose orders and numbers follow each other; None, and nothing is done: they are not such
        as can be taken together. `kinds`: their first two bytes; `value`: the first one's next eight.
        """
        if len(frames) == 1 or not {kind >> 8 for kind in kinds} <= _SLICES or len({kind & 0xFF for kind in kinds}) > 1:
            return None
        number = value & 0xFFFFFFFF
        last = self.count(number) + len(frames) - 1
        if last < len(frames) - 1 or not self.decoder.add_row(number, frames):
            return None
        self.highest = max(self.highest, last)
        self._push(number, frames, now)
        return last

    def _one(self, frame: bytes, now: float) -> int:
        return self.repair(frame, now) if frame[0] >> 4 == Type.REPAIR else self.frame(frame, now)

    def _push(self, number: int, frames: Sequence[bytes], now: float) -> None:
        """Frames of one flow, nothing between them; the first one's number."""
        first = frames[0]
        value = int.from_bytes(first[:HEADER], "big")
        flow, order = value >> 32 & 0xFFFF, value >> 48 & 0xFFFFFF
        self._all(self.order.push(flow, order, number, frames, now, loose=bool(first[0] & LOOSE)))

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
            self.counts.recovered += 1
            self._push(number, [frame], now)
        if self.order.waiting:
            if passed is not None:
                self._all(self.order.passed(self.decoder.settled(passed) % NUMBERS, now))
            if expire:
                self._all(self.order.expire(now))
        self.assembler.flush()

    def due(self) -> float | None:
        """When `look` has something to do, whatever comes until then."""
        times = [time for time in (self.order.due(), self.decoder.deadline) if time is not None]
        return min(times, default=None)

    def reset(self) -> None:
        """The sender has begun anew."""
        self._all(self.order.reset())
        self.assembler.forget()
        self.highest = -1
        self.decoder = Decoder(CODEC, self.decoder.patience)

    def _all(self, runs: Sequence[Sequence[bytes]]) -> None:
        for run in runs:
            first = run[0]
            if first[0] >> 4 == _SLICE:
                value = int.from_bytes(first[1:6], "big")
                self.assembler.add(value & 0xFFFF, value >> 16, run)
            else:  # such come one by one
                self._deliver(first)

    def _deliver(self, frame: bytes) -> None:
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
        self._write([vnet, memoryview(frame)[at:]])


def _place(kind: int, value: int) -> tuple[int, int]:
    """(flow, order), of the first two and next four bytes of a header."""
    return value & FLOWS - 1, (kind & 0xFF) << 16 | value >> 16


def _runs(kinds: Sequence[int], values: Sequence[int]) -> Sequence[tuple[int, int]]:
    """Where frames of one flow whose orders follow each other begin and end; their first two and next four bytes."""
    count, value = len(kinds), values[0]
    alike = len({kind & 0xFF for kind in set(kinds)}) == 1
    if alike and values == tuple(range(value, value + count * FLOWS, FLOWS)):
        return ((0, count),)
    return _equal([(kind & 0xFF, value - n * FLOWS) for n, (kind, value) in enumerate(zip(kinds, values, strict=True))])


def _equal(keys: Iterable[object]) -> Sequence[tuple[int, int]]:
    """Where equal neighbours begin and end."""
    found, begin = [], 0
    for _, group in groupby(keys):
        end = begin + len(list(group))
        found.append((begin, end))
        begin = end
    return found


def _counting(counts: Counts, write: Write) -> Write:
    """No method: what assembler and receiver hold of each other would stay until the collector looks, a MiB or more."""

    def take(buffers: Sequence[bytes | memoryview]) -> None:
        counts.packets += 1
        counts.bytes += sum(map(len, buffers)) - VNET.size
        write(buffers)

    return take
