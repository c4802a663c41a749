# SPDX-License-Identifier: GPL-2.0-or-later
"""One part's failures: counted, said once, kept to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from netpath.monitor import supervisor
from netpath.monitor.health import Status
from netpath.monitor.readings import ServiceError
from netpath.monitor.supervisor import Supervised
from netpath.monitoring import Retry
from tests.lines import Lines

QUICK = Retry(attempts=None, first=0.001, most=0.002, factor=2.0, jitter=0.0)
SECRET = "hunter2"


def make(retry: Retry = QUICK, **more: Any) -> tuple[Supervised, Lines]:
    lines = Lines()
    return Supervised("source p", retry, lines, secrets=[SECRET, ""], **more), lines


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def keep(part: Supervised, attempt: Callable[[], Awaitable[None]], condition: Callable[[], bool]) -> None:
    """Run it until the condition holds."""

    async def run() -> None:
        task = asyncio.create_task(part.keep(attempt))
        await until(lambda: condition() or task.done())
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(run())


def test_failures_are_counted_and_said_when_they_are_news() -> None:
    part, log = make()
    count = 0

    async def attempt() -> None:
        nonlocal count
        count += 1
        if count > 6:
            await asyncio.sleep(3600)
        if count in (4, 5):
            part.works()
        raise ServiceError(f"refused {SECRET}\n{count}" + "x" * 1000)

    keep(part, attempt, lambda: count > 6)
    assert part.health.consecutive_failures == 2
    assert (part.health.attempts, part.health.successes) == (7, 2)
    # Once after the beginning and once after each success: 1, 4, 5.
    assert len(log.at("warning")) == 3
    assert log.at("notice") == ["source p works again"] * 2
    assert part.health.reason is not None
    assert part.health.reason.startswith("refused ***?6xxx")
    assert len(part.health.reason) < 310
    assert not any(SECRET in line or "\n" in line for line in log.lines)


def test_it_gives_up_after_as_many_failures_as_its_retry_allows() -> None:
    part, log = make(Retry(3, 0.001, 0.001, 2.0, 0.0))

    async def attempt() -> None:
        raise ServiceError("refused")

    keep(part, attempt, lambda: False)
    assert (part.health.status, part.health.attempts) == (Status.GIVEN_UP, 3)
    assert log.at("error") == ["source p is given up until the next reload: refused"]
    assert part.next_attempt is None


def test_a_fault_of_ours_is_logged_with_its_place_and_is_a_failure_like_others() -> None:
    part, log = make()

    async def attempt() -> None:
        raise KeyError(SECRET)

    keep(part, attempt, lambda: part.health.failures >= 2)
    assert part.row()["status"] == "failing"
    assert "fault of the monitor itself" in part.row()["reason"]
    assert any(__file__ in line for line in log.at("error"))
    assert not any(SECRET in line for line in log.lines)


def test_what_ends_by_itself_has_failed() -> None:
    part, _ = make()

    async def attempt() -> None:
        return

    keep(part, attempt, lambda: part.health.failures >= 2)
    assert part.health.reason == "it ended by itself"


@pytest.mark.parametrize(
    ("module", "words"), [("paho.mqtt.client", "opkg install python3-paho-mqtt"), ("own", "cannot be loaded")]
)
def test_a_missing_library_is_named_with_its_remedy_and_not_asked_for_again(module: str, words: str) -> None:
    part, _ = make()

    async def attempt() -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    keep(part, attempt, lambda: False)
    assert part.health.status is Status.GIVEN_UP
    assert words in (part.health.reason or "")


def test_silence_is_a_failure() -> None:
    part, _ = make(patience=0.05)
    ended = 0

    async def attempt() -> None:
        nonlocal ended
        part.works()
        try:
            await asyncio.sleep(3600)
        finally:
            ended += 1

    keep(part, attempt, lambda: part.health.failures >= 2)
    assert ended >= 2
    assert "nothing came" in (part.health.reason or "")


def test_what_gives_signs_of_life_is_left_alone() -> None:
    part, _ = make(patience=0.2)
    signs = 0

    async def attempt() -> None:
        nonlocal signs
        while True:
            await asyncio.sleep(0.02)
            part.works()
            signs += 1

    keep(part, attempt, lambda: signs > 25)
    assert part.health.failures == 0


def test_what_cannot_be_ended_is_not_started_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "CANCEL_TIME", 0.05)
    part, log = make(patience=0.02)
    release = asyncio.Event()

    async def attempt() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def run() -> None:
        await part.keep(attempt)
        release.set()

    asyncio.run(run())
    assert (part.health.status, part.health.attempts) == (Status.GIVEN_UP, 1)
    assert "hangs" in log.at("error")[0]


def test_the_owner_hears_of_each_failure() -> None:
    heard: list[int] = []
    part, _ = make(failed=lambda: heard.append(1))

    async def attempt() -> None:
        raise ServiceError("refused")

    keep(part, attempt, lambda: len(heard) >= 3)
    assert part.health.failures == len(heard)


def test_a_cancel_ends_what_runs() -> None:
    part, _ = make()
    ended = asyncio.Event()

    async def attempt() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    keep(part, attempt, lambda: part.health.attempts == 1)
    assert ended.is_set()
