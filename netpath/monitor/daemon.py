# SPDX-License-Identifier: GPL-2.0-or-later
"""The running monitor: its configuration, its parts, and what it answers."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from netpath import __version__
from netpath.config.monitor import Given, LoadedMonitor, load_monitor
from netpath.monitor.history import INTERVAL, History, columns
from netpath.monitor.hub import Hub
from netpath.monitor.parts import Key, Part, Tools, wanted
from netpath.monitor.supervisor import CANCEL_TIME
from netpath.monitor.tracker import Tracker
from netpath.paths import Paths
from netpath.statedir import StateDir
from netpath.tracker.arguments import EPOCH, FLAG
from netpath.tracker.journal import Log
from netpath.tracker.memory import keep_small

METHODS = {"monitor": {"history": FLAG, "since": EPOCH}, "version": {}}
"""What the ubus object asks, see `netpath.tracker.arguments`."""
REPORT_INTERVAL = 60.0
"""Seconds between two reports of everybody's health in the log."""
STOP_TIME = 2 * CANCEL_TIME + 1
"""Seconds in which every part has ended: its supervisor waits for it, and may have begun to do so before."""


class Daemon:
    """One monitor, from `start` to `close`."""

    def __init__(self, where: Paths, given: Sequence[Given], log: Log, level: str | None = None) -> None:
        """`given` and the log's `level` go before what the file says, now and at each reload."""
        self.stopping = asyncio.Event()
        self._where = where
        self._given = given
        self._level = level
        self._log = log
        self._since = time.time()
        self._problem: str | None = None
        self._loading = asyncio.Lock()
        self._loaded = False
        """Whether a good configuration was ever read."""
        self._parts: dict[Key, Part] = {}
        self._hub = Hub()
        self._history = History()
        state = StateDir(where.state_dir)
        self._tools = Tools(self._hub, Tracker(where.socket), self.reply, log, state, where.bond_dir)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Read the configuration and start what it asks for; a bad one leaves nothing running but the answers."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        await self.reload()
        for work in (self._sample(), self._report(), keep_small()):
            self._keep(loop.create_task(work))

    async def close(self) -> None:
        """End everything that can be ended."""
        for task in self._tasks:
            task.cancel()
        await self._end(list(self._parts.values()))

    # -- configuration ------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self._keep(asyncio.get_running_loop().create_task(self.reload()))

    async def reload(self) -> None:
        """Read the file again: parts that it has as before run on. A file with errors changes nothing."""
        async with self._loading:
            # A file system that hangs, or a long file, must not hold up what runs.
            loaded = await asyncio.to_thread(load_monitor, self._where.config, self._given)
            if self.stopping.is_set():
                return
            for problem in loaded.problems:
                self._log(problem.severity, str(problem))
            if loaded.monitor is None:
                self._refuse(loaded)
                return
            self._loaded, self._problem = True, None
            self._log.set_level(self._level or loaded.monitor.loglevel)
            await self._adopt(loaded)
        if not loaded.monitor.enabled:
            self._problem = f"switched off: option enabled of section monitor in {self._where.config}"
        self._log("notice", self._problem or f"loaded: {self._summary()}")

    def _refuse(self, loaded: LoadedMonitor) -> None:
        first = next(str(problem) for problem in loaded.problems if problem.severity == "error")
        rest = "the configuration of before runs on" if self._loaded else "nothing is monitored"
        self._problem = f"{first}; {rest}"
        self._log("error", f"{self._where.config} has errors; {rest}")

    async def _adopt(self, loaded: LoadedMonitor) -> None:
        """Replace what has changed. All that goes is gone before anything new comes: it may want the same port."""
        assert loaded.monitor is not None
        asked = wanted(loaded.monitor, loaded.nft_table)
        stays = {
            key: part
            for key, part in self._parts.items()
            if asked.get(key) == (part.settings, part.retry) and not part.given_up
        }
        gone = [part for key, part in self._parts.items() if key not in stays]
        self._parts = stays
        await self._end(gone)
        self._hub.wan = loaded.monitor.wan
        self._parts = {
            key: stays.get(key) or Part(key, settings, retry, self._tools) for key, (settings, retry) in asked.items()
        }
        for key, part in self._parts.items():
            if key not in stays:
                part.start()

    async def _end(self, parts: Sequence[Part]) -> None:
        """Stop these, and wait until they have ended."""
        if tasks := [task for part in parts if (task := part.stop()) is not None]:
            await asyncio.wait(tasks, timeout=STOP_TIME)

    def _summary(self) -> str:
        return ", ".join(part.supervised.name for part in self._parts.values()) or "nothing to do"

    # -- beside the parts ---------------------------------------------------------------------------------------

    async def _sample(self) -> None:
        """Keep what the displays get, once a second."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._history.add(self._hub.speeds())
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _report(self) -> None:
        """Everybody's health, for the log."""
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            for part in self._parts.values():
                row = part.supervised.row()
                reason = f"; last failure: {row['reason']}" if row["reason"] else ""
                self._log(
                    "info",
                    f"health: {part.supervised.name} is {row['status']}, {row['uptime']:.1f} % of the time healthy, "
                    f"{row['attempts']} attempts, {row['successes']} successes, {row['failures']} failures "
                    f"({row['consecutive_failures']} in a row){reason}",
                )

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task; its failure is logged."""

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self._log.internal(task.exception())

        self._tasks.add(task)
        task.add_done_callback(done)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What no callback or task has caught."""
        del loop
        self._log.internal(context.get("exception"), context.get("message", ""))

    # -- answers ------------------------------------------------------------------------------------------------

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the socket."""
        if request["cmd"] == "version":
            return {"version": __version__, "python": sys.version.split()[0]}
        if request["cmd"] != "monitor":
            return {"error": f"unknown command {request['cmd'][:40]!r}; the monitor knows {', '.join(METHODS)}"}
        history, since = request.get("history", False), request.get("since")
        if not isinstance(history, bool):
            return {"error": "history must be true or false"}
        if since is not None and (isinstance(since, bool) or not isinstance(since, int | float)):
            return {"error": "since must be a number (epoch seconds)"}
        return {**self.reply(), **({"history": self._history.reply(since)} if history else {})}

    def reply(self) -> dict[str, Any]:
        """How everything is, as docs/monitor.md shows it, without history."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for part in self._parts.values():
            rows.setdefault(part.kind, []).append(part.row())
        single = {kind: rows[kind][0] if kind in rows else None for kind in ("server", "metrics", "broker")}
        return {
            "running": True,
            "since": round(self._since, 3),
            "problem": self._problem,
            "speeds": columns(self._hub.speeds()),
            "sources": rows.get("source", []),
            **single,
            "notify": rows.get("notify", []),
        }
