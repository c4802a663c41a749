# SPDX-License-Identifier: GPL-2.0-or-later
"""Delivery in order, by flow, whatever order and loss the paths make of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from netpath.bond import reorder
from netpath.bond.dataframes import NUMBERS, ORDERS
from netpath.bond.reorder import Reorder

Item = tuple[int, int]
"""(flow, position in it)."""


def started(order: int, timeout: float = 1.0) -> Reorder[Item]:
    """One whose flows are all at `order`."""
    made: Reorder[Item] = Reorder(timeout)
    made.next = [order] * len(made.next)
    return made


def flat(runs: Sequence[Sequence[Item]]) -> list[Item]:
    return [item for run in runs for item in run]


@given(st.data(), st.sampled_from([0, ORDERS - 3]), st.sampled_from([0, NUMBERS - 5]))
def test_flows_come_in_order_and_nothing_is_lost_or_doubled(data: st.DataObject, base: int, origin: int) -> None:
    flows = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=40))
    counts = [0, 0, 0]
    sent = []
    for number, flow in enumerate(flows):
        sent.append((flow, (base + counts[flow]) % ORDERS, (origin + number) % NUMBERS, (flow, counts[flow])))
        counts[flow] += 1
    lost = set(data.draw(st.lists(st.integers(0, len(sent) - 1), max_size=10)))
    arriving = data.draw(st.permutations([frame for n, frame in enumerate(sent) if n not in lost]))
    box, got = started(base), list[Item]()
    now = 0.0
    while arriving:
        flow, order, number, _ = arriving[0]
        run = data.draw(st.integers(1, 5))
        # What was sent one after another, and not more of it than really arrives.
        frames = [
            sent[at][3]
            for at in range(sent.index(arriving[0]), len(sent))
            if sent[at] in arriving and sent[at][0] == flow
        ]
        here = [item for n, item in enumerate(frames[:run]) if item == (flow, frames[0][1] + n)]
        arriving = [each for each in arriving if each[3] not in here]
        got += flat(box.push(flow, order, number, here, now))
        now += 0.01
    held = box.waiting
    assert held == (box.due() is not None)
    got += flat(box.expire(now + 2))
    assert not box.waiting
    assert sorted(got) == sorted(item for n, (*_, item) in enumerate(sent) if n not in lost)
    for flow in range(3):
        mine = [position for f, position in got if f == flow]
        assert mine == sorted(mine)


def test_what_is_missing_is_given_up_when_every_path_is_past_it() -> None:
    box = started(0)
    assert flat(box.push(5, 0, 0, [(5, 0)], 0.0)) == [(5, 0)]
    assert flat(box.push(5, 2, 2, [(5, 2)], 0.0)) == []
    assert flat(box.push(5, 4, 4, [(5, 4)], 0.0)) == []
    assert flat(box.passed(1, 0.0)) == []
    assert flat(box.passed(2, 0.0)) == [(5, 2)]
    assert flat(box.passed(3, 0.0)) == []
    assert flat(box.passed(4, 0.0)) == [(5, 4)]
    assert box.given_up == 2


def test_what_was_given_up_is_delivered_when_it_comes_after_all() -> None:
    box = started(0)
    box.push(1, 1, 1, [(1, 1)], 0.0)
    assert flat(box.expire(0.5)) == []
    assert flat(box.expire(1.0)) == [(1, 1)]
    assert flat(box.push(1, 0, 0, [(1, 0)], 1.1)) == [(1, 0)]
    assert box.late == 1


def test_a_loose_frame_does_not_wait_and_is_not_waited_for() -> None:
    box = started(0)
    assert flat(box.push(1, 1, 1, [(1, 1)], 0.0, loose=True)) == [(1, 1)]
    assert flat(box.push(1, 2, 2, [(1, 2)], 0.0)) == []
    assert flat(box.push(1, 0, 0, [(1, 0)], 0.0)) == [(1, 0), (1, 2)]
    assert not box.waiting


def test_another_flow_does_not_wait() -> None:
    box = started(0)
    box.push(1, 1, 0, [(1, 1)], 0.0)
    assert flat(box.push(2, 0, 1, [(2, 0)], 0.0)) == [(2, 0)]


def test_a_flow_that_waits_for_too_much_goes_on() -> None:
    box = started(0)
    got = [flat(box.push(1, order, order, [(1, order)], 0.0)) for order in range(1, reorder.MOST_WAITING + 2)]
    assert sum(map(len, got)) == reorder.MOST_WAITING + 1
    assert not box.waiting


def test_a_sender_that_begins_anew() -> None:
    box = started(700)
    box.push(1, 702, 9, [(1, 702)], 0.0)
    assert flat(box.reset()) == [(1, 702)]
    assert flat(box.push(1, 0, 0, [(1, 0)], 0.0)) == [(1, 0)]


def test_runs_that_overlap_are_delivered_once() -> None:
    """Some of it was sent again, by another path."""
    box = started(0)
    run = [(1, n) for n in range(2, 8)]
    assert flat(box.push(1, 2, 2, run, 0.0)) == []
    assert flat(box.push(1, 4, 4, [(1, 4)], 0.0)) == []
    assert flat(box.push(1, 7, 7, [(1, n) for n in range(7, 10)], 0.0)) == []
    assert flat(box.push(1, 0, 0, [(1, n) for n in range(4)], 0.0)) == [(1, n) for n in range(10)]
    assert not box.waiting


def test_a_run_that_begins_too_late_goes_on_in_order() -> None:
    box = started(3)
    box.push(1, 5, 5, [(1, 5)], 0.0)
    assert flat(box.expire(9.0)) == [(1, 5)]
    assert flat(box.push(1, 3, 3, [(1, n) for n in range(3, 7)], 9.0)) == [(1, 3), (1, 4), (1, 6)]
    assert (box.late, box.copies) == (2, 1)
    assert flat(box.push(1, 7, 7, [(1, 7)], 9.0)) == [(1, 7)]


def test_the_longer_of_two_runs_that_begin_alike_counts() -> None:
    box = started(0)
    for length in (2, 5, 3):
        assert flat(box.push(1, 1, 1, [(1, n) for n in range(1, 1 + length)], 0.0)) == []
    assert flat(box.push(1, 0, 0, [(1, 0)], 0.0)) == [(1, n) for n in range(6)]
    assert not box.waiting


def test_what_is_lost_and_sent_again_is_given_up_later_each_from_when_it_was_known() -> None:
    box = started(0)
    box.grace = 0.1
    box.push(1, 2, 2, [(1, 2)], 0.0)
    box.push(1, 6, 6, [(1, 6)], 0.0)
    assert flat(box.passed(2, 0.0)) == []
    assert flat(box.passed(7, 0.05)) == []
    assert flat(box.push(1, 4, 4, [(1, 4)], 0.06)) == []
    assert flat(box.passed(7, 0.09)) == []
    assert flat(box.push(1, 0, 0, [(1, 0), (1, 1)], 0.09)) == [(1, 0), (1, 1), (1, 2)]
    assert flat(box.passed(7, 0.14)) == []
    assert flat(box.passed(7, 0.16)) == [(1, 4), (1, 6)]
    assert (box.given_up, box.waiting) == (2, False)


def test_what_was_here_before_is_not_delivered_again() -> None:
    box = started(ORDERS - 2)
    first = [(1, n) for n in range(5)]
    assert flat(box.push(1, ORDERS - 2, 0, first, 0.0)) == first
    assert flat(box.push(1, ORDERS - 2, 0, first, 0.0)) == []
    assert flat(box.push(1, 0, 2, [(1, 2)], 0.0)) == []
    assert flat(box.push(1, 5, 7, [(1, 7)], 0.0)) == []
    assert flat(box.push(1, 5, 7, [(1, 7)], 0.0)) == []
    assert flat(box.push(1, 5, 7, [(1, 7)], 0.0, loose=True)) == []
    assert box.copies == 8
    assert flat(box.expire(9.0)) == [(1, 7)]
    assert flat(box.push(1, 3, 5, [(1, 5), (1, 6)], 9.0)) == [(1, 5), (1, 6)], "it was given up"
    assert flat(box.push(1, 3, 5, [(1, 5), (1, 6)], 9.0)) == []


def test_what_is_remembered_as_given_up_is_bounded() -> None:
    box = started(0)
    for n in range(100):
        assert flat(box.push(1, n * 400 + 399, n * 400 + 399, [(1, n)], 0.0)) == []
        assert flat(box.expire(9.0)) == [(1, n)]
    assert reorder.REMEMBERED / 2 <= len(box._given_up) <= reorder.REMEMBERED
    assert flat(box.push(1, 0, 0, [(1, 0)], 9.0)) == []
    assert flat(box.push(1, 39_998, 39_998, [(1, 0)], 9.0)) == [(1, 0)]
