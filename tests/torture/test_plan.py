# SPDX-License-Identifier: GPL-2.0-or-later
"""A seed is a plan that can be had again; every kind of fault can be drawn."""

from __future__ import annotations

import itertools

from tests.torture.faults import FAULTS
from tests.torture.plan import CHECK_EVERY, KINDS, LINK, make, select


def test_a_seed_gives_the_same_steps_again_and_a_longer_plan_begins_with_the_shorter() -> None:
    assert make(7, 30) == make(7, 30)
    assert make(7, 30)[:12] == make(7, 12)
    assert make(7, 30) != make(8, 30)


def test_every_fault_has_its_function_and_comes_up() -> None:
    assert set(FAULTS) == set(KINDS)
    assert {step.kind for seed in range(20) for step in make(seed, 30)} == set(KINDS)


def test_one_thing_at_a_time_happens_to_a_device() -> None:
    for seed in range(50):
        for one, other in itertools.combinations((s for s in make(seed, 30) if s.kind in LINK), 2):
            checked = (one.number - 1) // CHECK_EVERY != (other.number - 1) // CHECK_EVERY
            assert one.target != other.target or checked or one.number + one.lasts < other.number, (seed, one, other)


def test_steps_are_chosen_by_their_numbers() -> None:
    assert [step.number for step in select(make(1, 10), (3, 7))] == [3, 7]
    assert select(make(1, 10), ()) == make(1, 10)
