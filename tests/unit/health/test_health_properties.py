# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold whatever happens, in whatever order."""

from __future__ import annotations

import math
import sys
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from netpath.health import InterfaceHealth, Transition
from netpath.health.window import CAPACITY
from netpath.model import State
from tests.tracking import tracking

TARGETS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
ON_TIME, TOO_LATE = 0.09, 2.5
"""Seconds that are below every timeout, and above."""


class Uplink(RuleBasedStateMachine):
    """Reliability is 1 here, so that an outage means: nobody answered."""

    @initialize(
        initial=st.sampled_from([State.ONLINE, State.OFFLINE]),
        enabled=st.booleans(),
        link_up=st.booleans(),
        down=st.integers(1, 5),
        up=st.integers(1, 5),
        number=st.integers(1, 3),
        interval=st.sampled_from([0.1, 1.0, 5.0]),
    )
    def start(
        self, *, initial: State, enabled: bool, link_up: bool, down: int, up: int, number: int, interval: float
    ) -> None:
        self.now = 1000.0
        self.config = tracking(down=down, up=up, targets=TARGETS[:number], interval=interval)
        self.health = InterfaceHealth(self.config, now=self.now, initial=initial, enabled=enabled, link_up=link_up)
        self.sent: dict[int, tuple[str, float]] = {}
        self.unanswered = Counter[str]()
        self.rounds_good = 0
        self.wake_at = 0.0

    def note(self, transitions: tuple[Transition, ...]) -> None:
        for transition in transitions:
            if transition.new is State.OFFLINE and transition.old.usable and self.health.link_up:
                assert all(self.unanswered[t] >= self.config.down for t in self.config.targets), self.unanswered
            if transition.new is State.ONLINE and transition.old is State.CONNECTING:
                assert self.rounds_good >= self.config.up
            if transition.new in (State.OFFLINE, State.DISABLED):
                self.rounds_good = 0

    @rule()
    def poll(self) -> None:
        for turn in range(3):
            actions = self.health.poll(self.now)
            self.wake_at = actions.wake_at
            self.note(actions.transitions)
            assert actions.wake_at > self.now
            assert turn == 0 or not actions.orders, "asked twice at the same moment"
            for order in actions.orders:
                self.sent[order.token] = order.target, self.now
                self.unanswered[order.target] += 1
            for token in actions.expired:
                self.sent.pop(token, None)

    @rule(step=st.floats(0.0, 1.0))
    def wait(self, step: float) -> None:
        self.now += step
        self.poll()

    @rule()
    def sleep_as_told(self) -> None:
        if self.wake_at < math.inf:
            self.now = max(self.now, self.wake_at)
        self.poll()

    @rule(step=st.floats(1.0, 10_000.0))
    def oversleep(self, step: float) -> None:
        self.now += step
        self.poll()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def answer_on_time(self, data: st.DataObject) -> None:
        fresh = [token for token, (_, at) in self.sent.items() if self.now - at <= ON_TIME]
        if fresh:
            token = data.draw(st.sampled_from(fresh))
            target, _ = self.sent.pop(token)
            self.unanswered[target] = 0
            self.rounds_good += 1
            self.note(self.health.reply(token, self.now))
            assert self.health.reply(token, self.now) == (), "a duplicate counts"
            self.poll()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def answer_too_late(self, data: st.DataObject) -> None:
        stale = [token for token, (_, at) in self.sent.items() if self.now - at >= TOO_LATE]
        if stale:
            token = data.draw(st.sampled_from(stale))
            del self.sent[token]
            self.note(self.health.reply(token, self.now))
            self.poll()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(list(self.sent)))
        del self.sent[token]
        self.note(self.health.failure(token, self.now, "unreachable"))
        self.poll()

    @rule(token=st.integers(10**6, 10**7))
    def answer_what_nobody_asked(self, token: int) -> None:
        assert self.health.reply(token, self.now) == ()
        assert self.health.failure(token, self.now, "forged") == ()

    @rule(up=st.booleans())
    def link(self, up: bool) -> None:
        self.note(self.health.link(up, self.now, "carrier"))
        self.poll()

    @rule(enabled=st.booleans())
    def admin(self, enabled: bool) -> None:
        self.note(self.health.admin(enabled, self.now))
        self.poll()

    @rule(interval=st.sampled_from([0.1, 0.5, 5.0]))
    def reload(self, interval: float) -> None:
        self.config = tracking(down=self.config.down, up=self.config.up, targets=self.config.targets, interval=interval)
        self.note(self.health.reconfigure(self.config, self.now))
        self.poll()

    @invariant()
    def no_traffic_without_a_link(self) -> None:
        health = self.health
        assert not (health.state.usable and not (health.link_up and health.enabled))
        assert (health.state is State.DISABLED) == (not health.enabled)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.sent) <= (CAPACITY + 1) * len(self.config.targets)
        assert sys.getsizeof(self.health._rounds) < 2000
        assert len(self.health._rounds) <= self.config.down + 1

    @invariant()
    def status_can_be_told(self) -> None:
        snapshot = self.health.snapshot(self.now)
        assert 0 <= snapshot.loss <= 100
        assert 0 <= snapshot.score <= self.config.down + self.config.up
        assert all(row.lost <= row.sent <= CAPACITY for row in snapshot.targets)


Uplink.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestUplink = Uplink.TestCase
