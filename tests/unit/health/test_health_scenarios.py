# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to an uplink over minutes and days, in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest

from netpath.model import Quality, State, Tracking, TrackMethod
from tests.tracking import tracking
from tests.unit.health.virtual_time import RTT, Answer, World, always, cut_at, never

ONE = ("192.0.2.1",)
TWO = ("192.0.2.1", "198.51.100.1")
FOUR = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
GONE_FOR_GOOD = [State.DISCONNECTING, State.OFFLINE]


def detection_times(moments: list[float], **changes: object) -> list[float]:
    """Seconds from a silent cut to OFFLINE, for cuts at each of `moments`."""
    times = []
    for moment in moments:
        world = World(tracking(**changes), cut_at(moment))
        world.run_to(State.OFFLINE)
        times.append(world.now - moment)
    return times


@pytest.mark.parametrize("targets", [ONE, TWO, FOUR])
def test_silent_loss_is_noticed_within_450_ms_at_an_interval_of_100_ms(targets: tuple[str, ...]) -> None:
    times = detection_times([20 + k / 500 for k in range(50)], interval=0.1, targets=targets)
    assert max(times) < 0.4
    assert sorted(times)[25] < 0.34


@pytest.mark.parametrize(("targets", "most"), [(ONE, 5.7), (TWO, 3.7), (FOUR, 2.45)])
def test_silent_loss_is_noticed_within_6_s_with_the_defaults(targets: tuple[str, ...], most: float) -> None:
    """The figures of docs/guide.md: interval / targets + SOFT_FLOOR + failure_interval (several: twice) + timeout."""
    assert max(detection_times([60 + k / 20 for k in range(100)], targets=targets)) <= most


def test_two_targets_see_through_a_gap_of_a_second() -> None:
    """The reason for their longer failure_interval: at 100 ms such a gap may count as an outage."""
    shipped, hasty = tracking(), tracking(failure_interval=0.1)
    seen = Counter[str]()
    for moment in [60 + k / 20 for k in range(100)]:
        for name, config in (("shipped", shipped), ("hasty", hasty)):
            world = World(config, cut_at(moment, until=moment + 1.0))
            world.run(moment + 60.0)
            seen[name] += alarms(world)
    assert seen["shipped"] == 0
    assert seen["hasty"] > 0


def alarms(world: World) -> int:
    """How often an uplink that was never down counted as that."""
    return world.path().count(State.OFFLINE)


@pytest.mark.parametrize("rtt", [0.02, 0.2, 0.4])
def test_the_fast_burst_raises_no_more_false_alarms_than_a_patient_one(rtt: float) -> None:
    """Three days with 10 % of loss and answers that vary by half; the patient one has rounds of 1 s, 0.5 s apart."""

    def world(config: Tracking, seed: int) -> World:
        chance = random.Random(seed)
        return World(config, lambda _t, _a: None if chance.random() < 0.1 else rtt * chance.uniform(0.8, 1.3))

    days = [world(tracking(targets=ONE), seed) for seed in range(3)]
    patient = [world(tracking(targets=ONE, failure_interval=0.5, timeout=1.0), seed) for seed in range(3)]
    for each in days + patient:
        each.run(86400.0)
    assert sum(map(alarms, days)) <= sum(map(alarms, patient))
    assert sum(map(alarms, days)) <= 2  # of 52,000 turns
    assert sum(len(each.sent) for each in days) < 1.4 * 3 * 86400 / 5


@pytest.mark.parametrize("depth", [0.6, 0.9, 1.4])
def test_a_buffer_that_fills_every_five_minutes_is_known_after_the_first_time(depth: float) -> None:
    chance = random.Random(1)

    def upload(_target: str, at: float) -> float:
        return RTT + (depth * chance.uniform(0.7, 1.0) if at % 300 < 30 else 0.0)

    world = World(tracking(targets=ONE), upload)
    world.run(86400.0)
    assert alarms(world) <= 2


def test_a_satellite_does_not_flap() -> None:
    chance = random.Random(1)
    world = World(tracking(targets=ONE), lambda _t, _a: None if chance.random() < 0.02 else chance.gauss(0.65, 0.05))
    world.run(3 * 86400.0)
    assert alarms(world) == 0
    assert len(world.sent) < 1.1 * 3 * 86400 / 5


def test_a_calm_uplink_gets_one_probe_per_target_and_interval() -> None:
    world = World()
    world.run(600.0)
    for start in range(0, 590, 5):
        assert sorted(target for _, target in world.sent_between(start, start + 5)) == sorted(TWO)
    gaps = {round(b[0] - a[0], 6) for a, b in pairwise(world.sent)}
    assert gaps == {2.5}  # spread over the interval


def test_every_target_gets_count_probes() -> None:
    world = World(tracking(count=3))
    world.run(9.9)
    assert Counter(target for _, target in world.sent) == {TWO[0]: 6, TWO[1]: 6}


def test_one_answer_of_count_is_enough() -> None:
    turns = Counter[tuple[float, str]]()

    def last_of_three(target: str, at: float) -> float | None:
        turns[at, target] += 1
        return RTT if turns[at, target] == 3 else None

    world = World(tracking(count=3), last_of_three)
    world.run(100.0)
    assert world.transitions == []
    assert world.health.snapshot(world.now).loss == pytest.approx(200 / 3, abs=3)


@pytest.mark.parametrize("seed", range(5))
def test_ten_percent_of_random_loss_is_no_outage(seed: int) -> None:
    chance = random.Random(seed)
    world = World(tracking(), lambda _t, _a: None if chance.random() < 0.1 else RTT)
    world.run(6 * 3600.0)
    assert State.OFFLINE not in world.path()
    assert len(world.sent) < 1.4 * 6 * 3600 / 2.5


def test_a_dead_target_neither_costs_nor_alarms() -> None:
    """Users complain of false downs when one target stops answering."""
    world = World(tracking(), lambda target, at: RTT if target == TWO[0] or at < 100 else None)
    world.run(3600.0)
    assert world.transitions == []
    assert len(world.sent) <= 3600 / 2.5 + 4
    rows = {row.target: row for row in world.health.snapshot(world.now).targets}
    assert (rows[TWO[1]].status, rows[TWO[1]].loss) == ("down", 100.0)
    assert world.health.snapshot(world.now).loss == 0.0  # the uplink is fine


def _one_of(targets: tuple[str, ...], died: float, answer: Answer, target: str, at: float) -> float | None:
    """From `died` on only the last of `targets` answers."""
    return answer(target, at) if target == targets[-1] or at < died else None


@pytest.mark.parametrize("died", [0.0, 40.0])
@pytest.mark.parametrize("targets", [TWO, FOUR])
def test_a_cut_is_noticed_within_6_s_beside_dead_targets(targets: tuple[str, ...], died: float) -> None:
    """All but one never answered, or not for a while: the one that is left has its turn once in 5 s."""
    times = []
    for moment in [60 + k / 20 for k in range(100)]:
        world = World(tracking(targets=targets), partial(_one_of, targets, died, cut_at(moment)))
        world.run(moment)
        assert (world.path(), world.state) == ([], State.ONLINE)
        world.run_to(State.OFFLINE)
        times.append(world.now - moment)
    assert max(times) <= 5.9


def test_a_dead_target_that_comes_back_is_heeded_again() -> None:
    revived_then_cut = World(
        tracking(), lambda target, at: RTT if at < 500 and (target == TWO[0] or at > 100) else None
    )
    revived_then_cut.run(500.0)
    revived_then_cut.run_to(State.OFFLINE)
    assert revived_then_cut.now - 500 < 6.0


def test_reliability_counts_the_targets_that_must_answer() -> None:
    world = World(tracking(reliability=2), lambda target, at: RTT if target == TWO[0] or at < 60 else None)
    world.run(60.0)
    assert world.path() == []
    world.run_to(State.OFFLINE)
    assert TWO[1] in world.transitions[-1].reason
    assert TWO[0] not in world.transitions[-1].reason


def test_reliability_two_of_three_survives_one_dead_target() -> None:
    targets = FOUR[:3]
    world = World(tracking(reliability=2, targets=targets), lambda target, _at: RTT if target != targets[1] else None)
    world.run(600.0)
    assert world.path() == []
    world.answer = lambda target, _at: RTT if target == targets[0] else None
    world.run_to(State.OFFLINE, limit=10)


def test_a_lost_round_is_made_good_by_the_next() -> None:
    world = World(tracking(), lambda _t, at: None if 100 <= at < 100.65 else RTT)
    world.run(200.0)
    assert world.path() == [State.DISCONNECTING, State.ONLINE]


def test_scores_are_those_of_mwan3() -> None:
    world = World(tracking(down=3, up=3, recovery_interval=5.0), cut_at(100))
    assert world.health.snapshot(0.0).score == 6
    world.run_to(State.DISCONNECTING)
    scores = [world.health.snapshot(world.now).score]
    world.run_to(State.OFFLINE)
    assert scores == [5]
    snapshot = world.health.snapshot(world.now)
    assert (snapshot.score, snapshot.lost) == (0, 6)
    world.answer = always
    world.run_to(State.CONNECTING)
    assert world.health.snapshot(world.now).score == 1
    world.run(world.now + 5.0)
    assert world.health.snapshot(world.now).score == 2
    world.run_to(State.ONLINE)
    snapshot = world.health.snapshot(world.now)
    assert (snapshot.score, snapshot.lost) == (6, 0)


def test_recovery_takes_up_rounds_at_the_recovery_interval() -> None:
    world = World(tracking(up=5, recovery_interval=2.0), cut_at(20, until=60))
    world.run_to(State.OFFLINE)
    world.run_to(State.ONLINE)
    assert 60 + 4 * 2.0 <= world.now <= 60 + 5 * 2.0 + 2 * RTT


def test_keep_failure_interval_keeps_knocking() -> None:
    slow, fast = World(tracking(), never), World(tracking(keep_failure_interval=True, failure_interval=0.5), never)
    for world in (slow, fast):
        world.run_to(State.OFFLINE)
        world.run(world.now + 10.0)
    rounds = [len({at for at, _ in w.sent_between(w.now - 10, w.now)}) for w in (slow, fast)]
    assert rounds[0] == 5
    assert 19 <= rounds[1] <= 21


def test_one_bad_round_while_connecting_starts_over() -> None:
    world = World(tracking(up=3, recovery_interval=5.0), cut_at(20, until=60))
    world.run_to(State.OFFLINE)
    world.run_to(State.CONNECTING)
    began = world.now
    world.answer = lambda _t, at: None if began + 8 < at < began + 12 else RTT  # the third round
    world.run(began + 18.0)
    assert world.at(State.CONNECTING)
    world.run_to(State.ONLINE)
    assert world.now - began == pytest.approx(15 + 10, abs=0.1)


def test_stable_time_is_a_minute_without_any_failed_round() -> None:
    world = World(tracking(stable_time=60.0), cut_at(20, until=100))
    world.run_to(State.OFFLINE)
    world.run_to(State.CONNECTING)
    began = world.now
    world.answer = lambda _t, at: None if began + 38 < at < began + 42 else RTT
    world.run_to(State.ONLINE)
    assert began + 42 + 60 <= world.now < began + 42 + 72


def test_the_third_outage_in_five_minutes_costs_a_minute_of_stability() -> None:
    world = World(tracking(up=1, recovery_interval=1.0))
    waits = []
    for _ in range(3):
        world.run(world.now + 30.0)
        world.answer = never
        world.run_to(State.OFFLINE)
        world.answer = always
        healed = world.now
        world.run_to(State.ONLINE)
        waits.append(world.now - healed)
    assert waits[0] < 2.0
    assert waits[1] < 2.0
    assert 60.0 <= waits[2] < 62.0


def test_three_outages_an_hour_apart_are_no_flapping() -> None:
    world = World(tracking(up=1, recovery_interval=1.0))
    for _ in range(4):
        world.run(world.now + 1200.0)
        world.answer = never
        world.run_to(State.OFFLINE)
        world.answer = always
        healed = world.now
        world.run_to(State.ONLINE)
        assert world.now - healed < 2.0


def test_a_returning_link_is_proved_quickly() -> None:
    world = World()
    world.run(60.0)
    world.link(False)
    assert world.at(State.OFFLINE)
    assert world.wake_at == float("inf")
    world.run(120.0)
    world.link(True)
    assert world.at(State.CONNECTING)
    world.run_to(State.ONLINE)
    assert 120 + 4 * 0.5 <= world.now < 120 + 4 * 0.5 + 3 * RTT


def test_a_returning_link_that_leads_nowhere_goes_offline_and_knocks_slowly() -> None:
    world = World()
    world.run(60.0)
    world.link(False)
    world.answer = never
    world.link(True)
    world.run_to(State.OFFLINE)
    assert world.now - 60 < 3.0
    world.run(world.now + 60.0)
    assert len({at for at, _ in world.sent_between(world.now - 50, world.now)}) == 25


def test_initial_state_offline_must_prove_itself() -> None:
    world = World(initial=State.OFFLINE)
    assert world.at(State.OFFLINE)
    world.run_to(State.ONLINE)
    assert world.path() == [State.CONNECTING, State.ONLINE]
    assert world.now < 4 * 0.5 + 2 * RTT


def test_a_first_round_that_is_lost_delays_the_proof_by_one_round() -> None:
    world = World(tracking(up=3), lambda _t, at: RTT if at > 0 else None, initial=State.OFFLINE)
    world.run_to(State.ONLINE)
    assert [t.at for t in world.transitions] == pytest.approx([0.5 + RTT, 1.5 + RTT])


def test_initial_state_online_is_used_as_soon_as_the_link_is_there() -> None:
    world = World(link_up=False)
    assert world.at(State.OFFLINE)
    world.run(100.0)
    world.link(True)
    assert world.at(State.ONLINE)


def test_initial_state_online_on_a_dead_uplink_does_not_last() -> None:
    world = World(answer=never)
    world.run_to(State.OFFLINE, limit=6)


@pytest.mark.parametrize("method_none", [True, False])
def test_without_tracking_the_link_decides(method_none: bool) -> None:
    config = tracking(method=TrackMethod.NONE) if method_none else tracking(targets=())
    world = World(config, initial=State.OFFLINE, link_up=False)
    for _ in range(5):  # flaps included
        world.link(True)
        assert world.at(State.ONLINE)
        world.link(False)
        assert world.at(State.OFFLINE)
    assert world.sent == []


def test_arping_asks_the_gateway_when_nothing_else_is_named() -> None:
    world = World(tracking(method=TrackMethod.ARPING, targets=()))
    world.run(1.0)
    assert [target for _, target in world.sent] == ["gateway"]


def test_a_late_reply_lengthens_the_patience() -> None:
    """RTT jumps from 20 to 250 ms: the replies are late at first, but the uplink lives."""
    world = World(tracking(interval=0.1), lambda _t, at: RTT if at < 20 else 0.25)
    world.run(60.0)
    assert State.OFFLINE not in world.path()
    snapshot = world.health.snapshot(world.now)
    assert snapshot.loss == 0.0
    assert snapshot.latency == pytest.approx(250)


def test_replies_later_than_a_configured_timeout_are_failures_but_no_loss() -> None:
    world = World(tracking(timeout=0.5), lambda _t, at: RTT if at < 20 else 0.8)
    world.run_to(State.OFFLINE, limit=40)
    world.run(world.sent[-1][0] + 61.0)  # nothing under way
    assert world.health.snapshot(world.now).loss == 0.0


def test_a_certain_failure_is_not_waited_for() -> None:
    world = World(tracking(interval=60.0), never)
    world.run(1.0)
    while not world.at(State.OFFLINE):
        for order in world.poll().orders:
            world.note(world.health.failure(order.token, world.now, "network is unreachable"))
        world.now += 0.1
    assert world.now < 62.0 + 1.5
    assert "network is unreachable" in world.transitions[-1].reason


def test_a_clock_that_stands_still_does_no_harm() -> None:
    world = World(answer=never)
    world.now = 50.0
    sent = sum(len(world.poll().orders) for _ in range(1000))
    assert sent <= 2
    assert world.wake_at > world.now


def test_waking_late_causes_no_burst() -> None:
    world = World()
    world.run(60.0)
    world.now += 3600.0
    assert len(world.poll().orders) <= 2
    world.run(world.now + 60)
    assert State.OFFLINE not in world.path()


def test_disabling_stops_all_probes() -> None:
    world = World()
    world.run(30.0)
    world.admin(False)
    sent = len(world.sent)
    world.run(300.0)
    assert len(world.sent) == sent
    assert world.health.snapshot(world.now).score == 0
    world.link(False)
    world.link(True)
    assert world.at(State.DISABLED)


def test_a_reload_keeps_state_and_history() -> None:
    world = World()
    world.run(60.0)
    before = {row.target: row.sent for row in world.health.snapshot(60.0).targets}
    world.reconfigure(tracking(interval=2.0, targets=(TWO[0], "203.0.113.9")))
    rows = {row.target: row for row in world.health.snapshot(60.0).targets}
    assert world.transitions == []
    assert rows[TWO[0]].sent == before[TWO[0]]
    assert rows["203.0.113.9"].status == "unknown"
    world.run(120.0)
    assert world.transitions == []
    assert len(world.sent_between(100, 110)) == 10


def test_a_reload_in_an_outage_does_not_forget_it() -> None:
    world = World(tracking(), cut_at(20))
    world.run_to(State.DISCONNECTING)
    world.reconfigure(tracking(interval=4.0))
    assert world.at(State.DISCONNECTING)
    world.run_to(State.OFFLINE, limit=5)
    world.reconfigure(tracking(interval=3.0))
    assert world.at(State.OFFLINE)


def test_a_reload_in_an_outage_gives_new_targets_their_chance() -> None:
    world = World(tracking(targets=ONE, down=2), never)
    world.run_to(State.DISCONNECTING)
    world.answer = lambda target, _at: 0.9 if target == TWO[1] else None
    world.reconfigure(tracking(targets=TWO[1:], down=2))
    world.run(world.now + 60)
    assert world.path() == [State.DISCONNECTING, State.ONLINE]


@pytest.mark.parametrize("change", [{"targets": TWO[:1]}, {"reliability": 2}])
def test_a_reload_that_makes_a_dead_target_matter(change: dict[str, object]) -> None:
    world = World(tracking(), lambda target, _at: RTT if target == TWO[1] else None)
    world.run(600.0)
    assert world.transitions == []
    world.reconfigure(tracking(**change))
    world.run_to(State.OFFLINE, limit=12)


def test_tracking_that_is_added_starts_from_online() -> None:
    world = World(tracking(method=TrackMethod.NONE))
    world.reconfigure(tracking())
    world.run(60.0)
    assert world.transitions == []
    assert world.sent


SLOW = Quality(
    failure_latency=300.0,
    recovery_latency=200.0,
    failure_loss=40.0,
    recovery_loss=10.0,
    failure_jitter=None,
    recovery_jitter=None,
)


def test_bad_latency_takes_an_uplink_out_and_good_latency_brings_it_back() -> None:
    world = World(tracking(quality=SLOW), lambda _t, at: 0.1 if at < 120 or at > 400 else 0.6)
    world.run(120.0)
    assert world.path() == []
    world.run_to(State.OFFLINE, limit=120)
    assert "latency" in world.transitions[-1].reason
    assert world.now > 130  # the average, not the first slow reply
    world.run(400.0)
    assert world.at(State.OFFLINE)
    world.run_to(State.ONLINE, limit=120)


def test_latency_between_the_thresholds_changes_nothing() -> None:
    world = World(tracking(quality=SLOW), lambda _t, _at: 0.25)
    world.run(600.0)
    assert world.path() == []


def test_heavy_loss_takes_an_uplink_out() -> None:
    chance = random.Random(7)
    config = tracking(quality=SLOW, interval=1.0, targets=FOUR)
    world = World(config, lambda _t, at: None if at > 60 and chance.random() < 0.7 else RTT)
    world.run(60.0)
    assert world.path() == []
    world.run_to(State.OFFLINE, limit=120)


def test_an_outage_is_no_bad_quality_afterwards() -> None:
    """Loss during a blackout must not keep the uplink out once it is over."""
    world = World(tracking(quality=SLOW), cut_at(100, until=160))
    world.run(160.0)
    assert world.at(State.OFFLINE)
    world.run_to(State.ONLINE)
    assert world.now - 160 < 3 * 5 + 1


def test_one_poor_target_of_two_is_tolerated() -> None:
    world = World(tracking(quality=SLOW), lambda target, _at: RTT if target == TWO[0] else 0.9)
    world.run(1200.0)
    assert State.OFFLINE not in world.path()
    assert len(world.sent) < 1.1 * 1200 / 2.5


def test_jitter_is_checked_when_asked_for() -> None:
    quality = Quality(900.0, 800.0, 90.0, 80.0, failure_jitter=50.0, recovery_jitter=20.0)
    flip = Counter[str]()

    def shaky(target: str, at: float) -> float:
        flip[target] += 1
        return RTT + (0.1 if flip[target] % 2 and at > 60 else 0.0)

    world = World(tracking(quality=quality, interval=1.0), shaky)
    world.run(60.0)
    assert world.path() == []
    world.run_to(State.OFFLINE, limit=60)
    assert "jitter" in world.transitions[-1].reason


def test_status_before_anything_is_known() -> None:
    snapshot = World(answer=never).health.snapshot(0.0)
    assert (snapshot.latency, snapshot.jitter, snapshot.loss) == (None, None, 0.0)
    assert {row.status for row in snapshot.targets} == {"unknown"}
