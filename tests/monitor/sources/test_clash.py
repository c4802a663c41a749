# SPDX-License-Identifier: GPL-2.0-or-later
"""The source for Clash and mihomo against a fake that speaks as mihomo does (fake_clash.py), and worse servers."""

from __future__ import annotations

import asyncio
import logging
import ssl
import uuid
from pathlib import Path

import pytest

from netpath.monitor import dial, websocket
from netpath.monitor.feeds import target
from netpath.monitor.readings import Proxy
from netpath.monitoring import Source, SourceType
from tests.monitor.sources.fake_clash import FakeClash
from tests.monitor.sources.running import certificate, failure, peer, readings, source

SECRET = "s3cret-t0ken"
GREETING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def clash(port: int, **other: object) -> Source:
    return source(SourceType.CLASH, f"ws://127.0.0.1:{port}/connections", **other)


def test_direct_and_proxied_traffic_with_a_connection_that_ends() -> None:
    async def scene() -> None:
        async with FakeClash() as fake:
            fake.move("old", 10**12, 10**12)
            total = [0.0] * 4

            async def more(number: int) -> None:
                if number == 1:
                    fake.move("upload", 50_000, 0)
                    fake.move("video", 0, 400_000, chains=("Tokyo", "Auto"))
                if number == 2:
                    fake.move("video", 0, 100_000)
                    fake.end("video")
                    fake.end("old")

            for reading in await readings(clash(fake.port), 5, between=more):
                assert isinstance(reading, Proxy)
                speeds = (reading.direct_up, reading.direct_down, reading.proxy_up, reading.proxy_down)
                total = [a + b * 0.1 for a, b in zip(total, speeds, strict=True)]
            # About, as the time between two snapshots is not quite the interval; history is not counted.
            assert total == [pytest.approx(50_000, rel=0.5), 0, 0, pytest.approx(500_000, rel=0.5)]
            assert isinstance(reading, Proxy)
            assert reading.connections == 1

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("ws://127.0.0.1:{}/connections?token=" + SECRET, ""),
        ("ws://127.0.0.1:{}/connections", SECRET),
        ("ws://127.0.0.1:{}/connections?token=old", SECRET),
        ("http://127.0.0.1:{}", SECRET),
        ("127.0.0.1:{}", SECRET),
        ("127.0.0.1:{}/?interval=50", SECRET),
    ],
)
def test_ways_to_write_the_address_and_the_token(url: str, token: str) -> None:
    async def scene() -> None:
        async with FakeClash(SECRET) as fake:
            asked = source(SourceType.CLASH, url.format(fake.port), token=token)
            await readings(asked, 1)
            (request,) = fake.requests
            sent = f"{request.path} {request.headers.get('Authorization', '')}"
            assert sent.count(SECRET) == 1, "in the query or in the header, never in both"
            assert "old" not in sent
            assert sent.count("interval=") == 1
            assert ("interval=50" in sent) == ("interval=50" in url)
            assert target(asked) == f"ws://127.0.0.1:{fake.port}/connections"

    asyncio.run(scene())


def test_binary_messages_are_understood() -> None:
    async def scene() -> None:
        async with FakeClash(binary=True) as fake:
            assert await readings(clash(fake.port), 1) == [Proxy(0, 0, 0, 0, 0)]

    asyncio.run(scene())


def test_a_wrong_secret_says_so_and_reveals_none(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with FakeClash(SECRET) as fake:
            with caplog.at_level(logging.DEBUG, "netpath"):
                error = await failure(clash(fake.port, token="almost"))
            assert error == "access refused (401): set option token to the controller's secret"
            assert "almost" not in caplog.text
            assert "404" in await failure(source(SourceType.CLASH, f"ws://127.0.0.1:{fake.port}/ui", token=SECRET))

    asyncio.run(scene())


def test_tls_with_and_without_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, tmp_path / "key.pem")

    async def scene() -> None:
        async with FakeClash(tls=context) as fake:
            url = f"wss://localhost:{fake.port}/connections"
            error = await failure(source(SourceType.CLASH, url))
            assert "certificate is not trusted" in error
            assert "option verify '0'" in error
            assert await readings(source(SourceType.CLASH, url, verify=False), 1) == [Proxy(0, 0, 0, 0, 0)]
            assert "TLS" in await failure(clash(fake.port)), "without it"
            monkeypatch.setenv("SSL_CERT_FILE", str(path))
            dial.tls.cache_clear()
            assert await readings(source(SourceType.CLASH, url), 1) == [Proxy(0, 0, 0, 0, 0)]
            other = source(SourceType.CLASH, url.replace("localhost", "127.0.0.1"))
            assert "certificate is not trusted" in await failure(other), "that of another name"

    try:
        asyncio.run(scene())
    finally:
        dial.tls.cache_clear()


ANSWERS = {
    "401": (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "option token"),
    "403": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "option token"),
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", "/connections"),
    "redirect": (b"HTTP/1.1 301 Moved\r\nLocation: wss://192.0.2.1/x\r\n\r\n", "another address"),
    "plain HTTP": (GREETING, "plain HTTP server"),
    "500": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "look into its log"),
    "ssh": (b"SSH-2.0-dropbear\r\n", "check the port"),
    "garbage": (bytes(range(256)) * 20, "check the port"),
    "line ends only": (b"\r\n\r\n" * 50, "check the port"),
    "endless heading": (b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: y\r\n" * 20_000, "check the port"),
    "endless status": (b"HTTP/1.1 99999999\r\n\r\n", "check"),
    "101 of no WebSocket": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "no WebSocket"),
    "101 with a bad heading": (b"HTTP/1.1 101 Switching Protocols\r\nno colon here\r\n\r\n", "no WebSocket"),
    "nothing": (b"", "ended the connection at once"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_mihomo_says_what_to_do(name: str) -> None:
    answer, expected = ANSWERS[name]

    async def scene() -> None:
        async with peer(answer) as port:
            error = await failure(clash(port))
            assert expected in error, error
            assert len(error) < 300
            assert error.isprintable()

    asyncio.run(scene())


def test_nobody_there_and_somebody_silent() -> None:
    async def scene() -> None:
        async with peer(b"", hold=True) as port:
            assert "no answer within 0.2 s" in await failure(clash(port, timeout=0.2))
        assert "nothing listens there" in await failure(clash(port))
        async with peer(b"HTTP/1.1 1", drip=0.02) as port:
            assert "no answer within 0.2 s" in await failure(clash(port, timeout=0.2)), "which drips for ever"

    asyncio.run(scene())


def test_a_silent_source_is_given_up() -> None:
    async def scene() -> None:
        async with FakeClash() as fake:
            fake.silent = True
            assert "nothing came for 0.3 s" in await failure(clash(fake.port, timeout=0.2, interval=0.1))

    asyncio.run(scene())


@pytest.mark.parametrize("message", [b"", b"garbage", b"{}", b"[" * 100_000, b'{"uploadTotal":-1,"downloadTotal":0}'])
def test_bad_messages_are_one_clear_error(message: bytes) -> None:
    async def scene() -> None:
        async with FakeClash() as fake:
            fake.message = message
            assert "/connections of Clash or mihomo" in await failure(clash(fake.port))

    asyncio.run(scene())


def test_a_message_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MESSAGE_LIMIT", 2**20)

    async def scene() -> None:
        async with FakeClash() as fake:
            fake.message = b" " * (2**20 + 1)
            assert "larger than 1 MiB" in await failure(clash(fake.port))

    asyncio.run(scene())


def test_garbage_after_the_handshake() -> None:
    async def scene() -> None:
        async with FakeClash() as fake:
            relay = await asyncio.start_server(lambda r, w: _spoil(r, w, fake.port), "127.0.0.1", 0)
            try:
                error = await failure(clash(relay.sockets[0].getsockname()[1]))
                assert "breaks the WebSocket protocol" in error
            finally:
                relay.close()

    asyncio.run(scene())


async def _spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Hands on the handshake, and then only garbage."""
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    inner_writer.write(await reader.readuntil(b"\r\n\r\n"))
    writer.write(await inner_reader.readuntil(b"\r\n\r\n") + b"\xff" * 1000)
    await reader.read()
    inner_writer.close()
    writer.close()


def test_it_comes_back_after_a_restart() -> None:
    async def scene() -> None:
        async with FakeClash() as fake:

            async def restart(_: int) -> None:
                await fake.stop()

            with pytest.raises(Exception, match="restarted or stopped"):
                await readings(clash(fake.port), 2, between=restart)
            assert "nothing listens there" in await failure(clash(fake.port))
            await fake.start()
            assert await readings(clash(fake.port), 1) == [Proxy(0, 0, 0, 0, 0)]

    asyncio.run(scene())


def test_20000_connections() -> None:
    """14 MiB a message; nothing else waits for it (figures: docs/monitor.md)."""

    async def scene() -> None:
        async with FakeClash() as fake:
            for _ in range(20_000):
                fake.move(str(uuid.uuid4()), 1, 2)
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            (reading,) = await readings(clash(fake.port, interval=0.5), 1)
            ticking.cancel()
            assert isinstance(reading, Proxy)
            assert reading.connections == 20_000
            assert ticks > 2 * 20_000 / 256, "others had their turns between the parts of a message"

    asyncio.run(scene())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "netpath.monitor.websocket", None)
    assert "python3-websockets" in asyncio.run(failure(clash(1)))
