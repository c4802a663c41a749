# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of probes on an uplink that exists only as figures. Pure, and the same for the same seed everywhere.

Every algorithm probes at moments of its own, so a series is a function: whoever asks about a moment and a target hears
the same as everybody else. That takes a random number which is computed from the moment, not drawn in turn.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import Enum
from statistics import NormalDist

TICKS = 1000
"""A second. Two probes to one target within a tick share their fate."""

_MASK = (1 << 64) - 1
_NORMAL = NormalDist()


class Shape(Enum):
    """How delays beyond the base are distributed."""

    GAMMA = "gamma with shape 2: a short queue"
    LOGNORMAL = "lognormal with sigma 1, which has a long tail: radio"


@dataclass(frozen=True, slots=True)
class Link:
    """An uplink that works. Times in seconds."""

    base: float = 0.03
    """Least round-trip time."""
    jitter: float = 0.005
    """Mean of what is added to it, drawn anew for each probe."""
    shape: Shape = Shape.GAMMA
    loss: float = 0.0
    """Share of round trips that fail, 0 to 1."""
    burst: float = 0.0
    """0: each probe is lost or not by itself. Else nothing passes, to no target, for spells of this mean length: the
    model of Gilbert (1960) in continuous time, both states exponentially long, with `loss` as its mean."""
    swell: float = 0.0
    """Delay that a full buffer adds, to all targets, within SWELL_RAMP; for SWELL_MEAN, about once in SWELL_GAP."""

    def bursty(self, mean: float) -> Link:
        """The same mean loss in spells."""
        return replace(self, burst=mean)


SWELL_RAMP, SWELL_MEAN, SWELL_GAP = 1.0, 10.0, 300.0
"""Seconds: an upload that fills the buffer, lasts a little, and comes back a few minutes later."""


class Spells:
    """Spells that come and go, both states exponentially long, made as far as they are asked for."""

    def __init__(self, rng: random.Random, length: float, gap: float) -> None:
        self._rng = rng
        self._length = length
        self._gap = gap
        self._edges = [rng.expovariate(1 / gap)]
        """Begin, end, begin, end ..."""

    def since(self, at: float) -> float | None:
        """When the spell that holds at `at` began; None: there is none."""
        while self._edges[-1] <= at:
            mean = self._length if len(self._edges) % 2 else self._gap
            self._edges.append(self._edges[-1] + self._rng.expovariate(1 / mean))
        passed = bisect_right(self._edges, at)
        return self._edges[passed - 1] if passed % 2 else None


class Series:
    """The fate of every probe on `link`. From `cut` until `mend` (both may be set late) everything is lost."""

    def __init__(self, link: Link, seed: int) -> None:
        self._link = link
        self._seed = seed * 0x9E3779B97F4A7C15 & _MASK
        self.cut = self.mend = math.inf
        self.asked = 0
        """Probes so far."""
        rng = random.Random(seed)
        self._silence = Spells(rng, link.burst, link.burst * (1 / link.loss - 1)) if link.burst and link.loss else None
        self._full = Spells(rng, SWELL_MEAN, SWELL_GAP) if link.swell else None

    def rtt(self, target: int, at: float) -> float | None:
        """Seconds until the answer to a probe of target 0, 1, ... that is sent at `at`; None: it is lost."""
        self.asked += 1
        link = self._link
        if self.cut <= at < self.mend:
            return None
        bits = _mixed(self._seed + (int(at * TICKS) << 8) + target)
        if self._silence is not None:
            if self._silence.since(at) is not None:
                return None
        elif (bits >> 32) < link.loss * 4294967296.0:
            return None
        rtt = link.base + (_delay(link, bits & 0xFFFFFFFF) if link.jitter else 0.0)
        if self._full is not None and (since := self._full.since(at)) is not None:
            rtt += link.swell * min(1.0, (at - since) / SWELL_RAMP)
        return rtt


def _delay(link: Link, bits: int) -> float:
    """The inverse of the distribution at 32 random bits."""
    if link.shape is Shape.GAMMA:  # with shape 2: the sum of two exponential ones
        return -link.jitter / 2 * (math.log(((bits >> 16) + 0.5) / 65536) + math.log(((bits & 0xFFFF) + 0.5) / 65536))
    return link.jitter * math.exp(_NORMAL.inv_cdf((bits + 0.5) / 4294967296) - 0.5)


def _mixed(key: int) -> int:
    """64 random bits of a key: the finish of SplitMix64 (Steele, Lea, Flood 2014)."""
    key &= _MASK
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB & _MASK
    return key ^ (key >> 31)
