# SPDX-License-Identifier: GPL-2.0-or-later
"""Single questions to the kernel, checked against what `ip` and `nft` were told."""

from __future__ import annotations

import socket

import pytest

from netpath.kernel.lookup import Way, count_elements, has_element, route_get
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab


def test_a_route_by_all_rules_and_marks(world: World) -> None:
    world.uplinks(2)
    world.ip(
        "route add default via 198.51.100.2 dev wan1\n"
        "route add default via 198.51.100.6 dev wan2 table 77\n"
        "rule add pref 100 fwmark 0x200/0x3f00 lookup 77\n"
        "-6 route add default via 2001:db8:2::1 dev wan2\n"
    )
    assert route_get("203.0.113.1", "ipv4") == Way("wan1", "198.51.100.2", local=False)
    assert route_get("203.0.113.1", "ipv4", mark=0x200) == Way("wan2", "198.51.100.6", local=False)
    assert route_get("198.51.100.6", "ipv4") == Way("wan2", None, local=False)
    assert route_get("2001:db8:9::1", "ipv6") == Way("wan2", "2001:db8:2::1", local=False)


def test_this_machines_own_addresses_are_local(world: World) -> None:
    world.ip("address add 192.0.2.9/32 dev lo\n-6 address add 2001:db8:9::9/128 dev lo\n")
    for address, family in (("192.0.2.9", "ipv4"), ("2001:db8:9::9", "ipv6")):
        assert route_get(address, family) == Way("lo", None, local=True)


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit", ""])
def test_no_way_is_none(world: World, kind: str) -> None:
    world.uplinks(1)
    if kind:
        world.ip(f"route add {kind} 203.0.113.0/24\n-6 route add {kind} 2001:db8:9::/64\n")
    assert route_get("203.0.113.1", "ipv4") is None
    assert route_get("2001:db8:9::1", "ipv6") is None


def test_elements_of_sets(world: World) -> None:
    world.nft(
        "table inet t {\n set s { type ipv4_addr; flags dynamic,timeout; elements = { 192.0.2.7 timeout 1h }; }\n"
        " set s6 { type ipv6_addr; elements = { 2001:db8::7 }; }\n}\n"
    )
    assert has_element("t", "s", socket.inet_aton("192.0.2.7"))
    assert not has_element("t", "s", socket.inet_aton("192.0.2.8"))
    assert has_element("t", "s6", socket.inet_pton(socket.AF_INET6, "2001:db8::7"))
    assert not has_element("t", "none", b"\0\0\0\0")
    assert (count_elements("t", "s"), count_elements("t", "s6"), count_elements("t", "none")) == (1, 1, 0)
    assert not has_element("none", "s", b"\0\0\0\0")


def test_sets_with_intervals_and_large_ones(world: World) -> None:
    many = ", ".join(f"192.0.2.{a}, 198.51.100.{a}, 203.0.113.{a}" for a in range(256))
    world.nft(
        "table inet t {\n set i { type ipv4_addr; flags interval;\n"
        "  elements = { 192.0.2.0/25, 198.51.100.4-198.51.100.9 }; }\n"
        f" set m {{ type ipv4_addr; flags dynamic,timeout; elements = {{ {many} }}; }}\n}}\n"
    )
    found = [a for a in ("192.0.2.0", "192.0.2.77", "192.0.2.128", "198.51.100.3", "198.51.100.9", "198.51.100.10")
             if has_element("t", "i", socket.inet_aton(a))]  # fmt: skip
    assert found == ["192.0.2.0", "192.0.2.77", "198.51.100.9"]
    assert count_elements("t", "m") == 768
