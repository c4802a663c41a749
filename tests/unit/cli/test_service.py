# SPDX-License-Identifier: GPL-2.0-or-later
"""`start`, `stop` and `restart` with a fake tracker in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.cli import service
from netpath.cli.client import Client
from netpath.cli.errors import CommandError
from netpath.paths import locate
from tests.unit.cli.conftest import Run

FAKE = Path(__file__).with_name("fake_tracker.py")


@pytest.fixture(autouse=True)
def fake(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`start` starts the fake; whatever still runs at the end is killed."""
    monkeypatch.setattr(service, "tracker_command", lambda: [sys.executable, str(FAKE)])
    yield
    try:
        with Client(instance / "s") as client:
            os.kill(client.peer, signal.SIGKILL)
    except CommandError:
        return


def pid(instance: Path) -> int:
    with Client(instance / "s") as client:
        return client.peer


def test_start_waits_for_the_tracker_and_tells_its_states(run: Run, instance: Path) -> None:
    result = run("start")
    assert result.code == 0
    assert result.out == f"started (process {pid(instance)}): wan is online, wan2 is offline\n"
    assert os.getsid(pid(instance)) == pid(instance), "not detached from this session"


def test_a_second_start_is_refused_and_harms_nothing(run: Run, instance: Path) -> None:
    run("start")
    first = pid(instance)
    result = run("start")
    assert result.code == 1
    assert f"already running (process {first}" in result.err
    assert pid(instance) == first


def test_start_tells_why_the_tracker_died(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PROBLEM", "dies")
    result = run("start")
    assert result.code == 1
    assert "exit code 1" in result.err
    assert "the fake cannot start" in result.err


def test_start_says_when_nothing_is_steered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PROBLEM", "no configuration")
    result = run("start")
    assert result.code == 1
    assert "steers nothing: no configuration" in result.err


def test_stop_returns_when_the_process_is_gone(run: Run, instance: Path) -> None:
    run("start")
    process = pid(instance)
    gone = os.pidfd_open(process)
    result = run("stop")
    assert result.code == 0
    assert "stopped" in result.out
    assert os.waitid(os.P_PIDFD, gone, os.WEXITED | os.WNOHANG) is not None
    os.close(gone)
    assert json.loads((instance / "stop-request.json").read_text()) == {"cmd": "stop"}


def test_stop_gives_up_on_a_tracker_that_does_not_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("start")
    monkeypatch.setattr(service, "STOP_TIME", 0)
    result = run("stop")
    assert result.code == 1
    assert "has not ended" in result.err


def test_restart_hands_the_standing_state_to_a_new_process(run: Run, instance: Path) -> None:
    run("start")
    old = pid(instance)
    result = run("restart", "--json")
    assert result.code == 0
    assert json.loads(result.out)["pid"] == pid(instance) != old
    assert json.loads((instance / "stop-request.json").read_text()) == {"cmd": "stop", "keep": True}


def test_restart_without_a_tracker_starts_one(run: Run, instance: Path) -> None:
    result = run("restart")
    assert result.code == 0
    assert "no tracker was running" in result.err
    assert pid(instance)


def test_restart_that_fails_says_that_steering_stands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("start")
    monkeypatch.setenv("FAKE_PROBLEM", "dies")
    result = run("restart")
    assert result.code == 1
    assert "`netpath stop` removes it" in result.err


def test_the_service_manager_is_used_for_its_own_instance_only(
    run: Run, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = instance / "init"
    init.write_text('#!/bin/sh\necho "$1" >> "$0.log"\nexit "${FAKE_EXIT:-0}"\n')
    init.chmod(0o755)
    monkeypatch.setattr(service, "PROCD", init)
    monkeypatch.setattr(service, "INIT_SCRIPT", init)
    assert service.service_manager(locate({}, {})) == [str(init)]
    assert service.service_manager(locate(os.environ, {})) is None
    monkeypatch.setattr(service, "service_manager", lambda _where: [str(init)])
    assert run("start").code == 0
    assert run("restart").code == 0
    monkeypatch.setenv("FAKE_EXIT", "4")
    failed = run("start")
    assert failed.code == 1
    assert "exit code 4" in failed.err
    assert (instance / "init.log").read_text() == "start\nrestart\nstart\n"
