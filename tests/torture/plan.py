# SPDX-License-Identifier: GPL-2.0-or-later
"""A seed's sequence of faults. Pure: the same seed gives the same steps everywhere."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.torture.policies import STEERED

LINK = ("carrier", "flap", "address", "gateway", "ifdown", "vanish")
"""What happens to a device: one thing at a time to each."""
PROVIDER = ("cut", "cut_behind", "loss")
"""What happens behind it, whatever its state."""
ROUTER = (
    "remove",
    "reorder",
    "reweight",
    "reload",
    "bad_config",
    "kill",
    "kill_worker",
    "freeze",
    "nft_flush",
    "nft_delete",
    "nft_empty",
    "fw_reload",
    "routes_lost",
    "rules_lost",
    "conntrack_flush",
    "conntrack_full",
    "disk_full",
    "clock_jump",
    "big_set",
    "switch_off",
)
KINDS = (*LINK, *PROVIDER, *ROUTER)
CHECK_EVERY = 6
"""Steps between two times at which everything is mended and compared."""
_OFTEN = {"kill": 2.0, "cut": 2.0, "carrier": 2.0, "nft_flush": 1.5, "fw_reload": 1.5, "remove": 1.5}
_SELDOM = {"conntrack_full": 0.3}


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. `number` counts from 1; `--only` goes by it."""

    number: int
    kind: str
    target: str
    """An uplink's name; "" where the router itself is hit."""
    hold: float
    """Seconds of traffic after it."""
    lasts: int
    """How many further steps come before it is undone."""
    value: int
    """0 to 999: whatever the fault can vary."""

    def __str__(self) -> str:
        where = f" {self.target}" if self.target else ""
        return f"{self.number:3} {self.kind}{where} value={self.value} hold={self.hold:.2f}s lasts={self.lasts}"


def make(seed: int, count: int) -> tuple[Step, ...]:
    """The first `count` steps of `seed`; a longer plan begins with the shorter one."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for number in range(1, count + 1):
        busy = {_place(s.kind, s.target) for s in steps if s.number + s.lasts >= number and not _checked(s, number)}
        steps.append(_draw(chance, number, busy))
    return tuple(steps)


def _draw(chance: random.Random, number: int, busy: Collection[tuple[str, str]]) -> Step:
    weights = [_OFTEN.get(kind, _SELDOM.get(kind, 1.0)) for kind in KINDS]
    while True:
        kind = chance.choices(KINDS, weights)[0]
        target = "" if kind in ROUTER else chance.choice(STEERED)
        hold, lasts, value = (
            chance.choice((0.0, 0.1, 0.4, 0.8, 1.5)),
            chance.choice((0, 0, 1, 2, 4)),
            chance.randrange(1000),
        )
        if _place(kind, target) not in busy:
            return Step(number, kind, target, hold, lasts, value)


def _place(kind: str, target: str) -> tuple[str, str]:
    return ("link" if kind in LINK else "provider" if kind in PROVIDER else kind, target)


def _checked(step: Step, now: int) -> bool:
    """Whether everything was mended since: at each check it is."""
    return (step.number - 1) // CHECK_EVERY != (now - 1) // CHECK_EVERY


def select(steps: Sequence[Step], only: Collection[int]) -> tuple[Step, ...]:
    """Those of these numbers; all when there are none."""
    return tuple(step for step in steps if not only or step.number in only)
