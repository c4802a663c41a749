# SPDX-License-Identifier: GPL-2.0-or-later
"""When a member is open, and until when: windows, weekdays, days on which clocks change, months of a quota."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.model import Member, Quota, Schedule
from netpath.steering.schedule import (
    CLOCK_SET_FROM,
    CLOCK_UNSET,
    Standing,
    closing,
    known,
    period,
    standing,
    standings,
    window_text,
)
from tests.unit.steering.steering_worlds import policy

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""As OpenWrt writes it into /etc/TZ; needs no zone files."""
HAVANA = "CST5CDT,M3.2.0/0,M11.1.0/1"
"""Clocks are put forward at midnight: that day begins at 01:00."""
ZONES = (BERLIN, HAVANA, "UTC0", "NZST-12NZDT,M9.5.0,M4.1.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
DAYS = {"mon-fri": (0, 1, 2, 3, 4), "sat": (5,), "sun": (6,), "all": ()}


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    set_zone(BERLIN)
    yield
    if before is None:
        del os.environ["TZ"]
        time.tzset()
    else:
        set_zone(before)


def set_zone(name: str) -> None:
    os.environ["TZ"] = name
    time.tzset()


def at(text: str, dst: int = -1) -> float:
    """Epoch of a local time; `dst` tells which one of an hour that comes twice."""
    return time.mktime((*time.strptime(text, "%Y-%m-%d %H:%M")[:8], dst))


def local(epoch: float | None) -> str:
    return "never" if epoch is None else time.strftime("%a %d %H:%M %Z", time.localtime(epoch))


def member(*windows: str, days: str = "all", quota: Quota | None = None) -> Member:
    read = [[int(t[:2]) * 60 + int(t[3:]) for t in w.split("-")] for w in windows]
    schedule = Schedule(tuple((begin, end) for begin, end in read), DAYS[days])
    return Member("m", "wan", 1, 1, schedule if windows or days != "all" else None, quota)


def look(m: Member, text: str, used: int = 0) -> tuple[bool, str]:
    found = standing(m, at(text), used)
    return found.open, local(found.until)


@pytest.mark.parametrize(
    ("of", "when", "expected"),
    [
        (member("08:00-18:00"), "2026-01-14 07:59", (False, "Wed 14 08:00 CET")),
        (member("08:00-18:00"), "2026-01-14 08:00", (True, "Wed 14 18:00 CET")),
        (member("08:00-18:00"), "2026-01-14 18:00", (False, "Thu 15 08:00 CET")),
        (member("08:00-12:00", "11:00-13:00"), "2026-01-14 09:00", (True, "Wed 14 13:00 CET")),
        (member("22:00-06:00"), "2026-01-14 23:00", (True, "Thu 15 06:00 CET")),
        (member("22:00-06:00"), "2026-01-14 05:59", (True, "Wed 14 06:00 CET")),
        (member("22:00-06:00"), "2026-01-14 06:00", (False, "Wed 14 22:00 CET")),
        (member("20:00-00:00"), "2026-01-14 23:59", (True, "Thu 15 00:00 CET")),
        (member("20:00-24:00"), "2026-01-14 23:59", (True, "Thu 15 00:00 CET")),
        (member("00:00-24:00"), "2026-01-14 12:00", (True, "never")),
        (member("08:00-08:00"), "2026-01-14 08:00", (False, "never")),
        # a window past midnight belongs to the day on which it begins
        (member("22:00-06:00", days="mon-fri"), "2026-01-17 05:00", (True, "Sat 17 06:00 CET")),
        (member("22:00-06:00", days="mon-fri"), "2026-01-17 23:00", (False, "Mon 19 22:00 CET")),
        (member("22:00-06:00", days="mon-fri"), "2026-01-19 05:00", (False, "Mon 19 22:00 CET")),
        (member("22:00-06:00", days="sun"), "2026-01-19 05:00", (True, "Mon 19 06:00 CET")),
        (member(days="sat"), "2026-01-14 12:00", (False, "Sat 17 00:00 CET")),
        (member(days="mon-fri"), "2026-01-14 12:00", (True, "Sat 17 00:00 CET")),
    ],
)
def test_windows(of: Member, when: str, expected: tuple[bool, str]) -> None:
    assert look(of, when) == expected


def test_the_night_on_which_clocks_are_put_forward_is_an_hour_shorter() -> None:
    night = member("22:00-06:00")
    assert look(night, "2026-03-28 23:00") == (True, "Sun 29 06:00 CEST")
    assert at("2026-03-29 06:00") - at("2026-03-28 22:00") == 7 * 3600
    # 02:00 to 03:00 is not on the clock that night
    assert look(member("02:15-02:45"), "2026-03-29 01:00") == (False, "Mon 30 02:15 CEST")
    assert look(member("02:15-04:00"), "2026-03-29 01:00") == (False, "Sun 29 03:00 CEST")
    assert look(member("01:00-02:30"), "2026-03-29 01:30") == (True, "Sun 29 03:00 CEST")


def test_the_hour_that_comes_twice_counts_twice() -> None:
    early = member("01:00-02:30")
    first = at("2026-10-25 01:30")
    found = [standing(early, first, 0)]
    for _ in range(3):
        until = found[-1].until
        assert until is not None
        found.append(standing(early, until, 0))
    assert [(each.open, local(each.until)) for each in found] == [
        (True, "Sun 25 02:30 CEST"),
        (False, "Sun 25 02:00 CET"),
        (True, "Sun 25 02:30 CET"),
        (False, "Mon 26 01:00 CET"),
    ]
    assert look(member("22:00-06:00"), "2026-10-24 23:00") == (True, "Sun 25 06:00 CET")


def test_a_window_that_clocks_leave_out_on_its_only_day_comes_a_week_later() -> None:
    assert look(member("02:15-02:45", days="sun"), "2026-03-23 12:00") == (False, "Sun 05 02:15 CEST")


@pytest.mark.parametrize(
    ("reset", "now", "name", "begin", "end"),
    [
        (1, "2026-01-14 12:00", "2026-01-01", "2026-01-01 00:00", "2026-02-01 00:00"),
        (15, "2026-01-14 23:59", "2025-12-15", "2025-12-15 00:00", "2026-01-15 00:00"),
        (15, "2026-01-15 00:00", "2026-01-15", "2026-01-15 00:00", "2026-02-15 00:00"),
        (31, "2026-02-27 12:00", "2026-01-31", "2026-01-31 00:00", "2026-02-28 00:00"),
        (31, "2026-02-28 00:00", "2026-02-28", "2026-02-28 00:00", "2026-03-31 00:00"),
        (30, "2028-02-29 00:00", "2028-02-29", "2028-02-29 00:00", "2028-03-30 00:00"),
        (31, "2026-05-01 00:00", "2026-04-30", "2026-04-30 00:00", "2026-05-31 00:00"),
        (29, "2026-03-29 12:00", "2026-03-29", "2026-03-29 00:00", "2026-04-29 00:00"),
    ],
)
def test_months_of_a_quota(reset: int, now: str, name: str, begin: str, end: str) -> None:
    found = period(at(now), reset)
    assert (found.name, found.begin, found.end) == (name, at(begin), at(end))


def test_a_day_that_has_no_midnight_begins_an_hour_later() -> None:
    set_zone(HAVANA)
    found = period(at("2026-03-07 12:00"), 8)
    assert local(found.end) == "Sun 08 01:00 CDT"
    assert period(found.end, 8).name == "2026-03-08"
    assert period(found.end - 1, 8).name == "2026-02-08"


def test_a_quota_closes_when_it_is_used_up_until_the_next_month() -> None:
    of = member(quota=Quota(1000, 31))
    assert look(of, "2026-02-10 12:00", 999) == (True, "never")
    assert look(of, "2026-02-10 12:00", 1000) == (False, "Sat 28 00:00 CET")
    both = member("08:00-18:00", days="mon-fri", quota=Quota(1000, 31))
    assert look(both, "2026-02-10 12:00", 1000) == (False, "Mon 02 08:00 CET"), "the month begins on a Saturday"
    found = standing(both, at("2026-02-10 20:00"), 1000)
    assert found.reason == "its quota is used up, and outside its window 08:00-18:00 mon-fri"
    assert found.words.startswith("closed until 2026-03-02 08:00: its quota")


def test_while_the_clock_is_not_set_everything_is_open_and_says_so() -> None:
    of = member("08:00-18:00", quota=Quota(1000, 1))
    assert standing(of, None, 5000) == Standing(True, CLOCK_UNSET, None)
    assert standing(member(), None, 0) == Standing(True, "", None)
    assert known(86400.0) is None
    assert known(CLOCK_SET_FROM) == CLOCK_SET_FROM


def test_closing_closes_exactly_the_members_that_are_named() -> None:
    pair = (policy("p", ["a", "b"]), policy("q", ["a"]))
    shut = closing(pair, {"m1"})
    assert [[m.closed for m in p.members] for p in shut] == [[False, True], [False]]
    assert closing(shut, ()) == pair


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (member("08:00-12:00", "22:00-06:00", days="mon-fri"), "08:00-12:00,22:00-06:00 mon-fri"),
        (member(days="sat"), "sat"),
        (member("00:00-24:00"), "00:00-24:00"),
    ],
)
def test_windows_are_shown_as_they_are_written(of: Member, text: str) -> None:
    assert of.schedule is not None
    assert window_text(of.schedule) == text


MINUTES = st.integers(0, 1439) | st.sampled_from([0, 60, 120, 150, 180])
SCHEDULES = st.builds(
    Schedule,
    st.lists(st.tuples(MINUTES, MINUTES | st.just(1440)), max_size=3).map(tuple),
    st.sets(st.integers(0, 6), max_size=7).map(lambda days: tuple(sorted(days))),
)
QUOTAS = st.none() | st.builds(Quota, st.just(1000), st.integers(1, 31))
AROUND = st.sampled_from(
    ["2026-03-28 12:00", "2026-10-24 12:00", "2026-11-01 00:00", "2026-01-31 12:00", "2026-03-08 00:30"]
)

MEMBERS = st.builds(Member, st.just("m"), st.just("wan"), st.just(1), st.just(1), SCHEDULES, QUOTAS)
MOMENTS = st.tuples(st.sampled_from(ZONES), AROUND, st.integers(-200_000, 200_000))


@settings(max_examples=300, deadline=None)
@given(MEMBERS, st.sampled_from([0, 1000]), MOMENTS, st.data())
def test_a_member_stays_what_it_is_until_the_time_that_is_told(
    of: Member, used: int, moment_in: tuple[str, str, int], data: st.DataObject
) -> None:
    zone, day, shift = moment_in
    set_zone(zone)
    now = at(day, dst=0) + shift + 0.25  # else what mktime makes of an hour that comes twice depends on earlier calls
    quota = of.quota

    def open_at(moment: float) -> bool:
        same = quota is None or period(moment, quota.reset) == period(now, quota.reset)
        return standing(of, moment, used if same else 0).open

    found = standing(of, now, used)
    last = now + 10 * 86400 if found.until is None else found.until
    assert last > now
    for _ in range(20):
        moment = data.draw(st.floats(now, last, exclude_max=True))
        assert open_at(moment) == found.open
    if found.until is not None:
        assert open_at(found.until - 0.001) == found.open
        assert open_at(found.until) != found.open


def test_standings_take_the_use_of_the_members_own_month() -> None:
    members = [Member("a", "wan", 1, 1, None, Quota(10, 1)), Member("b", "wan", 1, 1, None, Quota(10, 5))]
    found = standings(members, at("2026-01-14 12:00"), {("wan", 1): 9, ("wan", 5): 10})
    assert {name: each.open for name, each in found.items()} == {"a": True, "b": False}
