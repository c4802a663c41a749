# SPDX-License-Identifier: GPL-2.0-or-later
"""User scripts: real shell, real processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from netpath.health import Transition
from netpath.model import State
from netpath.tracker import hooks as module
from netpath.tracker.hooks import HookEvent, Hooks, hook_action
from tests.lines import Lines


def run(script: Path, directory: Path, events: list[HookEvent]) -> list[str]:
    log = Lines()

    async def main() -> None:
        hooks = Hooks(script, directory, log)
        for event in events:
            hooks.fire(event)
        assert hooks._task is not None
        await asyncio.wait_for(hooks._task, 20)
        await hooks.close()

    asyncio.run(main())
    return log.lines


def test_scripts_see_mwan3s_environment_one_after_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "netpath.user"
    script.write_text(f'echo "$ACTION $INTERFACE $DEVICE" >> {out}\n')
    directory = tmp_path / "netpath.d"
    directory.mkdir()
    extra = directory / "10-mail"
    extra.write_text(f'#!/bin/sh\necho "extra $ACTION" >> {out}\n')
    extra.chmod(0o755)
    (directory / "README").write_text("not executable, not run")
    run(script, directory, [HookEvent("disconnected", "wan", "eth0"), HookEvent("connected", "wan", "eth0")])
    assert out.read_text().splitlines() == [
        "disconnected wan eth0",
        "extra disconnected",
        "connected wan eth0",
        "extra connected",
    ]


def test_values_are_inert_in_the_shell(tmp_path: Path) -> None:
    out, trap = tmp_path / "out", tmp_path / "trap"
    script = tmp_path / "netpath.user"
    script.write_text(f'printf "%s" "$INTERFACE" > {out}\n')
    run(script, tmp_path / "none", [HookEvent("connected", f"$(touch {trap});`touch {trap}`", "eth0")])
    assert not trap.exists()
    assert out.read_text() == f"$(touch {trap});`touch {trap}`"


def test_a_hanging_script_is_killed_with_its_children_and_the_next_event_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.3)
    pids, out = tmp_path / "pids", tmp_path / "out"
    script = tmp_path / "netpath.user"
    script.write_text(
        f'[ "$ACTION" = connected ] && {{ echo done > {out}; exit 0; }}\nsleep 300 & echo $! > {pids}\nwait\n'
    )
    lines = run(script, tmp_path / "none", [HookEvent("disconnected", "wan", ""), HookEvent("connected", "wan", "")])
    assert any("killed after" in line and "disconnected of wan" in line for line in lines)
    assert out.read_text() == "done\n"
    child = int(pids.read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_failing_or_missing_script_is_logged_and_harms_nothing(tmp_path: Path) -> None:
    script = tmp_path / "netpath.user"
    script.write_text("exit 7\n")
    lines = run(script, tmp_path / "none", [HookEvent("connected", "wan", "eth0")])
    assert any("exit code 7" in line for line in lines)
    assert run(tmp_path / "absent", tmp_path / "none", [HookEvent("connected", "wan", "eth0")]) == []


def test_scripts_do_not_inherit_the_trackers_environment(tmp_path: Path) -> None:
    os.environ["NETPATH_SECRET"] = "x"
    out = tmp_path / "out"
    script = tmp_path / "netpath.user"
    script.write_text(f"env > {out}\n")
    run(script, tmp_path / "none", [HookEvent("connected", "wan", "eth0")])
    del os.environ["NETPATH_SECRET"]
    assert "NETPATH_SECRET" not in out.read_text()


@pytest.mark.parametrize(
    ("old", "new", "action"),
    [
        (State.ONLINE, State.DISCONNECTING, "disconnecting"),
        (State.DISCONNECTING, State.ONLINE, None),
        (State.DISCONNECTING, State.OFFLINE, "disconnected"),
        (State.ONLINE, State.DISABLED, "disconnected"),
        (State.OFFLINE, State.DISABLED, None),
        (State.OFFLINE, State.CONNECTING, "connecting"),
        (State.CONNECTING, State.OFFLINE, None),
        (State.CONNECTING, State.ONLINE, "connected"),
    ],
)
def test_actions_as_mwan3_names_them(old: State, new: State, action: str | None) -> None:
    assert hook_action(Transition(old, new, "", 0.0)) == action


def test_a_directory_that_cannot_be_read_is_said_and_the_script_runs(tmp_path: Path) -> None:
    out, script = tmp_path / "out", tmp_path / "netpath.user"
    script.write_text(f"echo ran > {out}\n")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    lines = run(script, loop, [HookEvent("connected", "wan", "eth0")])
    assert out.read_text() == "ran\n"
    assert any("cannot be read" in line for line in lines)
