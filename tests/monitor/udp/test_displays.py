# SPDX-License-Identifier: GPL-2.0-or-later
"""Displays that keep to the protocol, in two LANs and both families."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netpath.monitor.readings import ServiceError, Speeds
from netpath.monitoring import Format
from tests.monitor.udp.site import COMBINED, HOSTS, LIMIT, PORT, ROUTERS, SPEEDS, Site, serving

EXAMPLE = Path(__file__).parents[3] / "examples" / "display.py"
ALL = [address for addresses in ROUTERS for address in addresses]
family = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


@pytest.mark.parametrize(
    "addresses", [("::",), ("0.0.0.0", "::", "192.0.2.1"), tuple(ALL)], ids=["all", "both", "each"]
)
def test_every_address_of_the_router_answers_every_lan(site: Site, addresses: tuple[str, ...]) -> None:
    """A display hears only the address that it has asked, be it that of the other LAN."""

    async def test() -> None:
        async with serving(addresses=addresses) as running:
            displays = [site.display(host, address) for host in (site.a, site.b) for address in ALL]
            for display in displays:
                assert await display.served() == [COMBINED] * 2
            assert sorted(running.clients()) == sorted(display.name for display in displays)
            assert all(client["sent"] >= 2 for client in running.row()["clients"])
            assert running.row()["failed"] == 0

    site.run(test)


def test_link_local_addresses_answer(site: Site) -> None:
    async def test() -> None:
        async with serving() as running:
            links = site.router.ip("-6", "-o", "address", "show", "dev", "lan1", "scope", "link")
            address = links.split("inet6 ")[1].partition("/")[0]
            with site.b.inside():
                scope = socket.if_nametoindex("eth0")
            display = site.display(site.b, address, scope=scope)
            display.send()
            assert await display.receive() == COMBINED
            assert running.row()["clients"][0]["address"] == f"{display.name[0]}%lan1"

    site.run(test)


def test_figures_are_those_of_the_moment_and_the_format_is_the_configured_one(site: Site) -> None:
    now = [Speeds(SPEEDS.proxy, None), SPEEDS, Speeds(None, None)]
    expected = [[COMBINED[:32]], [COMBINED[:32], COMBINED[32:]], [bytes(32), bytes(16)]]

    async def test() -> None:
        async with serving(lambda: now[0], format=Format.PAIR):
            for datagrams in expected:
                display = site.display(site.a, ROUTERS[0][0])
                display.send()
                assert [await display.receive() for _ in datagrams] == datagrams
                display.close()
                now.pop(0) if len(now) > 1 else None

    site.run(test)


@family
def test_a_display_that_ends_is_forgotten_at_once_and_the_others_miss_nothing(site: Site, family: int) -> None:
    async def test() -> None:
        async with serving() as running:
            dead, living = (site.display(host, ROUTERS[0][family]) for host in (site.a, site.b))
            for display in (dead, living):
                await display.served()
            assert running.clients() == [dead.name, living.name]
            # The error comes back between the two sends of the next tick, on the socket that they share.
            dead.send()
            living.send()
            dead.close()
            await running.until(lambda: running.clients() == [living.name], "its kernel to say so")
            living.send()
            assert await living.receive() == COMBINED
            assert running.row()["failed"] == 0

    site.run(test)


@family
def test_a_display_that_vanishes_is_forgotten_when_it_was_silent(site: Site, family: int) -> None:
    """Its host is switched off: no error comes back, and what is sent to it waits in the kernel for its neighbour."""

    async def test() -> None:
        async with serving(client_timeout=1.0) as running:
            living, dead = site.display(site.b, ROUTERS[0][family]), site.display(site.a, ROUTERS[0][family])
            for display in (living, dead):
                display.send()
                await display.receive()
            site.a.ip("link", "set", "eth0", "down")
            site.router.ip("neighbour", "flush", "dev", "lan0")
            living_again = asyncio.create_task(_keep_alive(living.send))
            await running.until(lambda: running.clients() == [living.name], "the silent one to be forgotten")
            living.waiting()
            assert await living.receive() == COMBINED
            living_again.cancel()

    site.run(test)


@family
def test_a_server_that_was_restarted_serves_whoever_asks_next(site: Site, family: int) -> None:
    async def test() -> None:
        display = site.display(site.a, ROUTERS[0][family])
        for _ in range(2):
            async with serving() as running:
                display.send()
                assert await display.receive() == COMBINED
            assert running.row()["clients"] == []
            display.waiting()
        display.send()
        with pytest.raises(ConnectionRefusedError):
            await display.receive()
        async with serving():
            display.send()
            assert await display.receive() == COMBINED

    site.run(test)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_port_in_use_is_told_with_the_way_to_find_out_by_whom(site: Site, address: str) -> None:
    async def test() -> None:
        async with serving(addresses=("0.0.0.0",)):
            with pytest.raises(ServiceError, match=f"port {PORT} .*taken by another program.*ss -lunp sport = :{PORT}"):
                async with serving(addresses=("2001:db8:1::1", address)):
                    pass
        async with serving(addresses=("2001:db8:1::1", address)):
            pass  # nothing was left open

    site.run(test)


@family
def test_an_address_that_comes_later_is_served_then_and_again_after_it_was_gone(site: Site, family: int) -> None:
    late = ("192.0.2.33", "2001:db8:1::33")[family]
    prefix = f"{late}/{(32, 128)[family]}"

    async def test() -> None:
        async with serving(addresses=(late, ROUTERS[1][family])) as running:
            assert [line for line in running.log.lines if late in line] == [
                f"warning: no device has the address {late} now: displays are served there once one has"
            ]
            for _ in range(2):
                other, display = site.display(site.b, ROUTERS[1][family]), site.display(site.a, late)
                site.router.up("lan0", prefix)
                display.send()
                assert await display.receive() == COMBINED
                site.router.ip("address", "delete", prefix, "dev", "lan0")
                assert await other.served() == [COMBINED] * 2, "the other address works on"

    site.run(test)


@family
def test_an_address_that_vanishes_under_a_wildcard_costs_nobody_else_anything(site: Site, family: int) -> None:
    late = ("192.0.2.33", "2001:db8:1::33")[family]

    async def test() -> None:
        async with serving() as running:
            site.router.up("lan0", f"{late}/{(32, 128)[family]}")
            display, other = site.display(site.a, late), site.display(site.a, ROUTERS[0][family])
            for each in (display, other):
                await each.served()
            display.send()
            site.router.ip("address", "delete", f"{late}/{(32, 128)[family]}", "dev", "lan0")
            await running.until(lambda: running.row()["failed"] > 0, "a send without a source address")
            assert await other.served() == [COMBINED] * 2
            assert any("nothing leaves for display" in line for line in running.log.lines)

    site.run(test)


def test_ipv4_is_served_where_ipv6_is_disabled(site: Site) -> None:
    site.router.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")

    async def test() -> None:
        async with serving(addresses=("::", "2001:db8:1::1")) as running:
            display = site.display(site.a, ROUTERS[0][0])
            display.send()
            assert await display.receive() == COMBINED
            assert running.clients() == [display.name], "by its IPv4 address, not a mapped one"

    site.run(test)


def test_ipv4_is_served_by_a_kernel_without_ipv6(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a kernel knows no such sockets; this one does, so it is the call that fails here."""
    real = socket.socket

    def without(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    async def test() -> None:
        monkeypatch.setattr("netpath.monitor.udp_socket.socket.socket", without)
        async with serving() as running:
            assert running.row()["addresses"] == ["0.0.0.0"]
            assert any("this machine has no IPv6" in line for line in running.log.lines)
            display = site.display(site.a, ROUTERS[0][0])
            display.send()
            assert await display.receive() == COMBINED
        with pytest.raises(ServiceError, match="no address to listen on"):
            async with serving(addresses=("2001:db8:1::1",)):
                pass

    site.run(test)


@family
@pytest.mark.parametrize("form", Format)
def test_the_example_shows_them(site: Site, family: int, form: Format) -> None:
    async def test() -> None:
        async with serving(lambda: SPEEDS, format=form) as running:
            argv = [sys.executable, "-I", str(EXAMPLE), ROUTERS[0][family], "--listen", "17891", "--count", "2"]
            with site.a.inside():
                child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            try:
                await running.until(lambda: child.poll() is not None, "the example to end")
            finally:
                child.kill()
            lines = child.communicate(timeout=LIMIT)[0].splitlines()
            assert child.returncode == 0
            proxy, wan = (
                "direct up 1 B/s  direct down 2 B/s  proxy up 3 B/s  proxy down 4 B/s",
                "WAN up 6 B/s  WAN down 7 B/s",
            )
            assert lines == ([proxy, wan] if form is Format.PAIR else [f"{proxy}  {wan}"] * 2)
            assert any(f"{HOSTS[0][family]}" in line and "17891" in line for line in running.log.lines)

    site.run(test)


async def _keep_alive(send: object) -> None:
    assert callable(send)
    while True:
        send()
        await asyncio.sleep(0.1)
