# SPDX-License-Identifier: GPL-2.0-or-later
"""When to try again. Pure: the clock and chance are the caller's.

The presets are those of the Network Monitor that this takes the place of; see docs/monitor.md.
"""

from __future__ import annotations

from collections.abc import Callable

from netpath.monitoring import Retry

PRESETS = {
    "fast": Retry(attempts=5, first=0.1, most=5.0, factor=2.0, jitter=0.2),
    "default": Retry(attempts=10, first=0.5, most=30.0, factor=2.0, jitter=0.2),
    "slow": Retry(attempts=15, first=1.0, most=60.0, factor=2.0, jitter=0.2),
    "infinite": Retry(attempts=None, first=0.5, most=30.0, factor=2.0, jitter=0.2),
}


class Backoff:
    """Delays between attempts: exponential from `first` to `most`, each made longer or shorter by chance."""

    def __init__(self, retry: Retry, chance: Callable[[], float]) -> None:
        """`chance` gives floats of 0 to 1 (`random.random`)."""
        self._retry = retry
        self._chance = chance
        self._failures = 0

    def succeeded(self) -> None:
        """The next failure is the first one again."""
        self._failures = 0

    def failed(self) -> float | None:
        """Seconds until the next attempt; None: that was the last one."""
        self._failures += 1
        retry = self._retry
        if retry.attempts is not None and self._failures >= retry.attempts:
            return None
        # Far beyond `most` the power would only overflow.
        power = min(self._failures - 1, 64)
        delay = min(retry.first * retry.factor**power, retry.most)
        return delay * (1 + retry.jitter * (2 * self._chance() - 1))
