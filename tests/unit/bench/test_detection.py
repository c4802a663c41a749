# SPDX-License-Identifier: GPL-2.0-or-later
"""The study of detection: peers whose times are known by sums, series that keep to their figures."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean

import pytest

from bench.detection import WARM, calm, outage, outages
from bench.detectionpages import quantile
from bench.detectionpeers import Dpinger, Mwan3
from bench.detectionseries import Link, Series, Shape
from bench.detectiontracker import NetPath

FLAT = Link(base=0.02, jitter=0.0)
"""Every probe is answered after 20 ms."""


class Recorded(Series):
    """A line that loses what is sent within `silent` (from, until), and takes longer from `slow` (when, how long)."""

    def __init__(
        self, *silent: tuple[float, float], rtt: float = 0.02, slow: tuple[float, float] = (math.inf, 0.0)
    ) -> None:
        super().__init__(FLAT, 1)
        self._silent = silent
        self._rtt = rtt
        self._slow = slow

    def rtt(self, target: int, at: float) -> float | None:
        if any(start <= at < end for start, end in self._silent):
            return None
        return self._slow[1] if at >= self._slow[0] else self._rtt


def test_mwan3_with_its_defaults_takes_125_seconds_for_four_dead_targets() -> None:
    """down x (targets x timeout + interval) less half an interval: 5 x (4 x 4 + 10) - 5 on average, as was measured."""
    found = outages(Mwan3(4, 2), FLAT, 40)
    assert mean(found.detected) == pytest.approx(125, abs=0.5)
    assert max(found.detected) - min(found.detected) <= 10.1


@pytest.mark.parametrize(("timeout", "rtt", "downs"), [(1.0, 0.9, 0), (1.0, 1.1, 1)])
def test_mwan3_does_not_wait_beyond_its_timeout(timeout: float, rtt: float, downs: int) -> None:
    assert len(list(Mwan3(timeout=timeout, interval=1.0, down=3).watch(Recorded(rtt=rtt), 100))) == downs


def test_mwan3_comes_back_after_up_good_rounds() -> None:
    changes = list(Mwan3(interval=1.0, timeout=1.0, down=3, up=5).watch(Recorded((10.5, 30.5)), 100))
    assert [usable for _, usable in changes] == [False, True]
    assert changes[0][0] == pytest.approx(11.2 + 3 * 1 + 2 * 1, abs=0.1)  # first lost ping, three timeouts, two sleeps
    assert 34.5 < changes[1][0] < 36.5  # five answers, a second between them


def test_mwan3_asks_only_as_many_targets_as_it_needs() -> None:
    series = Series(FLAT, 1)
    assert not list(Mwan3(4, 2, interval=9.96).watch(series, 100))
    assert series.asked == 2 * 10


def test_dpinger_alarms_when_more_than_a_fifth_of_its_window_is_lost() -> None:
    """Of the 116 probes of a minute that are old enough, the 25th lost one makes 21 %; it must be 2 s old."""
    (at, usable), *_ = Dpinger().watch(Recorded((100.0, 1000.0)), 200)
    assert not usable
    assert 100 + 24 * 0.5 + 2.0 < at <= 100 + 24 * 0.5 + 2.0 + 1.0


def test_dpinger_takes_a_loss_back_when_the_answer_comes_late() -> None:
    """After 5 s each: six probes of the window count as lost at any time, none of them for good."""
    watching = Dpinger(latency=math.inf)
    assert not list(watching.watch(Recorded(slow=(100.0, 5.0)), 300))
    assert list(watching.watch(Recorded(slow=(100.0, 30.0)), 300))


def test_dpinger_alarms_by_delay_and_ends_after_its_hold_time() -> None:
    assert next(Dpinger().watch(Recorded(rtt=0.6), 100))[1] is False
    changes = list(Dpinger().watch(Recorded((100.0, 120.0)), 300))
    assert [usable for _, usable in changes] == [False, True]
    # The losses of 20 s leave the window a minute later; with 24 of 116 left it is 20 %, and 10 s of hold follow.
    assert 120 + 60 - 24 * 0.5 + 10 - 4 < changes[1][0] < 120 + 60 - 24 * 0.5 + 10 + 4


@pytest.mark.parametrize("burst", [0.0, 0.25])
def test_a_series_loses_what_it_should(burst: float) -> None:
    series = Series(Link(loss=0.05, burst=burst), 3)
    lost = [series.rtt(0, number / 50) is None for number in range(100_000)]
    assert mean(lost) == pytest.approx(0.05, rel=0.15)
    followed = [after for before, after in pairwise(lost) if before]
    assert mean(followed) == pytest.approx(0.05 if not burst else 0.92, abs=0.03)  # exp(-0.02 / 0.25)


@pytest.mark.parametrize("shape", list(Shape))
def test_delays_have_their_mean_and_targets_their_own(shape: Shape) -> None:
    series = Series(Link(base=0.05, jitter=0.03, shape=shape), 3)
    rtts = [series.rtt(0, number / 50) or 0.0 for number in range(50_000)]
    assert min(rtts) >= 0.05
    assert mean(rtts) == pytest.approx(0.08, rel=0.03)
    assert series.rtt(0, 1.0) != series.rtt(1, 1.0)


def test_everybody_hears_the_same_and_a_seed_is_a_line() -> None:
    link = Link(loss=0.2, burst=0.5)
    one, other, third = Series(link, 5), Series(link, 5), Series(link, 6)
    moments = [number * 0.7 for number in range(1000)]
    asked = [one.rtt(0, at) for at in moments]
    assert [other.rtt(0, at) for at in reversed(moments)] == asked[::-1]
    assert [third.rtt(0, at) for at in moments] != asked


class Left(Series):
    """One target answers, the last; from `cut` on none does."""

    def __init__(self, targets: int, cut: float) -> None:
        super().__init__(Link(), 1)
        self._left = targets - 1
        self.cut = cut

    def rtt(self, target: int, at: float) -> float | None:
        return super().rtt(target, at) if target == self._left else None


@pytest.mark.parametrize("targets", [2, 4])
def test_netpath_keeps_its_promise_where_all_targets_but_one_are_dead(targets: int) -> None:
    for cut in [WARM + number / 20 for number in range(100)]:
        at, usable = next(iter(NetPath(targets).watch(Left(targets, cut), WARM + 60)))
        assert not usable
        assert cut < at <= cut + 6.0


def test_netpath_is_the_real_one_and_keeps_its_promise() -> None:
    """The sixth second with the shipped defaults, one probe in 5 s while all is well."""
    for targets in (1, 2, 4):
        found = outages(NetPath(targets), Link(), 20)
        assert len(found.detected) == found.cuts
        assert max(found.detected) <= 6.0
    assert calm(NetPath(1), Link(), 1, 0.1).probes == pytest.approx(0.1 * 86400 / 5, rel=0.01)


def test_what_is_cut_while_out_of_use_does_not_count() -> None:
    assert outage(Mwan3(interval=1.0, timeout=1.0, down=1, up=1000), Link(loss=0.5), 1, WARM) is None


def test_quantiles_name_a_value_that_was_seen() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert quantile(list(map(float, range(1, 101))), 0.95) == 95.0
    assert quantile([7.0], 0.95) == 7.0


def test_options_that_netpath_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="down"):
        NetPath(1, {"down": "none"}).tracking()
