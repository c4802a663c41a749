# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals that say that something may have changed: one is heard, a heap of them harms nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from netpath.tracker.hints import HINT, Hints

HEAP = 5000
"""The pipe in which asyncio queues signals takes a few hundred."""


class Heard:
    """How often a change was told of."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Hints, Heard]]:
    heard = Heard()
    hints = Hints(asyncio.get_running_loop(), heard)
    hints.start()
    try:
        yield hints, heard
    finally:
        hints.close()


def send(number: int = 1) -> None:
    for _ in range(number):
        os.kill(os.getpid(), HINT)


async def turns() -> None:
    """Whatever was called on the loop has run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def a_heap_is_one() -> None:
    async with listening() as (hints, heard):
        send(HEAP)
        await turns()
        assert heard.count == 1
        send()
        await turns()
        assert heard.count == 1, "not before somebody listens again"
        hints.listen()
        send(HEAP)
        await turns()
        assert heard.count == 2


async def other_signals_come_through() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    try:
        async with listening():
            send(HEAP)
            os.kill(os.getpid(), signal.SIGUSR1)
            async with asyncio.timeout(10):
                await asked.wait()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


async def a_sleeping_loop_wakes() -> None:
    told = asyncio.Event()
    hints = Hints(asyncio.get_running_loop(), told.set)
    hints.start()
    sender = subprocess.Popen(["sh", "-c", f"sleep 0.1; kill -URG {os.getpid()}"])
    try:
        async with asyncio.timeout(10):
            await told.wait()
    finally:
        hints.close()
        assert sender.wait() == 0


async def programs_have_the_default_action() -> None:
    async with listening() as (hints, _):
        steps: tuple[Callable[[], None], ...] = (lambda: None, send, hints.listen)
        for step in steps:
            step()
            status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
            fields = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
            for mask in ("SigIgn", "SigBlk"):
                assert not int(fields[mask], 16) >> HINT - 1 & 1, mask


async def a_closed_one_hears_nothing() -> None:
    async with listening() as (hints, heard):
        hints.close()
        send()
        await turns()
        assert heard.count == 0


@pytest.mark.parametrize(
    "case",
    [
        a_heap_is_one,
        other_signals_come_through,
        a_sleeping_loop_wakes,
        programs_have_the_default_action,
        a_closed_one_hears_nothing,
    ],
)
def test_hints(case: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await case()

    asyncio.run(run())
