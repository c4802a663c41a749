# SPDX-License-Identifier: GPL-2.0-or-later
"""Notices when somebody else has removed, emptied or loaded our table again, and makes it right.

A firewall that includes our ruleset file loads it whenever it reloads: the same text, so that nothing changes, but for
policies that were switched at that very moment and for what `netpath use` has added.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from netpath.handover import Applied
from netpath.kernel import nftdump
from netpath.kernel.nftdump import GenerationMonitor
from netpath.statedir import RULESET, StateDir
from netpath.steering.names import LOADED
from netpath.tracker.journal import Journal, Log
from netpath.tracker.loads import Loads
from netpath.tracker.switch import Switch

RETRY = 5.0
"""Seconds until a ruleset that could not be read is read again."""


class TableGuard:
    """Watches over the table of one daemon."""

    def __init__(
        self,
        switch: Switch,
        loads: Loads,
        journal: Journal,
        log: Log,
        state_dir: StateDir,
        *,
        current: Callable[[], Applied | None],
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        """`current` is what should stand, None when nothing should; `spawn` runs work beside everything else."""
        self._switch, self._loads, self._journal, self._log, self._state_dir = switch, loads, journal, log, state_dir
        self._current, self._spawn = current, spawn
        self._monitor = GenerationMonitor(self._changed)
        self._handle = 0
        """Of the rule in chain `loaded`, as our worker has loaded it."""
        self._restoring = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch from now on. Raises OSError."""
        self._monitor.start(loop)

    def close(self) -> None:
        self._monitor.close()

    def adopt(self, applied: Applied) -> bool:
        """A worker has loaded `applied`. False when something else stands by now: another load is due."""
        self._handle = self._standing(applied) or 0
        return self._handle != 0

    def is_sound(self) -> bool:
        """Whether what our worker has loaded stands, loaded by nobody else since. Raises OSError."""
        applied = self._current()
        return applied is None or self._standing(applied) == self._handle

    def _changed(self, pid: int | None) -> None:
        """Somebody changed the ruleset."""
        applied = self._current()
        if applied is None or pid == os.getpid() or self._restoring:
            return
        if self._loads.running:
            self._loads.read_again = True
            return
        table = applied.globals.nft_table
        try:
            handle, intact = self._standing(applied), nftdump.table_intact(table)
        except OSError as error:
            self._log("error", f"the ruleset could not be read: {error}; trying again")
            asyncio.get_running_loop().call_later(RETRY, self._changed, None)
            return
        if not intact:
            lost = f"table inet {table} was removed or emptied by pid {pid}; loading it again"
            self._journal.add("table", "warning", message=lost)
            self._spawn(self._restore())
        elif handle != self._handle:
            self._journal.add("table", "info", message=f"table inet {table} was loaded again by pid {pid}")
            self._switch.rewrite("loaded again")
            self._spawn(self._loads.load(from_file=False))

    def _standing(self, applied: Applied) -> int | None:
        """Handle of the rule that names the text of `applied`; None when that is not what stands."""
        rules = nftdump.comments(applied.globals.nft_table, LOADED)
        return rules[0][0] if [comment for _, comment in rules] == [applied.load] else None

    async def _restore(self) -> None:
        """The last ruleset at once, then a load that makes everything right."""
        self._restoring = True
        try:
            text = self._state_dir.read_text(RULESET)
            if text is None or not await self._switch.restore(text):
                self._log("warning", "the last ruleset cannot be loaded as it was; a worker makes a new one")
        finally:
            self._restoring = False
        await self._loads.load(from_file=False)
