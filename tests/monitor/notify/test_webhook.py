# SPDX-License-Identifier: GPL-2.0-or-later
"""Webhooks with real HTTP servers: what arrives, and what happens when they are down, hostile or overwhelmed."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netpath.monitor.notify import tls
from netpath.monitoring import Retry, Shape
from netpath.statedir import StateDir
from tests.monitor.notify.support import (
    FakeTracker,
    certificate,
    event,
    play,
    receiver,
    running,
    settings,
    talker,
    until,
)


def test_a_transition_arrives_with_all_that_it_needs() -> None:
    async def scene() -> None:
        with receiver() as server:
            wanted = settings(url=f"http://127.0.0.1:{server.port}/hook?a=b", token="geheim", gather=0.05)
            async with running(wanted) as run:
                run.tracker.say(event(1), event(2, "lte", "connecting", "online"), event(3, "lte", "online", "closed"))
                got = await server.next()
                await until(lambda: run.worked == 1)
            assert (got.path, got.headers["Authorization"]) == ("/hook?a=b", "Bearer geheim")
            assert got.headers["Content-Type"] == "application/json"
            assert got.headers["Host"] == f"127.0.0.1:{server.port}"
            router = socket.gethostname()
            assert (got.json["router"], got.json["subject"]) == (router, f"{router}: wan offline, lte online")
            assert [(e["interface"], e["to"]) for e in got.json["events"]] == [("wan", "offline"), ("lte", "online")]
            assert "wan went offline" in got.json["text"]
            row = run.notifier.row()
            assert row["target"] == f"http://127.0.0.1:{server.port}"
            assert (row["sent"], row["held"], row["dropped"]) == (1, 0, 0)
            assert not [line for line in run.log.lines if "geheim" in line or "hook" in line]

    play(scene)


@pytest.mark.parametrize("shape", list(Shape))
def test_every_format_is_sent(shape: Shape) -> None:
    async def scene() -> None:
        with receiver() as server:
            async with running(settings(url=f"http://127.0.0.1:{server.port}/x", format=shape)) as run:
                run.tracker.say(event(1, reason="Straße"))
                got = await server.next()
                await until(lambda: run.worked == 1)
            if shape is Shape.NTFY:
                assert got.headers["Title"].endswith("wan went offline")
                assert "Straße" in got.body
            else:
                field = {Shape.DISCORD: "content", Shape.GOTIFY: "message"}.get(shape, "text")
                assert "Straße" in got.json[field]

    play(scene)


def test_a_receiver_that_is_down_gets_everything_later_and_in_order() -> None:
    async def scene() -> None:
        with receiver() as server:
            port = server.port
        async with running(settings(url=f"http://127.0.0.1:{port}/")) as run:
            run.tracker.say(event(1), event(2, old="offline", new="online"))
            await until(lambda: len(run.failures) > 2)
            assert "127.0.0.1" in run.failures[0] and "refused" in run.failures[0]
            run.tracker.say(event(3))
            await until(lambda: run.notifier.row()["held"] == 3)
            with receiver(port) as again:
                got = await again.next()
                await until(lambda: run.worked == 1)
                assert [e["seq"] for e in got.json["events"]] == [1, 2, 3]
                run.tracker.say(event(4, old="offline", new="online"))
                assert [e["seq"] for e in (await again.next()).json["events"]] == [4]

    play(scene)


def test_a_busy_receiver_is_left_alone_for_as_long_as_it_says() -> None:
    async def scene() -> None:
        with receiver() as server:
            server.plan = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "soon"})]
            async with running(settings(url=f"http://127.0.0.1:{server.port}/")) as run:
                run.tracker.say(event(1))
                await server.next()
                began = time.monotonic()
                second = await server.next()
                assert time.monotonic() - began > 0.9
                third = await server.next()
                assert second.json["id"] == third.json["id"], "so that a receiver can tell that it is the same"
                await until(lambda: run.worked == 1)
                assert "429 Too Many Requests" in run.failures[0]
                assert "words of theirs" not in str(run.failures)

    play(scene)


def test_a_refused_message_is_given_up_and_the_next_one_sent() -> None:
    async def scene() -> None:
        with receiver() as server:
            server.plan = [(403, {})]
            async with running(settings(url=f"http://127.0.0.1:{server.port}/secret-path")) as run:
                run.tracker.say(event(1))
                await server.next()
                await until(lambda: len(run.failures) == 1)
                assert run.notifier.row()["dropped"] == 1
                assert "403 Forbidden" in run.failures[0] and "secret" not in run.failures[0]
                assert any(line.startswith("error") for line in run.log.lines)
                run.tracker.say(event(2, old="offline", new="online"))
                assert [e["seq"] for e in (await server.next()).json["events"]] == [2]

    play(scene)


def test_a_message_is_given_up_after_as_many_attempts_as_retry_says() -> None:
    async def scene() -> None:
        with receiver() as server:
            server.plan = [(500, {})] * 3
            wanted = settings(url=f"http://127.0.0.1:{server.port}/", retry=Retry(3, 0.01, 0.1, 2.0, 0.0))
            async with running(wanted) as run:
                run.tracker.say(event(1))
                await until(lambda: run.notifier.row()["dropped"] == 1)
                assert any("given up after 3 attempts" in line for line in run.log.lines)
                run.tracker.say(event(2, old="offline", new="online"))
                await until(lambda: run.worked == 1)
                assert server.requests.qsize() == 4

    play(scene)


def test_redirects_are_followed_on_the_same_host_only() -> None:
    async def scene() -> None:
        with receiver() as server, receiver() as other:
            server.plan = [
                (308, {"Location": f"http://127.0.0.1:{other.port}/moved"}),
                (307, {"Location": f"http://localhost:{other.port}/stolen"}),
                (302, {"Location": "/get"}),
            ]
            async with running(settings(url=f"http://127.0.0.1:{server.port}/a", token="geheim")) as run:
                run.tracker.say(event(1))
                got = await other.next()
                assert (got.path, got.headers["Authorization"]) == ("/moved", "Bearer geheim")
                await until(lambda: run.worked == 1)
                run.tracker.say(event(2, old="offline", new="online"))
                await until(lambda: run.worked == 2)
                assert "another host" in run.failures[0]
                assert "302 Found" in run.failures[1]
                assert other.requests.empty()

    play(scene)


def answer(text: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)

    return talk


def drip(connection: socket.socket) -> None:
    connection.recv(65536)
    for _ in range(2000):
        connection.sendall(b"H")
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("talk", "word"),
    [
        (drip, "not over after"),
        (lambda c: time.sleep(5), "no answer in time"),
        (answer(b"\x00\xff\x1b[2J garbage\r\n\r\n" * 100), "no HTTP"),
        (answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "no HTTP"),
        (answer(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000_000), ""),
        (lambda c: c.recv(65536), "closed the connection|connection broke"),
    ],
    ids=["drip", "silent", "garbage", "headers", "continue", "closes"],
)
def test_hostile_servers_hold_nothing_up(talk: object, word: str) -> None:
    async def scene() -> None:
        with talker(talk) as port:  # type: ignore[arg-type]
            async with running(settings(url=f"http://127.0.0.1:{port}/", timeout=0.2)) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert re.search(word, run.failures[0]), run.failures[0]
                assert "\x1b" not in run.failures[0]
                assert run.notifier.row()["held"] == 1
        await until(lambda: not [t for t in threading.enumerate() if t.name == "notify"])

    play(scene)


def test_cancelling_ends_the_thread_and_loses_nothing() -> None:
    async def scene() -> None:
        with talker(lambda c: time.sleep(5)) as port:
            async with running(settings(url=f"http://127.0.0.1:{port}/", timeout=30.0)) as run:
                run.tracker.say(event(1))
                await until(lambda: bool([t for t in threading.enumerate() if t.name == "notify"]))
            await until(lambda: not [t for t in threading.enumerate() if t.name == "notify"])
            assert run.notifier.row()["held"] == 1

    play(scene)


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = certificate(tmp_path)

    async def scene() -> None:
        with receiver(tls=theirs) as server:
            url = f"https://localhost:{server.port}/"
            async with running(settings(url=url)) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert "certificate is not accepted: self" in run.failures[0]
                assert server.requests.empty()
                monkeypatch.setattr("netpath.monitor.notify.tls.time.time", lambda: 86400.0 * 9)
                seen = len(run.failures)
                await until(lambda: len(run.failures) > seen + 1)
                assert "clock is not set yet (1970-01-10)" in run.failures[-1]
                monkeypatch.undo()
                monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "crt.pem"))
                got = await server.next()
                assert got.json["events"][0]["seq"] == 1
            async with running(settings(url=url, verify=False)) as run:
                monkeypatch.undo()
                run.tracker.say(event(2))
                await server.next()
        with receiver(tls=theirs) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "crt.pem"))
            async with running(settings(url=f"https://127.0.0.1:{server.port}/")) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert "IP address mismatch" in run.failures[0]

    play(scene)


def test_a_router_without_authorities_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = ssl.get_default_verify_paths()._replace(cafile="", capath="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)
    error = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    assert "install ca-bundle" in tls.trouble(error)


def test_a_flood_makes_few_messages_of_bounded_size() -> None:
    async def scene() -> None:
        with receiver() as server:
            wanted = settings(url=f"http://127.0.0.1:{server.port}/", limit=4, gather=0.02)
            async with running(wanted) as run:
                for seq in range(1, 1001):
                    up = seq % 2 == 0
                    run.tracker.say(event(seq, old="offline" if up else "online", new="online" if up else "offline"))
                    if seq % 100 == 0:
                        await asyncio.sleep(0.01)
                await until(lambda: run.worked == 1 and run.tracker._queue.empty())
                first = await server.next()
                assert server.requests.empty(), "one at once, the next after 15 minutes"
                row = run.notifier.row()
                assert len(first.json["events"]) <= 21
                assert len(first.body) < 10_000
                assert row["sent"] == 1
                rest = run.notifier._outbox.everything()
                assert len(rest) == row["held"]
                assert len(rest.listed) <= 20 and len(rest.folds) <= 1
                run.notifier._outbox._bucket.put_back()
                run.tracker.say(event(1001))
                last = await server.next()
                assert "more transition" in last.json["text"]
                assert last.json["events"][-1]["seq"] == 1001
                assert len(last.body) < 10_000

    play(scene)


def test_what_waits_outlives_a_restart_of_the_monitor(tmp_path: Path) -> None:
    async def scene() -> None:
        with receiver() as server:
            port = server.port
        state = StateDir(tmp_path)
        async with running(settings(url=f"http://127.0.0.1:{port}/secret"), state=state) as run:
            run.tracker.say(event(1), event(2, "lte"))
            await until(lambda: bool(run.failures) and run.notifier.row()["held"] == 2)
        kept = (tmp_path / "notify-people.json").read_text()
        assert "secret" not in kept
        with receiver(port) as again:
            tracker = FakeTracker()
            async with running(settings(url=f"http://127.0.0.1:{port}/secret"), tracker, state) as run:
                got = await again.next()
                assert [e["seq"] for e in got.json["events"]] == [1, 2]
                assert tracker.position is not None and tracker.position.seq == 2, "events go on after these"
                await until(lambda: run.worked == 1)
            async with running(settings(url=f"http://127.0.0.1:{port}/secret"), state=state) as run:
                assert run.notifier.row()["held"] == 0

    play(scene)


@pytest.mark.parametrize("url", ["ftp://example.org/x", "http://user:pw@example.org/", "http://", "http://h:x/", "so"])
def test_an_address_that_cannot_be_used_is_named_without_itself(url: str) -> None:
    async def scene() -> None:
        async with running(settings(url=url)) as run:
            await until(lambda: bool(run.failures))
            assert run.failures[0].startswith("notify people: it ")
            assert "pw" not in run.failures[0] + str(run.notifier.row())

    play(scene)
