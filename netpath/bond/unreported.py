# SPDX-License-Identifier: GPL-2.0-or-later
"""Data frames that were sent and may have to be sent again: their path dies, or the peer asks for them. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from netpath.bond.dataframes import ORDERS, read_header
from netpath.bond.frames import Hole

KEPT = 8 * 1024 * 1024
"""Bytes of data frames of one path that are kept until the peer has reported."""
DOUBTFUL = 4 * 1024 * 1024
"""Bytes of what was sent when something was lost, of all paths together."""
MEMORY = 0.5
"""Seconds after which nobody asks for them any more."""


class _Train(NamedTuple):
    counter: int
    """Of its last datagram."""
    frames: Sequence[bytes]
    """Data frames of one flow, one after another."""
    size: int


class _Queue:
    """Trains in the order they were sent, up to so many bytes."""

    __slots__ = ("_most", "size", "trains")

    def __init__(self, most: int) -> None:
        self._most = most
        self.trains: deque[_Train] = deque()
        self.size = 0

    def push(self, train: _Train) -> None:
        self.trains.append(train)
        self.size += train.size
        while self.size > self._most:
            self.pop()

    def pop(self) -> _Train:
        train = self.trains.popleft()
        self.size -= train.size
        return train


class Unreported:
    """`add` what is sent, by path and counter."""

    def __init__(self) -> None:
        self._paths: defaultdict[int, _Queue] = defaultdict(lambda: _Queue(KEPT))
        self._doubtful = _Queue(DOUBTFUL)
        self._times: deque[tuple[float, _Train]] = deque()
        """When the doubtful ones were reported."""

    def add(self, path: int, counter: int, frames: Sequence[bytes]) -> None:
        """A train of data frames of one flow that follow each other; `counter`: of its last datagram."""
        if frames:
            self._paths[path].push(_Train(counter, frames, sum(map(len, frames))))

    def reported(self, path: int, highest: int, now: float, *, lossy: bool) -> None:
        """Whatever went by `path` up to counter `highest` has arrived or is lost; `lossy`: some of it is."""
        queue = self._paths.get(path)
        if queue is None:
            return
        trains = queue.trains
        while trains and trains[0].counter <= highest:
            train = queue.pop()
            if lossy:
                self._doubtful.push(train)
                self._times.append((now, train))
        self._forget(now)

    def take(self, path: int) -> list[bytes]:
        """Every frame of the path that was not reported; they are kept no more."""
        queue = self._paths.pop(path, None)
        return [frame for train in queue.trains for frame in train.frames] if queue is not None else []

    def find(self, holes: Sequence[Hole], now: float) -> list[bytes]:
        """The frames that are asked for, as far as they are still here."""
        self._forget(now)
        asked: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for flow, order, length in holes:
            # As distances from one of them, which do not wrap.
            begin = _from(order, holes[0].order)
            asked[flow].append((begin + length, begin))
        for each in asked.values():
            each.sort()
        found: dict[tuple[int, int], bytes] = {}
        for queue in (self._doubtful, *self._paths.values()):
            for train in queue.trains:
                _, order, flow, _ = read_header(train.frames[0])
                if (wanted := asked.get(flow)) is not None:
                    start = _from(order, holes[0].order)
                    for n in _overlap(wanted, start, start + len(train.frames)):
                        found[flow, n] = train.frames[n - start]
        return list(found.values())

    def clear(self) -> None:
        """New keys: counters begin anew. What is doubtful may still be asked for."""
        self._paths.clear()

    def _forget(self, now: float) -> None:
        """What is too old, or was pushed out by newer ones."""
        times, trains = self._times, self._doubtful.trains
        while times and (times[0][0] < now - MEMORY or len(times) > len(trains)):
            _, train = times.popleft()
            if trains and trains[0] is train:
                self._doubtful.pop()


def _from(order: int, base: int) -> int:
    """How far it is from `base` to `order`, forwards or backwards."""
    return (order - base + ORDERS // 2) % ORDERS - ORDERS // 2


def _overlap(wanted: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """What of `start` to `end` is wanted: (end, begin) of each hole, ascending."""
    found: list[int] = []
    for stop, begin in islice(wanted, bisect_right(wanted, (start, ORDERS)), None):
        if begin >= end:
            break
        found += range(max(start, begin), min(end, stop))
    return found
