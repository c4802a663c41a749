# SPDX-License-Identifier: GPL-2.0-or-later
"""The source for another router against a fake one (fake_router.py), and worse. test_openwrt_real.py has real ones."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from netpath.monitor.feeds import target
from netpath.monitor.readings import Wan
from netpath.monitoring import Source, SourceType
from tests.monitor.sources.fake_router import FakeRouter, row
from tests.monitor.sources.running import certificate, failure, peer, readings, source


def router(port: int, path: str = "/cgi-bin/luci", **other: object) -> Source:
    return source(SourceType.OPENWRT, f"http://127.0.0.1:{port}{path}", **other)


def scene(play: Callable[[FakeRouter], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with FakeRouter(**options) as fake:
            await play(fake)

    asyncio.run(whole())


def test_lines_with_a_default_route_each_device_once() -> None:
    async def play(fake: FakeRouter) -> None:
        async def more(_: int) -> None:
            fake.counters["eth1"][0] += 100_000  # received: down
            fake.counters["wwan0"][1] += 10_000

        *_, last = await readings(router(fake.port), 4, between=more)
        assert isinstance(last, Wan)
        assert set(last.interfaces) == {"wan", "lte"}, "wan6 shares its device with wan"
        up, down = last.interfaces["wan"]
        assert up == 0
        assert down == pytest.approx(1_000_000, rel=0.5)
        assert last.interfaces["lte"][0] == pytest.approx(100_000, rel=0.5)
        assert last.interfaces["lte"][1] == 0
        assert (last.up, last.down) == (last.interfaces["lte"][0], down)
        assert fake.logins == 1
        assert fake.connections == 1, "it is kept"

    scene(play)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [(("wan",), {"wan"}), (("eth1",), {"eth1"}), (("wwan0", "wan6"), {"wwan0", "wan6"}), (("lte", "gone"), {"lte"})],
)
def test_interfaces_by_name_of_either_kind(wanted: tuple[str, ...], names: set[str]) -> None:
    async def play(fake: FakeRouter) -> None:
        (reading,) = await readings(router(fake.port, interfaces=wanted), 1)
        assert isinstance(reading, Wan)
        assert set(reading.interfaces) == names

    scene(play)


def test_a_name_that_the_router_does_not_have() -> None:
    async def play(fake: FakeRouter) -> None:
        error = await failure(router(fake.port, interfaces=("wlan7",)))
        assert "no interface or device wlan7" in error
        assert "loopback, lan, wan, wan6, lte" in error

    scene(play)


def test_a_line_that_is_down_carries_nothing_and_is_no_failure() -> None:
    async def play(fake: FakeRouter) -> None:
        fake.interfaces = [row("lan", "br-lan"), {"interface": "wan", "up": False, "pending": True}]
        for wanted in ((), ("wan",)):
            assert await readings(router(fake.port, interfaces=wanted), 2) == [Wan(0, 0, {})] * 2

        async def up(number: int) -> None:
            if number == 1:
                fake.interfaces.append(row("wanb", "wwan0", "0.0.0.0"))

        assert "wanb" in (await readings(router(fake.port), 8, between=up))[-1].interfaces  # type: ignore[union-attr]

    scene(play)


def test_a_device_made_anew_makes_no_spike() -> None:
    async def play(fake: FakeRouter) -> None:
        fake.counters["eth1"] = [10**12, 10**12]

        async def again(number: int) -> None:
            if number == 2:
                fake.counters["eth1"] = [10**9, 10**9]

        for reading in await readings(router(fake.port), 6, between=again):
            assert isinstance(reading, Wan)
            assert (reading.up, reading.down) == (0, 0)

    scene(play)


def test_a_session_that_expired_is_made_anew() -> None:
    async def play(fake: FakeRouter) -> None:
        async def expire(number: int) -> None:
            if number in (1, 3):
                fake.sessions.clear()

        await readings(router(fake.port), 6, between=expire)
        assert fake.logins == 3, "one more for each time"

    scene(play)


def test_a_wrong_password_is_tried_once_an_attempt() -> None:
    async def play(fake: FakeRouter) -> None:
        for fake.ubus in (True, False):
            fake.requests.clear()
            error = await failure(router(fake.port, password="wrong"))
            assert error == "the router refuses the login: check options username and password"
            assert len(fake.requests) == (1 if fake.ubus else 2)

    scene(play)


def test_an_account_without_permission_is_told_what_it_needs() -> None:
    async def play(fake: FakeRouter) -> None:
        fake.allowed = {("network.interface", "dump")}
        error = await failure(router(fake.port))
        assert "may not read the interfaces (access to network.device status denied)" in error
        assert fake.logins <= 2, "it does not log in for ever"

    scene(play)


def test_without_ubus_the_login_of_luci_does() -> None:
    async def play(fake: FakeRouter) -> None:
        fake.ubus = False

        async def expire(number: int) -> None:
            fake.counters["eth1"][0] += 1000
            if number == 2:
                fake.sessions.clear()

        reading = (await readings(router(fake.port, ""), 4, between=expire))[-1]
        assert isinstance(reading, Wan)
        assert reading.down > 0
        assert fake.logins == 2
        assert fake.requests.count("/ubus") == 1, "it is not asked again"
        fake.admin_ubus = False
        assert "uhttpd-mod-ubus" in await failure(router(fake.port))

    scene(play)


def test_a_restart_of_the_web_server() -> None:
    async def play(fake: FakeRouter) -> None:
        async def stop(number: int) -> None:
            if number == 1:
                fake.stop()

        with pytest.raises(Exception, match="nothing listens there"):
            await readings(router(fake.port), 3, between=stop)
        await fake.start()
        assert len(await readings(router(fake.port), 1)) == 1

    scene(play)


def test_a_kept_connection_that_was_ended_is_no_failure() -> None:
    async def play(fake: FakeRouter) -> None:
        async def end(_: int) -> None:
            fake.disconnect()

        await readings(router(fake.port), 4, between=end)
        assert fake.connections >= 4

    scene(play)


def test_a_redirection_to_https_on_the_same_host_only(tmp_path: Path) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, tmp_path / "key.pem")

    async def play(plain: FakeRouter) -> None:
        async with FakeRouter(tls=context) as secure:
            plain.redirect = f"https://127.0.0.1:{secure.port}"
            assert len(await readings(router(plain.port, verify=False), 2)) == 2
            assert len(plain.requests) == 1, "once it knows better, it stays there"
            assert "certificate is not trusted" in await failure(router(plain.port))
            secure.bodies.clear()
            plain.redirect = f"https://localhost:{secure.port}"
            assert "another address (307)" in await failure(router(plain.port, verify=False))
            plain.redirect = f"http://127.0.0.1:{secure.port}"
            assert "another address (307)" in await failure(router(plain.port, verify=False))
            assert secure.bodies == [], "no password went there"

    scene(play)


def test_the_address_is_shown_without_secrets() -> None:
    asked = source(SourceType.OPENWRT, "http://root:s3cret@192.0.2.1/cgi-bin/luci?token=s3cret")
    assert target(asked) == "http://192.0.2.1/cgi-bin/luci"
    assert "s3cret" not in target(source(SourceType.OPENWRT, "gopher://root:s3cret@192.0.2.1"))
    assert "s3cret" not in asyncio.run(failure(source(SourceType.OPENWRT, "http://root:s3cret@[::1")))


RESULTS: dict[str, Any] = {
    "nothing": [],
    "text": "hello",
    "no interfaces": [0, {"interface": 5}],
    "no data": [0],
    "list for a table": [0, [1, 2]],
    "text for a code": ["0", {}],
    "another failure": [7],
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_no_openwrt_is_one_clear_error(name: str) -> None:
    async def play(fake: FakeRouter) -> None:
        fake.raw = RESULTS[name]
        assert "OpenWrt" in await failure(router(fake.port))

    scene(play)


@pytest.mark.parametrize("value", [-1, 1.5, "7", None, True, 2**64, float("nan"), [1]])
def test_bad_counters_are_one_clear_error(value: object) -> None:
    async def play(fake: FakeRouter) -> None:
        fake.counters["eth1"] = [value, 0]  # type: ignore[list-item]
        assert "no good counters of eth1" in await failure(router(fake.port))

    scene(play)


def test_odd_names_of_interfaces_do_not_reach_logs() -> None:
    async def play(fake: FakeRouter) -> None:
        fake.counters.update({f"wwan{n}": [0, 0] for n in range(1, 500)})
        fake.interfaces += [row("evil\x1b[2J", "wwan1", "::"), row("x" * 500, "wwan2", "::"), 7, {"interface": 3}]
        fake.interfaces += [row(f"line{n}", f"wwan{n}", "0.0.0.0") for n in range(3, 500)]
        (reading,) = await readings(router(fake.port), 1)
        assert isinstance(reading, Wan)
        assert len(reading.interfaces) < 70, "nor any number of them"
        assert all(name.isprintable() and len(name) < 70 for name in reading.interfaces)

    scene(play)


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWERS = {
    "404": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "neither /ubus nor /cgi-bin/luci/"),
    "403": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refuses (403)"),
    "500": (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "has failed (500)"),
    "html": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>", "not OpenWrt's ubus"),
    "no list": (JSON + b"Content-Length: 2\r\n\r\n{}", "not OpenWrt's ubus"),
    "nested deeply": (JSON + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, "not OpenWrt's ubus"),
    "without a length": (JSON + b"\r\n[]", "not OpenWrt's ubus"),
    "too large": (JSON + b"Content-Length: 99999999\r\n\r\n", "larger than 1024 KiB"),
    "too large in chunks": (JSON + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", "larger than 1024 KiB"),
    "too large without a length": (JSON + b"\r\n" + b" " * (2**20 + 1), "larger than 1024 KiB"),
    "negative": (JSON + b"Content-Length: -5\r\n\r\n", "does not speak HTTP"),
    "two lengths": (JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "does not speak HTTP"),
    "bad chunk": (JSON + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "does not speak HTTP"),
    "cut": (JSON + b"Content-Length: 50\r\n\r\n[", "ended in the middle"),
    "cut chunk": (JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[", "ended in the middle"),
    "ssh": (b"SSH-2.0-dropbear\r\n", "does not speak HTTP"),
    "garbage": (bytes(range(256)) * 500, "does not speak HTTP"),
    "endless heading": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "does not speak HTTP"),
    "nothing": (b"", "without an answer"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_router_says_what_to_do(name: str) -> None:
    answer, expected = ANSWERS[name]

    async def play() -> None:
        async with peer(answer) as port:
            error = await failure(router(port))
            assert expected in error, error
            assert len(error) < 300
            assert error.isprintable()

    asyncio.run(play())


@pytest.mark.parametrize("answer", [b"H", JSON + b"\r\n[", JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0"])
def test_one_that_drips_for_ever_does_not_hold_it(answer: bytes) -> None:
    async def play() -> None:
        async with peer(answer, drip=0.02) as port:
            assert "no whole answer within 0.3 s" in await failure(router(port, timeout=0.3))

    asyncio.run(play())


def test_passwords_are_sent_as_json_and_as_a_form() -> None:
    async def play(fake: FakeRouter) -> None:
        for fake.ubus in (True, False):
            assert len(await readings(router(fake.port, password='p&="ä\n\\'), 1)) == 1
        assert json.loads(fake.bodies[0])[0]["params"][3]["password"] == 'p&="ä\n\\'

    scene(play, password='p&="ä\n\\')


def test_tls_with_one_that_never_answers_it() -> None:
    async def play() -> None:
        async with peer(b"", hold=True) as port:
            error = await failure(source(SourceType.OPENWRT, f"https://127.0.0.1:{port}", timeout=0.3))
            assert "no connection within 0.3 s" in error
            assert "TLS" in error

    asyncio.run(play())
