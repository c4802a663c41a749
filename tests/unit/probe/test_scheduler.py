# SPDX-License-Identifier: GPL-2.0-or-later
"""The scheduler on a clock of the test's making and probers that answer as told."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from netpath.health import InterfaceHealth, Transition
from netpath.model import State, Tracking, TrackMethod, Uplink
from netpath.probe import Scheduler, scheduler
from netpath.probe.base import Context
from tests.tracking import tracking

MARK = 0x3F00
CONFIG = tracking(interval=1.0, failure_interval=0.5, recovery_interval=1.0, up=2)


class FakeLoop:
    """The part of an event loop that the scheduler uses, on virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.fired = 0
        self.errors: list[str] = []
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *arguments: object) -> FakeTimer:
        timer = FakeTimer(when, lambda: callback(*arguments))
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(f"{context['message']} {context['exception']!r}")

    def pending(self) -> int:
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def run(self, until: float) -> None:
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self.now = max(self.now, when)
                self.fired += 1
                timer.callback()
        self.now = until


@dataclass
class FakeTimer:
    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def when(self) -> float:
        return self.at


class FakeProber:
    """Answers after 10 ms, fails at once, or stays silent, as `mood` says."""

    def __init__(self, world: World, context: Context) -> None:
        self.world = world
        self.context = context
        self.closed = False

    def send(self, token: int, target: str) -> None:
        assert not self.closed
        if self.world.mood == f"breaks at {target}" and self.context.uplink.name == "wan":
            raise RuntimeError(target)
        self.world.sent.append((self.world.loop.now, self.context.uplink.name, target))
        if self.world.mood == "fails":
            self.context.on_failure(token, "network is unreachable")
        elif self.world.mood != "silent":
            self.world.loop.call_at(self.world.loop.now + 0.01, self._answer, token)

    def _answer(self, token: int) -> None:
        if not self.closed:
            self.context.on_reply(token)

    def cancel(self, token: int) -> None:
        self.world.cancelled.append(token)

    def close(self) -> None:
        self.closed = True


@dataclass
class World:
    loop: FakeLoop = field(default_factory=FakeLoop)
    mood: str = "answers"
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    probers: list[FakeProber] = field(default_factory=list)
    transitions: list[tuple[str, Transition]] = field(default_factory=list)
    on_transition: Callable[[str, Transition], None] = lambda _name, _transition: None

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(cast("Any", self.loop), self._note)

    def _note(self, name: str, transition: Transition) -> None:
        self.transitions.append((name, transition))
        self.on_transition(name, transition)

    def make(self, _tracking: Tracking, context: Context) -> FakeProber:
        self.probers.append(FakeProber(self, context))
        return self.probers[-1]

    def add(self, name: str, config: Tracking = CONFIG, **changes: Any) -> InterfaceHealth:
        health = InterfaceHealth(config, now=self.loop.now, initial=State.ONLINE, enabled=True)
        self.scheduler.set_interface(name, health, config, uplink(name, **changes), MARK)
        return health

    def states(self, name: str) -> list[State]:
        return [transition.new for who, transition in self.transitions if who == name]


def uplink(name: str, device: str | None = "eth0", address: str = "192.0.2.9/24") -> Uplink:
    return Uplink(name, 1, "ipv4", device, "192.0.2.254", (address,), True, ())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()
    monkeypatch.setattr(scheduler, "make_prober", world.make)
    yield world
    world.scheduler.close()
    assert world.loop.pending() == 0 or world.mood == "answers"
    assert all(prober.closed for prober in world.probers)


def test_many_interfaces_share_one_timer_and_few_wakeups(world: World) -> None:
    for number in range(50):
        world.add(f"wan{number}")
        world.loop.run(world.loop.now + 0.013)
    start, sent, fired = world.loop.now, len(world.sent), world.loop.fired
    world.mood = "silent"
    world.loop.run(start + 0.001)
    assert world.loop.pending() <= 1 + 100  # the timer, and answers on their way
    world.mood = "answers"
    world.loop.run(start + 60)
    probes = len(world.sent) - sent
    assert 50 * 2 * 59 <= probes <= 50 * 2 * 61 + 100
    assert world.loop.fired - fired <= 2 * probes + 100  # one to send, one to answer
    assert len(world.scheduler._heap) <= 4 * 50 + 16
    assert world.transitions == []


def test_one_dead_uplink_does_not_touch_the_others(world: World) -> None:
    world.add("wan")
    world.loop.run(30)
    world.add("wan2", device=None)
    world.loop.run(60)
    assert world.states("wan2") == [State.DISCONNECTING, State.OFFLINE]
    assert world.transitions[-1][1].reason == "192.0.2.1: no device; 198.51.100.1: no device"
    assert world.states("wan") == []


def test_sends_that_fail_at_once_neither_recurse_nor_spin(world: World) -> None:
    world.mood = "fails"
    world.add("wan")
    world.loop.run(100)
    assert world.states("wan") == [State.DISCONNECTING, State.OFFLINE]
    assert len(world.sent) <= 2 * (3 + 100)
    assert world.loop.fired <= 120


def test_an_uplink_that_comes_back_is_used_again(world: World) -> None:
    health = world.add("wan", device=None)
    world.loop.run(10)
    world.scheduler.set_interface("wan", health, CONFIG, uplink("wan"), MARK)
    world.loop.run(20)
    assert world.states("wan") == [State.DISCONNECTING, State.OFFLINE, State.CONNECTING, State.ONLINE]


def test_sockets_are_opened_anew_only_when_they_must(world: World) -> None:
    health = world.add("wan")
    world.loop.run(10)
    world.scheduler.set_interface("wan", health, CONFIG, uplink("wan"), MARK)
    world.loop.run(20)
    assert len(world.probers) == 1
    world.scheduler.set_interface("wan", health, CONFIG, uplink("wan", address="192.0.2.10/24"), MARK)
    world.loop.run(30)
    assert [prober.closed for prober in world.probers] == [True, False]
    assert world.transitions == []


def test_a_new_configuration_reaches_the_health(world: World) -> None:
    health = world.add("wan")
    world.loop.run(10)
    world.scheduler.set_interface("wan", health, replace(CONFIG, interval=10.0), uplink("wan"), MARK)
    world.loop.run(20)
    before = len(world.sent)
    world.loop.run(60)
    assert 7 <= len(world.sent) - before <= 9
    world.scheduler.set_interface("wan", health, replace(CONFIG, method=TrackMethod.NONE), uplink("wan"), MARK)
    before = len(world.sent)
    world.loop.run(100)
    assert len(world.sent) == before


def test_link_and_admin_act_at_once(world: World) -> None:
    world.add("wan")
    world.loop.run(5)
    world.scheduler.link("wan", False, "no carrier")
    world.scheduler.link("wan", True, "carrier")
    world.scheduler.admin("wan", False)
    sent = len(world.sent)
    world.loop.run(50)
    assert world.states("wan") == [State.OFFLINE, State.CONNECTING, State.DISABLED]
    assert len(world.sent) == sent
    with pytest.raises(KeyError):
        world.scheduler.link("lan", True, "")


def test_tokens_nobody_waits_for_are_cancelled(world: World) -> None:
    world.mood = "silent"
    world.add("wan")
    world.loop.run(60)
    assert len(world.cancelled) > len(world.sent) - 2 * 13
    assert len(set(world.cancelled)) == len(world.cancelled)


def test_an_interface_can_be_given_a_new_health(world: World) -> None:
    world.add("wan")
    world.loop.run(5)
    fresh = InterfaceHealth(CONFIG, now=5.0, initial=State.OFFLINE, enabled=True)
    world.scheduler.set_interface("wan", fresh, CONFIG, uplink("wan"), MARK)
    world.loop.run(10)
    assert world.states("wan") == [State.CONNECTING, State.ONLINE]
    assert fresh.state is State.ONLINE


@pytest.mark.parametrize(("mood", "reliability"), [("fails", 1), ("fails", 2), ("silent", 1)])
def test_a_callback_may_remove_or_replace_the_interface(world: World, mood: str, reliability: int) -> None:
    def remove(name: str, transition: Transition) -> None:
        if transition.new is State.DISCONNECTING:
            world.scheduler.remove(name)
        if transition.new is State.OFFLINE:
            world.add("next")

    world.on_transition = remove
    world.mood = mood
    world.add("wan", replace(CONFIG, reliability=reliability))
    world.loop.run(10)
    sent = [name for _, name, _ in world.sent]
    assert world.states("wan") == [State.DISCONNECTING]
    world.loop.run(20)
    assert [name for _, name, _ in world.sent] == sent


def test_a_failing_callback_does_not_stop_the_probes(world: World) -> None:
    def explode(_name: str, _transition: Transition) -> None:
        raise RuntimeError("hook")

    world.add("wan")
    world.loop.run(5)
    world.mood = "silent"
    world.on_transition = explode
    world.loop.run(world.loop.now + 10)
    assert world.loop.errors == ["tracking of wan: RuntimeError('hook')"] * 2  # disconnecting, offline
    world.mood = "answers"
    world.on_transition = lambda _name, _transition: None
    world.loop.run(60)
    assert world.states("wan")[-1] is State.ONLINE


def test_a_broken_prober_is_told_once_and_tried_again_and_the_others_go_on(world: World) -> None:
    for name in ("wan", "wan2"):
        world.add(name, replace(CONFIG, reliability=2))
    world.loop.run(5)
    world.mood = f"breaks at {CONFIG.targets[0]}"
    world.loop.run(30)
    assert world.states("wan") == [State.DISCONNECTING, State.OFFLINE]
    assert "192.0.2.1: internal error: RuntimeError('192.0.2.1')" in world.transitions[-1][1].reason
    assert world.loop.errors == ["tracking of wan: RuntimeError('192.0.2.1')"]
    assert world.states("wan2") == []
    healthy = [at for at, name, _ in world.sent if name == "wan2"]
    assert max(b - a for a, b in itertools.pairwise([*healthy, 30.0])) < 1.1, "every target once a second"
    world.mood = "answers"
    world.loop.run(60)
    assert world.states("wan")[-1] is State.ONLINE


def test_a_prober_that_cannot_be_made_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_tracking: Tracking, _context: Context) -> FakeProber:
        raise ValueError("no such method")

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "make_prober", refuse)
        world.add("wan")
        world.loop.run(10)
    assert world.loop.errors == ["tracking of wan: ValueError('no such method')"]
    assert world.states("wan")[-1] is State.OFFLINE
    world.loop.run(30)
    assert world.states("wan")[-1] is State.ONLINE


def test_an_error_in_the_health_of_one_interface_neither_spins_nor_stops_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = world.add("wan")
    world.add("wan2")
    world.loop.run(5)
    polls: list[float] = []

    def explode(now: float) -> None:
        polls.append(now)
        if len(polls) > 100:
            pytest.fail("it spins")
        raise KeyError("health")

    with monkeypatch.context() as patch:
        patch.setattr(health, "poll", explode)
        world.loop.run(30)
    assert 20 <= len(polls) <= 60
    assert world.loop.errors == ["tracking of wan: KeyError('health')"]
    assert world.states("wan2") == []
    sent = len([name for _, name, _ in world.sent if name == "wan"])
    world.loop.run(60)
    assert len([name for _, name, _ in world.sent if name == "wan"]) > sent
    assert world.states("wan2") == []


def test_another_mark_means_new_sockets(world: World) -> None:
    health = world.add("wan")
    world.loop.run(3)
    world.scheduler.set_interface("wan", health, CONFIG, uplink("wan"), MARK)
    assert len(world.probers) == 1
    world.scheduler.set_interface("wan", health, CONFIG, uplink("wan"), 0x200)
    world.loop.run(6)
    assert [prober.context.mark for prober in world.probers] == [MARK, 0x200]
    assert world.probers[0].closed
