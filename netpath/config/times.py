# SPDX-License-Identifier: GPL-2.0-or-later
"""How times of the day, weekdays and amounts of traffic are spelled. Each `parse_*` raises BadValueError."""

from __future__ import annotations

import re

from netpath.config.problems import nearest
from netpath.config.values import BadValueError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = tuple(day[:3] for day in WEEKDAYS)
_WINDOW = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,9})?)(ki|mi|gi|ti|[kmgt])?b?", re.ASCII | re.IGNORECASE)
_DECIMAL = {"t": 10**12, "g": 10**9, "m": 10**6, "k": 10**3}
_BYTES_IN = {"": 1, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40, **_DECIMAL}
SPELLINGS = {"window": _WINDOW, "size": _SIZE}
WORDS = {"weekdays": (*_SHORT, *WEEKDAYS), "bytes_in": _BYTES_IN}
"""Like netpath.config.values'."""


def parse_window(text: str) -> tuple[int, int]:
    """HH:MM-HH:MM as minutes of the day; the end may be 24:00."""
    match = _WINDOW.fullmatch(text)
    if not match:
        raise BadValueError("not a time of the day", "write it like 08:00-18:00, or past midnight 22:00-06:00")
    begin = int(match[1]) * 60 + int(match[2])
    return begin, 1440 if match[3] is None else int(match[3]) * 60 + int(match[4])


def parse_weekdays(text: str) -> tuple[int, ...]:
    """mon, monday, or a range, which may go past sunday: sat-mon. 0 = Monday."""
    first, separator, last = text.lower().partition("-")
    begin = _weekday(first)
    end = _weekday(last) if separator else begin
    return tuple((begin + n) % 7 for n in range((end - begin) % 7 + 1))


def _weekday(text: str) -> int:
    for names in (_SHORT, WEEKDAYS):
        if text in names:
            return names.index(text)
    like = nearest(text, [*_SHORT, *WEEKDAYS])
    fix = f"did you mean {like[:3]}?" if like else f"use {', '.join(_SHORT)}, or a range like mon-fri"
    raise BadValueError("not a weekday", fix)


def parse_size(text: str, low: int, high: int) -> int:
    """Bytes: 500M and 500MB are 500000000, 500Mi are 524288000. Upper and lower case are the same."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise BadValueError(
            "not a number of bytes", "write it like 500M, 10G or 1.5T; 10Gi is 10 times 1024 * 1024 * 1024"
        )
    found = round(float(match[1]) * _BYTES_IN[(match[2] or "").lower()])
    if not low <= found <= high:
        raise BadValueError("out of range", f"use {show_size(low)} to {show_size(high)}")
    return found


def show_size(number: int) -> str:
    """500M, 10G: the shortest exact spelling."""
    for unit, size in _DECIMAL.items():
        if number % size == 0:
            return f"{number // size}{unit if unit == 'k' else unit.upper()}"
    return str(number)
