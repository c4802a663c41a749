# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a plan: steps under traffic, and all that must hold during them, at each check and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from netpath.lab.namespace import LabError, Unavailable
from tests.torture import foreign, invariants, plan
from tests.torture.capture import Captures
from tests.torture.faults import FAULTS, Undo
from tests.torture.invariants import Figures, State
from tests.torture.plan import CHECK_EVERY, Step
from tests.torture.traffic import Traffic, kinds
from tests.torture.world import SETTLE_SECONDS, TorturedLab, Violation

ANSWER_SECONDS = 20.0
"""How long a flow may take to go on when everything is whole; TCP may have doubled its pauses."""
SHOWN = 8

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """One world and what it has been through."""

    lab: TorturedLab
    say: Say
    traffic: Traffic
    fresh: State
    """What a fresh start made of the kernel."""
    others: State
    """What was there of others before NetPath."""
    undoing: list[tuple[Step, Undo]] = field(default_factory=list)
    figures: dict[int, Figures] = field(default_factory=dict)
    """By tracker, at its first check."""

    def step(self, step: Step) -> list[str]:
        """Do it, let traffic run, undo what is due; what was seen to be wrong."""
        self.say(str(step))
        try:
            self.undoing.append((step, FAULTS[step.kind](self.lab, step)))
        except Unavailable as why:
            self.say(f"    left out: {why}")
        time.sleep(step.hold)
        self._undo(lambda other: other.number + other.lasts <= step.number)
        return self.watch()

    def watch(self) -> list[str]:
        """What must hold at any moment."""
        strays = self.lab.captures.strays()
        found = [str(stray) for stray in strays[:SHOWN]]
        if len(strays) > SHOWN:
            found.append(f"and {len(strays) - SHOWN} more packets that must not be")
        tracker = self.lab.tracker
        if tracker is not None and not tracker.running:
            found.append(f"the tracker ended by itself with {tracker.popen.returncode}:\n{self.lab.log()}")
        if tracker is not None and "internal error" in tracker.output():
            found.append(f"the tracker met an internal error:\n{self.lab.log()}")
        if lost := foreign.lost_marks(self.lab.router):
            found.append(f"{lost} packets lost the marks that others had given them")
        return found + self.traffic.ended()

    def check(self) -> list[str]:
        """Mend everything; what is not then as a fresh start makes it."""
        self._undo(lambda _: True)
        if self.lab.tracker is None:
            self.lab.start()
        if self.lab.stale and "error" in (reply := self.lab.reconfigure()):
            return [f"a good configuration is refused: {reply}"]
        if missing := self.lab.all_online():
            return [*missing, self.lab.log()]
        found = self._settled() + self.watch()
        since = self.traffic.answers()
        if silent := self.traffic.silent(since, ANSWER_SECONDS):
            found.append(f"no answers although everything is whole: {kinds(silent)}")
        found += invariants.differences("others", self.others, foreign.snapshot(self.lab.router))
        return found + self._level() + self.watch()

    def _undo(self, due: Callable[[Step], bool]) -> None:
        """Undo, in the order of doing, what is due; a tracker that is to come back does so first."""
        chosen = [(step, undo) for step, undo in self.undoing if due(step)]
        self.undoing = [(step, undo) for step, undo in self.undoing if not due(step)]
        for _, undo in sorted(chosen, key=lambda pair: pair[0].kind != "kill"):
            undo()

    def _settled(self) -> list[str]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            found = invariants.differences("kernel", self.fresh, self.lab.state())
            if not found or time.monotonic() > deadline:
                return found + ([self.lab.log()] if found else [])
            time.sleep(0.2)

    def _level(self) -> list[str]:
        if self.lab.tracker is None:
            return []
        pid = self.lab.tracker.pid
        now = invariants.figures(pid)
        return invariants.level(self.figures.setdefault(pid, now), now)

    def end(self) -> list[str]:
        """Stop and start: others' things are as they were without us, and ours as they were before the stop."""
        tracker = self.lab.tracker
        if tracker is None:
            return ["there is no tracker at the end"]
        last = self.lab.state()
        tracker.signal(15)
        if code := tracker.wait(30):
            return [f"the tracker ended with {code}:\n{self.lab.log()}"]
        gone = invariants.differences("after the stop", {}, {k: v for k, v in self.lab.state().items() if v})
        gone += invariants.differences("others after the stop", self.others, foreign.snapshot(self.lab.router))
        self.lab.start()
        found = self.lab.all_online()
        return gone + found + invariants.differences("stop and start", self.lab.state(), last)


def begin(lab: TorturedLab, say: Say) -> Run:
    """Prepare a lab that has just been entered, start NetPath, then traffic."""
    lab.prepare()
    others = foreign.snapshot(lab.router)
    lab.start()
    if missing := lab.all_online():
        raise Violation("; ".join(missing))
    run = Run(lab, say, Traffic(lab), lab.state(), others)
    if silent := run.traffic.silent({}, ANSWER_SECONDS):
        raise Violation(f"no answers before anything was done: {kinds(silent)}")
    return run


def torture(seed: int, count: int, only: Collection[int] = (), say: Say = print) -> list[str]:
    """Run `count` steps of `seed`; the first violations, empty when there were none."""
    steps = plan.select(plan.make(seed, count), only)
    with TorturedLab() as lab:
        try:
            run = begin(lab, say)
            found = _steps(run, steps, count) or run.check() or run.end()
        except Violation as broken:
            return [str(broken)]
        except LabError as error:
            return [f"the lab gave up: {error}\n{lab.log()}"]
        return found or proof(lab.captures)


def _steps(run: Run, steps: Sequence[Step], count: int) -> list[str]:
    due = {step.number: step for step in steps}
    for number in range(1, count + 1):
        found = run.step(due[number]) if number in due else []
        if not found and number % CHECK_EVERY == 0 and number < count:
            began = time.monotonic()
            found = run.check()
            run.say(f"    checked in {time.monotonic() - began:.1f} s")
        if found:
            return found
    return []


def proof(captures: Captures) -> list[str]:
    """That there was something to judge: no capture may have been deaf."""
    uplinks = {uplink for uplink, _ in captures.seen}
    return [] if len(uplinks) >= 3 else [f"packets were captured on {sorted(uplinks)} only"]
