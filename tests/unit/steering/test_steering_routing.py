# SPDX-License-Identifier: GPL-2.0-or-later
"""The ip rules and routes that a configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netpath.steering.marks import MarkSpace, probe_marks
from netpath.steering.routing import IpRule, Route, desired
from tests.unit.steering.steering_worlds import config, interface, rule, uplink

WAN = uplink("wan", 1, "eth1", gateway="192.0.2.1", addresses=["192.0.2.10/24"])
SIX = uplink("six", 2, "eth1", "ipv6", gateway="fe80::1", addresses=["2001:db8::10/64"])


def test_rules_of_one_uplink_in_order() -> None:
    found = desired(config([interface("wan")], [], [], rt_table_lookup=(77, 254)), [WAN])
    assert found.rules == (
        IpRule("ipv4", 6000, 0, 0x3F00, True, None, 254, "lookup", 0),
        IpRule("ipv4", 6001, 0, 0x3F00, True, None, 77, "lookup", 0),
        IpRule("ipv4", 6099, 0x3E00, 0x3F00, False, None, None, "unreachable", None),
        IpRule("ipv4", 6100, 0, 0, True, None, None, "goto", None, "lo", 6102),
        IpRule("ipv4", 6101, 0, 0, False, "eth1", 1001, "lookup", None),
        IpRule("ipv4", 6102, 0, 0x3F00, False, None, None, "goto", None, None, 6105),
        IpRule("ipv4", 6102, 0x3F00, 0x3F00, False, None, None, "goto", None, None, 6105),
        IpRule("ipv4", 6103, 0x100, 0x3F00, False, None, 1001, "lookup", None),
        IpRule("ipv4", 6104, 0x100, 0x3F00, False, None, None, "unreachable", None),
        IpRule("ipv4", 6105, 0x3D00, 0x3F00, False, None, None, "blackhole", None),
    )


def test_routes_of_an_uplink_are_its_networks_and_then_the_default() -> None:
    found = desired(config([interface("wan"), interface("six", "ipv6")], [], []), [WAN, SIX])
    assert found.routes == (
        Route("ipv4", 1001, "192.0.2.0/24", "eth1", None, False),
        Route("ipv4", 1001, "default", "eth1", "192.0.2.1", False),
        Route("ipv6", 1002, "2001:db8::/64", "eth1", None, False),
        Route("ipv6", 1002, "fe80::/64", "eth1", None, False),
        Route("ipv6", 1002, "default", "eth1", "fe80::1", False),
    )


@pytest.mark.parametrize(
    ("addresses", "gateway", "onlink"),
    [
        (["192.0.2.10/24"], "192.0.2.1", False),
        (["192.0.2.10/32"], "198.51.100.1", True),
        (["192.0.2.10/32"], None, False),
    ],
)
def test_a_gateway_outside_of_the_devices_networks_is_onlink(
    addresses: list[str], gateway: str | None, onlink: bool
) -> None:
    found = desired(
        config([interface("wan")], [], []), [uplink("wan", 1, "ppp0", gateway=gateway, addresses=addresses)]
    )
    assert found.routes[-1] == Route("ipv4", 1001, "default", "ppp0", gateway, onlink)


@pytest.mark.parametrize(("enabled", "device"), [(True, None), (False, "eth1")])
def test_an_uplink_that_is_away_still_lets_nothing_leak(enabled: bool, device: str | None) -> None:
    found = desired(config([interface("wan", enabled=enabled)], [], []), [uplink("wan", 1, device)])
    assert found.routes == ()
    assert [(r.priority, r.action) for r in found.rules if r.mark == 0x100] == [(6103, "lookup"), (6104, "unreachable")]
    assert [r for r in found.rules if r.oif] == []


def test_a_family_without_interfaces_is_left_alone_unless_a_rule_names_it() -> None:
    assert {r.family for r in desired(config([interface("wan")], [], [rule("any")]), [WAN]).rules} == {"ipv4"}
    named = config([interface("wan")], [], [rule("six", family="ipv6")])
    found = [r for r in desired(named, [WAN]).rules if r.family == "ipv6" and r.action != "goto"]
    assert [(r.priority, r.action) for r in found] == [(6000, "lookup"), (6099, "unreachable"), (6105, "blackhole")]


def test_sockets_bound_to_a_device_of_two_uplinks_get_the_first_unless_they_bear_the_mark_of_the_second() -> None:
    twin = uplink("twin", 5, "eth1", gateway="192.0.2.2", addresses=["192.0.2.10/24"])
    found = desired(config([interface("wan"), interface("twin")], [], []), [WAN, twin])
    assert [(r.priority, r.oif, r.mark, r.table) for r in found.rules if r.oif] == [
        (6099, "eth1", 0x500, 1005),
        (6101, "eth1", 0, 1001),
    ]
    found_marks = probe_marks([WAN, SIX, twin], MarkSpace(0x3F00))
    assert [found_marks[each.name] for each in (WAN, SIX, twin)] == [0x3F00, 0x3F00, 0x500]


def test_packets_without_a_mark_of_ours_pass_a_few_rules_however_many_uplinks_there_are() -> None:
    names = [f"w{n}" for n in range(1, 253)]
    uplinks = [uplink(name, n, f"d{n}") for n, name in enumerate(names, 1)]
    rules = desired(config([interface(n) for n in names], [], [], mark_mask=0xFF00), uplinks).rules
    assert [r.priority for r in rules] == sorted(r.priority for r in rules)
    assert len(walked(rules, 0, "eth0")) == 5
    assert len(walked(rules, 0xFF00, "eth0")) == 6
    assert len(walked(rules, 0x100, "eth0")) == 6, "uplinks' devices are none of a forwarded packet's business"
    assert {r.oif for r in walked(rules, 0, "lo") if r.oif} == {u.device for u in uplinks}
    assert {r.oif for r in walked(rules, 0xFF00, "lo") if r.oif} == {u.device for u in uplinks}


def test_jumps_leave_room_for_foreign_rules_between_ours() -> None:
    for jump in [r for r in desired(config([interface("wan")], [], []), [WAN]).rules if r.target]:
        assert jump.priority < (jump.target or 0) <= jump.priority + 3


def walked(rules: Sequence[IpRule], mark: int, iif: str) -> list[IpRule]:
    """The rules that a packet bound to no device is held against, until its uplink's table has a route for it."""
    seen: list[IpRule] = []
    target = 0
    for each in rules:
        if each.priority < target:
            continue
        seen.append(each)
        matches = (mark ^ each.mark) & each.mask == 0 and each.iif in (None, iif) and not each.oif
        if matches != each.invert:
            if each.action == "goto":
                target = each.target or 0
            elif each.suppress_prefixlength is None:
                break
    return seen


def test_more_tables_than_there_are_priorities_for() -> None:
    assert len(desired(config([interface("wan")], [], [], rt_table_lookup=range(1, 99)), [WAN]).rules) == 107
    with pytest.raises(ValueError, match="99 tables"):
        desired(config([interface("wan")], [], [], rt_table_lookup=range(1, 100)), [WAN])
