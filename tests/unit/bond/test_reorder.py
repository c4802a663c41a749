# SPDX-License-Identifier: GPL-2.0-or-later
"""Delivery in order, by flow, whatever order and loss the paths make of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from netpath.bond import reorder
from netpath.bond.dataframes import NUMBERS, ORDERS
from netpath.bond.reorder import MOST_MISSING, Reorder

Item = tuple[int, int]
"""(flow, position in it)."""


def started(order: int, timeout: float = 1.0) -> Reorder[Item]:
    """One whose flows are all at `order`."""
    made: Reorder[Item] = Reorder(timeout)
    made.next = [order] * len(made.next)
    return made


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
    for flow, order, number, item in arriving:
        got += box.push(flow, order, number, item, now)
        now += 0.01
    held = box.waiting
    assert held == (box.due() is not None)
    got += box.expire(now + 2)
    assert not box.waiting
    assert sorted(got) == sorted(item for *_, item in arriving)
    for flow in range(3):
        mine = [position for f, position in got if f == flow]
        assert mine == sorted(mine)


def test_what_is_missing_is_given_up_when_every_path_is_past_it() -> None:
    box = started(0)
    assert box.push(5, 0, 0, (5, 0), 0.0) == ((5, 0),)
    assert list(box.push(5, 2, 2, (5, 2), 0.0)) == []
    assert list(box.push(5, 4, 4, (5, 4), 0.0)) == []
    assert list(box.passed(1)) == []
    assert list(box.passed(2)) == [(5, 2)]
    assert list(box.passed(3)) == []
    assert list(box.passed(4)) == [(5, 4)]
    assert box.given_up == 2


def test_what_was_given_up_is_delivered_when_it_comes_after_all() -> None:
    box = started(0)
    box.push(1, 1, 1, (1, 1), 0.0)
    assert list(box.expire(0.5)) == []
    assert list(box.expire(1.0)) == [(1, 1)]
    assert list(box.push(1, 0, 0, (1, 0), 1.1)) == [(1, 0)]
    assert box.late == 1


def test_a_loose_frame_does_not_wait_and_is_not_waited_for() -> None:
    box = started(0)
    assert list(box.push(1, 1, 1, (1, 1), 0.0, loose=True)) == [(1, 1)]
    assert list(box.push(1, 2, 2, (1, 2), 0.0)) == []
    assert list(box.push(1, 0, 0, (1, 0), 0.0)) == [(1, 0), (1, 2)]
    assert not box.waiting


def test_another_flow_does_not_wait() -> None:
    box = started(0)
    box.push(1, 1, 0, (1, 1), 0.0)
    assert list(box.push(2, 0, 1, (2, 0), 0.0)) == [(2, 0)]


def test_a_flow_that_waits_for_too_much_goes_on() -> None:
    box = started(0)
    got: list[Sequence[Item]] = [
        box.push(1, order, order, (1, order), 0.0) for order in range(1, reorder.MOST_WAITING + 2)
    ]
    assert sum(map(len, got)) == reorder.MOST_WAITING + 1
    assert not box.waiting


def test_a_sender_that_begins_anew() -> None:
    box = started(700)
    box.push(1, 702, 9, (1, 702), 0.0)
    assert list(box.reset()) == [(1, 702)]
    assert list(box.push(1, 0, 0, (1, 0), 0.0)) == [(1, 0)]


def test_what_comes_again_is_dropped_and_what_was_given_up_is_not() -> None:
    reorder: Reorder[str] = Reorder(0.1)
    assert list(reorder.push(1, 0, 0, "a", 0.0)) == ["a"]
    assert list(reorder.push(1, 0, 0, "a", 0.0)) == [], "delivered already"
    assert list(reorder.push(1, 2, 2, "c", 0.0)) == []
    assert list(reorder.push(1, 2, 2, "c", 0.0)) == [], "waits already"
    assert list(reorder.push(1, 3, 3, "d", 0.0, loose=True)) == ["d"]
    assert list(reorder.push(1, 3, 3, "d", 0.0, loose=True)) == []
    assert list(reorder.expire(1.0)) == ["c"]
    assert list(reorder.push(1, 1, 1, "b", 1.0)) == ["b"], "late, but it never came"
    assert list(reorder.push(1, 1, 1, "b", 1.0)) == []
    assert (reorder.late, reorder.repeated) == (1, 4)


def test_no_more_of_what_is_missing_is_kept_than_needed() -> None:
    reorder: Reorder[int] = Reorder(0.1)
    for number in range(40):
        reorder.push(number, 1 << 20, number, number, 0.0)
    reorder.expire(1.0)
    assert len(reorder._missing) <= MOST_MISSING
    assert list(reorder.push(39, (1 << 20) - 1, 7, 7, 1.0)) == [7], "the newest ones are known"
