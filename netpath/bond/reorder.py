# SPDX-License-Identifier: GPL-2.0-or-later
"""Each flow in its order (docs/bond-protocol.md, "Data frames"). Pure: times are the caller's monotonic seconds.

One flow never waits for another. What is missing is given up as soon as it is known to be lost, not only when a timeout
has passed: paths keep the order of what goes by them, so when each has brought something sent later, nothing earlier is
under way.

Where what is lost is sent again (docs/bond-protocol.md, "What is lost"), it is given up a little later (`grace`).

What comes is runs: frames of one flow whose orders, and numbers, follow each other. Paths bring bursts of them, and a
burst costs here what a frame does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from netpath.bond.dataframes import FLOWS, NUMBERS, ORDERS

T = TypeVar("T")
MOST_WAITING = 8192
"""Frames of one flow that wait; then what is missing before them is given up."""
REMEMBERED = 8192
"""Orders that were given up, of all flows: only such are delivered when they come after all, whatever else is late was
here before."""
NEAR = 1 << 16
"""Orders: what is later by more than that cannot be a copy that was under way all the time."""
_HALF_ORDERS, _HALF_NUMBERS = ORDERS // 2, NUMBERS // 2


class _Waiting(NamedTuple, Generic[T]):
    """A run that came before what is due."""

    since: float
    number: int
    """Of its first frame."""
    length: int
    frames: Sequence[T]
    """Nothing: delivered already."""


class _Lost(NamedTuple):
    """All that was missing before order `end` was known to be lost at `time`."""

    end: int
    time: float


class _Gap(Generic[T]):
    """A flow in which something is missing."""

    __slots__ = ("base", "count", "first", "heap", "lost", "waiting")

    def __init__(self, expected: int) -> None:
        self.base = expected
        """The order that was missing first."""
        self.count = 0
        """Frames that wait."""
        self.waiting: dict[int, _Waiting[T]] = {}
        """By the order of their first frame."""
        self.heap: list[int] = []
        """How far after `base` each of them is: holes must not make the search for the next one costly."""
        self.first = expected
        """The order of the earliest frame that waits."""
        self.lost: deque[_Lost] = deque()
        """In the order of `end` and of `time`."""


class Reorder(Generic[T]):
    """`push` what arrives; deliver what `push`, `passed` and `expire` return, in that order."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        """Seconds that a frame waits at most for earlier ones of its flow. May be changed at any time."""
        self.grace = 0.0
        """Seconds for which what is known to be lost may still come again. May be changed at any time."""
        self.given_up = 0
        """Orders that were missing when their time was up."""
        self.late = 0
        """Frames that came after that."""
        self.copies = 0
        """Frames that were here before."""
        self._given_up: dict[int, None] = {}
        """Flow and order of what was given up last."""
        self.next = [0] * FLOWS
        """By flow: the order that is delivered next."""
        self.gaps: dict[int, _Gap[T]] = {}
        """By flow."""

    @property
    def waiting(self) -> bool:
        """Whether anything waits: only then `passed` and `expire` need to be called."""
        return bool(self.gaps)

    def push(
        self, flow: int, order: int, number: int, frames: Sequence[T], now: float, *, loose: bool = False
    ) -> Sequence[Sequence[T]]:
        """The runs that may be delivered now that this one has come, of which `order` and `number` are the first
        frame's. `loose`: it need not wait itself.
        """
        expected, count = self.next[flow], len(frames)
        if self.straight(flow, order, count):
            return (frames,)
        behind = (expected - order) % ORDERS
        if 0 < behind <= _HALF_ORDERS:
            late = self._late(flow, order, frames[:behind], behind)
            if behind >= count:
                return late
            return (*late, *self.push(flow, expected, (number + behind) % NUMBERS, frames[behind:], now, loose=loose))
        gap = self.gaps.get(flow)
        if gap is None:
            gap = self.gaps[flow] = _Gap(expected)
        known = gap.waiting.get(order)
        if known is not None and known.length >= count:
            self.copies += count
            return ()
        self._wait(gap, order, _Waiting(now, number, count, () if loose else frames))
        ready: list[Sequence[T]] = [frames] if loose else []
        if order == expected:
            self._drain(flow, gap, ready)
        elif gap.count > MOST_WAITING:
            self._skip(flow, gap, ready)
        return ready

    def is_due(self, flow: int, order: int) -> bool:
        """Whether a frame of this order would be delivered at once, and nothing of its flow waits."""
        return order == self.next[flow] and flow not in self.gaps

    def straight(self, flow: int, order: int, count: int) -> bool:
        """Whether so many frames, `order` being the first one's, are due just now; then they count as delivered."""
        if not self.is_due(flow, order):
            return False
        self.next[flow] = (order + count) % ORDERS
        return True

    def passed(self, number: int, now: float) -> Sequence[Sequence[T]]:
        """Every data frame before `number` has arrived or is lost, but for what is sent again."""
        ready: list[Sequence[T]] = []
        for flow, gap in list(self.gaps.items()):
            # Whatever is missing before a frame was sent before it.
            while flow in self.gaps and (number - gap.waiting[gap.first].number) % NUMBERS < _HALF_NUMBERS:
                if self.grace and self._may_come(flow, gap, number, now):
                    break
                self._skip(flow, gap, ready)
        return ready

    def _may_come(self, flow: int, gap: _Gap[T], number: int, now: float) -> bool:
        """Whether what is missing next, and is lost, may have been sent again."""
        lost, order = gap.lost, self.next[flow]
        while lost and (order - lost[0].end) % ORDERS < _HALF_ORDERS:
            lost.popleft()
        end = begin = lost[-1].end if lost else order
        for first in sorted((each - order) % ORDERS for each in gap.waiting):
            if (number - gap.waiting[(order + first) % ORDERS].number) % NUMBERS >= _HALF_NUMBERS:
                break
            end = (order + first) % ORDERS
        if 0 < (end - begin) % ORDERS < _HALF_ORDERS:
            lost.append(_Lost(end, now))
        return now < lost[0].time + self.grace

    def _late(self, flow: int, order: int, frames: Sequence[T], behind: int) -> Sequence[Sequence[T]]:
        """Of frames whose turn is over, the ones that were given up."""
        if behind > NEAR:
            self.late += len(frames)
            return (frames,)
        found = []
        for n, frame in enumerate(frames):
            if self._given_up.pop(flow * ORDERS + (order + n) % ORDERS, self) is None:
                found.append((frame,))
        self.late += len(found)
        self.copies += len(frames) - len(found)
        return found

    def due(self) -> float | None:
        """When `expire` has something to do; None: never."""
        times = [gap.waiting[gap.first].since for gap in self.gaps.values()]
        return min(times) + self.timeout if times else None

    def expire(self, now: float) -> Sequence[Sequence[T]]:
        """What has waited for too long, with all that it held up."""
        ready: list[Sequence[T]] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps and gap.waiting[gap.first].since + self.timeout <= now:
                self._skip(flow, gap, ready)
        return ready

    def reset(self) -> Sequence[Sequence[T]]:
        """The sender has begun anew: everything that waits, and all counting from 0."""
        ready: list[Sequence[T]] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps:
                self._skip(flow, gap, ready)
        self.next = [0] * FLOWS
        self._given_up.clear()
        return ready

    @staticmethod
    def _wait(gap: _Gap[T], order: int, run: _Waiting[T]) -> None:
        """Instead of a shorter one that begins alike."""
        known = gap.waiting.get(order)
        if known is None:
            heappush(gap.heap, (order - gap.base) % ORDERS)
            gap.first = (gap.base + gap.heap[0]) % ORDERS
        else:
            gap.count -= known.length
        gap.waiting[order] = run
        gap.count += run.length

    def _skip(self, flow: int, gap: _Gap[T], ready: list[Sequence[T]]) -> None:
        """Give up what is missing before the earliest frame that waits."""
        order = self.next[flow]
        count = (gap.first - order) % ORDERS
        self.given_up += count
        for n in range(max(0, count - REMEMBERED), count):
            self._given_up[flow * ORDERS + (order + n) % ORDERS] = None
        if len(self._given_up) > REMEMBERED:
            # Many at once: each search for the oldest one would go over all that were before it.
            for oldest in list(islice(self._given_up, len(self._given_up) - REMEMBERED // 2)):
                del self._given_up[oldest]
        self.next[flow] = gap.first
        self._drain(flow, gap, ready)

    def _drain(self, flow: int, gap: _Gap[T], ready: list[Sequence[T]]) -> None:
        """Deliver from the next order on until something is missing."""
        waiting, order = gap.waiting, self.next[flow]
        while gap.heap:
            gap.first = (gap.base + gap.heap[0]) % ORDERS
            past = (order - gap.first) % ORDERS
            if past >= _HALF_ORDERS:
                break
            heappop(gap.heap)
            run = waiting.pop(gap.first)
            gap.count -= run.length
            if past >= run.length:
                continue  # all of it came in other runs
            if run.frames:
                ready.append(run.frames[past:] if past else run.frames)
            order = (gap.first + run.length) % ORDERS
        self.next[flow] = order
        if not waiting:
            del self.gaps[flow]
        elif (order - gap.base) % ORDERS >= _HALF_ORDERS // 2:  # or they would come round
            gap.heap = sorted((found - order) % ORDERS for found in waiting)
            gap.base = order
