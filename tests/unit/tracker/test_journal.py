# SPDX-License-Identifier: GPL-2.0-or-later
"""A log that nobody can write to must not end what is logged."""

from __future__ import annotations

import io
import sys
import syslog

import pytest

from netpath.tracker.journal import Journal, Log


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
