# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that mean no good, or are beyond help: what they cost, and that the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
import tracemalloc
from functools import partial

import pytest

from netpath.monitor import clients, udp
from netpath.monitoring import Format
from tests.kernel.nsbox import Box
from tests.monitor.udp.site import COMBINED, HOSTS, LIMIT, PORT, REGISTRATION, ROUTERS, Running, Site, serving

family = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


def pretend(box: Box) -> None:
    """Let programs in there send from any address."""
    box.run("sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1", "net.ipv6.ip_nonlocal_bind=1")


def test_a_spoofed_victim_gets_no_more_than_a_small_multiple(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighed by the kernel as IP packets, both families side by side. The victim's firewall swallows all of it, so
    that nothing ever comes back, and the stranger keeps to the pace of a display: the most that a byte can bring.
    """
    # The protocol's times five times as short; its bytes are the real ones.
    monkeypatch.setattr(clients, "KEEP_ALIVE", clients.KEEP_ALIVE / 5)
    monkeypatch.setattr(clients, "PROOF", clients.PROOF / 5)
    pretend(site.a)
    site.b.nft("table inet mute {\nchain input { type filter hook input priority 0\nmeta l4proto udp drop\n}\n}\n")

    async def test() -> None:
        # As if it were ten times the shipped rate: what is owed does not grow with it.
        async with serving(interval=0.02) as running:
            with site.weighed() as weighed:
                strangers = [
                    site.display(site.a, address, source=victim, port=17891)
                    for address, victim in zip(ROUTERS[0], HOSTS[1], strict=True)
                ]

                def sent() -> list[int]:
                    return [client["sent"] for client in running.row()["clients"]]

                async def asked() -> list[tuple[int, int]]:
                    """Register and wait until nothing more comes of it. Bytes in and out since, of each family."""
                    before, began, seen = weighed(), time.monotonic(), [0]
                    for stranger in strangers:
                        stranger.send()
                    while time.monotonic() < began + clients.PROOF + 0.1 or sent() != seen:
                        seen = sent()
                        await asyncio.sleep(0.5)
                    after = weighed()
                    grown = {name: after[name][1] - before[name][1] for name in after}
                    return [(grown[f"in_{name}"], grown[f"out_{name}"]) for name in "46"]

                for into, out in await asked():
                    assert 2 * into < out <= clients.FIRST_FACTOR * into == 7 * into
                for into, out in await asked():
                    assert clients.FIRST_FACTOR * into < out <= clients.FACTOR * into == 21 * into
                assert [weighed()[f"in_{name}"] for name in "46"] == [(2, 2 * 30), (2, 2 * 50)]

    site.run(test)


@family
def test_a_victim_s_kernel_ends_it(site: Site, family: int) -> None:
    """It says that nobody listens there: one datagram for each registration, and no place in the table."""
    pretend(site.a)
    name = "46"[family]

    async def test() -> None:
        async with serving() as running:
            with site.weighed() as weighed:
                for port in range(17891, 17894):
                    site.display(site.a, ROUTERS[0][family], source=HOSTS[1][family], port=port).send()
                    gone = f"{port} is gone: nobody listens there any more"
                    await running.until(partial(_said, running, gone), gone)
                counted = weighed()
                assert counted[f"in_{name}"][0] == counted[f"out_{name}"][0] == 3
                assert running.clients() == []

    site.run(test)


def test_hosts_that_do_not_answer_hold_up_nobody(site: Site) -> None:
    """A table full of neighbours that are not there: what is sent to them waits in the kernel for ARP, in the same
    socket's buffer that the living display is served from.
    """
    pretend(site.a)
    hosts = 199

    async def test() -> None:
        async with serving(max_clients=hosts + 1, format=Format.PAIR, interval=0.02) as running:
            living = site.display(site.b, ROUTERS[0][0])
            living.send()
            assert [await living.receive() for _ in "12"] == [COMBINED[:32], COMBINED[32:]]
            dead = [
                site.display(site.a, ROUTERS[0][0], source=f"192.0.2.{host + 30}", port=17891) for host in range(hosts)
            ]
            for answers in range(1, 4):
                for at in range(0, hosts, 20):
                    for display in dead[at : at + 20]:
                        display.send()
                    await asyncio.sleep(0)
                await running.until(partial(_all_sent, running, hosts + 1, 2 * answers), "datagrams to all of them")
            assert running.row()["failed"] == 0
            site.display(site.b, ROUTERS[0][0]).send()
            await running.until(lambda: running.row()["refused"] == 1, "one more to be refused")
            living.waiting()
            living.send()
            assert [await living.receive() for _ in "12"] == [COMBINED[:32], COMBINED[32:]]

    site.run(test)


def test_garbage_gets_no_answer_and_leaves_nothing_behind(site: Site) -> None:
    """10,000 datagrams of any length and content, among them some that are almost registrations."""
    chance = random.Random(17890)
    almost = [b"", b"\x01", b"\x00", b"\x00\x01", b"\x01\x01", b"\x01\x00\x00", b"\x01\x00" * 700]
    total, batch = 10_000, 50

    async def test() -> None:
        async with serving() as running:
            with site.weighed() as weighed:
                displays = [site.display(site.a, address) for address in ROUTERS[0]]
                memory = 0
                tracemalloc.start()
                for number in range(0, total, batch):
                    for at in range(batch):
                        data = chance.choice(almost) if at % 5 == 0 else chance.randbytes(chance.randrange(1400))
                        displays[at % 2].send(data if data != REGISTRATION else b"\x02\x00")
                    await running.until(partial(_ignored, running, number + batch), "all to be read")
                    if number == total // 10:
                        memory = tracemalloc.get_traced_memory()[0]
                assert weighed()["out_4"] == weighed()["out_6"] == (0, 0)
            assert tracemalloc.get_traced_memory()[0] - memory < 64 * 1024, "bytes"
            tracemalloc.stop()
            assert running.row()["clients"] == []
            assert running.log.lines == []
            assert await displays[0].served() == [COMBINED] * 2

    site.run(test)


def test_a_flood_of_registrations_is_bounded_work_and_displaces_nobody(site: Site) -> None:
    pretend(site.a)

    async def test() -> None:
        async with serving(max_clients=8) as running:
            living = site.display(site.b, ROUTERS[0][0])
            await living.served()
            began = time.monotonic()
            strangers = [
                site.display(site.a, ROUTERS[0][1], source=f"2001:db8:1::f:{host}", port=17891) for host in range(1, 50)
            ]
            while running.row()["refused"] < 3000:
                for stranger in strangers:
                    stranger.send()
                await asyncio.sleep(0)
                assert time.monotonic() - began < LIMIT
            assert len(running.clients()) == 8
            assert living.name in running.clients()
            living.waiting()
            assert await living.served() == [COMBINED] * 2
            assert len(running.log.lines) <= 20

    site.run(test)


def test_while_a_flood_lasts_nothing_is_read_for_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's time is for others meanwhile, and displays that are known get their figures."""
    monkeypatch.setattr(udp, "REST", 0.5)

    async def test() -> None:
        async with serving() as running:
            living, stranger = site.display(site.b, ROUTERS[0][0]), site.display(site.a, ROUTERS[0][0])
            await living.served()
            living.send()
            for _ in range(150):
                stranger.send(b"flood")
            await running.until(lambda: running.row()["ignored"] > 0, "the first of it")
            living.waiting()
            assert await living.receive() == COMBINED
            assert running.row()["ignored"] in (63, 64), "with its registration"
            await running.until(partial(_ignored, running, 150), "the rest of it")

    site.run(test)


@pytest.mark.parametrize(
    ("reason", "gone"),
    [("port-unreachable", True), ("admin-prohibited", True), ("no-route", False), ("host-unreachable", False)],
)
def test_a_firewall_s_word_is_heard_but_lost_ways_may_be_found_again(site: Site, reason: str, gone: bool) -> None:
    site.a.nft(
        "table inet door {\nchain input { type filter hook input priority 0\n"
        f"udp sport {PORT} reject with icmpx type {reason}\n}}\n}}\n"
    )

    async def test() -> None:
        async with serving() as running:
            shut = [site.display(site.a, address) for address in ROUTERS[0]]
            if gone:
                for display in shut:
                    display.send()
                text = "is gone: nobody listens there any more"
                await running.until(
                    lambda: sum(text in line for line in running.log.lines) == 2, "both to be forgotten"
                )
                return
            for _ in range(2):
                for display in shut:
                    with contextlib.suppress(OSError):  # it may be told as well
                        display.send()
            await running.until(partial(_all_sent, running, 2, 2), "two answers to each")
            await running.until(lambda: running.row()["clients"][0]["sent"] >= 2, "two answers to the first, too")
            assert sorted(running.clients()) == sorted(display.name for display in shut)
            assert running.row()["failed"] == 0

    site.run(test)


def test_only_what_is_sent_to_one_host_registers(site: Site) -> None:
    """A datagram to everybody must not make every router answer."""

    async def test() -> None:
        async with serving() as running:
            with site.a.inside():
                index = socket.if_nametoindex("eth0")
                four, six = (socket.socket(kind, socket.SOCK_DGRAM) for kind in (socket.AF_INET, socket.AF_INET6))
            with four, six:
                four.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                four.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
                for address in ("192.0.2.255", "255.255.255.255", "224.0.0.1"):
                    four.sendto(REGISTRATION, (address, PORT))
                six.sendto(REGISTRATION, ("ff02::1", PORT, 0, index))
                site.router.run("sysctl", "-qw", "net.ipv4.icmp_echo_ignore_broadcasts=0")
                display = site.display(site.a, ROUTERS[0][0])
                assert await display.served() == [COMBINED] * 2
                assert running.clients() == [display.name]

    site.run(test)


@family
def test_strangers_and_those_who_are_not_let_out_cost_the_others_nothing(site: Site, family: int) -> None:
    """One is outside of the networks, one is cut off by the router's own firewall (EPERM)."""
    allowed = ("192.0.2.0/24", "2001:db8:1::/64")
    site.router.nft(
        "table inet own {\nchain output { type filter hook output priority 0\n"
        f"udp sport {PORT} udp dport 4000 drop\n}}\n}}\n"
    )

    async def test() -> None:
        async with serving(networks=allowed) as running:
            stranger = site.display(site.b, ROUTERS[0][family])
            stuck = site.display(site.a, ROUTERS[0][family], source=HOSTS[0][family], port=4000)
            living = site.display(site.a, ROUTERS[0][family])
            for display in (stranger, stuck):
                display.send()
            for _ in range(5):
                assert await living.served() == [COMBINED] * 2
            assert running.row()["refused"] == 1
            assert sorted(running.clients()) == sorted([stuck.name, living.name])
            assert running.row()["failed"] > 0
            assert stranger.waiting() == stuck.waiting() == []
            assert any("nothing leaves for display" in line and "not permitted" in line for line in running.log.lines)
            assert any(" was refused: its address is in none of the networks" in line for line in running.log.lines)

    site.run(test)


def _said(running: Running, text: str) -> bool:
    return any(text in line for line in running.log.lines)


def _all_sent(running: Running, clients: int, datagrams: int) -> bool:
    """Whether that many clients got (or, for lack of room, failed to get) so many datagrams each, but for the first."""
    rows = running.row()["clients"]
    return len(rows) == clients and (running.row()["failed"] > 0 or all(r["sent"] >= datagrams for r in rows[1:]))


def _ignored(running: Running, number: int) -> bool:
    return bool(running.row()["ignored"] == number)
