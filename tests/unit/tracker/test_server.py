# SPDX-License-Identifier: GPL-2.0-or-later
"""The socket under honest, careless and hostile clients. Real unix sockets."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from netpath.tracker import server as module
from netpath.tracker.bounded import REPLY_LIMIT
from netpath.tracker.journal import Journal, Log
from netpath.tracker.server import LINE_LIMIT, Server

Talk = Callable[[Path, Journal], Awaitable[None]]


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    if request["cmd"] == "huge":
        return {"data": "x" * (REPLY_LIMIT + 1)}
    if request["cmd"] == "events":
        return {"events": [], "newest": 0}
    return {"echo": request}


def serve(path: Path, talk: Talk) -> None:
    async def main() -> None:
        log = Log()
        log.set_level("emerg")
        journal = Journal(log)
        server = Server(path, echo, journal, log)
        await server.start()
        try:
            await asyncio.wait_for(talk(path, journal), 20)
        finally:
            await server.close()

    asyncio.run(main())


async def ask(path: Path, data: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2 * REPLY_LIMIT)
    writer.write(data)
    await writer.drain()
    reply: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return reply


def test_only_the_owner_may_connect_and_the_file_goes_with_the_server(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    serve(tmp_path / "s", talk)
    assert not (tmp_path / "s").exists()


def test_a_socket_file_left_by_a_killed_tracker_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("left over")

    async def talk(path: Path, journal: Journal) -> None:
        assert await ask(path, b'{"cmd":"a"}\n') == {"echo": {"cmd": "a"}}

    serve(tmp_path / "s", talk)


def test_many_requests_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"".join(b'{"cmd":"%d"}\n' % n for n in range(50)) + b"\n")
        for n in range(50):
            assert json.loads(await reader.readline()) == {"echo": {"cmd": str(n)}}
        writer.close()

    serve(tmp_path / "s", talk)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'{"cmd":1}',
        b"{}",
        b"\xff\xfe",
        b'"status"',
        b"[" * 30000,
        b'{"cmd": NaN',
        b'{"cmd":"a","x":-Infinity}',
    ],
)
def test_malformed_requests_get_an_error_and_the_connection_lives_on(tmp_path: Path, line: bytes) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(line + b'\n{"cmd":"next"}\n')
        assert "example" in json.loads(await reader.readline())["error"]
        assert json.loads(await reader.readline()) == {"echo": {"cmd": "next"}}
        writer.close()

    serve(tmp_path / "s", talk)


def test_an_oversized_line_is_refused_and_the_next_client_is_served(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        reply = await ask(path, b'{"cmd":"' + b"x" * (LINE_LIMIT * 2))
        assert str(LINE_LIMIT) in reply["error"]
        assert await ask(path, b'{"cmd":"a"}\n') == {"echo": {"cmd": "a"}}

    serve(tmp_path / "s", talk)


def test_a_reply_that_would_kill_rpcd_becomes_an_error(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        assert "ask for less" in (await ask(path, b'{"cmd":"huge"}\n'))["error"]

    serve(tmp_path / "s", talk)


def test_silent_clients_block_nobody_and_too_many_are_told(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        idle = []
        for _ in range(module.CLIENTS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"cmd":"a"}\n')
            assert json.loads(await reader.readline()) == {"echo": {"cmd": "a"}}
            idle.append(writer)
        assert "too many" in (await ask(path, b'{"cmd":"a"}\n'))["error"]
        for writer in idle:
            writer.close()

    serve(tmp_path / "s", talk)


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_TIME", 0.2)

    async def talk(path: Path, journal: Journal) -> None:
        _, writer = await asyncio.open_unix_connection(str(path), limit=1024)
        writer.write(b'{"cmd":"%s"}\n' % (b"x" * 60000))
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        for _ in range(20):
            writer.write(b'{"cmd":"%s"}\n' % (b"x" * 60000))
        assert await ask(path, b'{"cmd":"a"}\n') == {"echo": {"cmd": "a"}}
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while True:
                writer.write(b'{"cmd":"%s"}\n' % (b"x" * 60000))
                await writer.drain()
        writer.close()

    serve(tmp_path / "s", talk)


def test_followers_get_each_event_once_and_in_order(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"cmd":"events","follow":true}\n')
        assert json.loads(await reader.readline())["events"] == []
        for n in range(5):
            journal.add("test", number=n)
        assert [json.loads(await reader.readline())["number"] for _ in range(5)] == [0, 1, 2, 3, 4]
        writer.close()

    serve(tmp_path / "s", talk)


def test_a_follower_that_falls_behind_is_dropped_and_costs_no_memory(tmp_path: Path) -> None:
    async def talk(path: Path, journal: Journal) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"cmd":"events","follow":true}\n')
        await reader.readline()
        for n in range(module.FOLLOW_QUEUE * 2):
            journal.add("test", number=n)
        lines = (await reader.read()).splitlines()
        assert len(lines) <= module.FOLLOW_QUEUE
        writer.close()

    serve(tmp_path / "s", talk)


def test_following_needs_a_good_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(request: dict[str, Any]) -> dict[str, Any]:
        return {"error": "since must be a number"}

    async def talk(path: Path, journal: Journal) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"cmd":"events","follow":true,"since":"x"}\n')
        assert "since" in json.loads(await reader.readline())["error"]
        assert await reader.read() == b"", "an error is the end, not the beginning of a stream"
        writer.close()

    monkeypatch.setattr("tests.unit.tracker.test_server.echo", refuse)
    serve(tmp_path / "s", talk)
