# SPDX-License-Identifier: GPL-2.0-or-later
"""One round: every target asked once, and whether enough of them answered."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netpath.health.target import Target
from netpath.health.timing import Timing


class Round:
    """Outcome of the probes of one round. A target is up when any of its probes was answered."""

    __slots__ = ("_pending", "_sent_at", "_targets", "_up")

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._pending = [0] * len(targets)
        self._sent_at = [0.0] * len(targets)
        self._up = [False] * len(targets)

    def expect(self, target: Target, probes: int, sent_at: float) -> None:
        """`probes` probes for `target` are on their way since `sent_at`."""
        index = self._targets.index(target)
        self._pending[index] = probes
        self._sent_at[index] = sent_at

    def answered(self, target: Target) -> None:
        self._up[self._targets.index(target)] = True

    def failed(self, target: Target) -> None:
        index = self._targets.index(target)
        self._pending[index] = max(self._pending[index] - 1, 0)

    def verdict(self, reliability: int, timing: Timing, now: float) -> bool | None:
        """True: good, False: failed, None: still open.

        Timeouts are those of now, not of the time of sending: a late reply to an older probe that shows the path to
        have become slow gives the younger ones the time that they need.
        """
        good = sum(up and t.complaint is None for up, t in zip(self._up, self._targets, strict=True))
        if good >= reliability:
            return True
        return None if good + len(self._deadlines(timing, now)) >= reliability else False

    def next_deadline(self, timing: Timing, now: float) -> float:
        """When the verdict may change without a reply; inf when it cannot."""
        return min(self._deadlines(timing, now), default=math.inf)

    def _deadlines(self, timing: Timing, now: float) -> list[float]:
        # A silent one gets no longer than those that count: nothing is known of its delays when it never answered.
        patience = max((timing.timeout(target.rtt) for target in self._targets if not target.silent), default=math.inf)
        deadlines = [
            sent_at + min(timing.timeout(target.rtt), patience)
            for target, pending, sent_at, up in zip(self._targets, self._pending, self._sent_at, self._up, strict=True)
            if pending and not up
        ]
        return [deadline for deadline in deadlines if deadline > now]

    def count_up(self) -> int:
        """Targets that answered, well or not."""
        return sum(self._up)

    def unanswered(self) -> list[Target]:
        return [target for target, up in zip(self._targets, self._up, strict=True) if not up]
