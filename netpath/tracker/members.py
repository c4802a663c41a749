# SPDX-License-Identifier: GPL-2.0-or-later
"""Which members are closed by their schedule or quota now: looked at when something changes, not all the time.

A timer is set to the next change. The reading of the device counters once a second tells of a quota that was used up,
and of a wall clock that was set or has drifted from the one that timers go by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from netpath.model import Member
from netpath.steering.policy import SteeringView
from netpath.steering.schedule import Standing, known, limited, standings, window_text
from netpath.tracker.budget import Budget
from netpath.tracker.journal import Journal

DRIFT = 0.5
"""Seconds by which the wall clock may part from the timers' before all is looked at anew."""
JUMP = 60.0
"""Seconds from which a clock that was set is worth an event."""
SOONEST, LATEST = 0.005, 86400.0
"""Seconds until the next look: a timer may be early by its resolution; and nothing should wait for weeks."""


class Members:
    """The members of the loaded policies that have a schedule or a quota."""

    def __init__(
        self, budget: Budget, journal: Journal, clock: Callable[[], float], changed: Callable[[str], None]
    ) -> None:
        """`clock` gives the epoch; `changed(cause)` is called when other members are closed than before."""
        self._budget = budget
        self._journal = journal
        self._clock = clock
        self._changed = changed
        self._limited: Mapping[str, Member] = {}
        self._standings: Mapping[str, Standing] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._offset: float | None = None
        """Wall clock less the loop's, when all was looked at last."""
        self._keeping = False

    @property
    def closed(self) -> frozenset[str]:
        """Names of the members that policies must not use now."""
        return frozenset(name for name, each in self._standings.items() if not each.open)

    def request(self) -> dict[str, Any]:
        """What a worker must know to judge members that may be new to us."""
        now = self._now()
        used = [[interface, reset, count] for (interface, reset), count in self._budget.used(now).items()]
        return {"clock": self._clock(), "used": used}

    def adopt(self, view: SteeringView) -> None:
        """These policies are loaded now. Whoever called sees to it that they use no member that is closed."""
        time.tzset()  # somebody may have chosen another time zone, and reloads for it
        self._limited = limited(view.policies)
        self._budget.limit(self._limited.values())
        self._look()

    def sample(self, totals: Mapping[str, tuple[int, int, int, int]], devices: Mapping[str, str | None]) -> None:
        """Once a second: the counters of all devices, and interface -> device."""
        if not self._limited:
            return
        now, at = self._now(), asyncio.get_running_loop().time()
        self._budget.count(totals, devices, now)
        self._budget.copy(at)
        used = self._budget.used(now)
        over = any(
            m.quota and self._standings[name].open and now and used[m.interface, m.quota.reset] >= m.quota.limit
            for name, m in self._limited.items()
        )
        jumped = self._clock() - at - self._offset if self._offset is not None else 0.0
        if abs(jumped) >= JUMP:
            self._journal.add("clock", "info", message=f"the clock was set by {jumped:+.0f} s")
        if over or abs(jumped) >= DRIFT:
            self._look_and_tell()
        if not self._keeping and self._budget.keep_due(at, now):
            self._keep(at, now)

    def row(self, member: Member) -> dict[str, Any]:
        """What `policies` and `status` say of a member (docs/socket.md)."""
        now = self._now()
        found = self._standings.get(member.name, Standing(True, "", None))
        row: dict[str, Any] = {"open": found.open, "reason": found.reason, "until": found.until}
        row["window"] = window_text(member.schedule) if member.schedule else None
        row["quota"] = None
        if member.quota is not None:
            key = (member.interface, member.quota.reset)
            row["quota"] = {
                "used": self._budget.used(now).get(key, 0),
                "limit": member.quota.limit,
                "resets": None if now is None else self._budget.period(now, member.quota.reset).end,
                "since": self._budget.since(*key),
            }
        return row

    def rows(self) -> dict[str, dict[str, Any]]:
        """The members that have a schedule or a quota."""
        return {name: {"interface": m.interface, **self.row(m)} for name, m in self._limited.items()}

    def words(self) -> dict[str, str]:
        """Closed members -> why and until when."""
        return {name: each.words for name, each in self._standings.items() if not each.open}

    def close(self) -> None:
        """End the timer, remember what was used."""
        if self._timer is not None:
            self._timer.cancel()
        self._budget.close(asyncio.get_running_loop().time(), self._now())

    def _now(self) -> float | None:
        return known(self._clock())

    def _look_and_tell(self) -> None:
        before = self.closed
        self._look()
        turned = sorted(before ^ self.closed)
        if turned:
            self._changed(", ".join(f"{name} {'closed' if name in self.closed else 'open'}" for name in turned))

    def _look(self) -> None:
        """Judge every member, write down what changed, and set the timer to the next change."""
        before, now = self.closed, self._now()
        self._standings = standings(self._limited.values(), now, self._budget.used(now))
        for name, each in self._standings.items():
            if each.open == (name in before):
                words = ("closed", "open") if each.open else ("open", "closed")
                self._journal.add(
                    "member",
                    member=name,
                    interface=self._limited[name].interface,
                    **{"from": words[0], "to": words[1]},
                    reason=each.reason,
                    until=each.until,
                )
        self._arm()

    def _arm(self) -> None:
        loop, clock = asyncio.get_running_loop(), self._clock()
        self._offset = clock - loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends = [each.until for each in self._standings.values() if each.until is not None]
        if ends:
            self._timer = loop.call_later(min(max(min(ends) - clock, SOONEST), LATEST), self._look_and_tell)

    def _keep(self, at: float, now: float | None) -> None:
        """Write the kept file beside everything else."""
        self._keeping = True
        write = self._budget.keep(at, now)
        writing = asyncio.get_running_loop().run_in_executor(None, write)
        writing.add_done_callback(self._kept)

    def _kept(self, writing: asyncio.Future[None]) -> None:
        self._keeping = False
        writing.result()  # what went wrong goes to the loop's handler, which logs it
