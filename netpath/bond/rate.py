# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast a path may be sent on: its capacity, found by what the other end reports. Pure.

The idea: while a queue stands before the bottleneck, what arrives is exactly what the bottleneck carries. So a rate
that is a little too high is told by growing delay long before anything is lost, the reports of that time measure the
capacity, and from then on a little less than that is sent, which empties the queue. From time to time it is tried
whether there is more by now.

Every constant:
  TARGET   of delay beyond the least one: with more, a queue stands. Above what timers and bursts of a path make of it.
  MARGIN   of the measured capacity that is used: the rest empties the queue and is for heartbeats. 1.5 % is what
           striping costs at most.
  GROWTH   while looking for more, every STEP reports: time enough to see what the last step did, so that the queue
           which tells the end of it is a few milliseconds long, and fits where buffers are small.
  START    with nothing known: each report that shows no queue doubles.
  HOLD     seconds between two tries for more.
  MEMORY   seconds after which the least delay seen is forgotten: routes change.
"""

from __future__ import annotations

from collections import deque

TARGET = 0.008
MARGIN = 0.985
GROWTH = 1.05
STEP = 3
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
LOSS = 0.02
"""Part lost, above what usually is, that tells of a full path without a queue (a policer)."""
FLOODED = 0.7
"""When only such a part arrives, it is too much, whatever the delay."""
GROWN = 1.03
"""While this much more arrives than before, the path is not full, whatever is lost."""
WINDOW = 0.1
"""Seconds that reports are looked at together: a device hands over bursts of many datagrams."""
RECENT = 3
"""Reports at least of which the least delay counts: jitter alone is no queue."""
DROP = 0.7
"""At most so much less at a time: a machine that was busy for a moment must not undo what was learned."""


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
        """Part that is lost anyway. It follows quickly: loss that stays when less is sent is no sign of a full path."""
        self._delivered = 0.0
        """By the report before."""
        self._window: deque[tuple[float, float, float, float]] = deque()
        """Of the last reports: seconds, bytes delivered, bytes sent, delay."""
        self._settled = 0.0
        """Until then the last reduction has not shown what it does."""

    def report(self, now: float, passed: float, *, delivered: float, sent: float, loss: float, delay: float) -> None:
        """What came of the time since the last report, `passed` seconds.

        delivered, sent: bytes a second that arrived, and that were sent in the time that the report is of; loss: part
        of the datagrams; delay: any measure of the way in seconds of which only differences count (a round trip).
        """
        self._window.append((passed, delivered * passed, sent * passed, delay))
        span = sum(entry[0] for entry in self._window)
        while len(self._window) > RECENT and span - self._window[0][0] >= WINDOW:
            span -= self._window.popleft()[0]
        self.delay = min(entry[3] for entry in self._window) - self._least_delay(delay, now)
        delivered = sum(entry[1] for entry in self._window) / span
        sent = sum(entry[2] for entry in self._window) / span
        queued = self.delay > TARGET or delivered < FLOODED * sent
        busy = sent >= BUSY * self.rate
        grown = delivered > GROWN * self._delivered
        policed = busy and loss > self._usual_loss + LOSS and not grown
        self._usual_loss += (loss - self._usual_loss) / 4
        self._delivered = delivered
        if queued or policed:
            self._full(delivered, now)
        elif busy:
            self._free(now)
        self.rate = min(max(self.rate, LEAST), self.cap)

    def _full(self, delivered: float, now: float) -> None:
        """A queue stands: what was delivered is the capacity. Less is sent, but once for each time of looking."""
        self._looking = self._doubling = False
        self._next_look = now + HOLD
        if now < self._settled:
            return
        self._settled = now + WINDOW
        drain = 1.0 - min(0.5, max(0.0, (self.delay - TARGET / 2) / 0.2))
        self.capacity = max(delivered, DROP * (self.capacity or delivered))
        self.rate = max(delivered * MARGIN * drain, DROP * self.rate)

    def _free(self, now: float) -> None:
        """All that was asked for goes through without waiting."""
        if self._doubling:
            self.rate *= START
        elif self._looking:
            self._step = (self._step + 1) % STEP
            if not self._step:
                self.rate *= GROWTH
        elif self.capacity is not None and self.rate < self.capacity * MARGIN:
            self.rate = min(self.rate * GROWTH, self.capacity * MARGIN)
        elif now >= self._next_look:
            self._looking, self._step = True, 0
            self.rate *= GROWTH

    def _least_delay(self, delay: float, now: float) -> float:
        least = self._least
        while least and least[-1][1] >= delay:
            least.pop()
        least.append((now, delay))
        while least[0][0] < now - MEMORY:
            least.popleft()
        return least[0][1]
