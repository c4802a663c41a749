# SPDX-License-Identifier: GPL-2.0-or-later
"""An uplink and its targets in virtual time: what the tests of `netpath.health` run the state machine against."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from netpath.health import Actions, InterfaceHealth, Transition
from netpath.model import State, Tracking
from tests.tracking import SHIPPED

RTT = 0.02

Answer = Callable[[str, float], float | None]
"""(target, sending time) -> round-trip time, or None when nothing comes back."""


def always(_target: str, _at: float) -> float | None:
    return RTT


def never(_target: str, _at: float) -> float | None:
    return None


def cut_at(moment: float, until: float = float("inf")) -> Answer:
    """Answers that arrive between `moment` and `until` are lost, and so is what was sent then."""

    def answer(_target: str, at: float) -> float | None:
        return None if moment < at + RTT and at < until else RTT

    return answer


class World:
    """Runs one `InterfaceHealth`: sends its orders to `answer`, hands back the replies, wakes it when it asked."""

    def __init__(
        self,
        config: Tracking = SHIPPED,
        answer: Answer = always,
        *,
        initial: State = State.ONLINE,
        enabled: bool = True,
        link_up: bool = True,
    ) -> None:
        self.now = 0.0
        self.health = InterfaceHealth(config, now=0.0, initial=initial, enabled=enabled, link_up=link_up)
        self.answer = answer
        self.sent: list[tuple[float, str]] = []
        self.transitions: list[Transition] = []
        self.polls = 0
        self.wake_at = 0.0
        self._replies: list[tuple[float, int]] = []

    def note(self, transitions: Iterable[Transition]) -> None:
        self.transitions.extend(transitions)

    def poll(self) -> Actions:
        actions = self.health.poll(self.now)
        self.polls += 1
        self.note(actions.transitions)
        self.wake_at = actions.wake_at
        for order in actions.orders:
            self.sent.append((self.now, order.target))
            rtt = self.answer(order.target, self.now)
            if rtt is not None:
                heapq.heappush(self._replies, (self.now + rtt, order.token))
        return actions

    def run_to(self, state: State, limit: float = 1000.0) -> None:
        """Let time pass until the uplink is in `state`; fails when that takes more than `limit` seconds."""
        self.run(self.now + limit, stop=state)
        assert self.state is state, f"{self.state} after {limit} s: {self.transitions[-3:]}"

    def run(self, until: float, stop: State | None = None) -> None:
        """Let time pass; at the end `now` is `until`, unless the state `stop` was reached earlier."""
        self.poll()
        while self.state is not stop:
            reply_at = self._replies[0][0] if self._replies else float("inf")
            due = min(reply_at, self.wake_at)
            if due > until:
                self.now = until
                return
            self.now = max(due, self.now)
            if reply_at <= self.wake_at:
                self.note(self.health.reply(heapq.heappop(self._replies)[1], self.now))
            self.poll()

    def link(self, up: bool, reason: str = "carrier") -> None:
        self.note(self.health.link(up, self.now, reason))
        self.poll()

    def admin(self, enabled: bool) -> None:
        self.note(self.health.admin(enabled, self.now))
        self.poll()

    def reconfigure(self, config: Tracking) -> None:
        self.note(self.health.reconfigure(config, self.now))
        self.poll()

    @property
    def state(self) -> State:
        return self.health.state

    def at(self, state: State) -> bool:
        return self.health.state is state

    def path(self) -> list[State]:
        """The states entered so far."""
        return [transition.new for transition in self.transitions]

    def time_of(self, state: State) -> float:
        """When `state` was last entered."""
        return next(t.at for t in reversed(self.transitions) if t.new is state)

    def sent_between(self, start: float, end: float) -> list[tuple[float, str]]:
        return [(at, target) for at, target in self.sent if start <= at < end]
