# SPDX-License-Identifier: GPL-2.0-or-later
"""Which member of a policy the next flow goes to, as slots that a number generator of nft picks from.

The tracker loads this module and runs it at each transition: no heavy imports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, log

from netpath.model import Member, Mode, Policy

HASH_SLOTS = 256
_MOST_SLOTS = 1000
"""Of a balanced policy; finer weights are rounded to thousandths: every slot is an element to load at a transition."""
_MOST_CHANCES = 1_000_000
"""Of a weighted policy, whose slots are one interval a member."""

Slot = tuple[int, int, str]
"""First and last number (inclusive) and the interface that they mean."""


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """How nft picks: `kind` is "none", "single", "inc" (in turn), "random" or "hash" (of the source address)."""

    kind: str
    modulus: int
    """The generator yields 0..modulus-1, all covered by `slots`."""
    slots: tuple[Slot, ...]
    """In order of numbers; neighbours of one interface are one slot."""


def active(policy: Policy, families: Mapping[str, str], usable: Collection[str], family: str) -> tuple[Member, ...]:
    """The members that new flows of `family` go to: the lowest metric that has a usable one, in list order, without
    those that are closed.

    `families` is interface -> family of all interfaces, `usable` the interfaces that may take new flows. Several
    members of one interface become one whose weight is their sum.
    """
    return _merged([m for m in _tier(policy, families, usable, family) if _takes(m, usable)])


def plan(
    policy: Policy, families: Mapping[str, str], ids: Mapping[str, int], usable: Collection[str], family: str
) -> SlotPlan:
    """Slots of `policy` for `family`; `ids` is interface -> uplink id."""
    members = active(policy, families, usable, family)
    if not members:
        return SlotPlan("none", 0, ())
    if len(members) == 1 or policy.mode == Mode.FAILOVER:
        return SlotPlan("single", 1, ((0, 0, members[0].interface),))
    names = [m.interface for m in members]
    weights = [m.weight for m in members]
    match policy.mode:
        case Mode.BALANCED:
            return _sequence("inc", [names[i] for i in interleave(tuple(_reduced(weights, _MOST_SLOTS)))])
        case Mode.ROUND_ROBIN:
            return _sequence("inc", names)
        case Mode.RANDOM:
            return _sequence("random", names)
        case Mode.WEIGHTED:
            return _intervals("random", names, _reduced(weights, _MOST_CHANCES))
        case Mode.HASH:
            return _sequence("hash", _hashed(_merged(_tier(policy, families, usable, family)), ids, usable))


def shares(
    policy: Policy, families: Mapping[str, str], ids: Mapping[str, int], usable: Collection[str], family: str
) -> dict[str, int]:
    """Percent of new flows that each active interface gets, in list order; adds up to 100 unless it is empty."""
    picked = plan(policy, families, ids, usable, family)
    counts = {m.interface: 0 for m in active(policy, families, usable, family)}
    for first, last, interface in picked.slots:
        counts[interface] += last - first + 1
    if picked.kind == "none":
        return {}
    return dict(zip(counts, apportion(list(counts.values()), 100), strict=True))


def apportion(weights: Sequence[int], seats: int) -> list[int]:
    """`seats` split by `weights` as evenly as whole numbers can (largest remainder, the earlier one first)."""
    total = sum(weights)
    counts = [w * seats // total for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(weights[i] * seats % total))
    for i in by_remainder[: seats - sum(counts)]:
        counts[i] += 1
    return counts


@lru_cache(maxsize=64)
def interleave(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Indices of `weights`, each as often as its weight says, spread evenly: (3, 2) gives 0 1 0 1 0.

    After any number of steps nobody is a whole step ahead of or behind its share (R. Tijdeman, The chairman assignment
    problem, 1980): a step goes to the one whose next turn is due first among those that are behind by enough.
    """
    total, enough = sum(weights), max(2 * len(weights) - 2, 1)
    had = [0] * len(weights)
    order = []
    for step in range(1, total + 1):
        behind = [i for i, w in enumerate(weights) if (w * step - had[i] * total) * enough >= total]
        chosen = min(behind, key=lambda i: ((had[i] + 1) * enough - 1) / weights[i])
        had[chosen] += 1
        order.append(chosen)
    return tuple(order)


def _tier(policy: Policy, families: Mapping[str, str], usable: Collection[str], family: str) -> list[Member]:
    """All members of `family`, usable or not, with the lowest metric that has a usable one."""
    members = [m for m in policy.members if families.get(m.interface) == family and m.weight > 0]
    lowest = min((m.metric for m in members if _takes(m, usable)), default=None)
    return [m for m in members if m.metric == lowest]


def _takes(member: Member, usable: Collection[str]) -> bool:
    """Whether new flows may go there: a member that is closed is as good as down."""
    return not member.closed and member.interface in usable


def _merged(members: Sequence[Member]) -> tuple[Member, ...]:
    merged: dict[str, Member] = {}
    for m in members:
        known = merged.get(m.interface)
        if known:
            both = known.closed and m.closed
            m = Member(known.name, m.interface, m.metric, known.weight + m.weight, closed=both)
        merged[m.interface] = m
    return tuple(merged.values())


def _reduced(weights: Sequence[int], most: int) -> list[int]:
    """The same proportions in numbers as small as they can be; nearly the same where that is still above `most`."""
    divisor = gcd(*weights)
    if sum(weights) // divisor <= most:
        return [w // divisor for w in weights]
    return _seat_everybody(weights, most)


def _seat_everybody(weights: Sequence[int], seats: int) -> list[int]:
    """`apportion`, but a weight that would get no seat gets one of the fullest; there are seats for all."""
    counts = apportion(weights, seats)
    while 0 in counts:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(0)] += 1
    return counts


def _sequence(kind: str, interfaces: Sequence[str]) -> SlotPlan:
    slots: list[Slot] = []
    for number, interface in enumerate(interfaces):
        if slots and slots[-1][2] == interface:
            slots[-1] = (slots[-1][0], number, interface)
        else:
            slots.append((number, number, interface))
    return SlotPlan(kind, len(interfaces), tuple(slots))


def _intervals(kind: str, interfaces: Sequence[str], widths: Sequence[int]) -> SlotPlan:
    slots = []
    start = 0
    for interface, width in zip(interfaces, widths, strict=True):
        slots.append((start, start + width - 1, interface))
        start += width
    return SlotPlan(kind, start, tuple(slots))


def _hashed(members: Sequence[Member], ids: Mapping[str, int], usable: Collection[str]) -> list[str]:
    """The interface of each of the 256 slots.

    Homes are dealt to all members, usable or not, so that a failure changes nobody else's; a slot whose home is out
    goes to the winner among the others of a draw that depends on slot and uplink only (weighted rendezvous hashing).
    """
    members = sorted(members, key=lambda m: ids[m.interface])
    widths = _seat_everybody([m.weight for m in members], HASH_SLOTS)
    homes = [m for m, width in zip(members, widths, strict=True) for _ in range(width)]
    up = [m for m in members if _takes(m, usable)]
    return [
        home.interface
        if _takes(home, usable)
        else max(up, key=lambda m: _draw(slot, ids[m.interface], m.weight)).interface
        for slot, home in enumerate(homes)
    ]


def _draw(slot: int, uplink: int, weight: int) -> float:
    """A score whose chance to be the highest is in proportion to `weight`."""
    return weight / -log((_mixed(slot * 0x9E3779B1 + uplink * 0x85EBCA77) + 0.5) / 2**32)


def _mixed(value: int) -> int:
    """Finalizer of MurmurHash3: every input bit changes about half of the 32 output bits."""
    value &= 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16
