# SPDX-License-Identifier: GPL-2.0-or-later
"""Which datagrams did not come, and when to ask for them (docs/bond-protocol.md, "What is lost"). Pure.

Paths keep the order of what goes by them, so what is missing before a datagram that came is lost, or late by a moment.
What is sent again has a number of its own: if that is lost, too, it is seen like any other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from netpath.bond.frames import Hole
from netpath.bond.session import Session

LATE = 0.002
"""Seconds for which a datagram may be overtaken by others of its path."""
REPAIRED = 0.01
"""The same, where repairs come that may make asking needless."""
LONGEST = 255
MOST = 4096
"""Holes that are noticed at most: with more, so much is lost that the oldest will not be waited for."""


class Losses:
    """`notice` after each batch; `take` what is due."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._seen: dict[int, int] = {}
        """By path: the counter up to which all that is missing was noticed."""
        self._noticed: deque[tuple[float, Hole]] = deque(maxlen=MOST)

    def notice(self, path: int, session: Session, now: float) -> None:
        """Datagrams of `session` have come by `path`."""
        if session is not self._session:
            self._session = session
            self._seen.clear()
            self._noticed.clear()
        seen = self._seen.get(path, -1)
        if (highest := session.highest(path)) <= seen:
            return
        self._seen[path] = highest
        # Nothing is known of what was before the first one: it may have been sent before this end was ready.
        if seen >= 0 and (counters := session.missing(path, seen)):
            self._noticed += [(now, hole) for hole in holes(path, counters[::-1])]

    def due(self, patience: float) -> float | None:
        """When `take` has something to give; None: nothing is missing."""
        return self._noticed[0][0] + patience if self._noticed else None

    def take(self, patience: float, now: float) -> list[Hole]:
        """What was noticed so long ago, as far as it is missing still. It is given once."""
        found: list[Hole] = []
        noticed, session = self._noticed, self._session
        while noticed and noticed[0][0] + patience <= now and session is not None:
            path, first, length = noticed.popleft()[1]
            found += holes(path, [each for each in range(first, first + length) if session.lacks(path, each)])
        return found


def holes(path: int, counters: Sequence[int]) -> list[Hole]:
    """Ascending counters as holes."""
    found: list[Hole] = []
    first = last = -2
    for counter in counters:
        if counter == last + 1 and counter - first < LONGEST:
            last = counter
            continue
        if first >= 0:
            found.append(Hole(path, first, last - first + 1))
        first = last = counter
    if first >= 0:
        found.append(Hole(path, first, last - first + 1))
    return found
