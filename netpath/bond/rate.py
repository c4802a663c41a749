# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast a path may be sent on: its capacity, found by what the other end reports. Pure.

The idea: while a queue stands before the bottleneck, what arrives is exactly what the bottleneck carries. So a rate
that is a little too high is told by growing delay long before anything is lost, the reports of that time measure the
capacity, and from then on a little less than that is sent, which empties the queue. From time to time it is tried
whether there is more by now.

Every constant:
  TARGET   of delay beyond the least one: with more, a queue stands. Above what timers and bursts of a path make of it.
  MARGIN   of the measured capacity that is used: the rest empties the queue and is for heartbeats.
  GROWTH   while looking for more, every STEP reports: time enough to see what the last step did, so that the queue
           which tells the end of it is a few milliseconds long, and fits where buffers are small. Each step is
           FASTER times the one before: who finds nothing for long has far to go.
  START    with nothing known: each report that shows no queue doubles.
  HOLD     seconds between two tries for more.
  MEMORY   seconds after which the least delay seen is forgotten: routes change.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

TARGET = 0.008
MARGIN = 0.98
GROWTH = 0.05
STEP = 3
FASTER = 1.3
START = 2.0
FIRST = 2_500_000.0
"""Bytes a second of a path of which nothing is known: 20 Mbit/s."""
LEAST = 8_000.0
"""Bytes a second: never less, or nothing would be learned."""
MOST = 4e9
HOLD = 2.0
MEMORY = 30.0
REPORTS = 4096
"""Of that time, at most: a faulty peer may send more than it should."""
BUSY = 0.85
"""Part of the rate that must have been asked for, or a report says nothing of the capacity."""
HALF = 0.5
"""The same for a queue: a rate that is far too high is never asked for in full, and yet fills the queue."""
FIFTH = 0.2
"""With a queue though only so much of the rate is asked for, the rate is wrong: twice of what arrives is enough."""
LOSS = 0.02
"""Part lost, above what usually is, that tells of a full path without a queue (a policer)."""
SIGMAS = 3.0
"""Standard deviations beyond that: few datagrams say little."""
FLOODED = 0.3
"""With more loss it is too much, whatever is usual."""
FEW = 50
"""Datagrams from which on one report's loss says something."""
GROWN = 1.03
"""While this much more arrives than before, the path is not full, whatever is lost."""
WINDOW = 0.1
"""Seconds that reports are looked at together: a device hands over bursts of many datagrams."""
RECENT = 3
"""Reports at least of which the least delay counts: jitter alone is no queue."""
DROP = 0.7
"""At most so much less at a time: a machine that was busy for a moment must not undo what was learned."""


class Report(NamedTuple):
    """Of the time between two heartbeats of the other end."""

    passed: float
    """Seconds."""
    delivered: int
    """Bytes that arrived."""
    sent: int
    """Bytes that were sent in that time."""
    datagrams: int
    """Sent, up to the last one that arrived."""
    lost: int
    """Of them."""
    delay: float
    """Any measure of the way in seconds of which only differences count."""


class Rate:
    """`report` for each report of the other end; `rate` is what may be sent, bytes a second on the wire.

    All times are monotonic seconds.
    """

    def __init__(self, cap: float | None = None) -> None:
        """`cap`: never more than that, bytes a second."""
        self.cap = min(cap or MOST, MOST)
        self.rate = min(FIRST, self.cap)
        self.capacity: float | None = None
        """What the bottleneck carries, once that was seen."""
        self.delay = 0.0
        """Seconds that the last report's datagrams waited, beyond the least."""
        self._least: deque[tuple[float, float]] = deque(maxlen=REPORTS)
        """(time, delay): candidates for the least of the last MEMORY seconds, ascending in both."""
        self._doubling = True
        """Whether nothing is known of the capacity yet."""
        self._looking = True
        """Whether the rate is being raised."""
        self._step = 0
        self._next_look = 0.0
        self._usual_loss = 0.0
        """Part that is lost anyway."""
        self._delivered = 0.0
        """By the report before."""
        self._window: deque[Report] = deque()
        """The last ones, WINDOW seconds together."""
        self._settled = 0.0
        """Until then the last reduction has not shown what it does."""

    def report(self, now: float, entry: Report) -> None:
        """What came of the time since the last report."""
        window = self._window
        window.append(entry)
        span = sum(each.passed for each in window)
        while len(window) > RECENT and span - window[0].passed >= WINDOW:
            span -= window.popleft().passed
        self.delay = min(each.delay for each in window) - self._least_delay(entry.delay, now)
        delivered = sum(each.delivered for each in window) / span
        sent = sum(each.sent for each in window) / span
        grown = delivered > GROWN * self._delivered
        self._delivered = delivered
        busy = sent >= BUSY * self.rate
        queued = self.delay > TARGET and sent >= HALF * self.rate
        if queued or (busy and self._excess(entry) and not grown):
            self._full(delivered, now)
        elif self.delay > TARGET and sent >= FIFTH * self.rate:
            self._doubling = False
            self.rate = max(2 * delivered, DROP * self.rate)
        elif busy:
            self._free(delivered, now)
        self._learn_loss(entry, busy=busy)
        self.rate = min(max(self.rate, LEAST), self.cap)

    def _excess(self, entry: Report) -> bool:
        """Whether more is lost than usual, and by so much that chance does not explain it."""
        entries = (entry,) if entry.datagrams >= FEW else self._window
        datagrams = sum(each.datagrams for each in entries)
        if not datagrams:
            return False
        loss = sum(each.lost for each in entries) / datagrams
        expected = min(self._usual_loss + LOSS, 1.0)
        return loss > FLOODED or bool(loss > expected + SIGMAS * (expected * (1 - expected) / datagrams) ** 0.5)

    def _learn_loss(self, entry: Report, *, busy: bool) -> None:
        """Loss that stays when less is sent is no sign of a full path; while all is sent that may be, it may be one."""
        if entry.datagrams:
            share = min(1.0, entry.datagrams / FEW) / (16 if busy else 4)
            self._usual_loss += (entry.lost / entry.datagrams - self._usual_loss) * share

    def _full(self, delivered: float, now: float) -> None:
        """It is full: what was delivered is the capacity. Less is sent, but once for each time of looking."""
        self._looking = self._doubling = False
        self._next_look = now + HOLD
        if now < self._settled:
            return
        self._settled = now + WINDOW
        drain = 1.0 - min(0.5, max(0.0, (self.delay - TARGET / 2) / 0.2))
        self.capacity = max(delivered, DROP * (self.capacity or delivered))
        self.rate = max(delivered * MARGIN * drain, DROP * self.rate)

    def _free(self, delivered: float, now: float) -> None:
        """All that was asked for goes through without waiting: it carries that at least."""
        self.rate = max(self.rate, min(delivered * MARGIN, self.rate * START))
        if self._doubling:
            self.rate *= START
        elif self._looking:
            self._step += 1
            if self._step % STEP == 0:
                self.rate *= min(START, 1 + GROWTH * FASTER ** (self._step // STEP - 1))
        elif self.capacity is not None and self.rate < self.capacity * MARGIN:
            self.rate = min(self.rate * (1 + GROWTH), self.capacity * MARGIN)
        elif now >= self._next_look:
            self._looking, self._step = True, 0
            self.rate *= 1 + GROWTH

    def _least_delay(self, delay: float, now: float) -> float:
        least = self._least
        while least and least[-1][1] >= delay:
            least.pop()
        least.append((now, delay))
        while least[0][0] < now - MEMORY:
            least.popleft()
        return least[0][1]
