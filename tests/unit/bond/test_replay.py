# SPDX-License-Identifier: GPL-2.0-or-later
"""Each counter once, against a model that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netpath.bond import replay
from netpath.bond.replay import WINDOW, ReplayWindow

near = st.integers(0, 40)
anywhere = st.one_of(near, st.integers(0, 3 * WINDOW), st.integers(0, (1 << 48) - 1))


@given(st.lists(st.one_of(anywhere, st.tuples(st.just("ahead"), st.integers(-WINDOW - 5, 5 * WINDOW))), max_size=60))
def test_every_counter_is_accepted_once_and_none_that_is_too_old(steps: list[int | tuple[str, int]]) -> None:
    window, known = ReplayWindow(), set[int]()
    for step in steps:
        counter = max(window.highest + step[1], 0) if isinstance(step, tuple) else step
        highest = max(known, default=-1)
        expected = counter not in known and (counter > highest - WINDOW)
        assert window.fresh(counter) == expected
        assert window.enter(counter) == expected
        if expected:
            known.add(counter)
        assert not window.fresh(counter)
        assert window.highest == max(known, default=-1)


def test_what_is_missing_is_bounded_whatever_comes() -> None:
    window = ReplayWindow()
    for counter in range(0, 100 * WINDOW, 3):
        assert window.enter(counter)
    assert len(window._missing) <= 2 * WINDOW
    jump = window.highest + (1 << 40)
    assert window.enter(jump)
    assert len(window._missing) <= 2 * WINDOW
    assert window.fresh(jump - WINDOW + 1)
    assert not window.fresh(jump - WINDOW)
    assert replay.WINDOW == 8192
