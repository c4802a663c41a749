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


MANAGER = """#!/bin/sh
# A stand-in for the init script: starts the fake tracker, stops it by SIGKILL.
echo "$1" >>"$0.log"
case "$1" in
start | restart) [ -n "$FAKE_OFF" ] || { "$FAKE_PYTHON" "$FAKE_TRACKER" & echo $! >"$0.pid"; } ;;
stop) [ ! -e "$0.pid" ] || kill -9 "$(cat "$0.pid")" ;;
running) [ -e "$0.pid" ] && kill -0 "$(cat "$0.pid")"; exit ;;
esac
exit "${FAKE_EXIT:-0}"
"""


@pytest.fixture
def init(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An init script that is this instance's service manager."""
    script = instance / "init"
    script.write_text(MANAGER)
    script.chmod(0o755)
    monkeypatch.setattr(service, "PROCD", script)
    monkeypatch.setattr(service, "INIT_SCRIPT", script)
    monkeypatch.setenv("FAKE_PYTHON", sys.executable)
    monkeypatch.setenv("FAKE_TRACKER", str(FAKE))
    return script


@pytest.fixture
def managed(init: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(service, "service_manager", lambda _where: [str(init)])
    return init


def calls(script: Path) -> list[str]:
    """What the command asked of its service manager, questions aside."""
    return [word for word in Path(f"{script}.log").read_text().split() if word != "running"]


def test_the_service_manager_is_used_for_its_own_instance_only(init: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.service_manager(locate({}, {})) == [str(init)]
    assert service.service_manager(locate(os.environ, {})) is None
    monkeypatch.setenv(service.CALLED_BY_SERVICE, "1")
    assert service.service_manager(locate({}, {})) is None, "it would call itself without end"


def test_a_service_is_started_and_restarted_and_asked(run: Run, managed: Path, instance: Path) -> None:
    started = run("start")
    assert (started.code, started.out) == (0, f"started (process {pid(instance)}): wan is online, wan2 is offline\n")
    assert calls(managed) == ["start"]


def test_a_service_that_does_not_start_is_told(run: Run, managed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_OFF", "1")
    off = run("start")
    assert off.code == 1
    assert "it is switched off, or ended at once" in off.err
    monkeypatch.setenv("FAKE_EXIT", "4")
    failed = run("restart")
    assert failed.code == 1
    assert "exit code 4" in failed.err


def test_stopping_a_service_whose_tracker_has_crashed_still_stops_it(run: Run, managed: Path) -> None:
    assert run("stop").code == 0
    assert calls(managed) == ["stop"], "the service manager would start another one"


def test_stop_may_keep_the_kernel_as_it_is(run: Run, instance: Path, managed: Path) -> None:
    run("start")
    result = run("stop", "--keep")
    assert (result.code, result.out) == (0, "stopped; the kernel goes on steering\n")
    assert json.loads((instance / "stop-request.json").read_text()) == {"cmd": "stop", "keep": True}
    assert calls(managed) == ["start"], "not by the service manager, which would clean up"
    assert run("stop", "--keep").code == 3
