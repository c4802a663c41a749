# SPDX-License-Identifier: GPL-2.0-or-later
"""When a member is open: windows of the day and the week, and months of a quota. Pure but for the time zone.

Local time is that of the process (TZ, /etc/localtime). What the clock on the wall shows decides: of a day on which
clocks change, an hour that comes twice counts twice, and one that is left out is left out.

The tracker loads this module: no datetime, no zoneinfo, no calendar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from netpath.model import Member, Policy, Schedule

CLOCK_SET_FROM = 1577836800.0
"""2020-01-01: a router without a clock of its own comes up in 1970, or when its firmware was built."""
CLOCK_UNSET = "the clock is not set: schedule and quota wait for it"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 1440
_HORIZON = 15 * 86400
"""Seconds looked ahead: a window of one weekday that a change of clocks leaves out comes a week later."""

Usage = Mapping[tuple[str, int], int]
"""(interface, reset day) -> bytes of the month that runs now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a member is now."""

    open: bool
    reason: str
    """Why it is closed, or open without having been judged; "" otherwise."""
    until: float | None
    """Epoch of the next change, as long as no more traffic passes; None where none is in sight."""

    @property
    def words(self) -> str:
        """ "closed until 2026-02-01 08:00: outside its window 08:00-18:00"."""
        until = f" until {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.until))}" if self.until else ""
        return f"{'open' if self.open else 'closed'}{until}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Period:
    """A month of a quota, from one reset to the next."""

    name: str
    """The date of its first day: "2026-02-15"."""
    begin: int
    """Epoch."""
    end: int
    """Epoch, exclusive."""


def known(clock: float) -> float | None:
    """The clock's time (epoch), or None when it was not set since the router started."""
    return clock if clock >= CLOCK_SET_FROM else None


def standing(member: Member, now: float | None, used: int) -> Standing:
    """Whether `member` is open at `now` (epoch; None: nobody knows) when `used` bytes of its month have passed."""
    schedule, quota = member.schedule, member.quota
    if now is None and (schedule or quota):
        return Standing(True, CLOCK_UNSET, None)
    if now is None:
        return Standing(True, "", None)
    outside = schedule is not None and not _within(schedule, now)
    reason = f"outside its window {window_text(schedule)}" if schedule and outside else ""
    if quota is not None and used >= quota.limit:
        renewed = period(now, quota.reset).end
        reason = "its quota is used up" + (f", and {reason}" if reason else "")
        return Standing(False, reason, _opening(schedule, renewed) if schedule else renewed)
    return Standing(not outside, reason, _next_change(schedule, now) if schedule else None)


def standings(members: Iterable[Member], now: float | None, used: Usage) -> dict[str, Standing]:
    """Name -> standing of each member."""

    def spent(member: Member) -> int:
        return used.get((member.interface, member.quota.reset), 0) if member.quota else 0

    return {m.name: standing(m, now, spent(m)) for m in members}


def limited(policies: Iterable[Policy]) -> dict[str, Member]:
    """Name -> member of those with a schedule or a quota; a member of several policies once."""
    return {m.name: m for p in policies for m in p.members if m.schedule or m.quota}


def closing(policies: Iterable[Policy], closed: Collection[str]) -> tuple[Policy, ...]:
    """The policies with exactly the members named in `closed` closed."""

    def as_told(policy: Policy) -> Policy:
        if all(m.closed == (m.name in closed) for m in policy.members):
            return policy
        return replace(policy, members=tuple(replace(m, closed=m.name in closed) for m in policy.members))

    return tuple(as_told(p) for p in policies)


def window_text(schedule: Schedule) -> str:
    """As it would be written: "08:00-12:00,22:00-06:00 mon-fri"."""
    times = ",".join(f"{_clock(begin)}-{_clock(end)}" for begin, end in schedule.windows)
    return " ".join(filter(None, [times, _days_text(schedule.weekdays)]))


def period(now: float, reset: int) -> Period:
    """The month in which `now` lies, for a quota that begins anew at local midnight of day `reset`."""
    here = time.localtime(now)
    first = (here.tm_year, here.tm_mon)
    if here.tm_mday < _reset_day(*first, reset):
        first = _shifted(*first, -1)
    after = _shifted(*first, 1)
    day = _reset_day(*first, reset)
    return Period(
        f"{first[0]:04d}-{first[1]:02d}-{day:02d}", _midnight(*first, day), _midnight(*after, _reset_day(*after, reset))
    )


def _within(schedule: Schedule, now: float) -> bool:
    here = time.localtime(now)
    minute = here.tm_hour * 60 + here.tm_min
    days = schedule.weekdays or range(7)
    today, since_yesterday = here.tm_wday in days, (here.tm_wday - 1) % 7 in days
    for begin, end in schedule.windows or ((0, _DAY_MINUTES),):
        if begin < end and today and begin <= minute < end:
            return True
        if begin > end and ((today and minute >= begin) or (since_yesterday and minute < end)):
            return True
    return False


def _next_change(schedule: Schedule, now: float) -> int | None:
    """The first second after `now` at which the schedule says something else; None within the horizon.

    It goes from edge to edge of the wall clock's day. Where clocks change on the way the step ends at that second, for
    the wall clock jumps there.
    """
    edges = sorted({60 * minute for window in schedule.windows for minute in window} | {60 * _DAY_MINUTES})
    at, state = int(now), _within(schedule, now)
    while at < now + _HORIZON:
        here = time.localtime(at)
        second = here.tm_hour * 3600 + here.tm_min * 60 + here.tm_sec
        reached = at + next((edge - second for edge in edges if edge > second), 1)
        at = _shift(at, reached) or reached
        if _within(schedule, at) != state:
            return at
    return None


def _shift(low: int, high: int) -> int | None:
    """The second in (low, high] at which clocks change."""
    offset = time.localtime(low).tm_gmtoff
    if time.localtime(high).tm_gmtoff == offset:
        return None
    return _first(low, high, lambda t: time.localtime(t).tm_gmtoff != offset)


def _opening(schedule: Schedule, at: int) -> int | None:
    """The first second from `at` on at which the schedule is open."""
    return at if _within(schedule, at) else _next_change(schedule, at)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first second at which `holds`, which it does at `high` but not at `low`, and from there on."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _midnight(year: int, month: int, day: int) -> int:
    """The first second of a local date; that is 01:00 where clocks are put forward at midnight."""
    noon = int(time.mktime((year, month, day, 12, 0, 0, 0, 0, -1)))
    return _first(noon - 64800, noon, lambda t: time.localtime(t)[:3] >= (year, month, day))


def _reset_day(year: int, month: int, reset: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = (29 if leap else 28) if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    return min(reset, longest)


def _shifted(year: int, month: int, by: int) -> tuple[int, int]:
    months = year * 12 + month - 1 + by
    return months // 12, months % 12 + 1


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _days_text(days: tuple[int, ...]) -> str:
    """Neighbours as a range: "mon-fri,sun"."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(WEEKDAYS[r[0]] if len(r) == 1 else f"{WEEKDAYS[r[0]]}-{WEEKDAYS[r[-1]]}" for r in runs)
