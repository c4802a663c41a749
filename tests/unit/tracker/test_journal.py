# SPDX-License-Identifier: GPL-2.0-or-later
"""A log that nobody can write to must not end what is logged."""

from __future__ import annotations

import io
import sys
import syslog
from typing import Any

import pytest

from netpath.tracker.journal import Journal, Log
from tests.unit.tracker.clocks import Clocks


class Full(io.StringIO):
    """A standard error that takes nothing while `full`."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lost_lines_are_counted_and_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Full()
    monkeypatch.setattr(sys, "stderr", stderr)
    log = Log()
    journal = Journal(log)
    for number in range(3):
        journal.add("test", number=number)
    stderr.full = False
    journal.add("test", number=3)
    assert stderr.getvalue().splitlines() == [
        "netpath warning: 3 log lines were lost here",
        "netpath notice: test number=3",
    ]
    assert [event["number"] for event in journal.since(0)] == [0, 1, 2, 3]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


def test_a_number_as_cursor_misses_nothing_when_the_clock_jumps(clocks: Clocks) -> None:
    journal = Journal(Log())
    seen, cursor = [], 0
    for jump in (0, -3600, 7200, 56 * 365 * 86400):
        clocks.wall += jump
        for _ in range(2):
            clocks.pass_time(10)
            journal.add("test")
        seen += numbers(journal.since(0, cursor))
        cursor = journal.newest
        assert journal.since(0, cursor) == []
    assert seen == list(range(1, 9))


def test_a_number_of_an_earlier_tracker_leaves_nothing_out() -> None:
    journal = Journal(Log())
    journal.add("test")
    journal.add("test")
    assert numbers(journal.since(0, 700)) == [1, 2]
    assert numbers(journal.since(0, 1)) == [2]


@pytest.mark.parametrize("jump", [-3600, 3600, 56 * 365 * 86400])
def test_since_ten_minutes_ago_means_that_whatever_the_clock_did(clocks: Clocks, jump: float) -> None:
    """A router without a battery starts in 1970 and learns the date while it runs."""
    journal = Journal(Log())
    journal.add("old")
    clocks.pass_time(1000)
    journal.add("before the jump")
    clocks.wall += jump
    clocks.pass_time(300)
    journal.add("after the jump")
    assert [event["kind"] for event in journal.since(clocks.wall - 600)] == ["before the jump", "after the jump"]


def test_an_internal_error_is_logged_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("odd")
    except ValueError as error:
        Log().internal(error, "request x:")
    line = capsys.readouterr().err
    assert "request x: ValueError('odd')" in line
    assert "test_journal.py:" in line


def test_syslog_alone_has_the_levels_and_standard_error_stays_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "syslog", lambda level, line: lines.append((level, line)))
    log = Log(use_syslog=True, use_stderr=False)
    log("warning", "slow")
    log("error", "broken\nline")
    assert lines == [(syslog.LOG_WARNING, "slow"), (syslog.LOG_ERR, "broken\\nline")]
    assert capsys.readouterr().err == ""
