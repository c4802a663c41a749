# SPDX-License-Identifier: GPL-2.0-or-later
"""How many repairs: enough and no more, soon when something is lost, none on clean links, without flapping."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.bond.fec.adaptive import TARGET, Adaptive, Fixed, needed, policy

BEAT = 0.1


def run(adaptive: Adaptive, seconds: float, paths: dict[int, tuple[int, float]], start: float = 0.0) -> list[int]:
    """Repairs of a full group after each report. `paths`: number -> (datagrams a report, loss)."""
    random = Random(7)
    found = []
    for beat in range(1, round(seconds / BEAT) + 1):
        for path, (sent, loss) in paths.items():
            lost = sum(random.random() < loss for _ in range(sent))
            adaptive.observe(path, sent, lost, start + beat * BEAT)
        found.append(adaptive.repairs(10))
    return found


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 20), st.floats(0.001, 0.3), st.integers(1, 8))
def test_needed_is_the_least_that_meets_the_target(k: int, loss: float, most: int) -> None:
    """By counting every pattern of losses, one block after the other."""

    def beyond(r: int) -> float:
        chances = [1.0]  # of so many lost
        for _ in range(k + r):
            chances = [
                (chances[n] * (1 - loss) if n < len(chances) else 0) + (chances[n - 1] * loss if n else 0)
                for n in range(len(chances) + 1)
            ]
        return sum(chances[r + 1 :])

    r = needed(k, loss, most, TARGET)
    assert r <= most
    assert r == most or beyond(r) <= TARGET * 1.000001
    assert r == 0 or beyond(r - 1) > TARGET * 0.999999


@pytest.mark.parametrize(("loss", "repairs"), [(0.0, 0), (0.002, 1), (0.01, 2), (0.03, 3), (0.05, 3), (0.5, 3)])
def test_repairs_follow_the_loss(loss: float, repairs: int) -> None:
    adaptive = Adaptive()
    assert run(adaptive, 30, {1: (1500, loss)})[-1] == repairs
    assert adaptive.active == (repairs > 0)


def test_loss_is_answered_within_a_second_and_forgotten_slowly() -> None:
    adaptive = Adaptive()
    assert {*run(adaptive, 20, {1: (200, 0.0), 2: (200, 0.0)})} == {0}
    assert run(adaptive, 1, {1: (200, 0.0), 2: (200, 0.04)}, 20)[-1] >= 2
    after = run(adaptive, 120, {1: (200, 0.0), 2: (200, 0.0)}, 21)
    assert after[round(2 / BEAT)] >= 1, "two seconds later"
    assert after == sorted(after, reverse=True)
    assert after[-1] == 0


def test_a_rare_loss_on_a_fast_clean_link_is_an_accident() -> None:
    adaptive = Adaptive()
    run(adaptive, 5, {1: (1500, 0.0)})
    adaptive.observe(1, 1500, 1, 5.1)
    assert adaptive.repairs(10) == 0


def test_a_lost_heartbeat_of_an_idle_bond_is_not_ten_percent() -> None:
    adaptive = Adaptive()
    run(adaptive, 20, {1: (1, 0.0)})
    adaptive.observe(1, 1, 1, 20.1)
    assert adaptive.loss < 0.02


@pytest.mark.parametrize("loss", [0.0005, 0.0011, 0.0053, 0.0105, 0.0178, 0.024])
def test_it_does_not_flap_where_two_numbers_are_near(loss: float) -> None:
    found = run(Adaptive(), 60, {1: (1500, loss)})[200:]
    changes = sum(a != b for a, b in pairwise(found))
    assert changes <= 8, "in 40 s and 400 reports"
    assert max(found) - min(found) <= 1


def test_a_little_less_loss_changes_nothing() -> None:
    adaptive = Adaptive()
    for beat in range(600):
        adaptive.observe(1, 1000, 10 if beat < 300 else 9, beat * BEAT)
        if beat == 299:
            before = adaptive.loss
    assert adaptive.loss == before
    for beat in range(600, 900):
        adaptive.observe(1, 1000, 5, beat * BEAT)
    assert 0.005 < adaptive.loss < 0.007


def test_the_first_losses_of_all_are_no_rate() -> None:
    adaptive = Adaptive()
    adaptive.observe(1, 1, 1, 0.1)
    assert adaptive.loss < 0.06
    adaptive.observe(1, 2, 2, 0.2)
    assert adaptive.loss < 0.2


def test_loss_of_two_paths_is_not_less_than_of_one() -> None:
    adaptive = Adaptive()
    for beat in range(300):
        adaptive.observe(1, 1000, 20, beat * BEAT)
        adaptive.observe(2, 1000, 20, beat * BEAT)
    assert 0.0195 < adaptive.loss < 0.0205


def test_loss_counts_by_the_traffic_that_meets_it() -> None:
    adaptive = Adaptive()
    run(adaptive, 20, {1: (1990, 0.0), 2: (10, 0.1)})
    assert 0.0002 < adaptive.loss < 0.0015
    run(adaptive, 20, {1: (1000, 0.0), 2: (1000, 0.1)}, 20)
    assert 0.04 < adaptive.loss < 0.075


def test_a_path_that_is_gone_asks_for_nothing() -> None:
    adaptive = Adaptive()
    run(adaptive, 5, {1: (500, 0.0), 2: (500, 0.1)})
    adaptive.forget(2)
    run(adaptive, BEAT, {1: (500, 0.0)}, 5)
    assert not adaptive.active
    adaptive.forget(1)
    adaptive.forget(77)


def test_a_path_that_fell_silent_fades() -> None:
    adaptive = Adaptive()
    run(adaptive, 5, {1: (500, 0.0), 2: (500, 0.1)})
    assert adaptive.repairs(10) == 3
    run(adaptive, 6, {1: (500, 0.0)}, 5)
    assert adaptive.repairs(10) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(-9, 200), st.floats(-1, 5)), max_size=30))
def test_nonsense_of_a_peer_does_no_harm(reports: list[tuple[int, int, int, float]]) -> None:
    adaptive, now = Adaptive(), 100.0
    for path, sent, lost, past in reports:
        now += past
        adaptive.observe(path, sent, lost, now)
        assert 0 <= adaptive.loss <= 1.3
        assert all(0 <= adaptive.repairs(k) <= 3 for k in range(1, 11))


def test_short_groups_get_proportionally_more() -> None:
    fixed = Fixed(10, 3)
    numbers = [fixed.repairs(k) for k in range(1, 11)]
    assert numbers[-1] == 3
    assert numbers == sorted(numbers)
    assert all(r / k >= 0.3 for k, r in enumerate(numbers, 1))
    assert numbers[0] < 3
    adaptive = Adaptive(10, 3)
    run(adaptive, 20, {1: (1500, 0.01)})
    assert adaptive.repairs(3) / 3 > adaptive.repairs(10) / 10


@given(st.integers(1, 64), st.integers(0, 8))
def test_fixed_is_fixed(k: int, r: int) -> None:
    fixed = Fixed(k, r)
    assert fixed.repairs(k) == r
    fixed.observe(1, 100, 50, 1.0)
    assert (fixed.repairs(k), fixed.active) == (r, r > 0)
    assert all(min(r, 1) <= fixed.repairs(short) <= r for short in range(1, k))


def test_policies_by_name() -> None:
    off = policy("off")
    assert (off.active, off.repairs(10), off.repairs(1)) == (False, 0, 0)
    assert policy("fixed", 5, 1).repairs(5) == 1
    adaptive = policy("adaptive", 8, 2)
    adaptive.observe(1, 1000, 300, 1.0)
    assert (adaptive.k, adaptive.repairs(8)) == (8, 2)
    with pytest.raises(ValueError, match="'on'; off, fixed or adaptive"):
        policy("on")
    for k, r in ((0, 1), (65, 1), (1, 33), (1, -1)):
        with pytest.raises(ValueError, match="at most"):
            policy("fixed", k, r)
