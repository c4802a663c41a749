# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel shows of delegated prefixes, of the LAN's, and of addresses that may leave."""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netpath.kernel import prefixes
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import resolve
from netpath.model import Nat6, Uplink
from tests.kernel.kernel_world import World
from tests.kernel.test_kernel_uplinks import IFF_TUN, TUNSETIFF, interface

pytestmark = pytest.mark.lab

LAN = """\
link add lan type veth peer name host
link set lan up
link set host up
"""
UNNUMBERED = "-6 address del 2001:db8:2::2/64 dev wan2\n"
DEFAULTS = "-6 route add default via fe80::1 dev wan1 metric 10\n-6 route add default via fe80::1 dev wan2 metric 20\n"


def uplinks(**second: Any) -> tuple[Uplink, Uplink]:
    """wan1 and wan2; fields of the second interface."""
    wanted = [interface("wan1", "ipv6"), replace(interface("wan2", "ipv6"), **second)]
    one, two = (r.uplink for r in resolve(wanted, {"wan1": 1, "wan2": 2}, Snapshot.read(), {}))
    return one, two


@pytest.fixture
def line(world: World) -> World:
    world.uplinks(2)
    world.ip(LAN)
    world.ip(DEFAULTS)
    return world


def test_source_specific_default_routes_show_what_is_delegated(line: World) -> None:
    line.ip(
        "-6 route add default from 2001:db8:a00::/56 via fe80::1 dev wan1\n"
        "-6 route add default from 2001:db8:b00::/56 via fe80::1 dev wan2\n"
        "-6 route add default from 2001:db8:2::/64 via fe80::1 dev wan2\n"
        "-6 route add default from 2001:db8:2::2 via fe80::1 dev wan2\n"
    )
    one, two = uplinks()
    assert one.prefixes == ("2001:db8:a00::/56",)
    assert two.prefixes == ("2001:db8:b00::/56",), "the link's own network is not routed here"
    assert two.gateway == "fe80::1"


def test_given_prefixes_come_first(line: World) -> None:
    line.ip("-6 route add default from 2001:db8:b00::/56 via fe80::1 dev wan2\n")
    given = ("2001:db8:c00::/56", "2001:db8:b00::/56")
    assert uplinks(nat6_prefix=given)[1].prefixes == given


def test_the_lan_is_what_no_uplinks_device_leads_to(line: World) -> None:
    line.ip(
        "-6 address add 2001:db8:a00:1::1/64 dev lan nodad\n-6 address add fd00:1:2:1::1/64 dev lan nodad\n"
        "-6 route add 2001:db8:a00:10::/60 via fe80::9 dev lan\n-6 route add unreachable 2001:db8:a00::/56\n"
        "-6 route add 2001:db8:a00:20::/60 via fe80::9 dev lan proto bgp\n"
    )
    assert uplinks(nat6=Nat6.PREFIX)[1].lan == ("2001:db8:a00:1::/64", "2001:db8:a00:10::/60", "fd00:1:2:1::/64")
    assert uplinks(nat6=Nat6.MASQUERADE)[1].lan == (), "nobody asks"


def test_a_device_with_a_usable_address_needs_no_other(line: World) -> None:
    line.ip("-6 address add 2001:db8:b00:1::1/64 dev lan nodad\n")
    assert uplinks(nat6_prefix=("2001:db8:b00::/56",))[1].source is None


def test_a_device_without_one_takes_the_lans_out_of_its_own_prefix(line: World) -> None:
    line.ip(
        f"{UNNUMBERED}-6 address add 2001:db8:a00:1::1/64 dev lan nodad\n"
        "-6 address add 2001:db8:b00:1::2/64 dev lan nodad preferred_lft 0\n"
        "-6 address add 2001:db8:b00:1::3/64 dev lan nodad\n-6 address add fd00:1:2:1::1/64 dev lan nodad\n"
    )
    assert uplinks(nat6_prefix=("2001:db8:b00::/56",))[1].source == "2001:db8:b00:1::3"
    assert uplinks()[1].source is None, "nothing is known of its prefixes"


def test_an_address_that_is_to_go_is_better_than_another_providers(line: World) -> None:
    line.ip(
        "-6 address change 2001:db8:2::2/64 dev wan2 preferred_lft 0 valid_lft 600\n"
        "-6 address add 2001:db8:a00:1::1/64 dev lan nodad\n"
    )
    one, two = uplinks()
    assert (one.source, two.source) == (None, "2001:db8:2::2")
    line.ip("-6 address add 2001:db8:2::3/64 dev wan2 nodad\n")
    assert uplinks()[1].source is None, "the new one is preferred"


def test_where_the_router_has_no_address_of_the_prefix_its_first_one_serves(line: World) -> None:
    line.ip(UNNUMBERED)
    assert uplinks(nat6_prefix=("2001:db8:b00::/56",))[1].source == "2001:db8:b00::1"


@contextmanager
def tunnel(world: World, address: str) -> Iterator[None]:
    with Path("/dev/net/tun").open("r+b", buffering=0) as device:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wan9", IFF_TUN))
        world.ip(f"link set wan9 up\n-6 address add {address} dev wan9 nodad\n")
        yield


def test_a_whole_mobile_line_is_ours_but_no_tunnels_network(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """This kernel has no mobile and no PPP devices: a tunnel plays one."""
    wanted = interface("wan9", "ipv6")
    with tunnel(world, "2001:db8:9::2/64"):
        assert resolve([wanted], {"wan9": 9}, Snapshot.read(), {})[0].uplink.prefixes == ()
        monkeypatch.setattr(prefixes, "_WHOLE_LINKS", frozenset(("tun",)))
        assert resolve([wanted], {"wan9": 9}, Snapshot.read(), {})[0].uplink.prefixes == ("2001:db8:9::/64",)


def test_ipv4_has_none_of_this(line: World) -> None:
    line.ip("route add default via 198.51.100.2 dev wan1\n")
    found = resolve([interface("wan1")], {"wan1": 1}, Snapshot.read(), {})[0].uplink
    assert (found.prefixes, found.lan, found.source) == ((), (), None)
