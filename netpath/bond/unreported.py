# SPDX-License-Identifier: GPL-2.0-or-later
"""Data frames that were sent and may have to be sent again: their path dies, or the peer misses them. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from netpath.bond.frames import U32, Hole

KEPT = 8 * 1024 * 1024
"""Bytes of data frames of one path that are kept until the peer has reported."""
DOUBTFUL = 2 * 1024 * 1024
"""Bytes of what a path carried while something was lost, after that."""
MEMORY = 0.5
"""Seconds after which nobody asks for them any more."""


class _Train(NamedTuple):
    counter: int
    """Of its last datagram."""
    frames: list[bytes]
    """The data frame of each datagram; nothing in the place of one that was asked for."""
    size: int


class _Sent:
    """Of one path, in the order of counters."""

    __slots__ = ("doubtful", "doubtful_size", "size", "trains")

    def __init__(self) -> None:
        self.trains: deque[_Train] = deque()
        self.size = 0
        self.doubtful: deque[tuple[float, _Train]] = deque()
        """Reported, but not all of it has arrived: (when, what)."""
        self.doubtful_size = 0

    def forget(self, now: float) -> None:
        """What is too old or too much."""
        while self.size > KEPT:
            self.size -= self.trains.popleft().size
        doubtful = self.doubtful
        while doubtful and (self.doubtful_size > DOUBTFUL or doubtful[0][0] < now - MEMORY):
            self.doubtful_size -= doubtful.popleft()[1].size


class Unreported:
    """`add` what is sent, by path and counter."""

    def __init__(self) -> None:
        self._paths: defaultdict[int, _Sent] = defaultdict(_Sent)

    def add(self, path: int, counter: int, frames: list[bytes], now: float) -> None:
        """A train of datagrams, and their data frames; `counter`: of the last one."""
        if frames:
            sent = self._paths[path]
            size = sum(map(len, frames))
            sent.trains.append(_Train(counter, frames, size))
            sent.size += size
            if sent.size > KEPT:
                sent.forget(now)

    def reported(self, path: int, highest: int, now: float, *, lossy: bool) -> None:
        """Whatever went by `path` up to counter `highest` has arrived or is lost; `lossy`: some of it is."""
        sent = self._paths.get(path)
        if sent is None:
            return
        trains = sent.trains
        while trains and trains[0].counter <= highest:
            train = trains.popleft()
            sent.size -= train.size
            if lossy:
                sent.doubtful.append((now, train))
                sent.doubtful_size += train.size
        sent.forget(now)

    def take(self, path: int) -> list[bytes]:
        """Every frame of the path that was not reported; nothing of the path is kept."""
        sent = self._paths.pop(path, None)
        return [frame for train in sent.trains for frame in train.frames if frame] if sent is not None else []

    def find(self, holes: Sequence[Hole]) -> list[bytes]:
        """The data frames of what did not come, as far as they are still here. Each is found once, however often it is
        asked for."""
        by_path: defaultdict[int, list[Hole]] = defaultdict(list)
        for hole in holes:
            by_path[hole.path].append(hole)
        found: list[bytes] = []
        for path, wanted in by_path.items():
            if (sent := self._paths.get(path)) is not None:
                found += _matching(sent, wanted)
        return found

    def clear(self) -> None:
        """New keys: counters begin anew."""
        self._paths.clear()


def _matching(sent: _Sent, holes: Sequence[Hole]) -> list[bytes]:
    """One pass over what was sent, whatever is asked for."""
    trains = [train for _, train in sent.doubtful]
    trains += sent.trains
    if not trains:
        return []
    # Counters are told modulo 2^32, of which what is kept is a small part.
    last = trains[-1].counter
    wanted = sorted((last - (last - counter & U32), length) for _, counter, length in holes)
    counters = chain.from_iterable(range(first, first + length) for first, length in wanted)
    found: list[bytes] = []
    counter = next(counters, None)
    for train in trains:
        first = train.counter - len(train.frames) + 1
        while counter is not None and counter <= train.counter:
            if counter >= first and (frame := train.frames[counter - first]):
                found.append(frame)
                train.frames[counter - first] = b""
            counter = next(counters, None)
    return found
