# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath use`: the command runs inside the cgroup that the tracker named, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker


@pytest.fixture
def group(tracker: FakeTracker, instance: Path) -> Path:
    """A directory that looks like a cgroup, named by the tracker."""
    directory = instance / "netpath.wan"
    directory.mkdir()
    (directory / "cgroup.procs").touch()
    tracker.replies["use"] = {"cgroup": str(directory)}
    return directory


def use(*command: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "netpath", "use", "wan", *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def test_the_command_itself_is_in_the_group(group: Path, tracker: FakeTracker) -> None:
    result = use("sh", "-c", "echo $$; exit 5")
    assert result.returncode == 5
    assert (group / "cgroup.procs").read_text() == result.stdout
    assert tracker.requests == [{"cmd": "use", "interface": "wan"}]


@pytest.mark.parametrize(
    "command", [["echo", "--json", "-h", "--socket", "x"], ["--", "echo", "--json", "-h", "--socket", "x"]]
)
@pytest.mark.usefixtures("group")
def test_the_commands_own_options_are_left_alone(command: list[str]) -> None:
    assert use(*command).stdout == "--json -h --socket x\n"


@pytest.mark.usefixtures("group")
def test_the_command_gets_ordinary_signals() -> None:
    ignored = use("grep", "SigIgn", "/proc/self/status").stdout.split()[1]
    assert int(ignored, 16) >> 12 & 1 == 0, "SIGPIPE is ignored"


def test_a_refusal_runs_nothing(tracker: FakeTracker, instance: Path) -> None:
    tracker.replies["use"] = {"error": "no cgroup v2 here; mount it on /sys/fs/cgroup"}
    result = use("touch", str(instance / "ran"))
    assert result.returncode == 1
    assert result.stderr == "netpath: no cgroup v2 here; mount it on /sys/fs/cgroup\n"
    assert not (instance / "ran").exists()


@pytest.mark.parametrize(
    "reply", [{}, {"cgroup": None}, {"cgroup": "relative"}, {"cgroup": "/nonexistent/netpath.wan"}]
)
def test_a_group_that_cannot_be_joined_runs_nothing(
    reply: dict[str, object], tracker: FakeTracker, run: Run, instance: Path
) -> None:
    tracker.replies["use"] = reply
    result = run("use", "wan", "touch", str(instance / "ran"))
    assert result.code == 1
    assert "cgroup" in result.err
    assert not (instance / "ran").exists()


def test_exit_codes_of_commands_that_cannot_run(group: Path) -> None:
    missing, plain = use("/nonexistent/program"), use(str(group / "cgroup.procs"))
    assert (missing.returncode, plain.returncode) == (127, 126)
    assert "no such command" in missing.stderr
    assert "cannot be run" in plain.stderr
