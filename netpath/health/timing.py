# SPDX-License-Identifier: GPL-2.0-or-later
"""How long to wait for an answer, learnt from the answers (RFC 6298), and how long between probes. All in seconds."""

from __future__ import annotations

from netpath.model import Tracking, TrackMethod

SOFT_FLOOR = 0.2
"""A calm probe is not suspect earlier than this: RFC 6298 asks for 1 s, Linux TCP uses 0.2 s."""

TIMEOUT_FLOOR = 0.1
"""Shortest automatic timeout, for intervals of 100 ms and less."""

TIMEOUT_CALM_FLOOR = 0.4
"""Automatic timeouts are never shorter than the interval or this, whichever is less. With one target and the defaults
a cut just after an answer is noticed 5 + SOFT_FLOOR + 0.1 + this = 5.7 s later, and until then six probes have had a
chance to show that the first was only lost."""

FORGETTING = 1 / 1024
"""Share of the slowest answer that each answer takes away: after an hour at the default interval half is forgotten."""

PROVING = 0.5
"""Rounds to an uplink whose link has just come are not closer than this, unless recovery_interval is."""

UNKNOWN = 1.0
"""Timeout before the first reply: RFC 6298 (2.1)."""

UNKNOWN_HTTP = 3.0
"""The same for httping, whose answer takes name resolution, TCP, TLS and a request: three to five round trips."""

TIMEOUT_CEILING = 2.0
TIMEOUT_CEILING_HTTP = 6.0
"""Longest automatic timeouts; a ping over a geostationary satellite takes 0.6 s."""

SHORTEST = 0.02
"""No configuration makes us probe faster than this."""


class Rtt:
    """Smoothed round-trip time and variation of one target (RFC 6298 section 2), and its slowest answer of late."""

    __slots__ = ("slowest", "srtt", "variation")

    def __init__(self) -> None:
        self.srtt: float | None = None
        self.variation = 0.0
        self.slowest = 0.0
        """RFC 6298 forgets within a few answers; a full buffer comes back with the next upload."""

    def learn(self, rtt: float) -> None:
        self.slowest = max(rtt, self.slowest * (1 - FORGETTING))
        if self.srtt is None:
            self.srtt, self.variation = rtt, rtt / 2
            return
        self.variation += (abs(self.srtt - rtt) - self.variation) / 4
        self.srtt += (rtt - self.srtt) / 8

    @property
    def expected(self) -> float | None:
        """By when nearly every reply has come; None before the first."""
        return None if self.srtt is None else self.srtt + 4 * self.variation


class Timing:
    """The durations of one `Tracking`, with what makes them safe."""

    __slots__ = ("_ceiling", "_floor", "_timeout", "_unknown", "calm", "failure", "proving", "recovery")

    def __init__(self, tracking: Tracking, targets: int) -> None:
        interval = max(tracking.interval, SHORTEST)
        self.calm = interval / max(targets, 1)
        """Between the probes of a calm uplink: each target has its turn once per interval."""
        self.failure = max(min(tracking.failure_interval, interval), SHORTEST)
        """Between confirming rounds: suspicion never probes more slowly than calm."""
        self.recovery = max(tracking.recovery_interval, SHORTEST)
        self.proving = max(self.failure, min(self.recovery, PROVING))
        """Between rounds after a link-up."""
        http = tracking.method is TrackMethod.HTTPING
        self._timeout = tracking.timeout
        self._floor = max(TIMEOUT_FLOOR, min(interval, TIMEOUT_CALM_FLOOR))
        self._ceiling = TIMEOUT_CEILING_HTTP if http else TIMEOUT_CEILING
        self._unknown = UNKNOWN_HTTP if http else UNKNOWN

    def timeout(self, rtt: Rtt) -> float:
        """After this an unanswered probe has failed."""
        if self._timeout is not None:
            return max(self._timeout, SHORTEST)
        if rtt.expected is None:
            return self._unknown
        return min(max(2 * rtt.expected, rtt.slowest, self._floor), self._ceiling)

    def soft_limit(self, rtt: Rtt) -> float:
        """After this an unanswered calm probe is suspect; never more than the timeout."""
        timeout = self.timeout(rtt)
        return timeout if rtt.expected is None else min(max(rtt.expected, SOFT_FLOOR), timeout)
