# SPDX-License-Identifier: GPL-2.0-or-later
"""Full loads by `apply` workers: one at a time, requests that wait are merged, and one that failed is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from netpath import handover
from netpath.handover import Applied
from netpath.tracker.journal import Journal
from netpath.tracker.workers import Workers

RETRY, LONGEST_RETRY = 5.0, 300.0
"""Seconds until a load that failed for another reason than its configuration is tried again; doubled each time."""
STOPPING = "NetPath is stopping"

Reply = dict[str, Any]


class Loads:
    """Loads of one daemon, and what makes another one necessary."""

    def __init__(
        self,
        workers: Workers,
        journal: Journal,
        *,
        request: Callable[[], Reply],
        adopt: Callable[[Applied], None],
        again: Callable[[bool], None],
    ) -> None:
        """`request` gives a worker what it must know, `adopt` takes over what it has loaded.

        `again(from_file)` is called when the kernel should be compared and loaded anew: soon after a load that has
        missed something, some seconds after a failed one (`from_file`: what that one read).
        """
        self._workers = workers
        self._journal = journal
        self._request = request
        self._adopt = adopt
        self._again = again
        self.damaged = False
        """Something of ours is not in the kernel as it was loaded."""
        self.read_again = False
        """The kernel changed while a worker was loading."""
        self._removals = 0
        """Removals of our routes and rules seen since the last load began; it tells how many were its own."""
        self._lock = asyncio.Lock()
        self._waiting: dict[bool, asyncio.Task[Reply]] = {}
        """Loads that have not begun, by `from_file`: whoever asks for the same gets the same."""
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._lock.locked()

    def removal(self) -> None:
        """A route or rule of ours was removed: by the running worker, or by somebody who should not."""
        self._removals += 1
        self.damaged = self.damaged or not self.running

    async def load(self, *, from_file: bool) -> Reply:
        """Bring the kernel to the configuration; the worker's warnings, or {"error", "problems"}.

        A caller that gives up does not end the load.
        """
        if self._stopped:
            return {"error": STOPPING}
        task = self._waiting.get(from_file)
        if task is None:
            task = self._waiting[from_file] = asyncio.get_running_loop().create_task(self._load(from_file))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task})
        return {"error": STOPPING} if task.cancelled() else task.result()

    def stop(self) -> None:
        """No load from now on; a running worker is killed."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait, after `stop`, until no worker is left."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load(self, from_file: bool) -> Reply:
        async with self._lock:
            del self._waiting[from_file]
            was_damaged, self.damaged, self.read_again, self._removals = self.damaged, False, False, 0
            source = "file" if from_file else "applied"
            reply = await self._workers.run("apply", {"source": source, **self._request()})
            applied = _decoded(reply)
            if applied is None:
                return self._failed(reply, from_file=from_file, was_damaged=was_damaged)
            self._failures = 0
            if self._timer is not None:
                self._timer.cancel()
            self._adopt(applied)
            self.damaged = self.damaged or self._removals > applied.removed
            if self.damaged or self.read_again:
                self._again(False)
            warnings = [*applied.warnings, *(await self._settle() if applied.settle else ())]
        return {"result": "ok", "warnings": warnings}

    async def _settle(self) -> list[dict[str, Any]]:
        """Let dnsmasq follow; what failed, as warnings."""
        reply = await self._workers.run("dnsmasq", {})
        if "error" in reply:
            self._journal.add("error", "error", message=reply["error"])
        return list(reply.get("warnings", ()))

    def _failed(self, reply: Reply, *, from_file: bool, was_damaged: bool) -> Reply:
        self._journal.add("config", "error", message=reply["error"])
        problems = reply.get("problems", [])
        if problems:  # the file's fault: the worker has touched nothing
            self.damaged = self.damaged or was_damaged or self._removals > 0
            if self.damaged or self.read_again:
                self._again(False)
        else:  # it may have stopped halfway
            self.damaged = True
            pause = min(RETRY * 2**self._failures, LONGEST_RETRY)
            self._failures = min(self._failures + 1, 10)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(pause, self._again, from_file)
        return {"error": reply["error"], "problems": problems}


def _decoded(reply: Reply) -> Applied | None:
    """What was loaded; None for an error, which `reply` then has."""
    if "error" in reply:
        return None
    try:
        return handover.decode(reply)
    except (KeyError, TypeError, ValueError) as error:
        reply["error"] = f"the worker is of another version than the tracker ({error!r}): run `netpath restart`"
        return None
