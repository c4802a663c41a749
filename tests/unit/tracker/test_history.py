# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from netpath.health import InterfaceHealth
from netpath.kernel import rtnl
from netpath.model import State, Uplink
from netpath.tracker.history import FINE_SAMPLES, UNKNOWN, History, Rates, Ring
from netpath.tracker.metrics import Metrics
from tests.tracking import tracking
from tests.unit.tracker.clocks import Clocks


def test_a_ring_keeps_the_newest_samples_in_order() -> None:
    ring = Ring(3)
    for n in range(5):
        ring.add((n, 0, 0, 0, 0))
    assert [row[0] for row in ring.newest(9)] == [2, 3, 4]
    assert [row[0] for row in ring.newest(2)] == [3, 4]


def test_rates_are_differences_over_time_and_a_new_device_starts_at_zero() -> None:
    rates = Rates()
    rates.update((1000, 500, 10, 5), 1.0)
    assert (rates.rx_rate, rates.tx_rate) == (0, 0)
    rates.update((3000, 600, 12, 6), 3.0)
    assert (rates.rx_rate, rates.tx_rate) == (1000, 50)
    rates.update((10, 10, 1, 1), 4.0)
    assert (rates.rx_rate, rates.tx_rate) == (0, 0)
    rates.gone()
    rates.update((999999, 0, 0, 0), 5.0)
    assert rates.rx_rate == 0


def test_unmeasured_figures_are_null_and_do_not_count_in_the_minute() -> None:
    history = History()
    for second in range(60):
        history.add((second, 10.0, 20.0, UNKNOWN if second < 30 else 8.0, 0.0))
    assert history.rows(0)[0] == [0, 10.0, 20.0, None, 0.0]
    assert history.rows(0, coarse=True) == [[59, 10.0, 20.0, 8.0, 0.0]]


def test_history_is_bounded_and_cut_by_time() -> None:
    history = History()
    for second in range(FINE_SAMPLES + 100):
        history.add((second, 0, 0, 0, 0))
    rows = history.rows(0)
    assert len(rows) == FINE_SAMPLES
    assert rows[0][0] == 100
    assert [r[0] for r in history.rows(FINE_SAMPLES + 98)] == [FINE_SAMPLES + 98, FINE_SAMPLES + 99]


@pytest.mark.parametrize("jump", [-3600, 3600, 56 * 365 * 86400])
def test_samples_stay_in_order_and_none_is_skipped_when_the_clock_jumps(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    monkeypatch.setattr(rtnl, "statistics", lambda: {"eth0": (0, 0, 0, 0)})
    uplink = Uplink("wan", 1, "ipv4", "eth0", None, (), True, ())
    health = InterfaceHealth(tracking(), now=clocks.monotonic, initial=State.ONLINE, enabled=True)
    members = SimpleNamespace(sample=lambda totals, devices: None)
    daemon = SimpleNamespace(uplinks={"wan": uplink}, health={"wan": health}.__getitem__, members=members)
    metrics = Metrics(cast("Any", daemon))

    def sample(times: int) -> None:
        for _ in range(times):
            clocks.pass_time(1.0)
            metrics.sample(clocks.monotonic)

    def times(since: float) -> list[float]:
        reply = metrics.history("wan", since, coarse=False, limit=1000)
        return [row[0] for row in reply["interfaces"]["wan"]]

    sample(10)
    last = times(0)[-1]
    assert last == clocks.wall
    clocks.wall += jump
    sample(5)
    assert times(0) == pytest.approx([clocks.wall - age for age in range(14, -1, -1)])
    assert set(times(clocks.wall - 4)) <= set(times(last)), "what is new is there for who asks by the last time he got"
    assert len(times(clocks.wall - 4)) == 5


@pytest.mark.parametrize("minutes", [1, 3])
def test_one_coarse_sample_a_minute(minutes: int) -> None:
    history = History()
    for second in range(60 * minutes):
        history.add((second, 0, 0, 0, 0))
    assert len(history.rows(0, coarse=True)) == minutes


def test_a_device_configured_anew_is_no_jump() -> None:
    rates = Rates()
    rates.update((1000, 0, 0, 0), 1.0, "eth0")
    rates.update((9000000, 0, 0, 0), 2.0, "eth1")
    assert rates.rx_rate == 0


def test_the_newest_rows_are_kept_when_there_are_too_many() -> None:
    history = History()
    for second in range(100):
        history.add((second, 0, 0, 0, 0))
    assert [row[0] for row in history.rows(0, most=3)] == [97, 98, 99]
