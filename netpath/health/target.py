# SPDX-License-Identifier: GPL-2.0-or-later
"""What an uplink knows of one of its targets."""

from __future__ import annotations

from collections import deque

from netpath.health.quality import complaint
from netpath.health.timing import Rtt, Timing
from netpath.health.window import Window
from netpath.model import Quality

_WAITING_TURNS = 32
"""Calm turns in flight that are remembered; only the oldest matters, and it makes us act long before this many."""


class Target:
    """Statistics and reputation of one target."""

    __slots__ = (
        "address",
        "alive",
        "asked",
        "complaint",
        "error",
        "quality_from",
        "replies",
        "rtt",
        "silent",
        "waiting",
        "window",
    )

    def __init__(self, address: str) -> None:
        self.address = address
        self.window = Window()
        self.rtt = Rtt()
        self.replies = 0
        """All that ever came."""
        self.alive: bool | None = None
        """The last that was heard (or not) of it; None: never asked."""
        self.asked = False
        """At least one probe was sent to it."""
        self.silent = False
        """Did not answer in a round that was good without it, nor since."""
        self.complaint: str | None = None
        """Why it is poor (check_quality), or None."""
        self.error = ""
        """The last definitive failure, in words; empty after a reply."""
        self.waiting: deque[float] = deque(maxlen=_WAITING_TURNS)
        """Times of calm turns newer than the last answered one."""
        self.quality_from = float("-inf")

    @property
    def counts(self) -> bool:
        """Whether it is expected to answer well."""
        return not self.silent and self.complaint is None

    def new_path(self, now: float) -> None:
        """The link was replaced: what was learnt of delays and quality does not hold for the new one."""
        self.rtt = Rtt()
        self.waiting.clear()
        self.restart_quality(now)

    def restart_quality(self, now: float) -> None:
        self.complaint = None
        self.quality_from = now

    def answered(self, serial: int, sent_at: float, now: float) -> None:
        self.window.answered(serial, now - sent_at)
        self.replies += 1
        self.rtt.learn(max(now - sent_at, 0.0))
        self.alive, self.silent, self.error = True, False, ""
        while self.waiting and self.waiting[0] <= sent_at:
            self.waiting.popleft()

    def failed(self, serial: int, reason: str) -> None:
        self.window.failed(serial)
        self.alive, self.error = False, reason

    def rate(self, quality: Quality | None, timing: Timing, now: float) -> None:
        """Update the complaint from the window."""
        if quality is None:
            self.complaint = None
            return
        seen = self.window.summary(now, timing.timeout(self.rtt), self.quality_from)
        self.complaint = complaint(quality, seen, self.complaint)
