# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP listener and whoever comes to it. The tracker is not there, or a fake one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser

from netpath.monitor.metrics import facts, listener, scrape
from netpath.monitor.readings import ServiceError
from tests.lines import Lines
from tests.monitor.metrics.own import OWN
from tests.monitor.metrics.serving import PATIENCE, connect, exchange, get, port, serving, split
from tests.unit.cli.fake_tracker import FakeTracker

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: router\r\n\r\n"
OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Both ends of a thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def absent(tmp_path: Path) -> Path:
    return tmp_path / "netpath.sock"


def test_formats_and_paths(absent: Path) -> None:
    async def go() -> None:
        async with serving(absent) as server:
            status, fields, classic = await get(server)
            assert (status, fields["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert b"netpath_tracker_up 0.0\n" in classic
            assert int(fields["Content-Length"]) == len(classic)

            status, fields, text = await get(server, "/metrics?x=y", OPENMETRICS)
            assert (status, fields["Content-Type"]) == (
                *(200, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            )
            assert list(parser.text_string_to_metric_families(text.decode()))  # type: ignore[no-untyped-call]

            status, fields, packed = await get(server, "/metrics", OPENMETRICS, "Accept-Encoding: gzip")
            assert fields["Content-Encoding"] == "gzip"
            assert gzip.decompress(packed).endswith(b"# EOF\n")
            assert len(packed) < len(text) / 3

            status, fields, body = await get(server, method="HEAD")
            assert (status, body) == (200, b"")
            assert int(fields["Content-Length"]) > 1000

            status, fields, body = await get(server, "/")
            assert (status, body.count(b"\n")) == (200, 2)
            assert b"/metrics" in body
            assert (await get(server, "/", method="HEAD"))[2] == b""

            for path in ("/favicon.ico", "/metrics/", "/../etc/passwd", "*", "/%6detrics"):
                assert (await get(server, path))[0] == 404
            status, fields, _ = await get(server, method="POST")
            assert (status, fields["Allow"]) == (405, "GET, HEAD")
            assert server.row() == {"addresses": ["127.0.0.1"], "port": port(server), "scrapes": 4}

    asyncio.run(go())


def test_both_families(absent: Path) -> None:
    """On one port, as configured."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    sockets = listener.bind(("0.0.0.0", "::"), number)
    try:
        assert [each.getsockname()[:2] for each in sockets] == [("0.0.0.0", number), ("::", number)]
    finally:
        listener.close(sockets)

    async def go() -> None:
        async with serving(absent, addresses=("::1",)) as server:
            assert (await get(server, address="::1"))[0] == 200

    asyncio.run(go())


def test_an_address_that_is_not_up_yet_is_no_failure() -> None:
    listener.close(listener.bind(("192.0.2.77", "2001:db8::77"), 0))


def test_a_port_in_use_is_said_and_leaves_nothing_open(absent: Path) -> None:
    async def go(number: int) -> None:
        with pytest.raises(ServiceError, match=rf"cannot listen on 127\.0\.0\.1 port {number}: Address already in use"):
            listener.bind(("127.0.0.2", "127.0.0.1"), number)
        listener.close(listener.bind(("127.0.0.2",), number))

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(go(taken.getsockname()[1]))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
        (b"GET /metrics HTTP/1.1\r\nnonsense\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
        (b"A" * 100000, 431),
    ],
)
def test_garbage_is_refused(absent: Path, data: bytes, status: int) -> None:
    async def go() -> None:
        async with serving(absent) as server:
            assert split(await exchange(server, data))[0] == status
            assert (await get(server))[0] == 200

    asyncio.run(go())


def test_pipelined_requests_get_one_whole_answer(absent: Path) -> None:
    """The rest is unread when the server closes: that must not take the answer away."""

    async def go() -> None:
        async with serving(absent) as server:
            status, fields, body = split(await exchange(server, REQUEST * 500))
            assert (status, fields["Connection"]) == (200, "close")
            assert len(body) == int(fields["Content-Length"])

    asyncio.run(go())


def test_who_goes_away_in_the_middle_harms_nobody(absent: Path) -> None:
    async def go() -> None:
        async with serving(absent, log=(log := Lines())) as server:
            for data in (b"", b"GET /metr", REQUEST):
                for _ in range(20):
                    _, writer = await connect(server)
                    writer.write(data)
                    writer.transport.abort()
            assert (await get(server))[0] == 200
        assert not [line for line in log.lines if "internal" in line]

    asyncio.run(go())


def test_the_silent_are_sent_away(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "REQUEST_TIME", 0.05)

    async def go() -> None:
        async with serving(absent) as server:
            assert await exchange(server, b"") == b""
            assert await exchange(server, b"GET /metrics HTTP/1.1\r\n") == b""

    asyncio.run(go())


def test_who_takes_no_answer_is_cut_off(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "RESPONSE_TIME", 0.1)
    monkeypatch.setattr(listener, "CLOSE_TIME", 1000.0)
    sources = [{**OWN["sources"][0], "name": f"source{number}"} for number in range(4000)]

    async def go() -> None:
        async with serving(absent, lambda: {**OWN, "sources": sources}) as server:
            with socket.socket() as reader:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(reader, ("127.0.0.1", port(server)))
                await loop.sock_sendall(reader, REQUEST)
                await _until(lambda: server.row()["scrapes"] == 1)
                await _until(lambda: not _connections_of(port(server)))

    asyncio.run(go())


def test_a_thousand_silent_connections_leave_room(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ASKING_SAFE", 0.1)

    async def go() -> None:
        async with serving(absent) as server:
            held = [await connect(server) for _ in range(1000)]
            statuses = [(await get(server))[0] for _ in range(3)]
            assert statuses == [200, 200, 200]
            assert len(_connections_of(port(server))) <= 150
            for _, writer in held:
                writer.close()

    asyncio.run(go())


def test_a_thousand_readers_at_once_share_few_scrapes(absent: Path) -> None:
    asked: list[bool] = []

    def own() -> dict[str, Any]:
        asked.append(True)
        return OWN

    async def go() -> None:
        async with serving(absent, own) as server:
            threads = threading.active_count()
            readers = [_asking(port(server)) for _ in range(1000)]
            answers = await asyncio.gather(*map(_answer, readers))
            assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
            assert all(answer.endswith(b"# EOF\n") for answer in answers)
            assert threading.active_count() <= threads + 1
            assert len(asked) < 50
            assert server.row()["scrapes"] == 1000

    asyncio.run(go())


def test_simultaneous_scrapes_are_one(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH", -1.0)
    asked: list[bool] = []
    go_on = asyncio.Event()

    async def read(self: facts.Reader) -> facts.Facts:
        asked.append(True)
        await go_on.wait()
        return facts.Facts(OWN, self._counts)

    monkeypatch.setattr(facts.Reader, "read", read)

    async def go() -> None:
        async with serving(absent) as server:
            waiting = [asyncio.create_task(get(server)) for _ in range(10)]
            gone = await connect(server)
            gone[1].write(REQUEST)
            await _until(lambda: len(_connections_of(port(server))) == 11 and bool(asked))
            gone[1].transport.abort()  # the one that asked first may as well be this one
            go_on.set()
            answers = await asyncio.gather(*waiting)
            assert {status for status, _, _ in answers} == {200}
            assert len(asked) == 1
            assert (await get(server))[0] == 200
            assert len(asked) == 2

    asyncio.run(go())


def test_a_tracker_that_hangs_costs_its_figures_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "TRACKER_TIME", 0.1)
    path = tmp_path / "netpath.sock"
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(path))
        hanging.listen(100)

        async def go() -> None:
            async with serving(path, log=(log := Lines())) as server:
                for _ in range(3):
                    status, _, body = await get(server)
                    assert status == 200
                    assert b"netpath_tracker_up 0.0\n" in body
                    assert b'netpath_monitor_up{name="home",part="source"} 1.0\n' in body
                assert [line for line in log.lines if "no answer" in line] == [
                    "warning: metrics: the tracker gave no answer in 0 s"
                ]

        asyncio.run(go())


def test_one_thing_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    """And what is garbage is our fault to be found in the log, not the end of the page."""
    path = tmp_path / "netpath.sock"
    replies: dict[str, Any] = {
        "status": {"members": {}},
        "version": {"version": "1", "python": "3", "kernel": "6", "nftables": "1"},
        "interfaces": {"interfaces": [{"name": "wan", "family": "ipv4"}], "total": 1},
        "metrics": {"error": "metrics: no such luck"},
        "policies": {"families": [], "policies": [], "total": 0},
    }

    async def go() -> None:
        async with serving(path, log=(log := Lines())) as server:
            text = (await get(server))[2].decode()
            success = dict(line.split(" ") for line in text.splitlines() if line.startswith("netpath_scrape_success"))
            failed = {name for name, value in success.items() if value == "0.0"}
            assert failed == {f'netpath_scrape_success{{subject="{each}"}}' for each in ("interfaces", "probes")}
            assert 'netpath_tracker_info{kernel="6",nftables="1",python="3",version="1"} 1.0' in text
            assert f"netpath_tracker_process_start_time_seconds {_started():.0f}" in _rounded(text)
            assert any("metrics: no such luck" in line for line in log.lines)
            assert any("internal error: metrics: KeyError" in line for line in log.lines)

    with FakeTracker(path, replies):
        asyncio.run(go())


def test_a_tracker_of_another_version_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "netpath.sock"

    async def go() -> None:
        async with serving(path, log=(log := Lines())) as server:
            status, _, body = await get(server)
            assert (status, b"netpath_tracker_up 1.0\n" in body) == (200, True)
            assert b'netpath_scrape_success{subject="policies"} 0.0\n' in body
            assert any("not understood: KeyError('total')" in line for line in log.lines)

    with FakeTracker(path, {"policies": {"families": [], "policies": []}, "metrics": {"interfaces": {}}}):
        asyncio.run(go())


def test_versions_are_asked_once_and_policies_by_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH", -1.0)
    path = tmp_path / "netpath.sock"
    rows = [
        {"name": f"p{number}", "mode": "failover", "last_resort": "default", "members": [], "active": {}}
        for number in range(facts.PAGE * 2 + 1)
    ]

    def policies(request: dict[str, Any]) -> dict[str, Any]:
        page = rows[request["offset"] : request["offset"] + request["limit"]]
        return {"families": ["ipv4"], "policies": page, "total": len(rows)}

    replies: dict[str, Any] = {
        "status": {"members": {}, "problem": "no interface is configured"},
        "version": {"version": "1", "python": "3", "kernel": "6", "nftables": "1"},
        "interfaces": {"interfaces": [], "total": 0},
        "metrics": {"interfaces": {}},
        "policies": policies,
    }

    async def go(tracker: FakeTracker) -> None:
        async with serving(path) as server:
            for _ in range(3):
                text = (await get(server))[2].decode()
            assert text.count("\nnetpath_policy_info{") == len(rows)
            assert "netpath_tracker_configured 0.0" in text
        asked = [request["cmd"] for request in tracker.requests]
        assert (asked.count("version"), asked.count("policies"), asked.count("rules")) == (1, 9, 0)

    with FakeTracker(path, replies) as tracker:
        asyncio.run(go(tracker))


def test_events_are_counted_while_nobody_scrapes(tmp_path: Path) -> None:
    path = tmp_path / "netpath.sock"
    event = {"seq": 8, "time": 1.0, "kind": "interface", "interface": "wan", "from": "online", "to": "offline"}
    stream = b'{"events":[],"newest":7}\n' + b"".join(json.dumps({**event, "seq": n}).encode() + b"\n" for n in (8, 9))

    def events(request: dict[str, Any]) -> dict[str, Any]:
        return {"events": [], "newest": 9}

    async def go(tracker: FakeTracker) -> None:
        async with serving(path) as server:

            async def counted() -> bool:
                return b'netpath_events_total{kind="interface"} 2.0' in (await get(server))[2]

            async with asyncio.timeout(PATIENCE):
                while not await counted():
                    await asyncio.sleep(0.05)

    with FakeTracker(path, {"events": stream}) as tracker:
        asyncio.run(go(tracker))


def test_nobody_keeps_the_tracker_busy(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH", 1000.0)
    asked: list[bool] = []

    def own() -> dict[str, Any]:
        asked.append(True)
        return OWN

    async def go() -> None:
        async with serving(absent, own) as server:
            assert [(await get(server))[0] for _ in range(5)] == [200] * 5
        assert len(asked) == 1

    asyncio.run(go())


def test_at_the_end_nothing_is_open(absent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "REQUEST_TIME", 1000.0)

    async def go() -> int:
        async with serving(absent) as server:
            number = port(server)
            held = [await connect(server) for _ in range(10)]
            assert (await get(server))[0] == 200
        for reader, writer in held:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            writer.close()
        assert len(asyncio.all_tasks()) == 1
        return number

    number = asyncio.run(go())
    listener.close(listener.bind(("127.0.0.1",), number))


def _asking(number: int) -> socket.socket:
    """A connection with a request on its way."""
    connection = socket.create_connection(("127.0.0.1", number), PATIENCE)
    connection.sendall(f"GET /metrics HTTP/1.1\r\nHost: router\r\n{OPENMETRICS}\r\n\r\n".encode())
    return connection


async def _answer(connection: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def _connections_of(number: int) -> list[str]:
    """Sockets of this process that are connected and have this port as their own."""
    own = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            own.add(str(entry.readlink()))
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    connected = [row[9] for row in rows if row[1].endswith(f":{number:04X}") and row[3] != "0A"]
    return [inode for inode in connected if f"socket:[{inode}]" in own]


def _started() -> float:
    """Epoch at which this process was started, as the kernel has it (proc(5))."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _rounded(text: str) -> str:
    lines = [line.split(" ") for line in text.splitlines() if line.startswith("netpath_tracker_process_start")]
    return "\n".join(f"{name} {float(value):.0f}" for name, value in lines)
