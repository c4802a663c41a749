# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker's picture of netifd's interfaces. Whatever hints at a change (kernel, hotplug), it is read anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from netpath.kernel import netifd, ubus
from netpath.kernel.netifd import Dump
from netpath.tracker.journal import Log

TIME_LIMIT = 6.0
"""Seconds; `ubus` itself gives up a little earlier."""


class LogicalInterfaces:
    """What netifd said last; empty where there is none."""

    def __init__(self, log: Log) -> None:
        self.dump: Dump = {}
        self._log = log
        self._silent = False
        """It does not answer, and that has been said."""
        self._lock = asyncio.Lock()

    @property
    def present(self) -> bool:
        """Whether there is a bus to ask on."""
        return ubus.command() is not None

    @property
    def busy(self) -> bool:
        """Whether it is asked right now."""
        return self._lock.locked()

    async def refresh(self) -> None:
        """Ask again. Without an answer (netifd restarts) what it said before goes on to hold."""
        async with self._lock:  # answers must not overtake each other
            command = ubus.command(*netifd.REQUEST)
            if command is None:
                return
            try:
                dump = netifd.parse(await _output(command))
            except OSError as error:
                self._log("error", f"{command[0]} cannot be started: {error.strerror}")
                return
        if dump:
            self.dump = dump
        elif not self._silent:
            self._log("notice", "netifd does not answer; what it said last goes on to hold")
        self._silent = not dump


async def _output(argv: Sequence[str]) -> bytes:
    """Standard output of a program; empty when it fails or takes too long. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), TIME_LIMIT)
    except TimeoutError:
        out = b""
    finally:
        if process.returncode is None:  # too late, or the tracker stops
            process.kill()
            await process.wait()
    return out if process.returncode == 0 else b""
