# SPDX-License-Identifier: GPL-2.0-or-later
"""What the state machine says of itself when asked: the numbers behind status and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netpath.health.target import Target
from netpath.health.window import Summary
from netpath.model import State


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """One target over its window (the last 100 probes, at most 60 s or 10 intervals)."""

    target: str
    status: str
    """"up", "down" or "unknown" (never asked): the outcome of its last probe."""
    latency: float | None
    """ms; None: no reply in the window."""
    jitter: float | None
    """ms; None: fewer than two replies."""
    loss: float
    """Percent."""
    sent: int
    lost: int
    sent_total: int
    """Since it is tracked, like the next one: what is sent now may be answered later. Neither ever goes back."""
    answered_total: int


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """One uplink. Latency and jitter are means over its answering targets, loss is that of all their probes together.

    A target without any reply in the window does not count into the uplink's loss as long as another one answers: it is
    the target that is dead then, not the uplink.
    """

    state: State
    score: int
    """mwan3's: down + up when fully online, minus one per failed round while disconnecting; 0 offline; the number of
    good rounds, at most `up`, while connecting."""
    lost: int
    """Targets that did not answer, summed over the failed rounds since the last good one."""
    turn: int
    """Rounds judged and calm cycles completed."""
    since: float
    """Monotonic time of the last change of state."""
    reason: str
    """Why it is in this state."""
    latency: float | None
    jitter: float | None
    loss: float
    targets: tuple[TargetSnapshot, ...]


def target_row(target: Target, seen: Summary) -> TargetSnapshot:
    status = "unknown" if target.alive is None else "up" if target.alive else "down"
    totals = (target.window.count, target.replies)
    return TargetSnapshot(target.address, status, seen.latency, seen.jitter, seen.loss, seen.sent, seen.lost, *totals)


def overall(rows: Iterable[TargetSnapshot]) -> tuple[float | None, float | None, float]:
    """Latency (ms), jitter (ms) and loss (percent) of an uplink from its targets."""
    rows = list(rows)
    answering = [row for row in rows if row.latency is not None] or rows
    sent = sum(row.sent for row in answering)
    lost = sum(row.lost for row in answering)
    latency = _mean([row.latency for row in answering if row.latency is not None])
    jitter = _mean([row.jitter for row in answering if row.jitter is not None])
    return latency, jitter, 100.0 * lost / sent if sent else 0.0


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
