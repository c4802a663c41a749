# SPDX-License-Identifier: GPL-2.0-or-later
"""How mwan3 and dpinger tell that an uplink is dead, written from their documentation and observed behaviour. Pure.

Each yields what it decides: (seconds, whether the uplink is in use from then on), which it is at the beginning.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bench.detectionseries import Series

Change = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Mwan3:
    """mwan3 2.12: the options of its interface section, with its defaults. Times in seconds.

    It pings one target after another, each until the answer or the timeout, and stops as soon as `reliability` of them
    have answered; then it sleeps. The time that its programs take to start is left out.
    """

    targets: int = 1
    reliability: int = 1
    interval: float = 10.0
    timeout: float = 4.0
    down: int = 5
    up: int = 5

    @property
    def calm_probes_a_day(self) -> float:
        return self.reliability * 86400 / self.interval

    def watch(self, series: Series, until: float) -> Iterator[Change]:
        now, failures, successes, usable = 0.0, 0, 0, True
        while now < until:
            good, now = self._round(series, now)
            failures, successes = (0, successes + 1) if good else (failures + 1, 0)
            if usable and failures >= self.down:
                usable = False
                yield now, usable
            elif not usable and successes >= self.up:
                usable = True
                yield now, usable
            now += self.interval

    def _round(self, series: Series, now: float) -> tuple[bool, float]:
        """Whether enough targets answered, and when that was clear."""
        answered = 0
        for target in range(self.targets):
            rtt = series.rtt(target, now)
            in_time = rtt is not None and rtt <= self.timeout
            now += rtt if rtt is not None and in_time else self.timeout
            answered += in_time
            if answered >= self.reliability:
                return True, now
        return False, now


_EMPTY, _ANSWERED, _LOST = range(3)


@dataclass(frozen=True, slots=True)
class Dpinger:
    """dpinger 3: one target, and an alarm by loss or delay averaged over a period. Defaults: pfSense's. In seconds.

    A probe counts as lost once it is older than `loss_interval`, and no longer when its answer comes after all. The
    shares are whole percents, rounded down, and an alarm needs more than the limit; it ends when `hold` has passed
    without cause.
    """

    interval: float = 0.5
    loss_interval: float = 2.0
    period: float = 60.0
    alert_interval: float = 1.0
    loss_percent: int = 20
    latency: float = 0.5
    hold: float = 10.0

    @property
    def calm_probes_a_day(self) -> float:
        return 86400 / self.interval

    def watch(self, series: Series, until: float) -> Iterator[Change]:
        ring = _Ring(round(self.period / self.interval), self.loss_interval)
        # Two threads that nobody keeps in step: half an interval between them is neither the best nor the worst.
        send_at, check_at = 0.0, self.alert_interval + self.interval / 2
        sent = checks = 0
        decay, holds = 0, round(self.hold / self.alert_interval)
        alarm = False
        while check_at < until:
            while send_at <= check_at:
                ring.send(send_at, series.rtt(0, send_at))
                sent += 1
                send_at = sent * self.interval
            loss, latency = ring.report(check_at)
            bad = loss > self.loss_percent or latency > self.latency
            decay = max(holds, 1) if bad else max(decay - 1, 0)
            if not bad and not holds:
                decay = 0
            if alarm != (decay > 0):
                alarm = decay > 0
                yield check_at, not alarm
            checks += 1
            check_at = (checks + 1) * self.alert_interval + self.interval / 2


class _Ring:
    """The last probes, with running totals: looking through all of them at each check would take hours."""

    def __init__(self, size: int, loss_interval: float) -> None:
        self._size = size
        self._loss_interval = loss_interval
        self._states = [_EMPTY] * size
        self._rtts = [0.0] * size
        self._next = 0
        self._arrivals: list[tuple[float, int]] = []
        self._deadlines: deque[tuple[float, int]] = deque()
        self._counts = [0, 0, 0]
        self._total = 0.0

    def send(self, now: float, rtt: float | None) -> None:
        slot = self._next % self._size
        if self._states[slot] == _ANSWERED:
            self._total -= self._rtts[slot]
        self._enter(slot, _EMPTY)
        if rtt is not None:
            self._rtts[slot] = rtt
            heapq.heappush(self._arrivals, (now + rtt, self._next))
        self._deadlines.append((now + self._loss_interval, self._next))
        self._next += 1

    def report(self, now: float) -> tuple[int, float]:
        """Whole percents lost, mean round-trip time of the answered in seconds."""
        while self._deadlines and self._deadlines[0][0] < now:
            _, serial = self._deadlines.popleft()
            if self._remembered(serial) and self._states[serial % self._size] == _EMPTY:
                self._enter(serial % self._size, _LOST)
        while self._arrivals and self._arrivals[0][0] <= now:
            _, serial = heapq.heappop(self._arrivals)
            if self._remembered(serial):
                self._enter(serial % self._size, _ANSWERED)
                self._total += self._rtts[serial % self._size]
        answered, lost = self._counts[_ANSWERED], self._counts[_LOST]
        loss = 100 * lost // (answered + lost) if lost else 0
        return loss, self._total / answered if answered else 0.0

    def _remembered(self, serial: int) -> bool:
        return serial >= self._next - self._size

    def _enter(self, slot: int, state: int) -> None:
        self._counts[self._states[slot]] -= 1
        self._states[slot] = state
        self._counts[state] += 1
