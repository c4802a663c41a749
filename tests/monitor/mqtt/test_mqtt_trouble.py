# SPDX-License-Identifier: GPL-2.0-or-later
"""Brokers that refuse, die, come back, say nothing, or are none at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from netpath.monitor.mqtt import publisher, session
from tests.monitor.mqtt.broker import Mosquitto, free_port, reading
from tests.monitor.mqtt.world import BASE, publishing, settings, tracker, until

WAN = f"{BASE}/interface/wan"
WELCOME = bytes.fromhex("20020000")
"""CONNACK: accepted."""
SECRET = "a secret of nobody"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here answers a look at what is retained but the real broker, which does so at once."""
    monkeypatch.setattr(publisher, "SWEEP_TIME", 0.1)


@contextlib.asynccontextmanager
async def fake_broker(serve: Serve) -> AsyncIterator[int]:
    """A port where `serve` answers; not a broker."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def test_a_password_that_is_wrong_and_one_that_is_right(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "netpath", SECRET], check=True)
    broker = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"])
    broker.start()

    async def go() -> None:
        async with tracker(tmp_path) as fake:
            wrong = settings(broker.port, username="netpath", password="another secret")
            async with publishing(fake.socket, wrong) as service:
                reason = await service.failure()
                assert "mqtt_username and mqtt_password" in reason
                assert "secret" not in reason + "".join(service.log.lines)
                assert not service.worked
            async with publishing(fake.socket, settings(broker.port)) as service:
                assert "mqtt_username and mqtt_password" in await service.failure()
            right = settings(broker.port, username="netpath", password=SECRET)
            async with publishing(fake.socket, right) as service:
                with reading(broker.port, username="netpath", password=SECRET) as reader:
                    await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{WAN}/state") == "online")
                assert not service.failures

    try:
        asyncio.run(go())
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, which signed server.pem for localhost, and other.pem, which signed nothing."""
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*argv: str) -> None:
        subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        openssl(
            "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"
        )
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (directory / "names").write_text("subjectAltName=DNS:localhost")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed)
    return directory


def test_tls(tmp_path: Path, certificates: Path) -> None:
    own = [f"{what} {certificates / file}" for what, file in (("certfile", "server.pem"), ("keyfile", "server.key"))]
    broker = Mosquitto(tmp_path, ["allow_anonymous true", *own, f"listener {(plain := free_port())} 127.0.0.1"])
    broker.start()
    ca, other = str(certificates / "ca.pem"), str(certificates / "other.pem")

    async def go() -> None:
        async with tracker(tmp_path) as fake:
            good = settings(broker.port, host="localhost", tls=True, ca=ca)
            async with publishing(fake.socket, good) as service:
                with reading(plain) as reader:
                    await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{WAN}/state") == "online")
                assert not service.failures
                assert service.publisher.row()["target"] == f"mqtts://localhost:{broker.port}"
            for changes, words in (
                ({"ca": other}, "mqtt_ca"),
                ({"ca": ""}, "mqtt_ca"),
                ({"host": "127.0.0.1"}, "mqtt_verify"),
                ({"ca": str(tmp_path / "none.pem")}, "No such file"),
                ({"ca": str(certificates / "ca.key")}, "PEM"),
            ):
                wrong = settings(broker.port, **{"host": "localhost", "tls": True, "ca": ca, **changes})
                async with publishing(fake.socket, wrong) as service:
                    assert words in await service.failure(), changes
            blind = settings(broker.port, host="127.0.0.1", tls=True, ca=other, verify=False)
            async with publishing(fake.socket, blind) as service:
                await until(lambda: service.worked)
            # TLS to where none is, and none to where it is.
            async with publishing(fake.socket, settings(plain, host="localhost", tls=True, ca=ca)) as service:
                assert await service.failure()
            async with publishing(fake.socket, settings(broker.port, host="localhost")) as service:
                assert await service.failure()

    try:
        asyncio.run(go())
    finally:
        broker.stop()


def test_a_broker_that_comes_late_dies_and_comes_back_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CONNECTIONS_TIME", 0.0)
    broker = Mosquitto(tmp_path)

    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port)) as service:
            assert "cannot be reached: Connection refused" in await service.failure()
            await asyncio.to_thread(broker.start)
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{WAN}/state") == "online")
                failures = len(service.failures)
                await asyncio.to_thread(broker.stop)
                await until(lambda: len(service.failures) > failures)
                assert "closed the connection" in service.failures[failures]
            for state in ("disconnecting", "offline"):
                fake.happens("wan", state)
            # Whoever reads must be there before the event, which is not kept.
            await asyncio.sleep(0)
            await asyncio.to_thread(broker.start)
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{WAN}/state") == "offline")
                await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{BASE}/availability") == "online")

    try:
        asyncio.run(go())
    finally:
        broker.stop()


def test_events_without_a_broker_go_out_when_there_is_one(tmp_path: Path) -> None:
    """Taken by a stand-in that acknowledges like a broker: a reader of a real one would come too late for them."""
    published: list[tuple[str, str]] = []
    refuse = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if refuse:
            writer.close()
            return
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async for kind, body in packets(reader):
                if kind & 0xF0 == 0x10:
                    writer.write(WELCOME)
                elif kind & 0xF0 == 0x30 and kind & 0x06:
                    length = int.from_bytes(body[:2], "big")
                    published.append((body[2 : 2 + length].decode(), body[4 + length :].decode()))
                    writer.write(b"\x40\x02" + body[2 + length : 4 + length])
        writer.close()

    async def go() -> None:
        nonlocal refuse
        async with tracker(tmp_path) as fake, fake_broker(serve) as port:
            refuse = False
            async with publishing(fake.socket, settings(port)) as service:
                await until(lambda: (f"{WAN}/state", "online") in published)
                refuse = True
                # The connection ends, and only then does something happen.
                session_ = service.publisher._session
                assert session_ is not None
                session_.close()
                await until(lambda: len(service.failures) > 1)
                for state in ("disconnecting", "offline"):
                    fake.happens("wan", state)
                refuse = False
                await until(lambda: len([t for t, _ in published if t == f"{BASE}/event"]) == 2)
            events = [json.loads(payload) for topic, payload in published if topic == f"{BASE}/event"]
            assert [event["to"] for event in events] == ["disconnecting", "offline"]

    asyncio.run(go())


async def packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """What the publisher sends: first byte and body of each packet."""
    while True:
        kind = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield kind, await reader.readexactly(length)


def test_a_port_that_takes_the_connection_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GREETING_TIME", 0.3)

    async def go() -> None:
        async with tracker(tmp_path) as fake, fake_broker(silent) as port:
            async with publishing(fake.socket, settings(port)) as service:
                assert "said nothing" in await service.failure()
            async with publishing(fake.socket, settings(port, tls=True, verify=False)) as service:
                assert "cannot be reached" in await service.failure()

    asyncio.run(go())


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"220 mail.example.net ESMTP\r\n",
        Random(1).randbytes(4096),
        b"\xff" * 4096,
        WELCOME + b"\x30\xff\xff\xff\x7f" + b"\0" * 300_000,  # a message of 256 MiB, of which little ever comes
        WELCOME + WELCOME,
        WELCOME + b"\x32\x07\x00\x01a\x00\x01xx",  # a message that wants to be acknowledged
        WELCOME + b"\x30\x04\x00\x02\xff\xfe",
        WELCOME + b"\x90\x03\x00\x01\x07",
        bytes.fromhex("20020001"),
        bytes.fromhex("200200ff"),
    ],
    ids=lambda garbage: garbage[:12].hex(),
)
def test_garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garbage: bytes) -> None:
    monkeypatch.setattr(publisher, "ANSWER_TIME", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await silent(reader, writer)

    async def go() -> None:
        async with tracker(tmp_path) as fake, fake_broker(serve) as port:
            async with publishing(fake.socket, settings(port)) as service:
                await until(lambda: len(service.failures) >= 2)  # a fault of ours would end it
            assert all(reason.isprintable() and len(reason) < 200 for reason in service.failures)

    asyncio.run(go())


def test_a_broker_that_reads_nothing_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is under way, and of each state only the newest waits."""
    monkeypatch.setattr(publisher, "ANSWER_TIME", 0.5)
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME)
        while data := await reader.read(65536):
            got.extend(data)
        writer.close()

    async def go() -> None:
        async with (
            tracker(tmp_path) as fake,
            fake_broker(serve) as port,
            publishing(fake.socket, settings(port, interval=0.2)) as service,
        ):
            await until(lambda: b"availability" in got)
            for _ in range(300):
                fake.happens("wan", "offline")
                fake.happens("wan", "online")
            assert "acknowledged nothing" in await service.failure()
            assert len(got) < 40_000
            assert len(service.publisher._outbox._events) <= 100
            assert threading.active_count() < 5

    asyncio.run(go())


def test_a_flood_of_messages_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_MESSAGES", 1000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"\x30\x05\x00\x01axy" * 500)
                await writer.drain()
        writer.close()

    async def go() -> None:
        async with (
            tracker(tmp_path) as fake,
            fake_broker(serve) as port,
            publishing(fake.socket, settings(port)) as service,
        ):
            assert "more than 1000 messages" in await service.failure()

    asyncio.run(go())


def test_a_name_that_is_none(tmp_path: Path) -> None:
    async def go() -> None:
        async with tracker(tmp_path) as fake:
            for host in ("no.such.host.invalid", "x" * 70 + ".invalid"):
                async with publishing(fake.socket, settings(1883, host=host)) as service:
                    assert f"no address of {host}" in await service.failure()

    asyncio.run(go())


def test_two_routers_of_one_name_do_not_drive_each_other_out_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "MOST_CONNECTIONS", 3)
    broker = Mosquitto(tmp_path)
    broker.start()

    async def go() -> None:
        async with (
            tracker(tmp_path) as fake,
            publishing(fake.socket, settings(broker.port)) as one,
            publishing(fake.socket, settings(broker.port)) as two,
        ):
            await until(lambda: any("host name" in line for line in one.log.lines + two.log.lines))

    try:
        asyncio.run(go())
    finally:
        broker.stop()


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("paho.mqtt.client", "netpath.monitor.mqtt.session"):
        monkeypatch.setitem(sys.modules, name, None)

    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(1883)) as service:
            assert "install python3-paho-mqtt" in await service.failure()

    asyncio.run(go())
