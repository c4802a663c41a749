# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fault befalls which uplink, and when. Pure: the same seed gives the same faults."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

PAUSE, HOLD = (1.0, 12.0), (1.0, 10.0)
"""Seconds, from and to."""
LOSS = (20, 60)
"""Percent of round trips: from what hardly shows to what takes the uplink out."""
FAMILIES = ("ipv4", "ipv6")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Kind(StrEnum):
    CUT = "cut"
    """Silently, the carrier stays."""
    CARRIER = "carrier"
    LOSS = "loss"
    RELOAD = "reload"
    """Of all our processes, with other weights; healed by another one with the old weights."""
    DISABLE = "disable"
    """By hand; healed by enable."""
    ADDRESS = "address"
    """The uplink gets another one; healed by the old one again."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    uplink: str
    family: str
    """Of what is done to one family only: disable, address."""
    percent: int
    """Of loss."""
    pause: float
    """Seconds of quiet before it."""
    hold: float
    """Seconds until it is healed."""

    def __str__(self) -> str:
        match self.kind:
            case Kind.RELOAD:
                return "reload with other weights"
            case Kind.LOSS:
                return f"{self.percent} % loss on {self.uplink}"
            case Kind.DISABLE | Kind.ADDRESS:
                return f"{self.kind} {self.uplink} ({self.family})"
        return f"{self.kind} {self.uplink}"


def faults(seed: int, uplinks: Sequence[str], pace: float = 1.0) -> Iterator[Fault]:
    """Faults without end: each kind once in each round, and the uplinks in turn, so that none is spared for long.

    pace: all times are multiplied by it.
    """
    chance = random.Random(seed)
    turn: list[str] = []
    while True:
        for kind in chance.sample(list(Kind), len(Kind)):
            turn = turn or chance.sample(list(uplinks), len(uplinks))
            yield Fault(
                kind,
                turn.pop(),
                chance.choice(FAMILIES),
                chance.randint(*LOSS),
                chance.uniform(*PAUSE) * pace,
                chance.uniform(*HOLD) * pace,
            )


def seconds(text: str) -> float:
    """ "90", "90s", "15m", "1h", "1.5h", "2d" in seconds. Raises ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not match or not float(match[1]):
        raise ValueError(f"{text!r} is no time: a number with s, m, h or d, such as 90s or 1h")
    return float(match[1]) * _UNITS[match[2]]
