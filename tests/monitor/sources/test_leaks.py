# SPDX-License-Identifier: GPL-2.0-or-later
"""Attempts that fail leave nothing behind: a router is up for years."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from pathlib import Path

import pytest

from netpath.monitor.feeds import feed
from netpath.monitoring import SourceType
from tests.monitor.sources.fake_clash import FakeClash
from tests.monitor.sources.fake_router import FakeRouter
from tests.monitor.sources.running import NOBODY, failure, peer, source

TIMES = 200


def held() -> tuple[int, int]:
    """File descriptors and threads of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_200_failed_attempts_leave_no_descriptor_and_no_thread() -> None:
    async def scene() -> tuple[tuple[int, int], tuple[int, int]]:
        async with (
            peer(b"garbage\r\n\r\n", hold=True) as odd,
            FakeRouter() as fake,
            FakeClash("secret") as clash,
        ):
            attempts = [
                source(SourceType.CLASH, f"ws://127.0.0.1:{odd}"),
                source(SourceType.CLASH, f"wss://127.0.0.1:{odd}"),
                source(SourceType.CLASH, f"ws://127.0.0.1:{clash.port}", token="wrong"),
                source(SourceType.CLASH, "ws://127.0.0.1:1"),
                source(SourceType.OPENWRT, f"http://127.0.0.1:{odd}"),
                source(SourceType.OPENWRT, f"http://127.0.0.1:{fake.port}", password="wrong"),
                source(SourceType.OPENWRT, "https://nowhere.invalid"),
                source(SourceType.LOCAL),
            ]
            for attempt in attempts:
                await failure(attempt)
            await asyncio.sleep(0.1)  # whoever was talked to notices
            before = held()
            for number in range(TIMES):
                await failure(attempts[number % len(attempts)])
            await asyncio.sleep(0.1)
            return before, held()

    before, after = asyncio.run(scene())
    assert after == before


def test_attempts_that_are_cancelled_leave_nothing_either() -> None:
    async def scene() -> tuple[tuple[int, int], tuple[int, int]]:
        async with peer(b"", hold=True) as silent, FakeRouter() as fake, FakeClash() as clash:
            running = [
                source(SourceType.CLASH, f"ws://127.0.0.1:{silent}"),
                source(SourceType.CLASH, f"ws://127.0.0.1:{clash.port}"),
                source(SourceType.OPENWRT, f"http://127.0.0.1:{silent}"),
                source(SourceType.OPENWRT, f"http://127.0.0.1:{fake.port}"),
            ]
            before = held()
            for _ in range(10):
                tasks = [asyncio.create_task(feed(each, NOBODY).run(lambda _: None)) for each in running]
                await asyncio.sleep(0.03)
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(end) for end in ends} == {asyncio.CancelledError}
            await asyncio.sleep(0.1)
            return before, held()

    before, after = asyncio.run(scene())
    assert after == before


def test_a_name_server_that_is_silent_costs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answer.wait(20)
        return [(0, 0, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def scene() -> None:
        before = threading.active_count()
        asked = source(SourceType.CLASH, "ws://proxy.example:1", timeout=0.05)
        for _ in range(5):
            assert "proxy.example was not resolved in 0.05 s" in await failure(asked)
        assert threading.active_count() == before + 1
        answer.set()
        assert "nothing listens there" in await failure(source(SourceType.CLASH, "ws://proxy.example:1"))

    asyncio.run(scene())
