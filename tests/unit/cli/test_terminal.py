# SPDX-License-Identifier: GPL-2.0-or-later
"""On a terminal (a pseudo terminal here): colours, `watch` and its end; NO_COLOR; no terminal, no escape codes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker


class Terminal:
    """A command on a pseudo terminal."""

    def __init__(self, *argv: str) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (24, 120))
        self.settings = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "netpath", *argv],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.seen = b""

    def until(self, text: bytes) -> bytes:
        """Everything up to the next `text`."""
        while text not in self.seen:
            self.seen += os.read(self.master, 4096)
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def end(self) -> tuple[int, bytes]:
        """Exit code and the rest of the output."""
        code = self.process.wait(30)
        os.set_blocking(self.master, False)
        try:
            return code, self.seen + os.read(self.master, 65536)
        except BlockingIOError:
            return code, self.seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture(autouse=True)
def color_terminal(tracker: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    tracker.replies.update(metrics=replies.METRICS, interfaces=replies.INTERFACES)


@pytest.fixture
def watch() -> Iterator[Terminal]:
    terminal = Terminal("watch")
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    "end",
    [lambda watch: os.write(watch.master, b"q"), lambda watch: watch.process.send_signal(signal.SIGINT)],
    ids=["q", "Ctrl-C"],
)
def test_watch_draws_and_ends_leaving_the_terminal_as_it_was(end: Callable[[Terminal], None], watch: Terminal) -> None:
    watch.until(b"wan2")
    watch.until(b"q ends this")
    end(watch)
    code, rest = watch.end()
    assert code == 0
    assert rest.endswith(b"\x1b[?1049l")
    assert termios.tcgetattr(watch.slave) == watch.settings


def test_watch_draws_again_and_the_sparkline_grows(watch: Terminal, tracker: FakeTracker) -> None:
    watch.until("█".encode())
    watch.until("██".encode())
    assert len(tracker.requests) >= 3
    assert {request["cmd"] for request in tracker.requests} == {"metrics"}


def test_watch_waits_for_a_tracker_that_went_away(watch: Terminal, tracker: FakeTracker) -> None:
    watch.until(b"wan2")
    tracker.replies["metrics"] = b""
    watch.until(b"trying again")
    tracker.replies["metrics"] = replies.METRICS
    watch.until(b"wan2")


def test_hostile_names_cannot_move_the_cursor(tracker: FakeTracker) -> None:
    tracker.replies["metrics"] = {"interfaces": {"\x1b[5;5Hevil": {"status": "\x1b[41m"}}}
    terminal = Terminal("watch")
    try:
        terminal.until(b"\\x1b[5;5Hevil")
        os.write(terminal.master, b"q")
        assert terminal.end()[0] == 0
    finally:
        terminal.close()


@pytest.mark.parametrize(("variable", "coloured"), [(None, True), ("NO_COLOR", False), ("TERM", False)])
def test_colours_on_a_terminal(variable: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable:
        monkeypatch.setenv(variable, "dumb")
    terminal = Terminal("interfaces")
    try:
        code, out = terminal.end()
    finally:
        terminal.close()
    assert code == 0
    assert b"interface wan is" in out
    assert (b"\x1b[" in out) == coloured


def test_no_escape_codes_without_a_terminal(run: Run) -> None:
    for command in ("watch", "interfaces", "metrics"):
        result = run(command)
        assert result.code == 0
        assert "wan2" in result.out
        assert "\x1b" not in result.out


def test_a_reader_that_stops_early_is_no_error(tracker: FakeTracker, tmp_path: Path) -> None:
    tracker.replies["connected"] = {"ipv4": ["192.0.2.0/24"] * 50_000}
    errors = tmp_path / "errors"
    with errors.open("wb") as stderr:
        command = [sys.executable, "-m", "netpath", "connected"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
            assert process.stdout
            process.stdout.readline()
            process.stdout.close()
    assert errors.read_text() == ""
