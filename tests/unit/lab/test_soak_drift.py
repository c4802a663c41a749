# SPDX-License-Identifier: GPL-2.0-or-later
"""What samples of a soak are taken to mean."""

from __future__ import annotations

import random

import pytest

from netpath.lab.soak.drift import HOUR, Judged, Quantity, Sample, Verdict, rendered, table, trend, verdict
from netpath.lab.soak.nftcount import count

FILES = Quantity("tracker descriptors", "", Judged.NO_MORE)
RULES = Quantity("ip rules", "", Judged.EQUAL)
MEMORY = Quantity("tracker RSS", "KiB", Judged.SLOPE, 64.0)
BUSY = Quantity("tracker CPU", "%", Judged.NOT)
EVERY = 30.0
SHORT = "slopes are judged only in runs of an hour or more"


def samples(quantity: Quantity, values: list[float], *, between: float | None = None) -> list[Sample]:
    """Calm ones, `EVERY` seconds apart; with `between` one that is not calm after each."""
    found = []
    for i, value in enumerate(values):
        found.append(Sample(i * EVERY, True, {quantity.name: value}))
        if between is not None:
            found.append(Sample(i * EVERY + 10, False, {quantity.name: between}))
    return found


def judge(quantity: Quantity, values: list[float], lasted: float = HOUR, between: float | None = None) -> Verdict:
    return verdict(table([quantity], samples(quantity, values, between=between), 0.0), lasted, [])


@pytest.mark.parametrize("lasted", [30.0, HOUR])
def test_descriptors_that_rise_are_a_leak_however_short_the_run(lasted: float) -> None:
    told = judge(FILES, [20, 20, 21, 22], lasted)
    assert told.drifts == ("tracker descriptors: 22, 20 at the start",)
    assert told.text.startswith("DRIFT: tracker descriptors: 22, 20 at the start")


def test_what_is_open_while_something_is_broken_is_no_leak() -> None:
    assert judge(FILES, [20, 20, 20], between=40).text == "no drift"


def test_descriptors_that_were_closed_are_no_leak_but_lost_rules_are_a_drift() -> None:
    assert judge(FILES, [20, 18]).drifts == ()
    assert judge(RULES, [38, 37]).drifts == ("ip rules: 37, 38 at the start",)
    assert judge(RULES, [38, 39]).drifts == ("ip rules: 39, 38 at the start",)
    assert judge(RULES, [38, 39, 38]).drifts == ()


def noisy(per_hour: float, count: int = 120) -> list[float]:
    """An hour of memory that goes up and down by 200 KiB."""
    chance = random.Random(1)
    return [24000 + per_hour * i * EVERY / HOUR + chance.uniform(-100, 100) for i in range(count)]


def test_memory_that_rises_beyond_its_noise_is_told_but_is_no_proof() -> None:
    told = judge(MEMORY, noisy(500))
    assert told.drifts == ()
    assert told.text.startswith("no drift (but: tracker RSS rises by ")


def test_memory_that_only_goes_up_and_down_is_level() -> None:
    assert judge(MEMORY, noisy(0)).text == "no drift"
    assert judge(MEMORY, noisy(50)).text == "no drift", "below what is allowed"


def test_a_short_run_says_nothing_of_memory() -> None:
    assert judge(MEMORY, noisy(5000, 20), lasted=600.0).text == f"no drift (but: {SHORT})"


def test_what_others_make_is_shown_and_not_judged() -> None:
    assert judge(BUSY, [100.0 * i for i in range(120)]).text == "no drift"


def test_a_state_that_stayed_wrong_is_the_first_thing_said() -> None:
    rows = table([FILES], samples(FILES, [20, 21]), 0.0)
    told = verdict(rows, 60.0, ["90 s after cut fibre: fibre is offline"])
    assert told.text.startswith("DRIFT: 90 s after cut fibre: fibre is offline; tracker descriptors: 21")


def test_too_short_a_run_does_not_claim_that_all_is_well() -> None:
    assert "before there were two calm samples" in verdict([], 3.0, []).text


def test_the_warm_up_is_left_out() -> None:
    found = samples(FILES, [10, 15, 20, 20, 20], between=12)
    (row,) = table([FILES], found, 2 * EVERY)
    assert (row.first, row.last, row.least, row.most) == (20, 20, 12, 20)
    assert verdict([row], HOUR, []).text == "no drift"
    (row,) = table([FILES], found, 0.0)
    assert (row.first, row.least) == (10, 10)


def test_a_slope_is_that_of_the_line_and_its_error_that_of_the_noise() -> None:
    slope, error = trend([(x / 10, 5 + 3 * x / 10) for x in range(40)])
    assert slope == pytest.approx(3)
    assert error == pytest.approx(0, abs=1e-9)
    chance = random.Random(5)
    slope, error = trend([(x, chance.uniform(-1, 1)) for x in range(12)])
    assert slope is not None and error is not None
    assert abs(slope) < 3 * error < 0.5
    assert trend([(0, 1), (1, 2)]) == (None, None)
    assert trend([(1, 1), (1, 2), (1, 3)]) == (None, None)


def test_a_slope_is_that_of_what_is_held_after_giving_back() -> None:
    """A saw of 1,600 KiB on a level that rises by 100 an hour."""
    found = [(x / 600, 100 * x / 600 + 1600 * (x % 7) / 6) for x in range(600)]
    slope, error = trend(found)
    assert slope == pytest.approx(100, rel=0.1)
    assert error is not None and error < 10


def test_slow_swings_are_noise_and_no_trend() -> None:
    """Neighbours that resemble each other: taken for independent they would make any slope look certain."""
    chance = random.Random(3)
    found, value = [], 0.0
    for x in range(600):
        value = 0.97 * value + chance.gauss(0, 10)
        found.append((x / 600, value))
    slope, error = trend(found)
    assert slope is not None and error is not None
    assert abs(slope) < 3 * error


def test_the_table_shows_every_quantity_and_no_slope_of_some_seconds() -> None:
    lines = [*rendered(table([FILES, MEMORY], samples(FILES, [20, 20]), 0.0))]
    assert lines[0].split() == ["first", "last", "least", "most", "slope", "an", "hour", "judged"]
    assert lines[1].split() == ["tracker", "descriptors", "20", "20", "20", "20", "-", "no", "more"]
    assert len(lines) == 2, "what was never sampled has no line"
    (row,) = table([MEMORY], samples(MEMORY, noisy(500)), 0.0)
    assert row.slope == pytest.approx(500, rel=0.2)
    assert "±" in [*rendered([row])][1]


def test_counting_a_ruleset() -> None:
    document = {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "inet", "name": "netpath"}},
            {"chain": {"name": "a"}},
            {"chain": {"name": "b"}},
            {"rule": {"chain": "a", "expr": []}},
            {"set": {"name": "s", "elem": ["192.0.2.1", "192.0.2.2"]}},
            {"map": {"name": "m", "elem": [["192.0.2.1", {"drop": None}]], "flags": ["interval"]}},
            {"set": {"name": "sticky", "flags": ["timeout", "dynamic"], "elem": [{"elem": {"val": "192.0.2.3"}}]}},
            {"set": {"name": "one_flag", "flags": "timeout"}},
        ]
    }
    wanted = {"tables": 1, "chains": 2, "rules": 1, "sets": 4, "elements": 3, "dynamic elements": 1}
    assert count(document) == wanted
