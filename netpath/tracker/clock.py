# SPDX-License-Identifier: GPL-2.0-or-later
"""Dates for monotonic times. A router without a battery starts in 1970 and jumps when NTP answers; nothing may get lost
or out of order by that."""

from __future__ import annotations

import math
import time

JUMP = 1.0
"""Seconds. Less is the two clocks being read one after the other, and would make the same moment have two dates."""


class Clock:
    """Keeps the monotonic clock and the wall clock together. After a jump earlier moments get other dates."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def ahead(self) -> float:
        """Add this to a monotonic time for its date, epoch s; the same until the wall clock jumps."""
        now = time.time() - time.monotonic()
        if abs(now - self._ahead) > JUMP:
            self._ahead = now
        return self._ahead

    def since(self, epoch: float) -> float:
        """The monotonic time of a date that somebody wants everything since.

        A date in the future was read off a clock that has been set back since; when that was is not known: -inf.
        """
        at = epoch - self.ahead()
        return -math.inf if at > time.monotonic() + JUMP else at
