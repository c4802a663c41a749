# SPDX-License-Identifier: GPL-2.0-or-later
"""check_quality: when a target that answers is still not good enough.

A target becomes poor when, over its window, the mean latency exceeds failure_latency, the loss exceeds failure_loss or
the jitter exceeds failure_jitter. It stays poor until every checked average is at or below its recovery_ threshold.
Averages of fewer probes than below change nothing. In a round a poor target counts as one that did not answer.
"""

from __future__ import annotations

from netpath.health.window import Summary
from netpath.model import Quality

REPLIES = 5
"""Replies that a latency or jitter needs to be believed."""

PROBES = 10
"""Probes that a loss needs to be believed: one lost probe is then at most 10 %."""


def complaint(quality: Quality, seen: Summary, before: str | None) -> str | None:
    """What is wrong, in words, or None when nothing is (any more); `before` is what was wrong until now."""
    if before and (seen.answered < REPLIES or seen.sent < PROBES):
        return before
    latency, loss, jitter = quality.failure_latency, quality.failure_loss, quality.failure_jitter
    if before:
        latency, loss, jitter = quality.recovery_latency, quality.recovery_loss, quality.recovery_jitter
    if seen.answered >= REPLIES:
        if seen.latency is not None and seen.latency > latency:
            return f"latency {seen.latency:.0f} ms above {latency:g}"
        if jitter is not None and seen.jitter is not None and seen.jitter > jitter:
            return f"jitter {seen.jitter:.0f} ms above {jitter:g}"
    if seen.sent >= PROBES and seen.loss > loss:
        return f"loss {seen.loss:.0f} % above {loss:g}"
    return None
