# SPDX-License-Identifier: GPL-2.0-or-later
"""Speeds from counters of devices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor.rates import LEAST_SPAN, Rates, one_each, together
from netpath.monitor.readings import Wan


def test_up_is_what_was_sent() -> None:
    rates = Rates()
    assert rates.update({"eth1": (1000, 50)}, 10.0) is None, "one reading is no speed"
    assert rates.update({"eth1": (3000, 150)}, 12.0) == {"eth1": (50, 1000)}


def test_after_a_gap_it_is_the_mean() -> None:
    rates = Rates()
    rates.update({"eth1": (0, 0)}, 10.0)
    assert rates.update({"eth1": (360_000, 3600)}, 3610.0) == {"eth1": (1, 100)}


def test_a_device_made_anew_has_no_speed_until_its_next_reading() -> None:
    rates = Rates()
    rates.update({"ppp0": (10**12, 10**11), "eth1": (0, 0)}, 0.0)
    assert rates.update({"ppp0": (500, 40), "eth1": (7, 8)}, 1.0) == {"eth1": (8, 7)}
    assert rates.update({"ppp0": (1500, 140), "eth1": (7, 8)}, 2.0) == {"ppp0": (100, 1000), "eth1": (0, 0)}


def test_a_device_that_was_away_begins_anew() -> None:
    rates = Rates()
    rates.update({"eth1": (0, 0), "eth2": (0, 0)}, 0.0)
    assert rates.update({"eth1": (1, 1)}, 1.0) == {"eth1": (1, 1)}
    assert rates.update({"eth1": (1, 1), "eth2": (10**12, 0)}, 2.0) == {"eth1": (0, 0)}


def test_counters_of_32_bits_wrap() -> None:
    rates = Rates()
    rates.update({"eth1": (2**32 - 100, 7)}, 0.0)
    assert rates.update({"eth1": (900, 7)}, 1.0) == {"eth1": (0, 1000)}


def test_a_new_device_is_not_taken_for_a_wrap() -> None:
    rates = Rates()
    rates.update({"ppp0": (2**31, 0)}, 0.0)
    assert rates.update({"ppp0": (900, 0)}, 1.0) is None


def test_a_clock_that_stands_or_steps_back_is_passed_over() -> None:
    rates = Rates()
    rates.update({"eth1": (0, 0)}, 10.0)
    assert rates.update({"eth1": (10**9, 0)}, 10.0) is None
    assert rates.update({"eth1": (10**9, 0)}, 3.0) is None
    assert rates.update({"eth1": (10**9, 0)}, 11.0) == {"eth1": (0, 10**9)}, "and its bytes are not lost"


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 5)), min_size=1, max_size=30))
def test_speed_by_time_is_what_the_counter_grew_by(steps: list[tuple[int, float]]) -> None:
    rates, counter, now, last = Rates(), 0, 0.0, 0.0
    rates.update({"eth1": (0, 0)}, now)
    carried, reported = 0, 0.0
    for grown, wait in steps:
        counter, now = counter + grown, now + wait
        speeds = rates.update({"eth1": (counter, 0)}, now)
        assert (speeds is None) == (now < last + LEAST_SPAN)
        if speeds is not None:
            reported += speeds["eth1"][1] * (now - last)
            carried, last = counter, now
    assert abs(reported - carried) <= now


def test_interfaces_of_one_device_are_counted_once() -> None:
    devices = {"wan": "eth1", "wan6": "eth1", "lte": "wwan0", "odd": "", "odder": ""}
    assert one_each(devices) == ["wan", "lte", "odd", "odder"]
    assert together({"wan": (1, 10), "lte": (2, 20)}) == Wan(3, 30, {"wan": (1, 10), "lte": (2, 20)})
