# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay protection of one path: each counter is accepted once (docs/bond-protocol.md, "Replays"). Pure.

A window as a bit map costs every datagram a shift of 8192 bits. Nearly all of them come in order, so what is kept is
the highest counter and the ones that are missing before it: in order, that is one comparison and one assignment.
"""

from __future__ import annotations

WINDOW = 8192
MISSING = 1024
"""Counters that are missing and may still come; of more, the oldest are taken for seen. Each takes some 70 bytes. Only
with more loss than 9 % the window is shorter for it."""


class ReplayWindow:
    """`fresh` before decryption, `enter` after it."""

    __slots__ = ("_missing", "highest")

    def __init__(self) -> None:
        self.highest = -1
        """-1: nothing came yet."""
        self._missing: dict[int, None] = {}
        """In ascending order: what is added is always above everything that is there."""

    def fresh(self, counter: int) -> bool:
        """Whether a datagram of this counter may be looked at."""
        return counter > self.highest or (counter in self._missing and counter > self.highest - WINDOW)

    def enter(self, counter: int) -> bool:
        """Whether it is the first one of this counter (and not too old); from now on it is known."""
        highest = self.highest
        if counter == highest + 1:
            self.highest = counter
            return True
        if counter > highest:
            missing = self._missing
            if counter - highest > MISSING:
                missing.clear()
            missing.update(dict.fromkeys(range(max(highest + 1, counter - MISSING + 1), counter)))
            self.highest = counter
            if len(missing) > MISSING:
                self._forget()
            return True
        if counter <= highest - WINDOW:
            return False
        return self._missing.pop(counter, self) is None

    def missing(self, after: int) -> list[int]:
        """Counters above `after` that did not come, the highest first."""
        found = []
        for counter in reversed(self._missing):
            if counter <= after:
                break
            found.append(counter)
        return found

    def lacks(self, counter: int) -> bool:
        """Whether it may still come, though higher ones did."""
        return counter in self._missing

    def _forget(self) -> None:
        """Drop what is too old, and if that is little some more, so that it is not to be done again at once."""
        oldest = self.highest - WINDOW
        surplus = len(self._missing) - MISSING * 3 // 4
        for n, counter in enumerate(list(self._missing)):
            if counter > oldest and n >= surplus:
                break
            del self._missing[counter]


class OnceOnly:
    """The same for handshakes: they are few, and a bit map is small."""

    __slots__ = ("_highest", "_seen")

    WINDOW = 1024

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0
        """Bit n: whether `highest` - n was here."""

    def enter(self, sequence: int) -> bool:
        """Whether it is the first one of this number (and not too old); from now on it is known."""
        ahead = sequence - self._highest
        if ahead > 0:
            self._highest = sequence
            self._seen = (self._seen << min(ahead, self.WINDOW) | 1) & (1 << self.WINDOW) - 1
            return True
        if -ahead >= self.WINDOW or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True
