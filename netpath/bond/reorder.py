# SPDX-License-Identifier: GPL-2.0-or-later
"""Each flow in its order (docs/bond-protocol.md, "Data frames"). Pure: times are the caller's monotonic seconds.

One flow never waits for another. What is missing is given up as soon as it is known to be lost, not only when a timeout
has passed: paths keep the order of what goes by them, so when each has brought something sent later, nothing earlier is
under way.

What comes is runs: frames of one flow whose orders, and numbers, follow each other. Paths bring bursts of them, and a
burst costs here what a frame does.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Generic, NamedTuple, TypeVar

from netpath.bond.dataframes import FLOWS, NUMBERS, ORDERS

T = TypeVar("T")
MOST_WAITING = 8192
"""Frames of one flow that wait; then what is missing before them is given up."""
_HALF_ORDERS, _HALF_NUMBERS = ORDERS // 2, NUMBERS // 2


class _Waiting(NamedTuple, Generic[T]):
    """A run that came before what is due."""

    since: float
    number: int
    """Of its first frame."""
    length: int
    frames: Sequence[T]
    """Nothing: delivered already."""


class _Gap(Generic[T]):
    """A flow in which something is missing."""

    __slots__ = ("base", "count", "first", "heap", "waiting")

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


class Reorder(Generic[T]):
    """`push` what arrives; deliver what `push`, `passed` and `expire` return, in that order."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        """Seconds that a frame waits at most for earlier ones of its flow. May be changed at any time."""
        self.given_up = 0
        """Orders that were missing when their time was up."""
        self.late = 0
        """Frames that came after that."""
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
        if order == expected and flow not in self.gaps:
            self.next[flow] = (order + count) % ORDERS
            return (frames,)
        behind = (expected - order) % ORDERS
        if 0 < behind <= _HALF_ORDERS:
            self.late += min(behind, count)
            if behind >= count:
                return (frames,)
            rest = self.push(flow, expected, (number + behind) % NUMBERS, frames[behind:], now, loose=loose)
            return (frames[:behind], *rest)
        gap = self.gaps.get(flow)
        if gap is None:
            gap = self.gaps[flow] = _Gap(expected)
        self._wait(gap, order, _Waiting(now, number, count, () if loose else frames))
        ready: list[Sequence[T]] = [frames] if loose else []
        if order == expected:
            self._drain(flow, gap, ready)
        elif gap.count > MOST_WAITING:
            self._skip(flow, gap, ready)
        return ready

    def passed(self, number: int) -> Sequence[Sequence[T]]:
        """Every data frame before `number` has arrived or is lost."""
        ready: list[Sequence[T]] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps:
                # Whatever is missing before that frame was sent before it.
                if (number - gap.waiting[gap.first].number) % NUMBERS >= _HALF_NUMBERS:
                    break
                self._skip(flow, gap, ready)
        return ready

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
        return ready

    def _wait(self, gap: _Gap[T], order: int, run: _Waiting[T]) -> None:
        known = gap.waiting.get(order)
        if known is None:
            heappush(gap.heap, (order - gap.base) % ORDERS)
            gap.first = (gap.base + gap.heap[0]) % ORDERS
        elif known.length >= run.length:
            return
        else:
            gap.count -= known.length
        gap.waiting[order] = run
        gap.count += run.length

    def _skip(self, flow: int, gap: _Gap[T], ready: list[Sequence[T]]) -> None:
        """Give up what is missing before the earliest frame that waits."""
        self.given_up += (gap.first - self.next[flow]) % ORDERS
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
