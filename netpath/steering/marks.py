# SPDX-License-Identifier: GPL-2.0-or-later
"""Which bits of a mark are ours, and which uplink owns which value.

The tracker loads this module: no heavy imports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netpath.model import Uplink

_ALL_BITS = 0xFFFFFFFF
_FEWEST_BITS = 3
_SPECIAL = 4
"""Values that are no uplink's: zero (undecided) and the top three."""
_MOST_UPLINKS = 252
"""Whatever the mask: what eight bits hold, so that our routing tables end at 1252."""


@dataclass(frozen=True, slots=True)
class MarkSpace:
    """Values under `mask`, which is one run of at least three bits.

    Raises ValueError for any other mask.
    """

    mask: int

    def __post_init__(self) -> None:
        mask = self.mask
        run = mask // (mask & -mask) if mask > 0 else 0
        if not 0 < mask <= _ALL_BITS or run & (run + 1):
            raise ValueError(f"mark_mask {mask:#x} is not one run of bits within 32, such as 0x3f00")
        if run.bit_length() < _FEWEST_BITS:
            raise ValueError(f"mark_mask {mask:#x} has less than {_FEWEST_BITS} bits, such as 0x700 has")

    @property
    def shift(self) -> int:
        """Position of the lowest bit."""
        return (self.mask & -self.mask).bit_length() - 1

    @property
    def capacity(self) -> int:
        """How many uplinks there can be: 2^bits - 4, at most 252."""
        return min((self.mask >> self.shift) + 1 - _SPECIAL, _MOST_UPLINKS)

    @property
    def keep(self) -> int:
        """Everybody else's bits."""
        return self.mask ^ _ALL_BITS

    @property
    def default(self) -> int:
        """Mark of what is left to the main table; also a program's way to opt out."""
        return self.mask

    @property
    def unreachable(self) -> int:
        return self.mask - (1 << self.shift)

    @property
    def blackhole(self) -> int:
        return self.mask - (2 << self.shift)

    def of(self, uplink: int) -> int:
        """Mark of uplink id `uplink`. Raises ValueError for an id outside 1..capacity."""
        if not 1 <= uplink <= self.capacity:
            raise ValueError(f"uplink id {uplink} does not fit mark_mask {self.mask:#x} (1..{self.capacity})")
        return uplink << self.shift


def assign_ids(names: Sequence[str], previous: Mapping[str, int], capacity: int) -> dict[str, int]:
    """An id in 1..capacity for each of `names`; names with an id in `previous` keep it.

    A new name takes the lowest id that `previous` does not know, so that marks of flows of a removed interface do not
    come to mean another one; only when there is no such id left, that of a removed interface. Where two names of
    `previous` have the same id, the later one has it. Raises ValueError when there are more names than ids.
    """
    if len(names) > capacity:
        raise ValueError(f"{len(names)} interfaces do not fit mark_mask, which has room for {capacity}")
    owner = {number: name for name, number in previous.items() if 1 <= number <= capacity}
    ids = {name: number for number, name in owner.items() if name in names}
    taken = set(ids.values())
    fresh = [n for n in range(1, capacity + 1) if n not in owner]
    free = iter(fresh + [n for n in owner if n not in taken])
    return {name: ids[name] if name in ids else next(free) for name in names}


def first_of_device(uplinks: Sequence[Uplink]) -> list[Uplink]:
    """Of several uplinks of a family on one device, a socket bound to the device and nothing else can only mean one."""
    return list({(u.family, u.device): u for u in reversed(uplinks)}.values())[::-1]


def sharing_a_device(uplinks: Sequence[Uplink]) -> list[Uplink]:
    """Those whose device belongs to an earlier uplink of the same family: two gateways in one subnet, say.

    Binding a probe to the device would send it by the other gateway; with this uplink's mark on its socket as well it
    takes its own (`probe_marks`).
    """
    there = [u for u in uplinks if u.device]
    first = first_of_device(there)
    return [u for u in there if u not in first]


def probe_marks(uplinks: Sequence[Uplink], marks: MarkSpace) -> dict[str, int]:
    """Mark of the sockets that probe each of `uplinks`, by name: "leave it alone", where its device says enough."""
    own = {u.name for u in sharing_a_device(uplinks)}
    return {u.name: marks.of(u.id) if u.name in own else marks.default for u in uplinks}
