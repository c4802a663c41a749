# SPDX-License-Identifier: GPL-2.0-or-later
"""When to try again. Pure: the clock and chance are the caller's."""

from __future__ import annotations

from collections.abc import Callable

from netpath.monitoring import PRESETS, Retry

__all__ = ["PRESETS", "Backoff"]


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
