# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames wait for their like: what one send of the kernel's takes goes by one. Pure, hot.

A send costs nearly the same whether it takes one datagram or forty, at both ends. So the frames of packets that are
read from the device together are sent together, as far as they are of one size and go by one path. They get their
counters when they are sent: so counters come in order.
"""

from __future__ import annotations

from typing import NamedTuple

from netpath.bond.wire import HEAD, TAG

TRAIN = 65_400
"""Bytes of one send: with headers it must stay below 64 KiB, or the kernel segments it the slow way."""
SEGMENTS = 64
"""Datagrams of one send (UDP_MAX_SEGMENTS of kernels before 6.9)."""
ROWS = 8
"""Sizes and paths of repairs that wait at most."""


class Load(NamedTuple):
    """What goes by one send: frames of one size."""

    path: int
    frames: list[bytes]
    repairs: bool = False


class Loads:
    """`add` and `repair` give what is to be sent now; `rest` the rest, when no more are read at the moment.

    Data frames go in their order, each path's and all paths': one load of them waits. Repairs never overtake what they
    are for, or the other end would recover what is under way.
    """

    def __init__(self) -> None:
        self._waiting: Load | None = None
        self._repairs: dict[tuple[int, int], Load] = {}
        """By path and size."""

    def add(self, path: int, frames: list[bytes]) -> list[Load]:
        """Data frames of one size."""
        found = []
        load = self._waiting
        if load is not None and (load.path != path or len(load.frames[0]) != len(frames[0])):
            found.append(load)
            load = None
        if load is None:
            load = Load(path, frames)
        else:
            load.frames.extend(frames)
        most = at_once(HEAD + len(frames[0]) + TAG)
        count = len(load.frames)
        if count >= most:
            whole = count - count % most
            found += [Load(path, load.frames[at : at + most]) for at in range(0, whole, most)]
            load = Load(path, load.frames[whole:]) if whole < count else None
        self._waiting = load
        return found

    def repair(self, path: int, frames: list[bytes]) -> list[Load]:
        """REPAIR frames of one size."""
        key = path, len(frames[0])
        load = self._repairs.get(key)
        if load is None:
            load = self._repairs[key] = Load(path, frames, repairs=True)
        else:
            load.frames.extend(frames)
        full = len(load.frames) >= at_once(HEAD + len(frames[0]) + TAG)
        return self.rest() if full or len(self._repairs) > ROWS else []

    def rest(self) -> list[Load]:
        """All that waits."""
        found = [] if self._waiting is None else [self._waiting]
        found += self._repairs.values()
        self._waiting = None
        self._repairs.clear()
        return found


def at_once(segment: int) -> int:
    """Datagrams of so many bytes that one send takes."""
    return min(SEGMENTS, max(1, TRAIN // segment))
