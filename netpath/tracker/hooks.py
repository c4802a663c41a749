# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's scripts at each transition, beside the failover path and never inside it.

`/etc/netpath.user` (run by /bin/sh, like mwan3.user) and each executable of `/etc/netpath.d`, one after another, with
mwan3's environment: ACTION (ifup, ifdown, connecting, connected, disconnecting, disconnected), INTERFACE, DEVICE.
They run as root, so one that another user could have written is not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from netpath.health import Transition
from netpath.model import State
from netpath.owners import executables, refusal
from netpath.tracker.journal import Log

TIME_LIMIT = 30.0
"""Seconds after which a script is killed with its whole process group."""
QUEUE = 100
"""Events waiting for slow scripts; beyond that the oldest are dropped, with a log line."""


_ACTIONS: dict[State, str] = {
    State.ONLINE: "connected",
    State.OFFLINE: "disconnected",
    State.DISABLED: "disconnected",
    State.CONNECTING: "connecting",
    State.DISCONNECTING: "disconnecting",
}
"""New state -> mwan3's ACTION."""


def hook_action(transition: Transition) -> str | None:
    """The ACTION of a transition, or None: as with mwan3, an uplink that was only about to be lost was never lost, and
    one that was only about to be used is not lost either."""
    if transition.new is State.ONLINE and transition.old is State.DISCONNECTING:
        return None
    if transition.new in (State.OFFLINE, State.DISABLED) and not transition.old.usable:
        return None
    return _ACTIONS[transition.new]


@dataclass(frozen=True, slots=True)
class HookEvent:
    action: str
    interface: str
    device: str


class Hooks:
    """A queue worked off by one task, so that scripts never run at the same time as each other."""

    def __init__(self, script: Path, directory: Path, log: Log) -> None:
        self._script = script
        self._directory = directory
        self._log = log
        self._queue: deque[HookEvent] = deque()
        self._task: asyncio.Task[None] | None = None

    def fire(self, event: HookEvent) -> None:
        """Queue `event`; returns at once."""
        if len(self._queue) >= QUEUE:
            lost = self._queue.popleft()
            self._log("warning", f"user scripts are too slow: {lost.action} of {lost.interface} was dropped")
        self._queue.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Stop; a running script is killed."""
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            for argv in self._commands():
                await self._run(argv, event)

    def _commands(self) -> list[list[str]]:
        commands = [["/bin/sh", str(self._script)]] if self._script.is_file() and self._is_ours(self._script) else []
        try:
            found = executables(self._directory)
        except OSError as error:
            self._log("error", f"{self._directory}: cannot be read: {error.strerror}")
            return commands
        return commands + [[str(path)] for path in found if self._is_ours(path)]

    def _is_ours(self, file: Path) -> bool:
        refused = refusal(file)
        if refused:
            self._log("error", f"{file} is not run: {refused}")
        return refused is None

    async def _run(self, argv: list[str], event: HookEvent) -> None:
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "ACTION": event.action,
            "INTERFACE": event.interface,
            "DEVICE": event.device,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, env=environment, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            self._log("error", f"{argv[-1]}: cannot be run: {error}")
            return
        try:
            code = await asyncio.wait_for(process.wait(), TIME_LIMIT)
        except TimeoutError:
            _kill_group(process.pid)
            self._log("error", f"{argv[-1]}: killed after {TIME_LIMIT:.0f} s ({event.action} of {event.interface})")
        except asyncio.CancelledError:
            _kill_group(process.pid)
            raise
        else:
            if code:
                self._log("warning", f"{argv[-1]}: exit code {code} ({event.action} of {event.interface})")


def _kill_group(pid: int) -> None:
    """End a script and all that it started; it may have ended by itself meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
