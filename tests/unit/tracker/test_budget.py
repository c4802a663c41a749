# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts for a quota, across new devices, restarts, reboots and wrong clocks; how seldom flash is written."""

from __future__ import annotations

import calendar
import json
from pathlib import Path

import pytest

from netpath import statedir
from netpath.model import Member, Quota
from netpath.statedir import StateDir
from netpath.tracker import budget as module
from netpath.tracker.budget import COPY_EVERY, KEEP_EVERY, Budget
from netpath.tracker.journal import Log

JANUARY = float(calendar.timegm((2026, 1, 14, 12, 0, 0)))
FEBRUARY = float(calendar.timegm((2026, 2, 14, 12, 0, 0)))
LTE = Member("lte_m", "lte", 1, 1, None, Quota(10_000, 1))
KEY = ("lte", 1)


class Case:
    """A router with one device, `wwan0` unless told otherwise; files in a directory of their own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.state_dir = StateDir(root / "state")
        self.state_dir.create()
        self.file = root / "flash" / "usage.json"
        self.lines: list[str] = []
        self.reboot("first")
        self.budget = self.start()

    def start(self, *members: Member) -> Budget:
        log = Log()
        self.monkeypatch.setattr(Log, "__call__", lambda _, level, message: self.lines.append(f"{level}: {message}"))
        self.budget = Budget(self.state_dir, self.file, log)
        self.budget.limit(members or (LTE,))
        return self.budget

    def reboot(self, name: str) -> None:
        for target in (statedir, module):
            self.monkeypatch.setattr(target, "boot_id", lambda: name)

    def count(self, counter: int | None, now: float | None = JANUARY, device: str | None = "wwan0") -> int:
        totals = {} if counter is None or device is None else {device: (counter - counter // 3, counter // 3, 1, 1)}
        self.budget.count(totals, {"lte": device}, now)
        return self.budget.used(now)[KEY]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path, monkeypatch)


def test_both_directions_count_from_the_first_reading_on(case: Case) -> None:
    assert case.count(5000) == 0, "what passed before there was a quota is not known to belong to this month"
    assert case.count(5600) == 600
    assert case.count(5600) == 600


def test_a_device_that_was_made_anew_counts_from_zero(case: Case) -> None:
    case.count(5000)
    assert case.count(6000) == 1000
    assert case.count(300) == 1300, "its counters went back"
    assert case.count(None) == 1300
    assert case.count(900) == 2200, "it was away: all that a new one shows has passed since, however much that is"
    case.budget.count({"wwan0": (900, 20, 1, 1)}, {"lte": None}, JANUARY)
    assert case.count(950) == 2250, "it was only not up: the kernel kept it, and its counters"


def test_another_device_brings_none_of_its_own_past(case: Case) -> None:
    case.count(5000)
    case.count(6000)
    assert case.count(77_000, device="wwan1") == 1000
    assert case.count(77_500, device="wwan1") == 1500


def test_a_month_begins_at_zero_and_a_wrong_clock_does_not_lose_the_one_before(case: Case) -> None:
    case.count(0)
    assert case.count(4000) == 4000
    assert case.count(4100, FEBRUARY) == 100
    assert case.count(4200, JANUARY) == 4100
    assert case.count(4200, FEBRUARY) == 100


def test_what_passes_while_the_clock_is_unset_belongs_to_the_month_it_is_set_to(case: Case) -> None:
    case.count(0)
    case.count(4000)
    assert case.count(4500, None) == 4500, "as far as anybody knows"
    assert case.count(4500, FEBRUARY) == 500
    assert case.budget.used(JANUARY)[KEY] == 4000


def test_without_a_clock_the_month_that_was_known_last_goes_on(case: Case) -> None:
    case.count(0)
    case.count(4000)
    case.count(4000, FEBRUARY)  # nothing has passed in it yet
    assert case.count(4100, None) == 100


def test_a_crash_loses_nothing_that_the_device_still_knows(case: Case) -> None:
    case.count(1000)
    case.count(2000)
    case.budget.copy(COPY_EVERY)
    case.count(2500)
    case.start()  # no close
    assert case.budget.used(JANUARY)[KEY] == 1000
    assert case.count(3000) == 2000


def test_a_clean_stop_and_a_reboot_go_on_and_count_all_since_the_boot(case: Case) -> None:
    case.count(1000)
    case.count(5000)
    case.budget.close(10.0, JANUARY)
    case.reboot("second")
    case.start()
    assert case.budget.used(JANUARY)[KEY] == 4000
    assert case.count(9000) == 13_000, "before the tracker was there 9000 had passed already"


def test_the_newer_one_of_the_two_files_counts(case: Case) -> None:
    case.count(0)
    case.count(1000)
    case.budget.close(10.0, JANUARY)
    case.count(2000)
    case.budget.copy(COPY_EVERY)
    case.start()
    assert case.budget.used(JANUARY)[KEY] == 2000
    case.count(3000)
    case.budget.keep(20.0, JANUARY)()
    case.start()
    assert case.budget.used(JANUARY)[KEY] == 3000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"x"',
        '{"version": 1}',
        '{"version": 1, "serial": 1, "meters": [{}]}',
        '{"version": 99, "serial": 1, "meters": []}',
        '{"version": 1, "serial": 1, "meters": {"a": 1}}',
        '{"version": 1, "serial": 1, "meters": [{"interface": "lte", "reset": 1, "since": null, "months": {"a": -5}, '
        '"unplaced": 0, "device": "", "counter": 0}]}',
        "\0\0\0\0",
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_set_aside_and_said(case: Case, text: str) -> None:
    case.file.parent.mkdir()
    case.file.write_text(text)
    case.start()
    assert case.count(0) == 0
    assert any("damaged" in line and "usage.json.bad" in line for line in case.lines)
    assert case.file.with_name("usage.json.bad").read_text() == text
    assert not case.file.exists()
    case.count(700)
    case.budget.close(10.0, JANUARY)
    assert json.loads(case.file.read_text())["meters"][0]["months"] == {"2026-01-01": 700}


def test_bytes_that_are_no_text_are_damage_too(case: Case) -> None:
    case.file.parent.mkdir()
    case.file.write_bytes(b"\xff\xfe\x00")
    case.start()
    assert any("damaged" in line for line in case.lines)


def test_flash_is_written_at_two_percent_and_after_six_hours_and_not_beyond_the_quota(case: Case) -> None:
    written = []
    counter = 0
    case.count(0)
    assert not case.budget.keep_due(1.0, JANUARY)
    for second in range(2, 4000):
        counter += 5  # 0.05 % of the quota; from second 2000 on it is used up
        case.count(counter)
        if case.budget.keep_due(float(second), JANUARY):
            case.budget.keep(float(second), JANUARY)()
            written.append(counter)
    assert written == [200 * step for step in range(1, 51)], "50 times, the last as it is used up"
    assert not case.budget.keep_due(written[-1] / 5 + KEEP_EVERY - 10, JANUARY)
    assert case.budget.keep_due(4000 + KEEP_EVERY, JANUARY)
    case.budget.keep(4000 + KEEP_EVERY, JANUARY)()
    assert not case.budget.keep_due(4000 + 9 * KEEP_EVERY, JANUARY), "nothing has passed since"


def test_a_restart_alone_writes_nothing(case: Case) -> None:
    case.count(0)
    case.count(5000)
    case.budget.close(10.0, JANUARY)
    before = case.file.stat().st_mtime_ns
    case.start()
    case.count(5000)
    assert not case.budget.keep_due(1.0, JANUARY)
    case.count(5100)
    assert not case.budget.keep_due(2.0, JANUARY)
    case.start()
    case.budget.close(3.0, JANUARY)
    assert case.file.stat().st_mtime_ns == before


def test_flash_that_refuses_is_said_and_harms_nothing(case: Case) -> None:
    case.file.parent.write_text("a file where the directory should be")
    case.count(0)
    case.count(5000)
    case.budget.close(10.0, JANUARY)
    assert any("cannot be saved" in line for line in case.lines)
    case.start()
    assert case.budget.used(JANUARY)[KEY] == 5000, "the copy in the state directory is there"


def test_an_older_write_that_comes_late_does_not_replace_a_newer_one(case: Case) -> None:
    case.count(0)
    case.count(1000)
    slow = case.budget.keep(1.0, JANUARY)
    case.count(2000)
    case.budget.keep(2.0, JANUARY)()
    slow()
    assert json.loads(case.file.read_text())["meters"][0]["months"] == {"2026-01-01": 2000}


def test_members_of_one_interface_and_day_share_a_meter_and_others_do_not(case: Case) -> None:
    other = Member("b", "lte", 1, 1, None, Quota(99_000, 15))
    case.start(LTE, Member("c", "lte", 1, 1, None, Quota(500, 1)), other)
    late = JANUARY + 6 * 86400
    case.count(0, late)
    case.count(1000, late)
    assert case.budget.used(late) == {KEY: 1000, ("lte", 15): 1000}
    case.count(1500, FEBRUARY)
    assert case.budget.used(FEBRUARY) == {KEY: 500, ("lte", 15): 1500}, "there the month ends on the 15th"


def test_a_quota_that_was_taken_out_for_a_while_is_still_known(case: Case) -> None:
    case.count(0)
    case.count(1000)
    case.budget.limit(())
    case.budget.limit((LTE,))
    assert case.budget.used(JANUARY)[KEY] == 1000
