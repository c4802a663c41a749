# SPDX-License-Identifier: GPL-2.0-or-later
"""Strict reverse-path filtering is loosened where it is on, and put back."""

from __future__ import annotations

import pytest

from netpath.kernel import sysctl
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab


def value(world: World, device: str) -> int:
    return int(world.run("sysctl", "-n", f"net/ipv4/conf/{device}/rp_filter"))


@pytest.mark.parametrize(
    ("everywhere", "own", "becomes"), [(0, 0, 0), (0, 1, 2), (0, 2, 2), (1, 0, 2), (1, 1, 2), (1, 2, 2), (2, 1, 1)]
)
def test_strict_becomes_loose_and_strict_again(world: World, everywhere: int, own: int, becomes: int) -> None:
    world.uplinks(2)
    world.sysctl("ipv4/conf/all/rp_filter", everywhere)
    for device in ("wan1", "wan2"):
        world.sysctl(f"ipv4/conf/{device}/rp_filter", own)
    saved = sysctl.loosen_rp_filter(["wan1", "wan1"])
    assert saved == ({"wan1": own} if becomes != own else {})
    assert (value(world, "wan1"), value(world, "wan2")) == (becomes, own)
    assert sysctl.rp_filter("wan1") == max(everywhere, becomes)
    assert sysctl.loosen_rp_filter(["wan1"]) == {}
    sysctl.restore(saved)
    assert value(world, "wan1") == own


def test_a_device_that_is_gone_is_left_out(world: World) -> None:
    world.uplinks(1)
    world.sysctl("ipv4/conf/wan1/rp_filter", 1)
    saved = sysctl.loosen_rp_filter(["wan9", "wan1"])
    assert saved == {"wan1": 1}
    assert sysctl.rp_filter("wan9") is None
    world.ip("link delete wan1\n")
    sysctl.restore(saved)


def test_somebody_elses_later_choice_is_kept(world: World) -> None:
    world.uplinks(1)
    world.sysctl("ipv4/conf/wan1/rp_filter", 1)
    saved = sysctl.loosen_rp_filter(["wan1"])
    world.sysctl("ipv4/conf/wan1/rp_filter", 0)
    sysctl.restore(saved)
    assert value(world, "wan1") == 0


def test_a_vlan_has_a_dot_in_its_name(world: World) -> None:
    world.ip("link add eth0.5 type veth peer name far5\n")
    world.sysctl("ipv4/conf/eth0.5/rp_filter", 1)
    assert sysctl.loosen_rp_filter(["eth0.5"]) == {"eth0.5": 1}


def test_ipv6_switched_off(world: World) -> None:
    world.uplinks(2)
    world.sysctl("ipv6/conf/wan1/disable_ipv6", 1)
    assert sysctl.ipv6_disabled("wan1")
    assert not sysctl.ipv6_disabled("wan2")
    assert not sysctl.ipv6_disabled()
