# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads one after another, merged, failing, killed. The workers are stand-ins that answer when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from netpath.handover import Applied
from netpath.model import Globals
from netpath.paths import Paths
from netpath.steering.marks import MarkSpace
from netpath.steering.policy import SteeringView
from netpath.tracker import loads as module
from netpath.tracker.journal import Journal, Log
from netpath.tracker.loads import STOPPING, Loads
from netpath.tracker.workers import Workers

GLOBALS = Globals(True, "netpath", 0x3F00, 6000, (), False, "notice", True, "", "none")
VIEW = SteeringView("netpath", MarkSpace(0x3F00), {}, {}, (), (), {})
BAD_FILE = {"error": "line 1", "problems": [{"line": 1}]}
DIED = {"error": "worker apply failed"}


def loaded(removed: int = 0) -> dict[str, Any]:
    from netpath.handover import encode

    return encode(Applied(GLOBALS, (), VIEW, (), (), {}, {}, frozenset(), 0, removed, (), {}, "", False))


class Bench(Workers):
    """Hands out the next reply when `release` is set; remembers what was asked and whether it was cancelled."""

    def __init__(self, replies: list[dict[str, Any]]) -> None:
        super().__init__(Paths(Path("/c"), Path("/s"), Path("/d")))
        self.replies = replies
        self.sources: list[str] = []
        self.release = asyncio.Event()
        self.started = asyncio.Event()
        self.killed = 0

    async def run(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        self.sources.append(request["source"])
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.killed += 1
            raise
        return self.replies.pop(0)


class Case:
    def __init__(self, *replies: dict[str, Any]) -> None:
        log = Log()
        log.set_level("emerg")
        self.workers = Bench(list(replies))
        self.adopted: list[Applied] = []
        self.again: list[bool] = []
        self.loads = Loads(self.workers, Journal(log), request=dict, adopt=self.adopted.append, again=self.again.append)


def run(case: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(case(), 20)

    asyncio.run(main())


def test_requests_that_wait_are_one_load() -> None:
    async def case() -> None:
        it = Case(*[loaded() for _ in range(9)])
        first = asyncio.ensure_future(it.loads.load(from_file=True))
        await it.workers.started.wait()
        burst = [asyncio.ensure_future(it.loads.load(from_file=True)) for _ in range(50)]
        burst.append(asyncio.ensure_future(it.loads.load(from_file=False)))
        await asyncio.sleep(0)
        it.workers.release.set()
        replies = await asyncio.gather(first, *burst)
        assert {reply["result"] for reply in replies} == {"ok"}
        assert it.workers.sources == ["file", "file", "applied"]

    run(case)


def test_a_caller_that_gives_up_does_not_end_the_load() -> None:
    async def case() -> None:
        it = Case(loaded())
        caller = asyncio.ensure_future(it.loads.load(from_file=True))
        await it.workers.started.wait()
        caller.cancel()
        it.workers.release.set()
        await asyncio.gather(caller, return_exceptions=True)
        await it.loads.ended()
        assert len(it.adopted) == 1

    run(case)


def test_stop_kills_the_running_load_and_allows_no_other() -> None:
    async def case() -> None:
        it = Case(loaded(), loaded())
        running = asyncio.ensure_future(it.loads.load(from_file=True))
        await it.workers.started.wait()
        waiting = asyncio.ensure_future(it.loads.load(from_file=True))
        await asyncio.sleep(0)
        it.loads.stop()
        await it.loads.ended()
        assert it.workers.killed == 1
        for reply in (await running, await waiting, await it.loads.load(from_file=True)):
            assert reply == {"error": STOPPING}
        assert it.workers.sources == ["file"]

    run(case)


@pytest.mark.parametrize("reply", [loaded(), BAD_FILE])
def test_what_the_kernel_did_meanwhile_is_read_again_also_when_the_file_is_bad(reply: dict[str, Any]) -> None:
    async def case() -> None:
        it = Case(dict(reply))
        load = asyncio.ensure_future(it.loads.load(from_file=True))
        await it.workers.started.wait()
        it.loads.read_again = True
        it.workers.release.set()
        await load
        assert it.again == [False]

    run(case)


def test_damage_outlives_a_load_of_a_bad_file_and_ends_with_a_good_one() -> None:
    async def case() -> None:
        it = Case(dict(BAD_FILE), loaded())
        it.workers.release.set()
        it.loads.removal()
        await it.loads.load(from_file=True)
        assert it.loads.damaged
        assert it.again == [False]
        await it.loads.load(from_file=False)
        assert not it.loads.damaged
        assert it.again == [False]

    run(case)


@pytest.mark.parametrize(("seen", "own", "damaged"), [(2, 2, False), (3, 2, True)])
def test_removals_beyond_the_workers_own_are_damage(seen: int, own: int, damaged: bool) -> None:
    async def case() -> None:
        it = Case(loaded(own))
        load = asyncio.ensure_future(it.loads.load(from_file=False))
        await it.workers.started.wait()
        for _ in range(seen):
            it.loads.removal()
        it.workers.release.set()
        await load
        assert it.loads.damaged is damaged
        assert it.again == [False] * damaged

    run(case)


def test_a_dead_worker_is_tried_again_and_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)

    async def case() -> None:
        it = Case(*[dict(DIED) for _ in range(3)], loaded())
        it.workers.release.set()
        pauses = []
        for _ in range(3):
            reply = await it.loads.load(from_file=True)
            assert reply["error"] == DIED["error"]
            assert it.loads.damaged, "it may have stopped halfway"
            timer = it.loads._timer
            assert timer is not None
            pauses.append(timer.when() - asyncio.get_running_loop().time())
            count = len(it.again)
            while len(it.again) == count:
                await asyncio.sleep(0.001)
        assert it.again == [True] * 3
        assert sorted(pauses) == pauses
        assert (await it.loads.load(from_file=False))["result"] == "ok"
        assert not it.loads.damaged

    run(case)


def test_a_worker_of_another_version_is_an_error_in_words() -> None:
    async def case() -> None:
        it = Case({"globals": {}})
        it.workers.release.set()
        assert "another version" in (await it.loads.load(from_file=True))["error"]
        assert it.adopted == []

    run(case)
