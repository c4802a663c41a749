# SPDX-License-Identifier: GPL-2.0-or-later
"""The estimate of a path's capacity against simulated bottlenecks: how much of it is used, how long the queue is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from netpath.bond.rate import FIRST, LEAST, Rate, Report

MBIT = 125_000.0
INTERVAL = 0.025
SIZE = 1500


@dataclass(frozen=True)
class Outcome:
    used: float
    """Part of the capacity."""
    queue: float
    """Mean seconds of waiting."""
    dropped: float
    """Part of the capacity's bytes that a full queue dropped."""
    rate: Rate


def simulate(
    capacity: Callable[[float], float],
    *,
    seconds: float = 20.0,
    ignored: float = 3.0,
    delay: float = 0.02,
    room: float = 0.1,
    jitter: float = 0.0005,
    loss: float = 0.0,
    wanted: float = 1e12,
    cap: float | None = None,
) -> Outcome:
    """One path with a queue of `room` seconds, from `ignored` on; always the same."""
    random, rate = Random(7), Rate(cap)
    queue = time = carried = possible = dropped = 0.0
    waits = []
    for step in range(10):  # heartbeats before there is data
        rate.report((step - 10) * INTERVAL, Report(INTERVAL, 0, 0, 0, 0, delay))
    reports: deque[tuple[float, Report]] = deque()
    while time < seconds:
        speed = capacity(time)
        sent = min(rate.rate, wanted) * INTERVAL
        arriving = sent * (1 - loss)
        queue += arriving
        out = min(queue, speed * INTERVAL)
        queue -= out
        over = max(0.0, queue - speed * room)
        queue -= over
        way = delay + queue / speed + abs(random.gauss(0, jitter))
        count = round(sent / SIZE)
        lost = round(count * (1 - (arriving - over) / sent))
        reports.append((time + way, Report(INTERVAL, round(out), round(sent), count, lost, way)))
        while reports and reports[0][0] <= time:
            rate.report(time, reports.popleft()[1])
        if time > ignored:
            carried, possible, dropped = carried + out, possible + speed * INTERVAL, dropped + over
            waits.append(queue / speed)
        time += INTERVAL
    return Outcome(carried / possible, sum(waits) / len(waits), dropped / possible, rate)


@pytest.mark.parametrize("mbit", [1, 10, 20, 100, 1000, 8000])
@pytest.mark.parametrize("delay", [0.005, 0.1])
def test_nearly_all_of_it_is_used_and_the_queue_stays_short(mbit: int, delay: float) -> None:
    outcome = simulate(lambda _: mbit * MBIT, delay=delay)
    assert outcome.used > 0.97
    assert outcome.queue < 0.02
    assert outcome.dropped < 0.001


def test_random_loss_is_no_full_path() -> None:
    outcome = simulate(lambda _: 100 * MBIT, loss=0.05)
    assert outcome.used > 0.93
    assert outcome.queue < 0.01


def test_jitter_is_no_queue() -> None:
    assert simulate(lambda _: 100 * MBIT, jitter=0.005).used > 0.97


def test_a_small_buffer_loses_little() -> None:
    outcome = simulate(lambda _: 100 * MBIT, room=0.02)
    assert outcome.used > 0.97
    assert outcome.dropped < 0.005


def test_a_policer_without_a_queue_is_found_by_its_loss() -> None:
    outcome = simulate(lambda _: 50 * MBIT, room=0.0)
    assert outcome.used > 0.93
    assert outcome.dropped < 0.02


def test_it_follows_a_capacity_that_changes() -> None:
    outcome = simulate(lambda time: (100 if int(time / 5) % 2 == 0 else 40) * MBIT, seconds=40)
    assert outcome.used > 0.9
    assert outcome.queue < 0.02
    assert outcome.dropped < 0.03


def test_a_path_with_little_traffic_learns_nothing_wrong() -> None:
    outcome = simulate(lambda _: 100 * MBIT, wanted=1 * MBIT)
    assert outcome.rate.rate >= FIRST
    assert outcome.rate.capacity is None


def test_a_cap_holds() -> None:
    outcome = simulate(lambda _: 100 * MBIT, cap=30 * MBIT)
    assert outcome.rate.rate == 30 * MBIT
    assert outcome.queue == 0


def test_a_path_that_carries_nothing_is_still_tried() -> None:
    rate = Rate()
    for step in range(200):
        sent = round(rate.rate * INTERVAL)
        rate.report(step * INTERVAL, Report(INTERVAL, 0, sent, sent // SIZE, sent // SIZE, 0.5 + step * 0.01))
    assert rate.rate == LEAST
