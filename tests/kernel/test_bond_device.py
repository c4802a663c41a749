# SPDX-License-Identifier: GPL-2.0-or-later
"""The bond's device in a real kernel: what it is given, what a reload changes, what stays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netpath.bond.device import Device, Wanted
from netpath.bond.tun import Tun
from netpath.kernel import netdev
from netpath.kernel.netlink import NetlinkSocket
from netpath.lab.namespace import wait_until
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab

WANTED = Wanted(
    addresses=("203.0.113.1/24", "2001:db8:99::1/64"),
    mtu=1400,
    rate=12_500_000,
    routes=("192.0.2.0/24", "2001:db8:5::/56"),
)


@pytest.fixture
def tun(world: World) -> Iterator[Tun]:
    made = Tun("tun-bond")
    yield made
    made.close()


def link(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.ip_json("-d", "link", "show", "dev", "tun-bond")[0]
    return found


def addresses(world: World) -> set[str]:
    listed = world.ip_json("address", "show", "dev", "tun-bond")[0]["addr_info"]
    return {f"{a['local']}/{a['prefixlen']}" for a in listed}


def routes(world: World) -> set[str]:
    listed = [r for family in ("-4", "-6") for r in world.ip_json(family, "route", "show", "dev", "tun-bond")]
    return {r["dst"] for r in listed if r.get("protocol") == "78"}


def test_the_device_comes_up_as_wanted(world: World, tun: Tun) -> None:
    assert Device("tun-bond").apply(WANTED) == []
    found = link(world)
    assert "UP" in found["flags"]
    assert (found["mtu"], found["txqlen"]) == (1400, 128)
    assert found["gso_max_size"] == 41943
    assert addresses(world) == set(WANTED.addresses), "and no link-local address, which would ask for routers"
    assert routes(world) == set(WANTED.routes)
    assert "tentative" not in world.run("ip", "-6", "address", "show", "dev", "tun-bond")
    assert Path("/proc/sys/net/ipv6/conf/tun-bond/accept_ra").read_text() == "0\n"


def test_doing_it_twice_asks_the_kernel_for_nothing(world: World, tun: Tun) -> None:
    device = Device("tun-bond")
    device.apply(WANTED)
    with NetlinkSocket(0, groups=1 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10) as watched:

        def quiet() -> bool:
            device.apply(WANTED)
            return not list(watched.events())

        # The kernel itself tells of a new IPv6 address a little later.
        wait_until(quiet, 5, "a time at which nothing changes")
        device.apply(replace(WANTED, mtu=1380))
        assert list(watched.events()) != []


def test_a_reload_changes_the_difference_and_nothing_of_others(world: World, tun: Tun) -> None:
    device = Device("tun-bond")
    device.apply(WANTED)
    world.ip("address add 198.51.100.7/32 dev tun-bond\nroute add 198.51.100.0/24 dev tun-bond\n")
    wanted = replace(
        WANTED, addresses=("203.0.113.2/24", "203.0.113.3/24", "2001:db8:99::1/64"), routes=("192.0.2.0/25",), mtu=1300
    )
    assert device.apply(wanted) == []
    assert addresses(world) == {*wanted.addresses, "198.51.100.7/32"}
    assert routes(world) == {"192.0.2.0/25"}
    assert "198.51.100.0/24" in world.run("ip", "route", "show", "dev", "tun-bond")
    # The kernel takes the second address of a network with the first one.
    assert device.apply(replace(wanted, addresses=("203.0.113.3/24", "2001:db8:99::1/64"))) == []
    assert addresses(world) == {"203.0.113.3/24", "2001:db8:99::1/64", "198.51.100.7/32"}
    assert routes(world) == {"192.0.2.0/25"}


def test_a_device_without_ipv4_addresses_for_a_moment_has_its_routes_again(world: World, tun: Tun) -> None:
    device = Device("tun-bond")
    device.apply(replace(WANTED, addresses=("203.0.113.1/24",)))
    assert device.apply(replace(WANTED, addresses=("198.51.100.1/24",))) == []
    assert routes(world) == set(WANTED.routes)


def test_nothing_is_left_when_it_is_closed(world: World) -> None:
    before = world.run("ip", "address"), world.run("ip", "route", "show", "table", "all")
    tun = Tun("tun-bond")
    Device("tun-bond").apply(WANTED)
    assert world.run("ip", "address") != before[0]
    tun.close()
    assert (world.run("ip", "address"), world.run("ip", "route", "show", "table", "all")) == before


def test_where_ipv6_is_switched_off_it_says_so_and_ipv4_works(world: World, tun: Tun) -> None:
    world.sysctl("ipv6/conf/tun-bond/disable_ipv6", 1)
    told = Device("tun-bond").apply(WANTED)
    assert told[0] == (
        "address 2001:db8:99::1/64 not added to tun-bond: "
        "IPv6 is switched off on it (net.ipv6.conf.tun-bond.disable_ipv6)"
    )
    assert addresses(world) == {"203.0.113.1/24"}
    assert "192.0.2.0/24" in routes(world)


@pytest.mark.parametrize("prefix", ["192.0.2.0/24", "2001:db8:5::/56"])
def test_a_network_that_is_somewhere_else_already_is_told(world: World, tun: Tun, prefix: str) -> None:
    world.uplinks(1)
    world.ip(f"{'-6 ' if ':' in prefix else ''}route add {prefix} dev wan1\n")
    told = Device("tun-bond").apply(WANTED)
    assert told == [f"{prefix} is not routed to tun-bond: it is routed to wan1 already"]
    assert routes(world) == set(WANTED.routes) - {prefix}


def test_a_fair_queue_where_the_kernel_has_one(world: World, tun: Tun) -> None:
    assert Device("tun-bond").apply(WANTED) == []
    kind = world.ip_json("link", "show", "dev", "tun-bond")[0]["qdisc"]
    index = socket.if_nametoindex("tun-bond")
    assert netdev.set_queueing(index, "fq_codel") == (kind == "fq_codel"), "it goes on without"
    assert not netdev.set_queueing(index, "no-such-thing")
    assert netdev.set_queueing(index, "pfifo")
    assert netdev.queueing(index) == "pfifo"
