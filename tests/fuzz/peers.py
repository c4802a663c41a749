# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets: the monitor's peers: displays by UDP, Clash, OpenWrt's ubus, scrapers of /metrics."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha1
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from netpath.kernel import netifd as local_netifd
from netpath.monitor import clients, http_client, netifd, snapshot, udp, websocket
from netpath.monitor.address import HTTP, WEBSOCKET, parse
from netpath.monitor.clients import Source, Way
from netpath.monitor.dial import LINE_LIMIT
from netpath.monitor.http_client import BODY_LIMIT, HttpClient, Response
from netpath.monitor.metrics import http
from netpath.monitor.metrics.listener import Listener
from netpath.monitor.metrics.server import MetricsServer
from netpath.monitor.rates import Rates
from netpath.monitor.readings import Proxy, ServiceError, Speeds, Wan
from netpath.monitor.router_session import Session
from netpath.monitor.shares import Shares, Snapshot, Speedometer
from netpath.monitor.ubus_client import Call, call
from netpath.monitor.wire import REGISTRATION
from netpath.monitoring import Datagrams, Format
from netpath.tracker.journal import Log
from tests.fuzz.draw import Draw
from tests.fuzz.requests import Writer, loop

MOST_CLIENTS = 8
NETWORKS = ("192.0.2.0/24", "2001:db8::/64", "0.0.0.0/32")
ADDRESSES = ("192.0.2.7", "192.0.2.8", "192.0.2.255", "198.51.100.7", "0.0.0.0", "224.0.0.1", "255.255.255.255",
             "2001:db8::7", "2001:db8:0:1::7", "fe80::7", "::", "ff02::1")  # fmt: skip
SPEEDS = (
    Speeds(None, None),
    Speeds(Proxy(1, 2, 3, 4, 5), None),
    Speeds(Proxy(1 << 70, -1, 3, 4, 5), Wan(1, 1 << 64)),
    Speeds(None, Wan(-5, 7)),
)


class FakeListener:
    """Sends nothing; counts bytes by where they would have gone."""

    address = "192.0.2.1"

    def __init__(self) -> None:
        self.sent: Counter[Source] = Counter()
        self.fails = False

    def send(self, data: bytes, to: Source, way: Way) -> None:
        assert len(data) in (16, 32, 48) and way.listener == 0
        if self.fails:
            raise ConnectionRefusedError(111, "refused")
        self.sent[to] += len(data) + to.headers

    def errors(self, most: int) -> list[tuple[Source, bool]]:
        return [(Source("192.0.2.7", 7), True)] if self.fails else []


def udp_monitor(data: bytes) -> None:
    """Steps of five bytes and a datagram: what happens, from where, how much later."""
    draw = Draw(data)
    flags = draw.number()
    form = Format.PAIR if flags & 1 else Format.COMBINED
    interval = (0.1, 0.5, 1.0, 5.0)[flags >> 1 & 3]
    settings = Datagrams((FakeListener.address,), 1234, NETWORKS, form, interval, 15.0, MOST_CLIENTS)
    listener, log = FakeListener(), Log()
    log.set_level("emerg")
    now = [1000.0]
    server = udp.UdpServer(settings, lambda: SPEEDS[flags >> 3 & 3], log)
    server._listeners = (cast("Any", listener),)
    registered: Counter[Source] = Counter()
    clock = SimpleNamespace(monotonic=lambda: now[0], time=lambda: 1.7e9 + now[0])
    with mock.patch.object(udp, "time", clock):
        while draw:
            what, who, port, later = draw.number(), draw.choice(ADDRESSES), draw.number(), draw.number()
            now[0] += later / 16
            if what & 7 == 7:
                loop().run_until_complete(server.serve())
            else:
                source = Source(who, port * 257 % 65536, 2 if who.startswith("fe80") else 0)
                datagram = REGISTRATION if what & 7 < 4 else draw.take(what >> 3)
                listener.fails = what & 0x48 == 0x48
                if datagram == REGISTRATION:
                    registered[source] += len(datagram) + source.headers
                server._received(datagram, source, Way(0))
            _bounded(server, listener, registered)


def _bounded(server: udp.UdpServer, listener: FakeListener, registered: Counter[Source]) -> None:
    for source, size in listener.sent.items():
        assert size <= clients.FACTOR * registered[source], f"{size} bytes for {registered[source]}"
        assert source.address in ("192.0.2.7", "192.0.2.8", "192.0.2.255", "2001:db8::7") and source.port
    row = server.row()
    assert len(row["clients"]) <= MOST_CLIENTS
    held = Counter(client["address"] for client in row["clients"])
    assert all(count <= MOST_CLIENTS // clients.SHARE for count in held.values())


def clash(data: bytes) -> None:
    """Messages of /connections, one a line, half a second apart."""
    shares, speeds = Shares(), Speedometer(1.0)
    before: Snapshot | None = None
    for n, message in enumerate(data.split(b"\n")):
        reading = snapshot.parse(message)
        try:
            while True:
                next(reading)
        except StopIteration as done:
            now: Snapshot = done.value
        except ServiceError as error:
            assert str(error).isprintable()
            return
        assert 0 <= now.up <= snapshot.LARGEST and 0 <= now.down <= snapshot.LARGEST
        moved = shares.update(now)
        if moved is not None:
            assert before is not None and min(moved) >= 0
            up, down = now.up - before.up, now.down - before.down
            assert (moved.direct_up + moved.proxy_up, moved.direct_down + moved.proxy_down) == (up, down)
        before = now
        speed = speeds.update(moved, n / 2)
        assert speed is None or min(speed) >= 0


class Answering(Writer):
    """Takes a handshake's request, and has the reader get the right answer and then the fuzzer's bytes."""

    def __init__(self, reader: asyncio.StreamReader, head: bytes, data: bytes) -> None:
        super().__init__()
        self._reader, self._head, self._data = reader, head, data

    async def drain(self) -> None:
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", bytes(self.sent))
        if key is not None and self._data is not None:
            accept = b64encode(sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self._reader.feed_data(self._head.replace(b"$accept", accept) + self._data)
            self._reader.feed_eof()
            self._data = cast("bytes", None)


SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: $accept\r\n\r\n"
)


def web_socket(data: bytes) -> None:
    """The first byte: whether the fuzzer makes the handshake's answer too; then frames."""

    async def talk() -> int:
        reader = asyncio.StreamReader(LINE_LIMIT)
        writer = Answering(reader, SWITCHING if data[:1] > b"\x40" else b"", data[1:])
        connection = reader, cast("Any", writer)
        count = 0
        protocol = await websocket._handshake(connection, parse("ws://192.0.2.1/", WEBSOCKET), {}, 5)
        async for message, _ in websocket._messages(connection, protocol, 5):
            assert len(message) <= len(data)
            count += 1
        return count

    try:
        loop().run_until_complete(talk())
        raise AssertionError("it ended without saying why")
    except ServiceError as error:
        assert str(error).isprintable()


DUMP = Call("network.interface", "dump", {})
STATUS = Call("network.device", "status", {"name": "eth0"})


def http_answer(data: bytes) -> None:
    """Bytes of a web server, for as many requests as it answers."""

    async def talk() -> None:
        reader = asyncio.StreamReader(LINE_LIMIT)
        reader.feed_data(data)
        reader.feed_eof()
        http_ = HttpClient(parse("192.0.2.1", HTTP), verify=True, timeout=5)
        for _ in range(4):
            http_._streams = reader, cast("Any", Writer())
            response = await http_._over(http_._streams, b"POST / HTTP/1.1\r\n\r\n")
            assert 100 <= response.status <= 599 and len(response.body) <= min(BODY_LIMIT, len(data))
            assert isinstance(http_._now_secure(response, "/ubus"), bool)
            if http_._streams is None:
                return

    try:
        loop().run_until_complete(talk())
    except ServiceError as error:
        assert str(error).isprintable()
    except http_client._StaleError:
        pass


class FakeHttp:
    """Answers every request alike."""

    address = parse("http://192.0.2.1/", HTTP)

    def __init__(self, response: Response) -> None:
        self._response = response
        self.requests = 0

    async def post(self, *_: object) -> Response:
        self.requests += 1
        assert self.requests < 20
        return self._response


def ubus(data: bytes) -> None:
    """The body of an answer of /ubus (a line before it: status and cookie), and what is read out of it."""
    line, _, body = data.partition(b"\n")
    word, _, cookie = line.decode("latin-1").partition(" ")
    status = int(word) if word.isascii() and word.isdigit() and len(word) == 3 else 200
    response = Response(status, (("set-cookie", cookie),) if cookie else (), body)
    for calls in ([DUMP], [STATUS, DUMP]):
        try:
            dump, *rest = loop().run_until_complete(call(cast("Any", FakeHttp(response)), "/ubus", "0" * 32, calls))
            _uplinks(dump or {})
            netifd.counters({"eth0": dump, **{str(n): row for n, row in enumerate(rest)}})
        except ServiceError as error:
            assert str(error).isprintable()
    try:
        loop().run_until_complete(Session(cast("Any", FakeHttp(response)), "root", "secret").call([DUMP]))
    except ServiceError as error:
        assert str(error).isprintable() and "secret" not in str(error)
    for logical in local_netifd.parse(body).values():
        assert isinstance(logical.name, str) and isinstance(logical.up, bool)


def _uplinks(dump: dict[str, Any]) -> None:
    for wanted in ((), ("wan", "eth9")):
        found = netifd.uplinks(dump, wanted)
        assert len(found) <= netifd.MOST and all(isinstance(device, str) for device in found.values())
        counted = dict.fromkeys(found.values(), (1, 2))
        Rates().update(counted, 1.0)
        netifd.known(dump, wanted, counted)


def metrics_http(data: bytes) -> None:
    """A request for /metrics, as it comes in pieces; the whole answer but the figures."""

    class Scraper:
        async def text(self, **_: bool) -> bytes:
            return b"# EOF\n"

    server = MetricsServer.__new__(MetricsServer)
    server._scrapes = 0

    async def answer(request: http.Request) -> tuple[HTTPStatus, dict[str, str], bytes]:
        return await server._answer(request, cast("Any", Scraper()))

    came = b""
    for at in range(0, len(data), 2048):
        try:
            if http.complete(came):
                break
        except http.BadRequestError as error:
            assert error.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            break
        came += data[at : at + 2048]
    assert len(came) <= http.LONGEST_HEAD + 2048
    head, body = loop().run_until_complete(Listener(answer)._respond(came))
    lines = head.decode("ascii").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.1 (200|400|404|405|431) [A-Za-z ]+", lines[0]) and lines[-2:] == ["", ""]
    assert all(re.fullmatch(r"[A-Za-z-]+: [ -~]*", line) for line in lines[1:-2])
    assert f"Content-Length: {len(body)}" in lines or came.startswith(b"HEAD ")
