# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker as the monitor's parts see it, with a tracker that is restarted, slow, or talks nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from netpath.monitor import tracker as client
from netpath.monitor.tracker import Position, Tracker, TrackerError

Event = dict[str, Any]


def event(seq: int, time: float = 0.0) -> Event:
    return {"seq": seq, "time": time or 1000.0 + seq, "kind": "interface", "interface": "wan", "from": "a", "to": "b"}


class Fake:
    """Answers as docs/socket.md has it; `say` goes to all that follow."""

    def __init__(self, path: Path, *events: Event) -> None:
        self.path = path
        self.past = list(events)
        self.server: asyncio.Server | None = None
        self.asked: asyncio.Queue[Event] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self.writers:
            writer.close()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        newest = self.past[-1]["seq"] if self.past else 0
        found = self.past[-request.get("limit", len(self.past)) :] if self.past else []
        writer.write(json.dumps({"events": found, "newest": newest}).encode() + b"\n")
        self.writers.append(writer)
        await self.asked.put(request)

    def say(self, *events: Event) -> None:
        for each in events:
            self.past.append(each)
            for writer in self.writers:
                writer.write(json.dumps(each).encode() + b"\n")


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 10))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY_TIME", 0.01)


def numbers(seen: list[Event]) -> list[int]:
    return [each["seq"] for each in seen]


async def follow(tracker: Tracker, seen: list[Event], position: Position | None = None) -> None:
    async for each in tracker.events(position):
        seen.append(each)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_only_what_comes_from_now_on(tmp_path: Path) -> None:
    async def scene() -> None:
        fake, seen = Fake(tmp_path / "s", event(1), event(2)), list[Event]()
        await fake.start()
        task = asyncio.ensure_future(follow(Tracker(fake.path), seen))
        await fake.asked.get()
        fake.say(event(3))
        await until(lambda: bool(seen))
        assert numbers(seen) == [3]
        task.cancel()
        await fake.stop()

    play(scene)


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        ([event(1), event(2), event(3), event(4)], [3, 4]),  # the same tracker, whose connection broke
        ([event(1, 2000), event(2, 2001)], [1, 2]),  # another one, with as many events as the one before
        ([event(n, 2000.0 + n) for n in range(1, 6)], [1, 2, 3, 4, 5]),  # another one that has had more already
        ([], []),  # another one, where nothing has happened
    ],
)
def test_a_restart_makes_no_gap(tmp_path: Path, meanwhile: list[Event], expected: list[int]) -> None:
    async def scene() -> None:
        fake, seen = Fake(tmp_path / "s", event(1)), list[Event]()
        await fake.start()
        task = asyncio.ensure_future(follow(Tracker(fake.path), seen))
        await fake.asked.get()
        fake.say(event(2))
        await until(lambda: bool(seen))
        await fake.stop()
        again = Fake(fake.path, *meanwhile)
        await again.start()
        await again.asked.get()
        again.say(event(9, 3000))
        await until(lambda: 9 in numbers(seen))
        assert numbers(seen) == [2, *expected, 9]
        task.cancel()
        await again.stop()

    play(scene)


def test_everything_of_a_tracker_that_starts_later(tmp_path: Path) -> None:
    async def scene() -> None:
        seen: list[Event] = []
        task = asyncio.ensure_future(follow(Tracker(tmp_path / "s"), seen))
        await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        fake = Fake(tmp_path / "s", event(1), event(2))
        await fake.start()
        await until(lambda: len(seen) == 2)
        task.cancel()
        await fake.stop()

    play(scene)


def test_a_position_goes_on_where_another_call_has_stopped(tmp_path: Path) -> None:
    async def scene() -> None:
        fake, seen, position = Fake(tmp_path / "s", event(1)), list[Event](), Position()
        await fake.start()
        tracker = Tracker(fake.path)
        first = asyncio.ensure_future(follow(tracker, seen, position))
        await fake.asked.get()
        await until(lambda: position.seq == 1)
        first.cancel()
        fake.past += [event(2), event(3)]
        second = asyncio.ensure_future(follow(tracker, seen, position))
        await until(lambda: len(seen) == 2)
        assert numbers(seen) == [2, 3]
        second.cancel()
        await fake.stop()

    play(scene)


GARBAGE = [
    b"\xff\xfe\n",
    b"[]\n",
    b"[" * 100_000 + b"\n",
    b'{"events": 5, "newest": 1}\n',
    b'{"events": [], "newest": "x"}\n',
    b'{"events": [{"seq": "x"}], "newest": 1}\n',
    b'{"error": "no"}\n',
    b'{"events": [], "newest": 1}\n{"seq": null}\n',
    b'{"events": [], "newest": 1}\n{"seq": 2, "time": 1, "kind": 7}\n',
    b"no end of line",
]


def test_garbage_ends_a_connection_and_nothing_else(tmp_path: Path) -> None:
    async def scene() -> None:
        left = list(GARBAGE)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(left.pop(0))
            if not left:
                server.close()
                (tmp_path / "s").unlink()
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        seen: list[Event] = []
        task = asyncio.ensure_future(follow(Tracker(tmp_path / "s"), seen))
        await until(lambda: not left)
        fake = Fake(tmp_path / "s", event(1, 5000))
        await fake.start()
        await fake.asked.get()
        fake.say(event(2, 5001))
        await until(lambda: 2 in numbers(seen))
        assert not task.done()
        task.cancel()
        await fake.stop()

    play(scene)


@pytest.mark.parametrize("answer", [line for line in GARBAGE if not line.startswith(b'{"ev')])
def test_garbage_is_an_error_for_who_asks(tmp_path: Path, answer: bytes) -> None:
    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        with pytest.raises(TrackerError):
            await Tracker(tmp_path / "s").ask("status")
        server.close()

    play(scene)


def test_a_slow_tracker_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_TIME", 0.05)

    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
        with pytest.raises(TrackerError, match="no answer to status"):
            await Tracker(tmp_path / "s").ask("status")
        server.close()

    play(scene)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match=r"is not running .*No such file"):
        asyncio.run(Tracker(tmp_path / "s").ask("status"))
