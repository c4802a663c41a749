# SPDX-License-Identifier: GPL-2.0-or-later
"""What a proxy carried between two snapshots, divided into direct and proxied. Pure.

Clash tells, once in an interval, how much it has moved in all, and of each connection that is open now how much that
one has moved. The totals are the truth; connections only tell which part of their growth was direct. They do not add
up: what a connection moved between the last snapshot that had it and its end is in the totals alone, and so is all of
one that began and ended in between. Counters of connections are read a moment after the totals and may be ahead of
them. Hence, for each direction (up, down) by itself, with `growth` what the total has grown by:

1. Connections that were there before count with what their counters have grown by.
2. Then new ones with all that their counters show, as they have moved that since: at most what is left of the growth.
3. Then those that are gone, with at most what they moved in the interval before: as it is likely that they went on.
4. What is left then was moved by connections that nobody saw, and is divided as steps 1 to 3 of this snapshot came out;
   if they came to nothing, by the number of gone connections of each kind; if there are none, as the last snapshot
   that moved anything was divided; and if there was none, it is proxied, that being what a proxy is for.

Whenever a step has more to give than is left of the growth, both kinds are cut in the same proportion. So direct and
proxied together are the growth of the totals, always and to the byte. Special cases:

* The first snapshot only says where things stand. Its connections' history is not ours to report.
* A total that went back means that Clash has begun anew: as the first snapshot.
* A connection's counter that went back counts as 0 for once. An id that is there twice counts with its last entry.
* A connection that was away and comes back is gone first and new later: step 2 bounds what its history can do.
* Connections of Clash itself which its totals leave out do not come here (snapshot.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Connection(NamedTuple):
    up: int
    down: int
    direct: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    up: int
    """Bytes since Clash began."""
    down: int
    connections: Mapping[str, Connection]
    """By id."""


class Moved(NamedTuple):
    """Bytes."""

    direct_up: int
    direct_down: int
    proxy_up: int
    proxy_down: int


class Pair(NamedTuple):
    """One direction's bytes."""

    direct: int
    proxy: int


class Shares:
    """Feed one snapshot after the other."""

    def __init__(self) -> None:
        self._last: Snapshot | None = None
        self._moved: dict[str, tuple[int, int]] = {}
        """What the connections of the last snapshot moved in the interval before it; without those that were idle."""
        self._habit = [Pair(0, 0), Pair(0, 0)]
        """How the last growth that was not 0 was divided: up, down."""

    def update(self, snapshot: Snapshot) -> Moved | None:
        """What was moved since the snapshot before; None: there is none to compare with."""
        last, self._last = self._last, snapshot
        moved, self._moved = self._moved, {}
        if last is None or snapshot.up < last.up or snapshot.down < last.down:
            return None
        stayed, new = self._growths(last, snapshot)
        gone = [
            (moved.get(key, (0, 0)), connection.direct)
            for key, connection in last.connections.items()
            if key not in snapshot.connections
        ]
        ended = Pair(sum(direct for _, direct in gone), sum(not direct for _, direct in gone))
        parts = []
        for way, growth in enumerate((snapshot.up - last.up, snapshot.down - last.down)):
            steps = [_sum(stayed, way), _sum(new, way), _sum(gone, way)]
            parts.append(divide(growth, steps, ended, self._habit[way]))
            if growth:
                self._habit[way] = parts[way]
        up, down = parts
        return Moved(up.direct, down.direct, up.proxy, down.proxy)

    def _growths(self, last: Snapshot, snapshot: Snapshot) -> tuple[list[_Grown], list[_Grown]]:
        """Of connections that were there before, and of new ones."""
        stayed, new = [], []
        for key, now in snapshot.connections.items():
            before = last.connections.get(key)
            if before is None:
                grown = now.up, now.down
                new.append((grown, now.direct))
            else:
                grown = max(0, now.up - before.up), max(0, now.down - before.down)
                stayed.append((grown, now.direct))
            if any(grown):
                self._moved[key] = grown
        return stayed, new


_Grown = tuple[tuple[int, int], bool]
"""Bytes up and down, and whether direct."""


def _sum(rows: list[_Grown], way: int) -> Pair:
    direct = proxy = 0
    for grown, is_direct in rows:
        if is_direct:
            direct += grown[way]
        else:
            proxy += grown[way]
    return Pair(direct, proxy)


def divide(growth: int, steps: list[Pair], gone: Pair, habit: Pair) -> Pair:
    """One direction: `steps` are 1 to 3 above, `gone` numbers of connections."""
    direct = proxy = 0
    for step in steps:
        left = growth - direct - proxy
        got = step if sum(step) <= left else _cut(left, step)
        direct, proxy = direct + got.direct, proxy + got.proxy
    weights = next((w for w in (Pair(direct, proxy), gone, habit) if any(w)), Pair(0, 1))
    rest = _cut(growth - direct - proxy, weights)
    return Pair(direct + rest.direct, proxy + rest.proxy)


def _cut(amount: int, weights: Pair) -> Pair:
    direct = amount * weights.direct // sum(weights)
    return Pair(direct, amount - direct)


LEAST_SPAN = 0.25
"""Of the interval: snapshots that come closer together were held up on their way, and have one speed together."""


class Speedometer:
    """Speeds of what was moved. Their sum over time is what was moved, however unevenly snapshots come."""

    def __init__(self, interval: float) -> None:
        self._least = interval * LEAST_SPAN
        self._since: float | None = None
        self._moved = Moved(0, 0, 0, 0)

    def update(self, moved: Moved | None, at: float) -> Moved | None:
        """Bytes a second since the last figure; None: there is none yet. `moved` None: it begins anew at `at`."""
        if moved is None or self._since is None:
            self._since, self._moved = at, Moved(0, 0, 0, 0)
            return None
        self._moved = Moved(*(a + b for a, b in zip(self._moved, moved, strict=True)))
        span = at - self._since
        if span <= 0 or span < self._least:
            return None
        speeds = Moved(*(round(amount / span) for amount in self._moved))
        self._since, self._moved = at, Moved(0, 0, 0, 0)
        return speeds
