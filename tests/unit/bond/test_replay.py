# SPDX-License-Identifier: GPL-2.0-or-later
"""Each counter once, against a model that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netpath.bond import replay
from netpath.bond.replay import MISSING, WINDOW, OnceOnly, ReplayWindow

near = st.integers(0, 40)
anywhere = st.one_of(near, st.integers(0, 3 * WINDOW), st.integers(0, (1 << 48) - 1))


STEPS = 40
little_loss = st.one_of(
    st.tuples(st.just("row"), st.integers(1, WINDOW // 4)),
    st.tuples(st.just("ahead"), st.integers(-WINDOW - 5, MISSING // STEPS)),
    st.tuples(st.just("ahead"), st.integers(-WINDOW - 5, -WINDOW + 5)),
)
"""So many in order, or one that is so much ahead of the highest: never more than MISSING are missing."""


@given(st.lists(little_loss, max_size=STEPS))
def test_every_counter_is_accepted_once_and_none_that_is_too_old(steps: list[tuple[str, int]]) -> None:
    window, known = ReplayWindow(), set[int]()
    for kind, number in steps:
        highest = window.highest
        if kind == "row":
            row = range(highest + 1, highest + 1 + number)
            assert all(window.enter(counter) for counter in row)
            known.update(row)
            continue
        counter = max(highest + number, 0)
        expected = counter not in known and counter > highest - WINDOW
        assert window.fresh(counter) == expected
        assert window.enter(counter) == expected
        if expected:
            known.add(counter)
        assert not window.fresh(counter)
        assert window.highest == max(known)


def test_the_window_ends_to_the_counter() -> None:
    for behind, still in ((WINDOW - 1, True), (WINDOW, False)):
        window = ReplayWindow()
        for counter in range(1, behind + 1):  # 0 is missing
            assert window.enter(counter)
        assert window.fresh(0) == still
        assert window.enter(0) == still


def test_what_is_missing_is_bounded_whatever_comes() -> None:
    window = ReplayWindow()
    for counter in range(0, 10 * WINDOW, 3):
        assert window.enter(counter)
        assert len(window._missing) <= MISSING
    assert window.fresh(window.highest - MISSING // 2)
    assert not window.fresh(window.highest - WINDOW // 2), "taken for seen"
    assert replay.WINDOW == 8192


@given(st.lists(st.one_of(anywhere, st.tuples(st.just("ahead"), st.integers(-WINDOW, 3 * MISSING))), max_size=80))
def test_a_short_memory_takes_for_seen_what_it_has_forgotten(steps: list[int | tuple[str, int]]) -> None:
    window, known = ReplayWindow(), set[int]()
    for step in steps:
        counter = max(window.highest + step[1], 0) if isinstance(step, tuple) else step
        fresh = window.fresh(counter)
        assert window.enter(counter) == fresh
        assert not (fresh and counter in known)
        if not known or counter > max(known):
            assert fresh
        known.add(counter)


def test_a_jump_of_the_counter_costs_little_memory() -> None:
    window = ReplayWindow()
    for jump in range(0, 1 << 40, 1 << 32):
        assert window.enter(jump)
        assert len(window._missing) <= MISSING
    assert window.fresh(window.highest - MISSING // 2)
    assert window.highest == (1 << 40) - (1 << 32)


def test_losses_as_they_are_leave_the_window_as_long_as_it_is() -> None:
    window = ReplayWindow()
    for counter in range(100_000):
        if counter % 20:
            assert window.enter(counter)
    assert window.fresh((100_000 - WINDOW) // 20 * 20 + 20)


@given(st.lists(st.one_of(st.integers(0, 40), st.integers(0, 3000), st.integers(0, (1 << 64) - 1)), max_size=60))
def test_a_handshake_counts_once_and_none_that_is_too_old(sequences: list[int]) -> None:
    once, known = OnceOnly(), set[int]()
    for sequence in sequences:
        expected = sequence not in known and sequence > max(known, default=-1) - OnceOnly.WINDOW
        assert once.enter(sequence) == expected
        if expected:
            known.add(sequence)
