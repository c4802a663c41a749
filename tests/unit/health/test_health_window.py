# SPDX-License-Identifier: GPL-2.0-or-later
"""Sliding window and learnt timeouts: numbers that a user sees in status, checked against plain statistics."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.health.timing import Rtt, Timing
from netpath.health.window import CAPACITY, Window
from netpath.model import TrackMethod
from tests.tracking import tracking


def filled(rtts: list[float | None], step: float = 0.1) -> tuple[Window, float]:
    """A window with one probe per entry; returns it and the time just after the last one's patience of 1 s."""
    window = Window()
    now = 100.0
    for rtt in rtts:
        serial = window.sent(now)
        if rtt is not None:
            window.answered(serial, rtt)
        now += step
    return window, now + 1.0


@given(st.lists(st.none() | st.floats(0.001, 2.0), min_size=1, max_size=250))
def test_the_averages_are_those_of_the_last_probes(rtts: list[float | None]) -> None:
    window, now = filled(rtts)
    seen = window.summary(now, patience=1.0)
    recent = rtts[-CAPACITY:]
    replies = [rtt for rtt in recent if rtt is not None]
    assert (seen.sent, seen.lost) == (len(recent), len(recent) - len(replies))
    assert seen.loss == pytest.approx(100 * (len(recent) - len(replies)) / len(recent))
    if replies:
        assert seen.latency == pytest.approx(1000 * sum(replies) / len(replies))
    else:
        assert seen.latency is None
    if len(replies) > 1:
        steps = [abs(b - a) for a, b in pairwise(replies)]
        assert seen.jitter == pytest.approx(1000 * sum(steps) / len(steps), abs=1e-9)
    else:
        assert seen.jitter is None


def test_a_probe_under_way_is_not_lost_until_its_patience_is_over() -> None:
    window = Window()
    window.sent(10.0)
    assert window.summary(10.9, patience=1.0).sent == 0
    assert window.summary(11.0, patience=1.0).lost == 1


def test_a_late_reply_takes_the_probe_out_of_the_loss() -> None:
    window = Window()
    late = window.sent(10.0)
    assert window.summary(15.0, patience=1.0).loss == 100.0
    window.answered(late, 5.5)
    seen = window.summary(15.5, patience=1.0)
    assert seen.loss == 0.0
    assert seen.latency == pytest.approx(5500.0)


def test_a_certain_failure_is_lost_at_once() -> None:
    window = Window()
    window.failed(window.sent(10.0))
    assert window.summary(10.0, patience=1.0).lost == 1


def test_old_probes_leave_the_averages_after_a_minute() -> None:
    window = Window()
    window.sent(0.0)
    window.answered(window.sent(50.0), 0.01)
    assert window.summary(59.0, patience=1.0).loss == 50.0
    assert window.summary(61.0, patience=1.0).loss == 0.0


def test_a_reply_to_a_probe_that_left_the_window_changes_nothing() -> None:
    window = Window()
    ancient = window.sent(0.0)
    for _ in range(CAPACITY):
        window.answered(window.sent(1.0), 0.01)
    window.answered(ancient, 30.0)
    assert window.summary(2.0, patience=1.0).latency == pytest.approx(10.0)


def test_timeouts_follow_rfc_6298() -> None:
    rtt = Rtt()
    rtt.learn(0.2)
    assert rtt.expected == pytest.approx(0.2 + 4 * 0.1)
    rtt.learn(0.4)
    variation = 0.75 * 0.1 + 0.25 * abs(0.2 - 0.4)
    assert rtt.expected == pytest.approx(7 / 8 * 0.2 + 1 / 8 * 0.4 + 4 * variation)


@pytest.mark.parametrize(
    ("interval", "rtt", "timeout", "soft"),
    [
        (5.0, 0.02, 0.4, 0.2),
        (0.1, 0.001, 0.1, 0.1),
        (0.1, 0.05, 0.3, 0.2),
        (5.0, 0.6, 2.0, 1.8),
        (0.05, 0.001, 0.1, 0.1),
    ],
)
def test_automatic_limits(interval: float, rtt: float, timeout: float, soft: float) -> None:
    learnt = Rtt()
    learnt.learn(rtt)
    timing = Timing(tracking(interval=interval), 2)
    assert timing.timeout(learnt) == pytest.approx(timeout)
    assert timing.soft_limit(learnt) == pytest.approx(soft)


def test_the_slowest_answer_is_remembered_for_an_hour() -> None:
    """RFC 6298 alone has forgotten a full buffer a minute later."""
    learnt = Rtt()
    learnt.learn(0.02)
    learnt.learn(1.2)
    timing = Timing(tracking(), 1)
    for _ in range(100):
        learnt.learn(0.02)
    assert timing.timeout(learnt) == pytest.approx(1.2, rel=0.1)
    for _ in range(3600 // 5):
        learnt.learn(0.02)
    assert timing.timeout(learnt) < 0.6
    assert timing.soft_limit(learnt) == 0.2


def test_a_configured_timeout_wins_and_bounds_the_soft_limit() -> None:
    learnt = Rtt()
    learnt.learn(0.5)
    timing = Timing(tracking(timeout=0.3), 2)
    assert timing.timeout(learnt) == timing.soft_limit(learnt) == 0.3


def test_httping_gets_the_time_of_several_round_trips() -> None:
    learnt = Rtt()
    learnt.learn(2.5)  # a TLS handshake over a satellite
    assert Timing(tracking(method=TrackMethod.HTTPING), 2).timeout(learnt) > 2.5


def test_confirming_is_never_slower_than_calm_probing() -> None:
    assert Timing(tracking(interval=0.1, failure_interval=0.5), 1).failure == 0.1


@pytest.mark.parametrize(
    ("changes", "proving"),
    [({}, 0.5), ({"recovery_interval": 0.2}, 0.2), ({"failure_interval": 3.0}, 3.0)],
)
def test_a_new_link_is_not_judged_in_a_burst(changes: dict[str, float], proving: float) -> None:
    assert Timing(tracking(targets=("192.0.2.1",), **changes), 1).proving == proving
