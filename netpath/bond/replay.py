# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay protection of one path: each counter is accepted once (docs/bond-protocol.md, "Replays"). Pure.

A window as a bit map costs every datagram a shift of 8192 bits. Nearly all of them come in order, so what is kept is
the highest counter and the ones that are missing before it: in order, that is one comparison and one assignment.
"""

from __future__ import annotations

WINDOW = 8192


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
            missing.update(dict.fromkeys(range(max(highest + 1, counter - WINDOW + 1), counter)))
            self.highest = counter
            if len(missing) > WINDOW:
                self._forget(counter - WINDOW)
            return True
        if counter <= highest - WINDOW:
            return False
        return self._missing.pop(counter, self) is None

    def _forget(self, oldest: int) -> None:
        """Drop what is at or below `oldest`."""
        for counter in list(self._missing):
            if counter > oldest:
                break
            del self._missing[counter]
