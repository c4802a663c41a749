# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits for its like: all of it goes, in order, in loads that one send takes, repairs after their data."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.loads import Load, Loads, at_once
from netpath.bond.wire import HEAD, TAG

rows = st.tuples(st.booleans(), st.integers(0, 1), st.sampled_from([80, 1400]), st.integers(1, 100))


@given(st.lists(rows, max_size=30), st.integers(0, 5))
def test_everything_goes_once_and_in_order(rows: Sequence[tuple[bool, int, int, int]], every: int) -> None:
    loads, sent, number = Loads(), list[Load](), 0
    given_data, given_repairs = list[tuple[int, bytes]](), list[tuple[int, bytes]]()
    for n, (repairs, path, size, count) in enumerate(rows):
        frames = [(number + k).to_bytes(size, "big") for k in range(count)]
        number += count
        (given_repairs if repairs else given_data).extend((path, frame) for frame in frames)
        found = loads.repair(path, frames) if repairs else loads.add(path, frames)
        for at, load in enumerate(found):
            if load.repairs:
                gone = sum(len(each.frames) for each in (*sent, *found[:at]) if not each.repairs)
                assert gone == len(given_data), "repairs have overtaken data"
        sent += found
        if every and n % every == 0:
            sent += loads.rest()
    sent += loads.rest()
    assert not loads.rest()
    data = [(load.path, frame) for load in sent if not load.repairs for frame in load.frames]
    assert data == given_data
    repairs_sent = [(load.path, frame) for load in sent if load.repairs for frame in load.frames]
    assert sorted(repairs_sent) == sorted(given_repairs)
    for load in sent:
        assert len({len(frame) for frame in load.frames}) == 1
        if not load.repairs:
            assert len(load.frames) <= at_once(HEAD + len(load.frames[0]) + TAG)


def test_rows_go_on_in_the_same_load() -> None:
    loads, most = Loads(), at_once(HEAD + 1400 + TAG)
    rows = [[bytes([n, k]) * 700 for k in range(most - 5)] for n in range(3)]
    found = [load for row in rows for load in loads.add(0, list(row))]
    assert [len(load.frames) for load in found] == [most, most]
    assert [len(load.frames) for load in loads.rest()] == [most - 15]


def test_the_kinds_of_repairs_that_wait_are_few() -> None:
    loads = Loads()
    found = [loads.repair(n, [bytes(100)]) for n in range(9)]
    assert [len(each) for each in found] == [0] * 8 + [9]
