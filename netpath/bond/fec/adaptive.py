# SPDX-License-Identifier: GPL-2.0-or-later
"""How many repairs a group gets: none, as many as configured, or as many as the measured loss asks for. Pure.

A group of k data frames and r repairs is beyond repair when more than r of the k + r are lost. With the loss p of each,
that is a binomial distribution's tail. The loss is that of all paths, weighted by what they carry.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, exp

from netpath.bond.fec.field import MOST_DATA, MOST_REPAIRS

DATA, REPAIRS = 10, 3
"""Of a group at most, by default."""
TARGET = 1e-3
"""Of so many groups one may be beyond repair. Less would cost more capacity than the rare loss does: with 10+2 at 1 %
loss one group in 5,000 fails."""
ASKED = 0.05
"""The same where the peer asks for what is missing, which costs a group's flows one round trip and no capacity."""
_FAST, _SLOW = 0.4, 10.0
"""Seconds after which a measurement has faded to 1/e: one notices at once, the other remembers."""
_ACCIDENT = 1.0
"""So many losses in the fast memory are no loss rate: a clean link loses one now and then."""
_LEAST = 20.0
"""Datagrams without loss that are taken for granted, as no rate can be told from a handful."""
_SLACK = 1.3
"""The loss that groups are made for falls only after the measured one has fallen below it by this factor."""


@lru_cache(512)
def needed(k: int, loss: float, most: int, target: float) -> int:
    """The least r, or `most`, with which a group of k is beyond repair with a probability of `target` at most."""
    kept = 1 - loss
    for r in range(most):
        n = k + r
        fine = sum(comb(n, lost) * loss**lost * kept ** (n - lost) for lost in range(r + 1))
        if 1 - fine <= target:
            return r
    return most


class Fixed:
    """Always k + r; a shorter group gets as many as protect it as well as that. No repairs at all with r = 0."""

    def __init__(self, k: int = DATA, r: int = REPAIRS, target: float = TARGET) -> None:
        _check(k, r)
        self.k, self.active, self.asked = k, r > 0, False
        self._r, self._target = r, target
        self._loss = _bearable(k, r, target)

    def repairs(self, k: int) -> int:
        """For a group of k data frames."""
        return self._r if k >= self.k else max(needed(k, self._loss, self._r, self._target), min(self._r, 1))

    def observe(self, path: int, sent: int, lost: int, now: float) -> None:
        """Nothing changes."""

    def forget(self, path: int) -> None:
        """Nothing changes."""


class Adaptive:
    """As many as the measured loss asks for, up to r for any group; none when nothing is lost."""

    def __init__(self, k: int = DATA, r: int = REPAIRS, target: float = TARGET) -> None:
        _check(k, r)
        self.k, self.active, self.asked = k, False, False
        self._most, self._target = r, target
        self._paths: dict[int, _Path] = {}
        self.loss = 0.0
        """What groups are made for."""

    def repairs(self, k: int) -> int:
        """For a group of k data frames."""
        return needed(k, self.loss, self._most, max(self._target, ASKED) if self.asked else self._target)

    def observe(self, path: int, sent: int, lost: int, now: float) -> None:
        """Since the last call for this path, `sent` datagrams went by it, `lost` of them did not arrive.

        Both are of one report of the peer (differences of `highest` and `received`), so that nothing that is still
        under way counts as lost. To be called whenever one comes, also when nothing was lost.
        """
        self._paths.setdefault(path, _Path(now)).add(sent, max(0, min(lost, sent)), now)
        self._set(now)

    def forget(self, path: int) -> None:
        """It carries nothing any more."""
        self._paths.pop(path, None)

    def _set(self, now: float) -> None:
        carried = lost = 0.0
        for path in self._paths.values():
            share = path.carried(now)
            carried += share
            lost += share * path.loss()
        measured = lost / carried if carried else 0.0
        if measured > self.loss:
            self.loss = measured
        elif measured * _SLACK < self.loss:
            self.loss = measured * _SLACK
        self.active = self.repairs(self.k) > 0


def policy(mode: str, k: int = DATA, r: int = REPAIRS) -> Fixed | Adaptive:
    """Of the option `fec`: off, fixed or adaptive. Raises ValueError for anything else, and for impossible k and r."""
    match mode:
        case "off":
            return Fixed(k, 0)
        case "fixed":
            return Fixed(k, r)
        case "adaptive":
            return Adaptive(k, r)
    raise ValueError(f"fec {mode!r}; off, fixed or adaptive")


class _Path:
    """Fading sums of one path."""

    __slots__ = ("_at", "_lost_fast", "_lost_slow", "_sent_fast", "_sent_slow")

    def __init__(self, now: float) -> None:
        self._at = now
        self._sent_fast = self._lost_fast = self._sent_slow = self._lost_slow = 0.0

    def add(self, sent: int, lost: int, now: float) -> None:
        past = max(0.0, now - self._at)
        self._at = now
        fast, slow = exp(-past / _FAST), exp(-past / _SLOW)
        self._sent_fast = self._sent_fast * fast + sent
        self._lost_fast = self._lost_fast * fast + lost
        self._sent_slow = self._sent_slow * slow + sent
        self._lost_slow = self._lost_slow * slow + lost

    def carried(self, now: float) -> float:
        """Datagrams of the fast memory, faded to this moment."""
        return self._sent_fast * exp(-max(0.0, now - self._at) / _FAST)

    def loss(self) -> float:
        """The higher one of both memories."""
        fast = max(0.0, self._lost_fast - _ACCIDENT) / (self._sent_fast + _LEAST)
        return max(fast, self._lost_slow / (self._sent_slow + _LEAST))


def _check(k: int, r: int) -> None:
    if not (1 <= k <= MOST_DATA and 0 <= r <= MOST_REPAIRS):
        raise ValueError(f"groups of {k} with {r} repairs; {MOST_DATA} with {MOST_REPAIRS} at most")


def _bearable(k: int, r: int, target: float) -> float:
    """The highest loss that k + r still meet the target at, to a thousandth."""
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        if needed(k, middle, r + 1, target) <= r:
            low = middle
        else:
            high = middle
    return low
