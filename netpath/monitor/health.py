# SPDX-License-Identifier: GPL-2.0-or-later
"""How something that is tried again and again is doing. Pure: the caller says what time it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Status(StrEnum):
    STARTING = "starting"
    """Nothing came of it yet, good or bad."""
    IDLE = "idle"
    """The same of what waits for something to do, and may wait for years (`netpath.monitor.parts`)."""
    HEALTHY = "healthy"
    FAILING = "failing"
    """The last attempt failed, another one follows."""
    GIVEN_UP = "given up"
    """As many failures in a row as its retry allows."""


class Health:
    """Counts what became of attempts. Times are epoch seconds for people; durations come from a monotonic clock.

    An attempt is what is retried: a connection that is made and kept, a request, a message. One that has succeeded may
    fail later (a connection ends); that is one success and one failure.
    """

    def __init__(self, monotonic: float) -> None:
        self.status = Status.STARTING
        self.attempts = 0
        self.successes = 0
        self.failures = 0
        self.consecutive_failures = 0
        self.last_success: float | None = None
        self.last_failure: float | None = None
        self.reason: str | None = None
        """Of the last failure, with what to do, in words; never with a password or token."""
        self._began = monotonic
        self._healthy = 0.0
        """Seconds of being healthy before the present time of it."""
        self._since: float | None = None
        """When the present time of being healthy began."""

    def attempt(self) -> None:
        self.attempts += 1

    def succeeded(self, epoch: float, monotonic: float) -> None:
        """It works (now, or still: every reading may say so)."""
        if self.status is not Status.HEALTHY:
            self.successes += 1
            self._since = monotonic
        self.status = Status.HEALTHY
        self.consecutive_failures = 0
        self.last_success = epoch

    def failed(self, reason: str, epoch: float, monotonic: float, *, final: bool = False) -> None:
        """`final`: nothing follows by itself."""
        if self._since is not None:
            self._healthy += monotonic - self._since
            self._since = None
        self.status = Status.GIVEN_UP if final else Status.FAILING
        self.failures += 1
        self.consecutive_failures += 1
        self.last_failure = epoch
        self.reason = reason

    def uptime(self, monotonic: float) -> float:
        """Percent of its life in which it was healthy."""
        healthy = self._healthy + (monotonic - self._since if self._since is not None else 0.0)
        life = monotonic - self._began
        return 100.0 * healthy / life if life > 0 else 0.0

    def row(self, monotonic: float) -> dict[str, Any]:
        """As `netpath monitor status`, the socket and ubus give it (docs/monitor.md)."""
        return {
            "status": str(self.status),
            "uptime": round(self.uptime(monotonic), 2),
            "attempts": self.attempts,
            "successes": self.successes,
            "failures": self.failures,
            "consecutive_failures": self.consecutive_failures,
            "last_success": self.last_success,
            "last_failure": self.last_failure,
            "reason": self.reason,
        }
