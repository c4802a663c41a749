# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters and names are those of `nft -j`; changes by others are noticed at the price of one wake-up."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from netpath.kernel import nftdump
from netpath.kernel.netlink import NetlinkSocket
from netpath.kernel.nft import Nft
from netpath.kernel.nftdump import GenerationMonitor
from tests.kernel.kernel_world import World, eventually

pytestmark = pytest.mark.lab

Queue = asyncio.Queue[int | None]

OURS = """\
table inet netpath {
    counter wan_1 { }
    counter wan_2 { }
    counter r_all_4 { packets 5 bytes 99; }
    set st_web_4_1 { type ipv4_addr; flags dynamic, timeout; timeout 600s; }
    map other { type ipv4_addr : verdict; }
    chain prerouting { type filter hook prerouting priority mangle; goto classify; }
    chain output { type route hook output priority mangle; goto classify; }
    chain classify { ip protocol icmp goto w_2; goto rules; }
    chain rules { tcp dport { 80, 443, 1000-2000 } goto r_web_4; udp dport vmap { 9 : goto r_all_4 }; }
    chain r_web_4 { counter; log prefix "web"; goto w_1; }
    chain r_all_4 { counter name r_all_4; goto w_1; }
    chain r_none_4 { accept; }
    chain w_1 { counter name wan_1; accept; }
    chain w_2 { counter name wan_2; counter; accept; }
}
table inet netpath2 { counter wan_1 { packets 9 bytes 9; }; set foreign { type ipv4_addr; }
    chain prerouting { type filter hook prerouting priority 0; accept; }
    chain r_foreign_4 { counter; }; }
table ip netpath { set foreign4 { type ipv4_addr; }; chain prerouting { accept; }; chain r_foreign_4 { counter; }; }
"""


def elements(count: int) -> str:
    listing = ", ".join(f"2001:db8:0:{n >> 16:x}::{n & 0xFFFF:x}" for n in range(0, 2 * count, 2))
    return f"table inet banip {{ set block {{ type ipv6_addr; elements = {{ {listing} }}; }}; }}\n"


def send(count: int, size: int = 100) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x" * size, ("127.0.0.1", 9))


def objects(world: World, kind: str, table: str = "netpath") -> list[dict[str, Any]]:
    listing = world.nft_json("list", "table", "inet", table)
    return [each[kind] for each in listing if kind in each]


def watch(script: Callable[[Queue], Awaitable[None]]) -> None:
    async def main() -> None:
        changes: Queue = asyncio.Queue()
        generations = GenerationMonitor(changes.put_nowait)
        generations.start(asyncio.get_running_loop())
        try:
            await script(changes)
        finally:
            generations.close()

    asyncio.run(main())


def test_names_are_those_of_nft(world: World) -> None:
    world.nft(OURS)
    assert sorted(nftdump.chains("netpath")) == sorted(c["name"] for c in objects(world, "chain"))
    names = [each["name"] for kind in ("set", "map") for each in objects(world, kind)]
    assert sorted(nftdump.sets("netpath")) == sorted(names) == ["other", "st_web_4_1"]
    assert nftdump.sets("netpath2") == ["foreign"]


def test_counters_are_those_of_nft(world: World) -> None:
    world.nft(OURS)
    send(7)
    named = {c["name"]: (c["packets"], c["bytes"]) for c in objects(world, "counter")}
    assert nftdump.counters("netpath") == named
    assert named["wan_1"][0] >= 7
    assert named["r_all_4"] == (5 + named["wan_1"][0], 99 + named["wan_1"][1])
    assert nftdump.some_counters("netpath", ["wan_1", "wan_7", "r_all_4"]) == {
        n: named[n] for n in ("wan_1", "r_all_4")
    }


def test_a_missing_table_has_nothing(world: World) -> None:
    assert world
    assert not nftdump.table_exists("netpath")
    assert not nftdump.table_intact("netpath")
    assert nftdump.chains("netpath") == nftdump.sets("netpath") == []
    assert nftdump.counters("netpath") == nftdump.some_counters("netpath", ["wan_1"]) == {}


@pytest.mark.parametrize(
    ("harm", "exists"),
    [
        ("flush ruleset", False),
        ("delete table inet netpath", False),
        ("flush table inet netpath", True),
        ("flush chain inet netpath output", True),
    ],
)
def test_harm_is_seen(world: World, harm: str, exists: bool) -> None:
    world.nft(OURS)
    assert nftdump.table_exists("netpath")
    assert nftdump.table_intact("netpath")
    world.nft(f"{harm}\n")
    assert nftdump.table_exists("netpath") == exists
    assert not nftdump.table_intact("netpath")


def test_a_thousand_rules(world: World) -> None:
    """More than one datagram of the dump."""
    rules = "".join(
        f"counter r_{n}_4 {{ packets {n} bytes {2 * n}; }}; chain r_{n}_4 {{ accept; }}\n" for n in range(1000)
    )
    world.nft(f"table inet netpath {{ {rules} }}\n")
    assert nftdump.counters("netpath") == {f"r_{n}_4": (n, 2 * n) for n in range(1000)}
    assert len(nftdump.chains("netpath")) == 1000


def test_a_foreign_load_of_a_hundred_thousand_elements_is_one_notice(world: World) -> None:
    world.nft(OURS)

    async def script(changes: Queue) -> None:
        world.nft(elements(100_000))
        assert await eventually(changes, lambda _: True) is not None
        assert changes.empty()
        world.nft("add table inet end\n")
        await eventually(changes, lambda _: True)
        assert changes.empty()

    watch(script)
    assert nftdump.table_intact("netpath")


def test_reading_does_not_depend_on_foreign_sets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one element of somebody else's set may come to us: it would not fit these figures."""
    world.nft(OURS)
    world.nft(elements(20_000))
    received = 0
    receive = NetlinkSocket._receive

    def counted(self: Any) -> Any:
        nonlocal received
        for message in receive(self):
            received += len(message[3])
            yield message

    monkeypatch.setattr(NetlinkSocket, "_receive", counted)
    nftdump.counters("netpath")
    nftdump.some_counters("netpath", ["wan_1"])
    nftdump.chains("netpath")
    nftdump.sets("netpath")
    assert nftdump.table_intact("netpath")
    assert 0 < received < 20_000


def test_flush_ruleset_is_noticed_with_the_culprits_pid(world: World) -> None:
    world.nft(OURS)

    async def script(changes: Queue) -> None:
        culprit = await asyncio.create_subprocess_exec("nft", "flush", "ruleset")
        assert await eventually(changes, lambda _: True) == culprit.pid
        await culprit.wait()

    watch(script)
    assert not nftdump.table_intact("netpath")


def test_our_own_changes_carry_our_pid(world: World) -> None:
    assert world

    async def script(changes: Queue) -> None:
        with Nft() as nft:
            nft.run("add table inet netpath\n")
            nft.run("add chain inet netpath w_1\n")
            assert await eventually(changes, lambda _: True) == os.getpid()
            assert changes.empty(), "changes that wait together are one notice"

    watch(script)


def test_after_close_nothing_comes(world: World) -> None:
    async def main() -> None:
        changes: Queue = asyncio.Queue()
        generations = GenerationMonitor(changes.put_nowait)
        generations.start(asyncio.get_running_loop())
        generations.close()
        generations.close()
        world.nft("add table inet netpath\n")
        await asyncio.sleep(0)
        assert changes.empty()

    asyncio.run(main())
