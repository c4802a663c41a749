# SPDX-License-Identifier: GPL-2.0-or-later
"""The state machine of one uplink: fed replies, failures, link events and the time, it yields orders and transitions.

Probing has two gaits. *Calm* (ONLINE, nothing suspect): each target has its turn once per interval, the turns spread
over it. *Rounds* (everything else): all targets at once, every failure_interval while failing (a little slower when
fresh from a link-up), every recovery_interval otherwise. A calm probe that is overdue, or fails for certain, starts
rounds; the first good round ends them. The calm turns under way then count as the first round, so a cut is noticed one
round earlier.

A target that stayed silent in a good round is not waited for again until it answers: the others speak for the uplink.
"""

from __future__ import annotations

import math
from collections import deque

from netpath.health.outstanding import Outstanding
from netpath.health.report import HealthSnapshot, overall, target_row
from netpath.health.rounds import Round
from netpath.health.target import Target
from netpath.health.timing import Timing
from netpath.health.transitions import TABLE, Actions, Event, ProbeOrder, Transition
from netpath.health.window import CAPACITY, SPAN
from netpath.model import State, Tracking, TrackMethod

LATE = 10.0
"""Seconds for which a late reply is still welcome (or the configured timeout, if longer)."""

FLAPS = 3
FLAP_WINDOW = 300.0
FLAP_STABLE = 60.0
"""An uplink that drops out of use for the third time in 5 minutes must be stable for a minute before its next use."""

MAX_ROUNDS = 16
"""Rounds open at once, at most; `down` + 1 suffice to tell that an uplink is dead."""

GATEWAY = "gateway"
"""The target of arping when none is configured: the uplink's next hop."""


class InterfaceHealth:
    """Health of one uplink. Every `now` is monotonic seconds and never less than the one before.

    `initial` ONLINE or DISCONNECTING: used at once when the link is first there; else it must prove itself. `link_up`
    is what is known of the link at the start. Without targets, or with method none, the link alone decides.
    After any other call `poll` must be called: what is due and when to wake may have changed.
    """

    def __init__(self, tracking: Tracking, *, now: float, initial: State, enabled: bool, link_up: bool = True) -> None:
        self._tracking = tracking
        self._initially_usable = initial.usable
        self._enabled = enabled
        self._link = link_up
        self._tested = False
        self._outstanding = Outstanding()
        self._targets: list[Target] = []
        self._configure(tracking)
        self._rounds: deque[Round] = deque()
        self._calm_round: Round | None = None
        self._burst = False
        self._last_round = -math.inf
        self._next_calm = now
        self._turn_of = 0
        self._quick = True
        self._failures = self._streak = self._turn = self._lost = 0
        self._streak_since = now
        self._fell_silent = False
        self._drops: deque[float] = deque(maxlen=FLAPS)
        self._since = now
        self._reason = "just started"
        self._state = self._first_state()

    @property
    def state(self) -> State:
        return self._state

    @property
    def enabled(self) -> bool:
        return self._enabled

    @property
    def link_up(self) -> bool:
        return self._link

    @property
    def tracked(self) -> bool:
        """Whether probes decide, beside the link."""
        return bool(self._targets)

    def poll(self, now: float) -> Actions:
        """Judge what time alone decides, say what to send now and when to come back (always later than `now`)."""
        transitions = self._judge(now)
        orders = self._send_due(now) if self._running else []
        keep = max(LATE, self._tracking.timeout or 0.0)
        self._outstanding.give_up_old(now - keep, CAPACITY * len(self._targets))
        return Actions(tuple(orders), self._wake_at(now), transitions, self._outstanding.take_expired())

    def reply(self, token: int, now: float) -> tuple[Transition, ...]:
        """The probe was answered, in time or late. Unknown and repeated tokens are ignored."""
        probe = self._outstanding.take(token)
        if probe is None:
            return ()
        self._tested = True
        if self._fell_silent and self._state is State.OFFLINE:
            self._fell_silent = False
            for target in self._targets:
                target.restart_quality(probe.sent_at)
        probe.target.answered(probe.serial, probe.sent_at, now)
        probe.target.rate(self._tracking.quality, self._timing, now)
        round_ = probe.round or self._calm_round
        if round_ is not None:
            round_.answered(probe.target)
        return self._judge(now)

    def failure(self, token: int, now: float, reason: str) -> tuple[Transition, ...]:
        """The probe failed for certain (`reason` in words): no need to wait for its timeout."""
        probe = self._outstanding.take(token)
        if probe is None:
            return ()
        probe.target.failed(probe.serial, reason)
        round_ = probe.round or self._calm_round
        if round_ is not None:
            round_.failed(probe.target)
        return self._judge(now)

    def link(self, up: bool, now: float, reason: str) -> tuple[Transition, ...]:
        """The link (device, carrier, address, gateway) came or went."""
        if up == self._link:
            return ()
        self._link = up
        out: list[Transition] = []
        self._stand_still()
        for target in self._targets:
            target.new_path(now)
        if self._enabled:
            self._enter_service(now, reason, out)
        return tuple(out)

    def admin(self, enabled: bool, now: float) -> tuple[Transition, ...]:
        """Switched on or off by hand; either way old flaps are forgiven."""
        if enabled == self._enabled:
            return ()
        self._enabled = enabled
        self._drops.clear()
        self._stand_still()
        out: list[Transition] = []
        if enabled:
            self._enter_service(now, "enabled", out)
        else:
            self._fire(Event.DISABLED, now, "disabled", out)
        return tuple(out)

    def reconfigure(self, tracking: Tracking, now: float) -> tuple[Transition, ...]:
        """Take over a new configuration: state, counters and the history of targets that remain are kept."""
        if tracking == self._tracking:
            return ()
        was_tracked, before = self.tracked, self._targets
        self._configure(tracking)
        self._next_calm = min(self._next_calm, now + self._timing.calm)
        if self._targets != before:  # what the old ones failed to answer says nothing of the new ones
            self._rounds.clear()
            self._calm_round = None
            self._last_round = -math.inf
            self._failures = 0
            self._burst = self._state is State.DISCONNECTING
            self._next_calm = now
        out: list[Transition] = []
        if self._enabled and self._link and not self.tracked and was_tracked:
            self._stand_still()
            self._fire(Event.TRUSTED, now, "not tracked any more", out)
        return tuple(out)

    def snapshot(self, now: float) -> HealthSnapshot:
        """Everything that status and metrics show of it."""
        rows = tuple(target_row(t, t.window.summary(now, self._timing.timeout(t.rtt))) for t in self._targets)
        latency, jitter, loss = overall(rows)
        return HealthSnapshot(
            self._state, self._score(), self._lost, self._turn, self._since, self._reason, latency, jitter, loss, rows
        )

    # configuration and service

    def _configure(self, tracking: Tracking) -> None:
        addresses: tuple[str, ...] = tracking.targets
        if tracking.method is TrackMethod.ARPING and not addresses:
            addresses = (GATEWAY,)
        if tracking.method is TrackMethod.NONE:
            addresses = ()
        kept: dict[str, Target] = {}
        if self._targets and self._tracking.method is tracking.method:
            kept = {target.address: target for target in self._targets}
        self._tracking = tracking
        targets = [kept.get(address) or Target(address) for address in dict.fromkeys(addresses)]
        if targets != self._targets:
            self._targets = targets
            self._turn_of = 0
            self._outstanding.keep_only(targets)
        self._timing = Timing(tracking, len(self._targets))
        self._reliability = min(max(tracking.reliability, 1), max(len(self._targets), 1))
        self._down, self._up = max(tracking.down, 1), max(tracking.up, 1)
        for target in self._targets:
            target.window.widen(max(SPAN, 10 * max(tracking.interval, tracking.recovery_interval)))

    def _first_state(self) -> State:
        if not self._enabled:
            return State.DISABLED
        if self._link and (self._initially_usable or not self.tracked):
            return State.ONLINE
        return State.OFFLINE

    def _stand_still(self) -> None:
        """Forget everything that is under way."""
        self._outstanding.give_up()
        self._rounds.clear()
        self._calm_round = None
        self._burst = False
        self._last_round = -math.inf
        self._failures = self._streak = self._lost = 0

    def _enter_service(self, now: float, reason: str, out: list[Transition]) -> None:
        if not self._link:
            self._fire(Event.LINK_DOWN, now, reason, out)
        elif not self.tracked or (self._initially_usable and not self._tested):
            self._next_calm = now
            self._fire(Event.TRUSTED, now, reason, out)
        else:
            self._quick = True
            self._fire(Event.CHALLENGED, now, reason, out)

    @property
    def _running(self) -> bool:
        return self._enabled and self._link and self.tracked

    @property
    def _calm(self) -> bool:
        return self._state is State.ONLINE and not self._burst

    def _fire(self, event: Event, now: float, reason: str, out: list[Transition]) -> None:
        new = TABLE[self._state].get(event)
        if new is None:
            return
        if self._state.usable and new is State.OFFLINE:
            self._drops.append(now)
        out.append(Transition(self._state, new, reason, now))
        self._state, self._since, self._reason = new, now, reason

    # sending

    def _send_due(self, now: float) -> list[ProbeOrder]:
        if self._calm:
            return self._send_turn(now) if now >= self._next_calm else []
        due = now >= self._last_round + self._gap() and self._room_for_round
        return self._send_round(now) if due else []

    def _send_turn(self, now: float) -> list[ProbeOrder]:
        target = self._targets[self._turn_of]
        self._turn_of = (self._turn_of + 1) % len(self._targets)
        self._turn += self._turn_of == 0
        self._next_calm += self._timing.calm
        if self._next_calm <= now:  # woken late: never catch up with a burst
            self._next_calm = now + self._timing.calm
        target.waiting.append(now)
        return self._orders(target, None, now)

    def _send_round(self, now: float) -> list[ProbeOrder]:
        round_ = Round(self._targets)
        self._rounds.append(round_)
        self._last_round = now
        orders: list[ProbeOrder] = []
        for target in self._targets:
            sent = self._orders(target, round_, now)
            round_.expect(target, len(sent), now)
            orders += sent
        return orders

    def _orders(self, target: Target, round_: Round | None, now: float) -> list[ProbeOrder]:
        target.asked = True
        target.error = ""
        return [
            ProbeOrder(self._outstanding.add(target, now, round_), target.address)
            for _ in range(max(self._tracking.count, 1))
        ]

    @property
    def _room_for_round(self) -> bool:
        return len(self._rounds) <= min(self._down, MAX_ROUNDS)

    def _gap(self) -> float:
        """From one round to the next."""
        if self._state.usable:
            return self._timing.failure
        if self._quick:
            return self._timing.proving
        if self._state is State.OFFLINE and self._tracking.keep_failure_interval:
            return self._timing.failure
        return self._timing.recovery

    def _wake_at(self, now: float) -> float:
        if not self._running:
            return math.inf
        if self._calm:
            return min([self._next_calm, *self._overdue_times()])
        times = [round_.next_deadline(self._timing, now) for round_ in self._rounds]
        if self._room_for_round:
            times.append(self._last_round + self._gap())
        return min(times)

    # judging

    def _judge(self, now: float) -> tuple[Transition, ...]:
        out: list[Transition] = []
        if self._running:
            if self._calm and self._suspicious(now):
                self._start_burst()
            self._judge_rounds(now, out)
        return tuple(out)

    def _suspicious(self, now: float) -> bool:
        if any(now >= at for at in self._overdue_times()):
            return True
        return self._tracking.quality is not None and self._too_few_count and any(t.complaint for t in self._targets)

    @property
    def _too_few_count(self) -> bool:
        return sum(target.counts for target in self._targets) < self._reliability

    def _overdue_times(self) -> list[float]:
        """When each target whose silence would matter becomes overdue; -inf where it failed for certain."""
        waiting = [target for target in self._targets if target.waiting]
        if not waiting:
            return []
        few = self._too_few_count
        return [
            -math.inf if target.error else target.waiting[0] + self._timing.soft_limit(target.rtt)
            for target in waiting
            if few or target.counts
        ]

    def _start_burst(self) -> None:
        self._burst = True
        self._last_round = -math.inf
        if not all(target.asked for target in self._targets):
            return
        round_ = Round(self._targets)
        for target in self._targets:
            if target.waiting:
                round_.expect(target, 0 if target.error else 1, target.waiting[0])
            elif not target.silent:
                round_.answered(target)
        if round_.count_up() < self._reliability:
            self._calm_round = round_
            self._rounds.append(round_)

    def _judge_rounds(self, now: float, out: list[Transition]) -> None:
        while self._rounds:
            verdicts = [round_.verdict(self._reliability, self._timing, now) for round_ in self._rounds]
            # Older open rounds cannot change what a good one shows, unless each failure counts: while proving.
            if True in verdicts and (self._state.usable or self._streak == 0):
                for _ in range(verdicts.index(True)):
                    self._rounds.popleft()
                self._round_good(self._rounds.popleft(), now, out)
            elif verdicts[0] is None:
                return
            elif verdicts[0]:
                self._round_good(self._rounds.popleft(), now, out)
            else:
                self._round_failed(self._rounds.popleft(), now, out)

    def _note_round(self, round_: Round) -> None:
        self._turn += 1
        self._tested = True
        for target in round_.unanswered():
            target.alive = False

    def _round_good(self, round_: Round, now: float, out: list[Transition]) -> None:
        self._note_round(round_)
        self._failures = self._lost = 0
        if self._state.usable:
            self._fire(Event.GOOD, now, "answers again", out)
            self._become_calm(round_, now)
            return
        if self._streak == 0:
            self._streak_since = now
        self._streak += 1
        self._fire(Event.GOOD, now, "answers", out)
        if self._streak >= self._up:
            self._quick = False
            stable = now - self._streak_since
            if stable >= max(self._tracking.stable_time, FLAP_STABLE if self._flapping else 0.0):
                self._fire(Event.PROVED, now, f"{self._streak} good rounds, stable for {stable:.1f} s", out)
                self._become_calm(round_, now)

    def _round_failed(self, round_: Round, now: float, out: list[Transition]) -> None:
        self._note_round(round_)
        self._failures += 1
        self._lost += len(round_.unanswered())
        self._streak = 0
        reason = self._why_failed(round_)
        self._fire(Event.FAILED, now, reason, out)
        if self._failures >= self._down:
            self._quick = False
            if self._state is not State.OFFLINE:
                self._fell_silent = round_.count_up() < self._reliability
                self._rounds.clear()
                self._calm_round = None
                self._burst = False
            self._fire(Event.EXHAUSTED, now, reason, out)

    def _become_calm(self, round_: Round, now: float) -> None:
        self._rounds.clear()
        self._calm_round = None
        self._burst = False
        self._streak = 0
        self._next_calm = now + self._timing.calm
        for target in self._targets:
            target.waiting.clear()
        for target in round_.unanswered():
            target.silent = True

    @property
    def _flapping(self) -> bool:
        return len(self._drops) == FLAPS and self._drops[-1] - self._drops[0] <= FLAP_WINDOW

    def _why_failed(self, round_: Round) -> str:
        silent = {t.address: t.error or "no answer" for t in round_.unanswered()}
        poor = {t.address: t.complaint for t in self._targets if t.complaint}
        return "; ".join(f"{address}: {what}" for address, what in (poor | silent).items())

    def _score(self) -> int:
        if self._state is State.ONLINE:
            return self._down + self._up
        if self._state is State.DISCONNECTING:
            return self._down + self._up - self._failures
        return min(self._streak, self._up) if self._state is State.CONNECTING else 0
