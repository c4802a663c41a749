# SPDX-License-Identifier: GPL-2.0-or-later
"""Which uplink an interface is, and what a person reads when it is not up."""

from __future__ import annotations

import fcntl
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from netpath.kernel import rtnl
from netpath.kernel.netifd import Logical
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import Resolved, foreign_marks, resolve
from netpath.model import Interface, State, TrackMethod
from tests.kernel.kernel_world import World
from tests.tracking import tracking

pytestmark = pytest.mark.lab

TUNSETIFF, IFF_TUN = 0x400454CA, 0x1
UNTRACKED = tracking(method=TrackMethod.NONE, targets=())
DEFAULTS = """\
route add default via 198.51.100.2 dev wan1 metric 10
route add default via 198.51.100.6 dev wan2 metric 5
-6 route add default via fe80::1 dev wan1
"""


def interface(name: str, family: str = "ipv4", device: str | None = None, gateway: str | None = None) -> Interface:
    return Interface(name, True, device, family, gateway, State.ONLINE, UNTRACKED, (), False)


def one(wanted: Interface, *logical: Logical) -> Resolved:
    return resolve([wanted], {wanted.name: 7}, Snapshot.read(), {each.name: each for each in logical})[0]


def netifd(name: str, device: str | None, *, up: bool = True, **changes: Any) -> Logical:
    return replace(Logical(name, up, device, (), (), (), ()), **changes)


def test_everything_is_found_in_the_kernel(world: World) -> None:
    world.uplinks(2)
    world.ip(DEFAULTS)
    world.ip("route add 203.0.113.0/24 via 198.51.100.2 dev wan1 proto 4\n")
    found = one(interface("wan1"))
    assert found.up
    assert found.reason == "wan1 is up, gateway 198.51.100.2"
    uplink = found.uplink
    assert (uplink.id, uplink.device, uplink.gateway) == (7, "wan1", "198.51.100.2")
    assert uplink.addresses == ("198.51.100.1/30",)
    assert uplink.connected == ("198.51.100.0/30", "203.0.113.0/24")
    assert not uplink.main_default, "wan2's metric is better"
    assert one(interface("wan2")).uplink.main_default


def test_ipv6_has_global_addresses_and_a_link_local_gateway(world: World) -> None:
    world.uplinks(2)
    world.ip(DEFAULTS)
    found = one(interface("wan6", "ipv6", device="wan1"))
    assert found.up
    assert found.uplink.gateway == "fe80::1"
    assert found.uplink.addresses == ("2001:db8:1::2/64",)
    assert found.uplink.connected == ("2001:db8:1::/64",)
    assert found.uplink.main_default


def test_two_gateways_on_one_device(world: World) -> None:
    world.uplinks(1)
    pair = [interface("a", device="wan1", gateway="198.51.100.2"), interface("b", device="wan1", gateway="203.0.113.1")]
    found = resolve(pair, {"a": 1, "b": 2}, Snapshot.read(), {})
    assert [(r.uplink.name, r.uplink.id, r.uplink.device, r.uplink.gateway, r.up) for r in found] == [
        ("a", 1, "wan1", "198.51.100.2", True),
        ("b", 2, "wan1", "203.0.113.1", True),
    ]


def test_the_configured_gateway_wins_over_the_kernels(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default via 198.51.100.2 dev wan1\n")
    assert one(interface("wan1", gateway="203.0.113.1")).uplink.gateway == "203.0.113.1"


def test_the_device_is_configured_or_known_or_guessed(world: World) -> None:
    world.uplinks(3)
    logical = netifd("wan1", "wan2"), netifd("dsl", "wan2")
    gateway = "203.0.113.1"
    assert one(interface("wan1", device="wan3", gateway=gateway), *logical).uplink.device == "wan3"
    assert one(interface("wan1", gateway=gateway), *logical).uplink.device == "wan2"
    assert one(interface("wan1", gateway=gateway)).uplink.device == "wan1"
    assert one(interface("any", device="dsl", gateway=gateway), *logical).uplink.device == "wan2"


def test_netifd_knows_gateways_that_the_main_table_does_not(world: World) -> None:
    world.uplinks(2)
    known = netifd("dsl", "wan1", defaults=(("ipv4", "198.51.100.2"), ("ipv6", "fe80::1")))
    assert one(interface("dsl"), known).uplink.gateway == "198.51.100.2"
    assert one(interface("dsl", "ipv6"), known).uplink.gateway == "fe80::1"
    assert one(interface("dsl", gateway="203.0.113.1"), known).uplink.gateway == "203.0.113.1"
    assert one(interface("x", device="wan2", gateway=None), known).reason.startswith("no gateway")
    on_link = one(interface("dsl"), replace(known, defaults=(("ipv4", None),)))
    assert on_link.up and on_link.uplink.gateway is None


def test_an_interface_that_netifd_has_taken_down_is_down_whatever_the_device_says(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default via 198.51.100.2 dev wan1\n")
    assert one(interface("wan1")).up
    found = one(interface("wan1"), netifd("wan1", None, up=False))
    assert not found.up
    assert found.reason == "netifd has not brought interface wan1 up"


def test_a_family_of_a_line_may_be_an_interface_of_its_own(world: World) -> None:
    world.uplinks(2)
    gateway = "203.0.113.1"
    modem, own = netifd("lte", "wan1"), netifd("lte_4", "wan2")
    assert one(interface("lte", gateway=gateway), modem, own).uplink.device == "wan2"
    assert one(interface("lte", gateway=gateway), modem, replace(own, up=False)).uplink.device == "wan1"
    assert one(interface("lte", gateway=gateway), own).uplink.device == "wan2"
    assert one(interface("lte", "ipv6", gateway="fe80::1"), modem, own).uplink.device == "wan1"


def test_logical_interfaces_on_one_device_have_their_own_addresses(world: World) -> None:
    world.uplinks(1)
    world.ip("address add 192.0.2.7/24 dev wan1\naddress add 192.0.2.8/24 dev wan1\n")
    first = netifd("a", "wan1", addresses=("198.51.100.1/30",))
    second = netifd("b", "wan1", addresses=("192.0.2.7/24",))
    gateway = "203.0.113.1"
    by_hand = "192.0.2.8/24"  # netifd knows nothing of it: it may be anyone's
    assert one(interface("a", gateway=gateway), first, second).uplink.addresses == (by_hand, "198.51.100.1/30")
    assert one(interface("b", gateway=gateway), first, second).uplink.addresses == ("192.0.2.7/24", by_hand)


def test_prefixes_and_resolvers_come_from_netifd(world: World) -> None:
    world.uplinks(1)
    servers = ("192.0.2.53", "127.0.0.1", "2001:db8::53", "fe80::53")
    known = netifd("wan1", "wan1", prefixes=("2001:db8:a::/56",), resolvers=servers)
    six = one(interface("wan1", "ipv6", gateway="fe80::1"), known).uplink
    assert (six.prefixes, six.resolvers) == (("2001:db8:a::/56",), ("2001:db8::53",))
    four = one(interface("wan1", gateway="203.0.113.1"), known).uplink
    assert (four.prefixes, four.resolvers) == ((), ("192.0.2.53",))
    configured = replace(interface("wan1", gateway="203.0.113.1"), resolvers=("198.51.100.53",))
    assert one(configured, known).uplink.resolvers == ("198.51.100.53",)


def test_a_tunnel_needs_no_gateway(world: World) -> None:
    with Path("/dev/net/tun").open("r+b", buffering=0) as tunnel:  # while it is open, the device has a carrier
        fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN))
        world.ip("link set tun0 up\naddress add 192.0.2.1 peer 192.0.2.9/32 dev tun0\n")
        found = one(interface("tun0"))
    assert found.up
    assert found.reason == "tun0 is up, point-to-point"
    assert found.uplink.gateway is None
    assert found.uplink.addresses == ("192.0.2.1/32",)
    assert not one(interface("tun0")).up


def test_a_default_route_by_the_device_alone_is_a_gateway_of_none(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default dev wan1\n")
    found = one(interface("wan1"))
    assert found.up
    assert found.uplink.gateway is None


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("link delete wan1", "device wan1 does not exist"),
        ("link set wan1 down", "device wan1 is switched off"),
        ("link set far1 down", "device wan1 has no carrier"),
        ("address flush dev wan1", "device wan1 has no global IPv4 address"),
        ("route delete default dev wan1", "no gateway: main has no IPv4 default route by wan1"),
    ],
)
def test_what_is_missing_is_named(world: World, harm: str, reason: str) -> None:
    world.uplinks(2)
    world.ip(DEFAULTS)
    world.ip(f"{harm}\n")
    found = one(interface("wan1"))
    assert not found.up
    assert found.reason.startswith(reason)
    assert found.uplink.device is None
    assert (found.uplink.name, found.uplink.id, found.uplink.addresses) == ("wan1", 7, ())
    assert one(interface("wan2")).up


def test_an_address_that_is_still_checked_does_not_count(world: World) -> None:
    world.uplinks(1, ipv6=False)
    world.sysctl("ipv6/conf/wan1/dad_transmits", 100)
    world.ip("-6 address add 2001:db8::5/64 dev wan1\n")
    found = one(interface("wan1", "ipv6", gateway="fe80::1"))
    assert not found.up
    assert found.reason == "device wan1 has no usable IPv6 address"


def test_a_link_local_address_is_not_enough(world: World) -> None:
    world.uplinks(1, ipv6=False)
    world.ip("-6 address flush dev wan1 scope link\n-6 address add fe80::5/64 dev wan1 nodad\n")
    assert one(interface("wan1", "ipv6", gateway="fe80::1")).reason == "device wan1 has no global IPv6 address"


def test_a_default_for_one_source_prefix_counts_by_its_metric(world: World) -> None:
    """As netifd writes them; the kernel lists them before the plain ones, whatever their metric."""
    world.uplinks(2)
    world.ip(
        "-6 route add default via fe80::1 dev wan1 metric 1024\n"
        "-6 route add default from 2001:db8:2::/48 via fe80::2 dev wan2 metric 2048\n"
    )
    assert [one(interface(f"wan{n}", "ipv6")).uplink.main_default for n in (1, 2)] == [True, False]


def test_ipv6_switched_off(world: World) -> None:
    world.uplinks(1)
    world.sysctl("ipv6/conf/all/disable_ipv6", 1)
    assert one(interface("wan1", "ipv6", gateway="fe80::1")).reason == "device wan1 has no global IPv6 address"
    assert one(interface("wan1", gateway="198.51.100.2")).up


def test_equal_and_multipath_defaults_are_all_the_main_default(world: World) -> None:
    world.uplinks(3)
    world.ip("route add default nexthop via 198.51.100.2 dev wan1 nexthop via 198.51.100.6 dev wan2\n")
    world.ip("route add default via 198.51.100.10 dev wan3 metric 1\n")
    assert [one(interface(f"wan{n}")).uplink.main_default for n in (1, 2, 3)] == [True, True, False]


def test_a_route_of_a_routing_daemon_is_no_network_of_the_device_but_its_default_counts(world: World) -> None:
    world.uplinks(1)
    world.ip("route add 203.0.113.0/24 via 198.51.100.2 dev wan1 proto 186\n")
    world.ip("route add default via 198.51.100.2 dev wan1 proto 186\n")
    found = one(interface("wan1"))
    assert found.uplink.connected == ("198.51.100.0/30",)
    assert found.uplink.gateway == "198.51.100.2"


def test_our_own_tables_do_not_make_a_default(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default via 198.51.100.2 dev wan1 table 1001 proto 78\n")
    assert not one(interface("wan1")).up


def test_equal_worlds_give_equal_uplinks_in_any_order(world: World) -> None:
    world.uplinks(1)
    world.ip("address add 192.0.2.7/24 dev wan1\naddress add 192.0.2.3/24 dev wan1\n")
    before = one(interface("wan1", gateway="198.51.100.2"))
    world.ip("address flush dev wan1\naddress add 192.0.2.3/24 dev wan1\naddress add 192.0.2.7/24 dev wan1\n")
    world.ip("address add 198.51.100.1/30 dev wan1\n")
    assert one(interface("wan1", gateway="198.51.100.2")) == before


def test_marks_of_other_programs(world: World) -> None:
    world.ip(
        "rule add fwmark 0x10000/0xff0000 lookup 256 priority 29001\n"
        "rule add fwmark 0x80000/0xff0000 lookup main priority 5210\n"
        "rule add fwmark 0x300/0x3f00 lookup 3 priority 2003\n"
        "rule add fwmark 0x300/0x3f00 lookup 1003 priority 6403 protocol 78\n"
        "rule add from 192.0.2.1 lookup 9 priority 77\n"
        "-6 rule add fwmark 0x5 lookup 9 priority 777\n"
    )
    found = foreign_marks(Snapshot.read())
    assert {(owner, mark, mask) for owner, mark, mask, _ in found} == {
        ("pbr", 0x10000, 0xFF0000),
        ("Tailscale", 0x80000, 0xFF0000),
        ("mwan3", 0x300, 0x3F00),
        ("unknown", 5, 0xFFFFFFFF),
    }
    assert {where for owner, _, _, where in found if owner == "unknown"} == {
        "ip rule 777 (IPv6): fwmark 0x5/0xffffffff"
    }


def test_the_snapshot_skips_a_large_bgp_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 routes of a daemon are there; none of them may be decoded."""
    world.uplinks(1)
    world.ip("".join(f"-6 route add 2001:db8:{n:x}::/48 dev wan1 proto 186\n" for n in range(100, 20_100)))
    world.ip("-6 route add default via fe80::1 dev wan1\n")
    decode = Mock(side_effect=rtnl.decode_route)
    monkeypatch.setattr(rtnl, "decode_route", decode)
    assert one(interface("wan1", "ipv6")).up
    assert 0 < decode.call_count < 20
