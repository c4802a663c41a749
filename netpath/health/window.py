# SPDX-License-Identifier: GPL-2.0-or-later
"""The last probes of one target, in fixed memory, and what they say of it.

As in dpinger, loss is computed when somebody asks, from what has been answered by then: a late reply takes its probe
out of the loss again, and nothing has to be counted down by a timer. Two arrays of 100 doubles are 1.6 KiB a target.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

CAPACITY = 100
"""Probes remembered. At the default 5 s that is more than the span; at 100 ms it is the last 10 s."""

SPAN = 60.0
"""Seconds a probe stays in the averages: dpinger's averaging period."""

_WAITING = -1.0
_FAILED = -2.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Averages of a window. Probes still within their time to answer count nowhere."""

    sent: int
    """Probes that were answered or are lost."""
    lost: int
    latency: float | None
    """Mean round-trip time, ms; None: no reply."""
    jitter: float | None
    """Mean absolute difference of the round-trip times of neighbouring replies, ms (the D of RFC 3550 section 6.4.1,
    averaged over the window instead of smoothed); None: fewer than two replies."""

    @property
    def answered(self) -> int:
        return self.sent - self.lost

    @property
    def loss(self) -> float:
        """Percent; 0 when nothing is decided."""
        return 100.0 * self.lost / self.sent if self.sent else 0.0


class Window:
    """A ring of probes. Times are monotonic seconds."""

    __slots__ = ("_next", "_rtt", "_sent_at", "_span")

    def __init__(self, span: float = SPAN) -> None:
        self._span = span
        self._next = 0
        self._sent_at = array("d", bytes(8 * CAPACITY))
        self._rtt = array("d", bytes(8 * CAPACITY))

    @property
    def count(self) -> int:
        """All probes that were ever entered."""
        return self._next

    def sent(self, now: float) -> int:
        """Enter a probe sent at `now`; returns its serial number."""
        serial = self._next
        self._sent_at[serial % CAPACITY] = now
        self._rtt[serial % CAPACITY] = _WAITING
        self._next += 1
        return serial

    def answered(self, serial: int, rtt: float) -> None:
        """The probe was answered after `rtt` seconds; probes that left the ring are past caring."""
        if serial >= self._next - CAPACITY:
            self._rtt[serial % CAPACITY] = max(rtt, 0.0)

    def failed(self, serial: int) -> None:
        """The probe cannot be answered any more: lost before its time is up."""
        if serial >= self._next - CAPACITY:
            self._rtt[serial % CAPACITY] = _FAILED

    def widen(self, span: float) -> None:
        """Average over `span` seconds from now on."""
        self._span = span

    def summary(self, now: float, patience: float, since: float = float("-inf")) -> Summary:
        """Averages over the probes of the last span that were sent at `since` or later.

        `patience` is how many seconds an unanswered probe may be old without being lost.
        """
        start = max(now - self._span, since)
        sent = lost = 0
        total = moved = 0.0
        previous = -1.0
        for serial in range(max(0, self._next - CAPACITY), self._next):
            sent_at = self._sent_at[serial % CAPACITY]
            if sent_at < start:
                continue
            rtt = self._rtt[serial % CAPACITY]
            if rtt >= 0.0:
                sent += 1
                total += rtt
                moved += abs(rtt - previous) if previous >= 0.0 else 0.0
                previous = rtt
            elif rtt == _FAILED or now - sent_at >= patience:
                sent += 1
                lost += 1
        answered = sent - lost
        return Summary(
            sent,
            lost,
            1000.0 * total / answered if answered else None,
            1000.0 * moved / (answered - 1) if answered > 1 else None,
        )
