# SPDX-License-Identifier: GPL-2.0-or-later
"""Events come for what matters, and only for that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from netpath.kernel import netlink
from netpath.kernel.monitor import LinkEvent, LinkMonitor
from tests.kernel.kernel_world import World, eventually

pytestmark = pytest.mark.lab

Queue = asyncio.Queue[LinkEvent]


def watch(script: Callable[[Queue], Awaitable[None]]) -> None:
    """Run `script(events)` with a monitor on."""

    async def main() -> None:
        events: Queue = asyncio.Queue()
        links = LinkMonitor(events.put_nowait)
        links.start(asyncio.get_running_loop())
        try:
            await script(events)
        finally:
            links.close()

    asyncio.run(main())


async def until_link(events: Queue, name: str) -> list[LinkEvent]:
    """All events up to that of device `name`, which stands for the end."""
    seen: list[LinkEvent] = []
    while True:
        event = await eventually(events, lambda _: True)
        if event.kind == "link" and event.ifname == name:
            return seen
        seen.append(event)


def test_a_cable_that_is_pulled_and_put_back(world: World) -> None:
    world.uplinks(1)

    async def script(events: Queue) -> None:
        world.ip("link set far1 down\n")
        lost = await eventually(events, lambda e: e.kind == "link" and e.ifname == "wan1" and not e.carrier)
        assert lost.up and not lost.removed
        world.ip("link set far1 up\n")
        await eventually(events, lambda e: e.kind == "link" and e.ifname == "wan1" and e.carrier)
        world.ip("link set wan1 down\n")
        await eventually(events, lambda e: e.kind == "link" and e.ifname == "wan1" and not e.up)
        world.ip("link delete wan1\n")
        gone = await eventually(events, lambda e: e.kind == "link" and e.ifname == "wan1" and e.removed)
        assert not gone.carrier and not gone.up

    watch(script)


def test_leaving_a_bridge_is_not_the_end_of_a_device(world: World) -> None:
    world.uplinks(1)
    world.ip("link add br0 type bridge\nlink set br0 up\nlink set wan1 master br0\n")

    async def script(events: Queue) -> None:
        world.ip("link set wan1 nomaster\nlink add mark0 type ifb\n")
        seen: list[LinkEvent] = []
        while not seen or seen[-1].ifname != "mark0":
            seen.append(await eventually(events, lambda e: e.kind == "link"))
        assert not any(event.removed for event in seen)

    watch(script)


def test_addresses_come_and_go(world: World) -> None:
    world.uplinks(1)

    async def script(events: Queue) -> None:
        for family, address in (("", "192.0.2.1/24"), ("-6 ", "2001:db8:5::1/64")):
            world.ip(f"{family}address add {address} dev wan1\n")
            added = await eventually(events, lambda e: e.kind == "address")
            assert (added.ifname, added.removed) == ("wan1", False)
            world.ip(f"{family}address delete {address} dev wan1\n")
            await eventually(events, lambda e: e.kind == "address" and e.removed)

    watch(script)


def test_default_routes_of_main(world: World) -> None:
    world.uplinks(1)

    async def script(events: Queue) -> None:
        for family, gateway in (("", "198.51.100.2"), ("-6 ", "2001:db8:1::1")):
            world.ip(f"{family}route add default via {gateway} dev wan1\n")
            added = await eventually(events, lambda e: e.kind == "route")
            assert (added.ifname, added.removed, added.ours) == ("wan1", False, False)
            world.ip(f"{family}route delete default via {gateway} dev wan1\n")
            removed = await eventually(events, lambda e: e.kind == "route")
            assert removed.removed

    watch(script)


def test_routes_that_do_not_matter_do_not_wake_anybody(world: World) -> None:
    """A BGP table in main, defaults of other tables, and what we add ourselves: the socket stays silent."""
    world.uplinks(1)

    async def script(events: Queue) -> None:
        world.ip(
            "".join(f"route add 192.0.2.{n}/32 dev wan1 proto 186\n" for n in range(200))
            + "route add default via 198.51.100.2 dev wan1 table 99\n"
            + "route add default via 198.51.100.2 dev wan1 table 1001 proto 78\n"
            + "rule add fwmark 0x100/0x3f00 lookup 1001 priority 6401 protocol 78\n"
            + "-6 route add 2001:db8:77::/48 dev wan1\n"
            + "-6 route add default via 2001:db8:1::1 dev wan1 table 1001 proto 78\n"
        )
        world.ip("link add mark0 type ifb\n")
        # An address of the uplink may just have been found to be nobody else's.
        assert [event for event in await until_link(events, "mark0") if event.kind != "address"] == []

    watch(script)


def test_who_removes_what_is_ours_is_noticed(world: World) -> None:
    world.uplinks(1)
    world.ip(
        "route add default via 198.51.100.2 dev wan1 table 1001 proto 78\n"
        "route add 192.0.2.0/24 dev wan1 table 1001 proto 78\n"
        "rule add fwmark 0x100/0x3f00 lookup 1001 priority 6401 protocol 78\n"
        "rule add fwmark 0x1/0x1 lookup 99 priority 99\n"
    )

    async def script(events: Queue) -> None:
        world.run("ip", "route", "flush", "table", "1001")
        for _ in range(2):
            event = await eventually(events, lambda e: e.kind == "route")
            assert (event.removed, event.ours) == (True, True)
        world.run("ip", "rule", "flush")
        ours: list[bool] = []
        while len(ours) < 2:
            event = await eventually(events, lambda e: e.kind == "rule" and e.removed)
            ours.append(event.ours)
        assert sorted(ours) == [False, True]

    watch(script)


def test_rules_of_others_are_reported(world: World) -> None:
    async def script(events: Queue) -> None:
        world.ip("-6 rule add fwmark 0x1/0x1 lookup 99 priority 99\n")
        event = await eventually(events, lambda e: e.kind == "rule")
        assert (event.removed, event.ours) == (False, False)

    watch(script)


def test_lost_events_are_reported_as_such(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.uplinks(1)
    monkeypatch.setattr(netlink, "_SO_RCVBUFFORCE", socket.SO_RCVBUF)
    monkeypatch.setattr(netlink, "_RECEIVE_QUEUE", 16384)

    async def script(events: Queue) -> None:
        # The loop does not read while this runs, and the queue holds a few messages only.
        world.ip("".join(f"address add 192.0.2.{n}/32 dev wan1\n" for n in range(1, 250)))
        await eventually(events, lambda e: e.kind == "overrun")
        world.ip("link add mark0 type ifb\n")
        await until_link(events, "mark0")

    watch(script)


def test_after_close_nothing_comes(world: World) -> None:
    async def main() -> None:
        events: Queue = asyncio.Queue()
        links = LinkMonitor(events.put_nowait)
        links.start(asyncio.get_running_loop())
        links.close()
        links.close()
        world.ip("link add mark0 type ifb\n")
        await asyncio.sleep(0)
        assert events.empty()

    asyncio.run(main())
