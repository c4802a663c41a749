# SPDX-License-Identifier: GPL-2.0-or-later
"""The latest readings, their sums, and ten minutes of them."""

from __future__ import annotations

import time

import pytest

from netpath.monitor.history import KEEP, History
from netpath.monitor.hub import Hub
from netpath.monitor.readings import Proxy, Speeds, Wan


class Now:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_sums_of_proxies_and_of_the_sources_that_count_as_wan() -> None:
    hub = Hub()
    hub.wan = ("a", "b", "silent")
    hub.put("p", Proxy(1, 2, 3, 4, 5), 9)
    hub.put("q", Proxy(10, 20, 30, 40, 50), 9)
    hub.put("a", Wan(1, 2, {"wan": (1, 2)}), 9)
    hub.put("b", Wan(10, 20), 9)
    hub.put("other", Wan(100, 200), 9)
    assert hub.speeds() == Speeds(Proxy(11, 22, 33, 44, 55), Wan(11, 22))


def test_nothing_is_no_zero() -> None:
    hub = Hub()
    hub.wan = ("a",)
    assert hub.speeds() == Speeds(None, None)
    hub.put("a", Wan(0, 0), 9)
    assert hub.speeds() == Speeds(None, Wan(0, 0))


def test_a_reading_of_a_while_ago_or_of_a_failed_source_does_not_count() -> None:
    now = Now()
    hub = Hub(now)
    hub.put("p", Proxy(1, 1, 1, 1, 1), 5)
    now.time += 4.9
    assert hub.speeds().proxy is not None
    now.time += 0.2
    assert hub.speeds().proxy is None
    assert hub.latest("p") is None
    hub.put("p", Proxy(1, 1, 1, 1, 1), 5)
    hub.drop("p")
    assert hub.latest("p") is None
    hub.drop("p")


def test_history_is_bounded_and_dated(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Now()
    monkeypatch.setattr(time, "monotonic", now)
    monkeypatch.setattr(time, "time", lambda: now.time + 1_000_000)
    history = History()
    for number in range(KEEP + 10):
        history.add(Speeds(Proxy(number, 0, 0, 0, 0), None))
        now.time += 1
    reply = history.reply(None)
    assert reply["columns"][:2] == ["time", "direct_up"]
    assert len(reply["rows"]) == KEEP
    assert reply["rows"][-1] == [1_000_100.0 + KEEP + 9, KEEP + 9, 0, 0, 0, None, None]
    assert [row[1] for row in history.reply(1_000_100.0 + KEEP + 7)["rows"]] == [KEEP + 7, KEEP + 8, KEEP + 9]
    # The clock is set: what was kept gets the dates that it should have had.
    monkeypatch.setattr(time, "time", lambda: now.time + 9_000_000)
    assert history.reply(None)["rows"][-1][0] == 9_000_100.0 + KEEP + 9
