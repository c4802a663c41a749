# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes by which path (docs/bond.md, "Modes"). Pure; all times are monotonic seconds of the caller.

Each path has a time at which what it was given will have left at its rate. While there is room (less than AHEAD seconds
of it wait), the path on which a datagram would arrive first gets it: with little traffic that is the best path, with
much of it all are full. When no path has room, nothing more is taken from the device: what waits there makes its
senders slow down, without a loss, and can still go by any path. Half a round trip never buys a queue on a faster path:
paths whose round trips differ are made up for by the receiver, which puts flows in order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from netpath.bonding import BondMode

AHEAD = 0.006
"""Seconds of a path's rate that it is given in advance: enough for it never to run dry between two wake-ups."""
BURST = 16
"""Datagrams that stay together on a path where there are enough: one send of the kernel's costs as much as one."""
STAY = 0.001
"""Seconds by which another path may be better before data goes there: packets stay together, too."""
FAR = 2.5
"""A path whose way takes this many times the median is left out while others work (the seed's rule)."""
NEAR = 0.02
"""Seconds one way that are never far."""
WORST = 0.5
"""Seconds by which the loss weight makes a path of full loss look later."""


class Way(NamedTuple):
    """How some packets go."""

    mode: BondMode
    copies: int
    """redundant: by so many paths, of different uplinks where there are so many."""


class Carrier(Protocol):
    """What is to be known of a path."""

    @property
    def number(self) -> int: ...
    @property
    def speed(self) -> float:
        """Bytes a second that may be sent."""

    @property
    def way(self) -> float:
        """Seconds one way, estimated."""

    @property
    def loss(self) -> float:
        """Part that is lost on the way out."""

    @property
    def uplink(self) -> Hashable:
        """The same for paths that are likely to die together."""


@dataclass(slots=True, eq=False)
class _Lane:
    carrier: Carrier
    free: float = 0.0
    """When what it was given will have left."""
    penalty: float = 0.0
    """Seconds that its loss and round trip make it look later."""


class Scheduler:
    """Give it the usable paths with `use`, then ask `split` or `one` for each packet."""

    def __init__(
        self, mode: BondMode = BondMode.AGGREGATE, *, copies: int = 2, rtt_weight: float = 0.7, loss_weight: float = 0.3
    ) -> None:
        """`copies`: by how many paths redundant mode sends each datagram. The weights: the seed's [performance]."""
        self.way = Way(mode, copies)
        """Of what nobody wants to go otherwise."""
        self._rtt_weight, self._loss_weight = rtt_weight, loss_weight
        self._lanes: dict[int, _Lane] = {}
        """Those that this mode uses."""
        self._near: dict[int, _Lane] = {}
        self._every: dict[int, _Lane] = {}
        self._last: _Lane | None = None
        """What aggregate mode used last."""

    def use(self, carriers: Sequence[Carrier]) -> None:
        """The paths that may carry data now; those that stay keep what they have still to send."""
        far = max(NEAR, FAR * sorted(c.way for c in carriers)[len(carriers) // 2]) if carriers else 0.0
        self._every = {c.number: self._every.get(c.number) or _Lane(c) for c in carriers}
        for carrier in carriers:
            lane = self._every[carrier.number]
            lane.carrier = carrier
            lane.penalty = self._rtt_weight * carrier.way + self._loss_weight * WORST * carrier.loss
        self._near = {number: lane for number, lane in self._every.items() if lane.carrier.way <= far}
        self._lanes = self._every if self.way.mode is BondMode.REDUNDANT else self._near

    @property
    def empty(self) -> bool:
        return not self._lanes

    def opens(self) -> float | None:
        """When the device may be read again, which may be long ago; None: there is no path."""
        if not self._lanes:
            return None
        return min(self._lanes.values(), key=lambda lane: lane.free).free - AHEAD

    def split(self, count: int, size: int, now: float, way: Way | None = None) -> list[tuple[int, int]]:
        """[(path, how many in a row)] for `count` datagrams of `size` bytes each on the wire; `way`: if not the usual.

        In redundant mode each path of the list gets all of them.
        """
        mode, copies = way or self.way
        if mode is BondMode.REDUNDANT:
            best = self._apart(copies, size, now)
            for lane in best:
                self._give(lane, count * size, now)
            return [(lane.carrier.number, count) for lane in best]
        lanes = list(self._near.values())
        if mode is BondMode.LOW_LATENCY:
            lane = min(lanes, key=lambda lane: self._finish(lane, size, now))
            self._give(lane, count * size, now)
            return [(lane.carrier.number, count)]
        if len(lanes) == 1:
            self._give(lanes[0], count * size, now)
            return [(lanes[0].carrier.number, count)]
        return self._stripe(lanes, count, size, now)

    def _stripe(self, lanes: list[_Lane], count: int, size: int, now: float) -> list[tuple[int, int]]:
        """Bursts for one path after another; what is beyond the room of all goes where it leaves first."""
        found: list[tuple[int, int]] = []
        while count:
            open_lanes = [lane for lane in lanes if lane.free < now + AHEAD]
            if open_lanes:
                lane = min(open_lanes, key=lambda lane: self._finish(lane, size, now))
                last = self._last
                if (
                    last is not None
                    and last in open_lanes
                    and self._finish(last, size, now) <= self._finish(lane, size, now) + STAY
                ):
                    lane = last
                room = int((now + AHEAD - max(now, lane.free)) * lane.carrier.speed / size) + 1
                burst = min(count, room, max(BURST, room // 4))
            else:
                lane = min(lanes, key=lambda lane: lane.free + size / lane.carrier.speed)
                burst = min(count, max(1, min(BURST, int(AHEAD / 4 * lane.carrier.speed / size))))
            self._last = lane
            self._give(lane, burst * size, now)
            if found and found[-1][0] == lane.carrier.number:
                found[-1] = (lane.carrier.number, found[-1][1] + burst)
            else:
                found.append((lane.carrier.number, burst))
            count -= burst
        return found

    def _apart(self, copies: int, size: int, now: float) -> list[_Lane]:
        """The best lanes, the best of each uplink first: streams of one line die together."""
        lanes = sorted(self._every.values(), key=lambda lane: self._finish(lane, size, now))
        if len(lanes) > copies:
            first: dict[Hashable, _Lane] = {}
            for lane in lanes:
                first.setdefault(lane.carrier.uplink, lane)
            best = list(first.values())
            lanes = best + [lane for lane in lanes if lane not in best]
        return lanes[:copies]

    def _finish(self, lane: _Lane, size: int, now: float) -> float:
        """When a datagram given to it now would arrive."""
        return max(now, lane.free) + size / lane.carrier.speed + lane.penalty

    @staticmethod
    def _give(lane: _Lane, size: int, now: float) -> None:
        lane.free = max(now, lane.free) + size / lane.carrier.speed

    def extra(self, path: int, size: int, now: float) -> None:
        """Something beside data goes by `path`: repairs, copies, heartbeats."""
        if (lane := self._every.get(path)) is not None:
            self._give(lane, size, now)

    def other(self, avoided: int, size: int, now: float) -> int | None:
        """The best path for what had better not go by `avoided`; that one when there is no other."""
        lanes = [lane for number, lane in self._lanes.items() if number != avoided] or list(self._lanes.values())
        if not lanes:
            return None
        return min(lanes, key=lambda lane: self._finish(lane, size, now)).carrier.number
