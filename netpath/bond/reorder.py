# SPDX-License-Identifier: GPL-2.0-or-later
"""Each flow in its order (docs/bond-protocol.md, "Data frames"). Pure: times are the caller's monotonic seconds.

One flow never waits for another. What is missing is given up as soon as it is known to be lost, not only when a timeout
has passed: paths keep the order of what goes by them, so when each has brought something sent later, nothing earlier is
under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Generic, TypeVar

from netpath.bond.dataframes import FLOWS, NUMBERS, ORDERS

T = TypeVar("T")
MOST_MISSING = 16384
"""Orders given up that are remembered at most: only they are delivered when they come after all."""
MOST_OF_A_GAP = 1024
MOST_WAITING = 8192
"""Frames of one flow that wait; then what is missing before them is given up."""
_HALF_ORDERS, _HALF_NUMBERS = ORDERS // 2, NUMBERS // 2


class _Gap(Generic[T]):
    """A flow in which something is missing."""

    __slots__ = ("base", "first", "heap", "waiting")

    def __init__(self, expected: int) -> None:
        self.base = expected
        """The order that was missing first."""
        self.waiting: dict[int, tuple[float, int, T | None]] = {}
        """Order -> (when it came, its number, the item; None: delivered already)."""
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
        self.repeated = 0
        """Frames that were here before, and are dropped: sent again by another path although they had arrived."""
        self._missing: dict[int, bool] = {}
        """Flow and order of what was given up, oldest first."""
        self.next = [0] * FLOWS
        """By flow: the order that is delivered next. Whoever finds it in a flow without a gap may deliver it and count
        on, instead of `push`."""
        self.gaps: dict[int, _Gap[T]] = {}
        """By flow."""

    @property
    def waiting(self) -> bool:
        """Whether anything waits: only then `passed` and `expire` need to be called."""
        return bool(self.gaps)

    def push(self, flow: int, order: int, number: int, item: T, now: float, *, loose: bool = False) -> Sequence[T]:
        """What may be delivered now that this has come. `loose`: it need not wait itself."""
        expected = self.next[flow]
        if order == expected and flow not in self.gaps:
            self.next[flow] = (order + 1) % ORDERS
            return (item,)
        ahead = (order - expected) % ORDERS
        if ahead >= _HALF_ORDERS:
            if not self._missing.pop(flow << 24 | order, False):
                self.repeated += 1
                return ()
            self.late += 1
            return (item,)
        gap = self.gaps.get(flow)
        if gap is None:
            gap = self.gaps[flow] = _Gap(expected)
        if order in gap.waiting:
            self.repeated += 1
            return ()
        heappush(gap.heap, (order - gap.base) % ORDERS)
        gap.first = (gap.base + gap.heap[0]) % ORDERS
        gap.waiting[order] = now, number, None if loose else item
        ready: list[T] = [item] if loose else []
        if order == expected:
            self._drain(flow, gap, ready)
        elif len(gap.waiting) > MOST_WAITING:
            self._skip(flow, gap, ready)
        return ready

    def passed(self, number: int) -> Sequence[T]:
        """Every data frame before `number` has arrived or is lost."""
        ready: list[T] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps:
                # Whatever is missing before that frame was sent before it.
                if (number - gap.waiting[gap.first][1]) % NUMBERS >= _HALF_NUMBERS:
                    break
                self._skip(flow, gap, ready)
        return ready

    def due(self) -> float | None:
        """When `expire` has something to do; None: never."""
        times = [gap.waiting[gap.first][0] for gap in self.gaps.values()]
        return min(times) + self.timeout if times else None

    def expire(self, now: float) -> Sequence[T]:
        """What has waited for too long, with all that it held up."""
        ready: list[T] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps and gap.waiting[gap.first][0] + self.timeout <= now:
                self._skip(flow, gap, ready)
        return ready

    def reset(self) -> Sequence[T]:
        """The sender has begun anew: everything that waits, and all counting from 0."""
        ready: list[T] = []
        for flow, gap in list(self.gaps.items()):
            while flow in self.gaps:
                self._skip(flow, gap, ready)
        self.next = [0] * FLOWS
        self._missing.clear()
        return ready

    def _skip(self, flow: int, gap: _Gap[T], ready: list[T]) -> None:
        """Give up what is missing before the earliest frame that waits."""
        count = (gap.first - self.next[flow]) % ORDERS
        self.given_up += count
        missing = self._missing
        for behind in range(min(count, MOST_OF_A_GAP), 0, -1):
            missing[flow << 24 | (gap.first - behind) % ORDERS] = True
        if len(missing) > MOST_MISSING:
            for old in list(islice(missing, MOST_MISSING // 2)):
                del missing[old]
        self.next[flow] = gap.first
        self._drain(flow, gap, ready)

    def _drain(self, flow: int, gap: _Gap[T], ready: list[T]) -> None:
        """Deliver from the next order on until something is missing."""
        waiting, order = gap.waiting, self.next[flow]
        while (found := waiting.pop(order, None)) is not None:
            if found[2] is not None:
                ready.append(found[2])
            heappop(gap.heap)
            order = (order + 1) % ORDERS
        self.next[flow] = order
        if not waiting:
            del self.gaps[flow]
            return
        if (order - gap.base) % ORDERS >= _HALF_ORDERS // 2:  # or they would come round
            gap.heap = sorted((found - order) % ORDERS for found in waiting)
            gap.base = order
        gap.first = (gap.base + gap.heap[0]) % ORDERS
