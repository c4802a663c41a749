# SPDX-License-Identifier: GPL-2.0-or-later
"""When members are looked at: by the timer, by what passes, and when the clock is set. The clock is a fake."""

from __future__ import annotations

import asyncio
import calendar
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netpath.model import LastResort, Member, Mode, Policy, Quota, Schedule
from netpath.statedir import StateDir
from netpath.steering.marks import MarkSpace
from netpath.steering.policy import SteeringView
from netpath.steering.schedule import CLOCK_UNSET
from netpath.tracker.budget import Budget
from netpath.tracker.journal import Journal, Log
from netpath.tracker.members import Members

DAY = float(calendar.timegm((2026, 1, 14, 0, 0, 0)))
HOUR = 3600.0
OFFICE = Schedule(((480, 1080),), ())
DEVICES = {"wan": "eth1", "lte": "wwan0"}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC0"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


class FakeClock:
    """Goes like the loop's from where it is set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def set(self, epoch: float) -> None:
        self.ahead = epoch - asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


class Case:
    def __init__(self, root: Path, epoch: float, *members: Member) -> None:
        log = Log()
        log.set_level("emerg")
        self.journal = Journal(log)
        self.clock = FakeClock()
        self.clock.set(epoch)
        state = StateDir(root / "state")
        state.create()
        self.causes: list[str] = []
        self.told = asyncio.Event()
        self.file = root / "usage.json"
        self.members = Members(Budget(state, self.file, log), self.journal, self.clock, self._changed)
        self.load(*members)

    def load(self, *members: Member) -> None:
        policy = Policy("p", members, Mode.FAILOVER, LastResort.UNREACHABLE)
        families = dict.fromkeys(DEVICES, "ipv4")
        view = SteeringView("netpath", MarkSpace(0x3F00), {"wan": 1, "lte": 2}, families, (policy,), (), {})
        self.members.adopt(view)

    def _changed(self, cause: str) -> None:
        self.causes.append(cause)
        self.told.set()

    def pass_bytes(self, total: int) -> None:
        self.members.sample({"wwan0": (total, 0, 0, 0), "eth1": (5, 5, 5, 5)}, DEVICES)

    def events(self) -> list[tuple[Any, ...]]:
        return [(e["member"], e["from"], e["to"]) for e in self.journal.since(0) if e["kind"] == "member"]


def run(case: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(case(), 20)

    asyncio.run(main())


OFFICE_M = Member("office", "wan", 1, 1, OFFICE)
QUOTA_M = Member("sim", "lte", 2, 1, None, Quota(1000, 1))


def test_a_timer_closes_at_the_end_of_the_window(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY + 18 * HOUR - 0.05, OFFICE_M)
        assert it.members.closed == frozenset()
        await it.told.wait()
        assert it.clock() >= DAY + 18 * HOUR
        assert it.members.closed == {"office"}
        assert it.causes == ["office closed"]
        assert it.events() == [("office", "open", "closed")]
        assert it.members.rows() == {
            "office": {
                "interface": "wan",
                "open": False,
                "reason": "outside its window 08:00-18:00",
                "until": DAY + 32 * HOUR,
                "window": "08:00-18:00",
                "quota": None,
            }
        }
        it.members.close()

    run(case)


def test_a_clock_that_is_set_is_noticed_at_the_next_reading(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY + 9 * HOUR, OFFICE_M)
        for epoch, expected in ((DAY + 20 * HOUR, True), (DAY - 10 * HOUR, False), (DAY - 2 * HOUR, True)):
            it.clock.set(epoch)
            it.pass_bytes(0)
            assert (it.members.closed == {"office"}) == expected
        assert it.causes == ["office closed", "office open", "office closed"]
        assert len([e for e in it.journal.since(0) if e["kind"] == "clock"]) == 3
        it.members.close()

    run(case)


def test_a_router_without_a_clock_has_everything_open_until_it_is_set(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, 100.0, OFFICE_M, QUOTA_M)
        it.pass_bytes(0)
        it.pass_bytes(5000)
        assert it.members.closed == frozenset()
        rows = it.members.rows()
        assert rows["office"]["reason"] == rows["sim"]["reason"] == CLOCK_UNSET
        assert rows["sim"]["quota"] == {"used": 5000, "limit": 1000, "resets": None, "since": None}
        it.clock.set(DAY + 20 * HOUR)
        it.pass_bytes(5000)
        assert it.members.closed == {"office", "sim"}
        assert it.causes == ["office closed, sim closed"]
        it.members.close()

    run(case)


def test_a_quota_closes_when_it_is_used_up_and_opens_with_the_month(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY, QUOTA_M)
        it.pass_bytes(0)
        it.pass_bytes(999)
        assert it.causes == []
        it.pass_bytes(1000)
        assert it.causes == ["sim closed"]
        end = float(calendar.timegm((2026, 2, 1, 0, 0, 0)))
        row = it.members.rows()["sim"]
        assert (row["open"], row["until"]) == (False, end)
        assert row["quota"] == {"used": 1000, "limit": 1000, "resets": end, "since": DAY}
        it.clock.set(end + 1)
        it.pass_bytes(1000)
        assert it.causes == ["sim closed", "sim open"]
        assert it.members.rows()["sim"]["quota"]["used"] == 0
        it.members.close()

    run(case)


def test_a_load_judges_anew_and_leaves_the_switch_to_its_caller(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY, QUOTA_M)
        it.pass_bytes(0)
        it.pass_bytes(1000)
        it.load(Member("sim", "lte", 2, 1, None, Quota(2000, 1)), OFFICE_M)
        assert it.members.closed == {"office"}
        assert it.causes == ["sim closed"]
        assert it.events() == [("sim", "open", "closed"), ("sim", "closed", "open"), ("office", "open", "closed")]
        it.load()
        assert it.members.closed == frozenset()
        assert it.members.rows() == {}
        it.members.close()

    run(case)


def test_a_new_time_zone_counts_from_the_next_load_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY + 12 * HOUR, OFFICE_M)
        assert it.members.closed == frozenset()
        monkeypatch.setenv("TZ", "<+09>-9")
        it.load(OFFICE_M)
        assert it.members.closed == {"office"}
        it.members.close()

    run(case)


def test_a_worker_is_told_the_time_and_what_was_used(tmp_path: Path) -> None:
    async def case() -> None:
        it = Case(tmp_path, DAY, QUOTA_M)
        it.pass_bytes(0)
        it.pass_bytes(700)
        request = it.members.request()
        assert abs(request["clock"] - DAY) < 20
        assert request["used"] == [["lte", 1, 700]]
        it.members.close()

    run(case)


def test_the_kept_file_is_written_beside_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers: list[threading.Thread] = []
    fsync = os.fsync

    def slow_flash(descriptor: int) -> None:
        writers.append(threading.current_thread())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow_flash)

    async def case() -> None:
        it = Case(tmp_path, DAY, QUOTA_M)
        it.pass_bytes(0)
        it.pass_bytes(100)
        while not it.file.exists():
            await asyncio.sleep(0.01)
        assert writers
        assert threading.main_thread() not in writers, "in a thread, not in the way"
        it.members.close()

    run(case)
