# SPDX-License-Identifier: GPL-2.0-or-later
"""Which datagram goes by which path, by a clock of the test's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.schedule import AHEAD, Scheduler, Way
from netpath.bonding import BondMode

SIZE = 1500
MBIT = 125_000.0


@dataclass
class Carrier:
    number: int
    speed: float
    way: float = 0.01
    loss: float = 0.0
    uplink: str = ""


def run(scheduler: Scheduler, seconds: float, count: int = 40) -> Counter[int]:
    """Datagrams by path while there is always something to send and the scheduler is obeyed."""
    now, sent = 0.0, Counter[int]()
    while now < seconds:
        opens = scheduler.opens()
        assert opens is not None
        now = max(now + 1e-4, opens)
        for path, many in scheduler.split(count, SIZE, now):
            sent[path] += many
    return sent


@pytest.mark.parametrize("speeds", [(100, 100), (100, 20), (100, 100, 100, 100, 100), (1000, 10)])
def test_each_path_carries_what_it_can(speeds: tuple[int, ...]) -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(n, speed * MBIT) for n, speed in enumerate(speeds)])
    sent = run(scheduler, 5.0)
    for number, speed in enumerate(speeds):
        assert sent[number] * SIZE == pytest.approx(5.0 * speed * MBIT, rel=0.03)


def test_little_traffic_goes_by_the_best_path() -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(0, 100 * MBIT, way=0.04), Carrier(1, 20 * MBIT, way=0.01)])
    sent = Counter(scheduler.split(1, SIZE, n * 0.01)[0][0] for n in range(100))
    assert sent == {1: 100}


def test_packets_that_follow_each_other_stay_together_on_fast_paths() -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(0, 1000 * MBIT), Carrier(1, 1000 * MBIT)])
    ways = [path for _ in range(12) for path, _ in scheduler.split(46, SIZE, 0.0)]
    changes = sum(a != b for a, b in pairwise(ways))
    assert set(ways) == {0, 1} and changes <= len(ways) // 2


def test_a_path_that_is_better_by_far_is_taken_at_once() -> None:
    scheduler = Scheduler(rtt_weight=1.0)
    near, far = Carrier(0, 100 * MBIT, way=0.001), Carrier(1, 100 * MBIT, way=0.015)
    scheduler.use([far])
    assert scheduler.split(1, SIZE, 0.0) == [(1, 1)]
    scheduler.use([far, near])
    assert scheduler.split(1, SIZE, 0.0) == [(0, 1)]


def test_nothing_is_taken_while_every_path_is_ahead() -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(0, 10 * MBIT), Carrier(1, 10 * MBIT)])
    scheduler.split(40, SIZE, 0.0)
    opens = scheduler.opens()
    assert opens is not None
    assert opens == pytest.approx(20 * SIZE / (10 * MBIT) - AHEAD, rel=0.1)


@given(
    st.lists(st.tuples(st.floats(0.1, 1000), st.floats(0.001, 0.5), st.floats(0, 1)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(1, 200), st.floats(0, 0.05)), max_size=30),
    st.sampled_from(list(BondMode)),
)
def test_all_is_sent_once_or_by_each_of_the_copies(
    paths: list[tuple[float, float, float]], packets: list[tuple[int, float]], mode: BondMode
) -> None:
    scheduler = Scheduler(mode, copies=2)
    scheduler.use([Carrier(n, speed * MBIT, way, loss) for n, (speed, way, loss) in enumerate(paths)])
    now = 0.0
    for count, wait in packets:
        now += wait
        found = scheduler.split(count, SIZE, now)
        assert all(many > 0 for _, many in found)
        if mode is BondMode.REDUNDANT:
            assert [many for _, many in found] == [count] * min(2, len(paths))
            assert len({path for path, _ in found}) == len(found)
        else:
            assert sum(many for _, many in found) == count


def test_low_latency_takes_the_path_that_is_first_now() -> None:
    scheduler = Scheduler(BondMode.LOW_LATENCY)
    scheduler.use([Carrier(0, 100 * MBIT, way=0.02), Carrier(1, 100 * MBIT, way=0.005)])
    assert scheduler.split(40, SIZE, 0.0) == [(1, 40)]


def test_loss_makes_a_path_the_worse_choice() -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(0, 100 * MBIT, loss=0.3), Carrier(1, 100 * MBIT)])
    assert scheduler.split(1, SIZE, 0.0) == [(1, 1)]


def test_a_far_path_is_left_out_while_others_work() -> None:
    scheduler = Scheduler()
    near, far = Carrier(0, 10 * MBIT, way=0.02), Carrier(2, 10 * MBIT, way=0.3)
    scheduler.use([near, Carrier(1, 10 * MBIT, way=0.02), far])
    assert run(scheduler, 1.0)[2] == 0
    scheduler.use([far])
    assert scheduler.split(3, SIZE, 10.0) == [(2, 3)]


def test_repairs_go_by_another_path_where_there_is_one() -> None:
    scheduler = Scheduler()
    scheduler.use([Carrier(0, 100 * MBIT), Carrier(1, MBIT)])
    assert scheduler.other(0, SIZE, 0.0) == 1
    scheduler.use([Carrier(0, 100 * MBIT)])
    assert scheduler.other(0, SIZE, 0.0) == 0
    scheduler.use([])
    assert scheduler.other(0, SIZE, 0.0) is None
    assert scheduler.opens() is None


def test_a_path_that_stays_keeps_what_it_has_still_to_send() -> None:
    scheduler = Scheduler()
    carrier = Carrier(0, MBIT)
    scheduler.use([carrier])
    scheduler.split(40, SIZE, 0.0)
    before = scheduler.opens()
    scheduler.use([carrier, Carrier(1, MBIT)])
    scheduler.use([carrier])
    assert scheduler.opens() == before


def test_copies_go_by_different_uplinks_first() -> None:
    scheduler = Scheduler(BondMode.AGGREGATE, copies=2)
    carriers = [
        Carrier(0, 100 * MBIT, uplink="a"),
        Carrier(1, 100 * MBIT, uplink="a"),
        Carrier(2, MBIT, 0.4, uplink="b"),
    ]
    scheduler.use(carriers)
    twice, thrice = Way(BondMode.REDUNDANT, 2), Way(BondMode.REDUNDANT, 3)
    assert {path for path, _ in scheduler.split(1, SIZE, 0.0, twice)} == {0, 2}, "also by one that is far"
    assert {path for path, _ in scheduler.split(1, SIZE, 0.0, thrice)} == {0, 1, 2}
    assert {path for path, _ in scheduler.split(1, SIZE, 0.0)} <= {0, 1}, "other packets go as ever"
