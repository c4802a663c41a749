# SPDX-License-Identifier: GPL-2.0-or-later
"""What we read equals what `ip -j` shows."""

from __future__ import annotations

import socket

import pytest

from netpath.kernel import netlink, rtnl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket
from netpath.lab.namespace import wait_until
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab


def test_links_are_those_of_ip(world: World) -> None:
    world.uplinks(2)
    world.ip("link add br0 type bridge\nlink set far1 master br0\nlink add ifb9 type ifb\nlink set ifb9 up\n")
    world.ip("link set far2 down\n")
    # The kernel tells of carriers up to a second later.
    lost = ("-d", "link", "show", "wan2")
    wait_until(lambda: world.ip_json(*lost)[0]["operstate"] not in ("UP", "UNKNOWN"), 10, "wan2 without a carrier")
    shown = {each["ifname"]: each for each in world.ip_json("-d", "link")}
    found = {link.name: link for link in rtnl.links()}
    assert found.keys() == shown.keys()
    for name, link in found.items():
        assert link.index == shown[name]["ifindex"]
        assert link.mac == shown[name]["address"]
        assert link.kind == shown[name].get("linkinfo", {}).get("info_kind", "")
        assert link.up == ("UP" in shown[name]["flags"])
        assert link.carrier == (shown[name]["operstate"] in ("UP", "UNKNOWN"))
    assert (found["wan2"].up, found["wan2"].carrier) == (True, False)
    assert found["wan1"].carrier
    assert found["lo"].point_to_point and not found["wan1"].point_to_point


def test_a_tunnel_needs_no_next_hop(world: World) -> None:
    world.ip("tuntap add tun0 mode tun\nlink set tun0 up\n")
    assert next(link for link in rtnl.links() if link.name == "tun0").point_to_point


def test_addresses_are_those_of_ip(world: World) -> None:
    world.uplinks(1)
    world.ip(
        "address add 192.0.2.1 peer 192.0.2.9/32 dev wan1\n"
        "-6 address add 2001:db8:7::7/64 dev wan1 preferred_lft 0 nodad\n"
    )
    shown = {
        (each["ifindex"], info["family"], info["local"], info["prefixlen"])
        for each in world.ip_json("address")
        for info in each["addr_info"]
    }
    families = {"ipv4": "inet", "ipv6": "inet6"}
    found = rtnl.addresses()
    assert {(a.index, families[a.family], a.address, a.prefixlen) for a in found} == shown
    assert [a.address for a in found if a.deprecated] == ["2001:db8:7::7"]
    assert {a.scope for a in found if a.address.startswith("fe80:")} == {rtnl.SCOPE_LINK}


def test_an_address_in_duplicate_detection_is_tentative(world: World) -> None:
    world.uplinks(1, ipv6=False)
    world.sysctl("ipv6/conf/wan1/dad_transmits", 100)
    world.ip("-6 address add 2001:db8::5/64 dev wan1\n")
    assert [a.tentative for a in rtnl.addresses() if a.address == "2001:db8::5"] == [True]


def test_an_ipv4_secondary_address_is_not_temporary(world: World) -> None:
    world.uplinks(1)
    world.ip("address add 198.51.100.2/30 dev wan1\n")
    assert not any(a.temporary for a in rtnl.addresses())


ROUTES = """\
route add default via 198.51.100.2 dev wan1 metric 7
route add 192.0.2.0/25 via 198.51.100.6 dev wan2 proto static
route add default via 198.51.100.2 dev wan1 table 1001 proto 78
route add 203.0.113.0/24 nexthop via 198.51.100.2 dev wan1 nexthop via 198.51.100.6 dev wan2
route add blackhole 192.0.2.128/25
route add 192.0.2.64/32 via inet6 fe80::1 dev wan1
nexthop add id 5 via 198.51.100.6 dev wan2
route add 192.0.2.99/32 nhid 5
-6 route add default via fe80::1 dev wan1 table 1001 proto 78
-6 route add 2001:db8:99::/48 via 2001:db8:1::1 dev wan1
-6 route add 2001:db8:98::/48 nexthop via 2001:db8:1::1 dev wan1 nexthop via 2001:db8:2::1 dev wan2
"""


@pytest.mark.parametrize(("family", "flag"), [("ipv4", "-4"), ("ipv6", "-6")])
def test_routes_are_those_of_ip(world: World, family: str, flag: str) -> None:
    world.uplinks(2)
    world.ip(ROUTES)
    expected = set()
    for route in world.ip_json("-d", "-N", flag, "route", "show", "table", "all"):
        hops = route.get("nexthops") or [route]
        for hop in hops:
            expected.add(
                (
                    route["dst"],
                    int(route.get("table", "254")),
                    hop.get("gateway") or hop.get("via", {}).get("host"),
                    hop.get("dev"),
                    int(route["protocol"]),
                )
            )
    names = {link.index: link.name for link in rtnl.links()}
    found = rtnl.routes(family)
    single = {4: "/32", 6: "/128"}[int(flag[1])]
    got = {(r.dst.removesuffix(single), r.table, r.gateway, names.get(r.oif), r.protocol) for r in found}
    assert got == expected
    assert all(r.metric == 7 for r in found if r.dst == "default" and r.table == 254 and r.family == "ipv4")


def test_the_kernel_selects_routes_by_table_and_protocol(world: World) -> None:
    world.uplinks(2)
    world.ip(ROUTES)
    assert [(r.dst, r.table) for r in rtnl.routes("ipv4", 1001)] == [("default", 1001)]
    for family in ("ipv4", "ipv6"):
        assert [(r.dst, r.table) for r in rtnl.routes(family, protocol=78)] == [("default", 1001)]
    seen = []

    def only(prefixlen: int, protocol: int) -> bool:
        seen.append((prefixlen, protocol))
        return False

    assert rtnl.routes("ipv6", 1001, only=only) == []
    assert seen == [(0, 78)]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_table_that_does_not_exist_is_empty(world: World, family: str) -> None:
    assert world.ip_json("route") == []
    assert rtnl.routes(family, 4242) == []


RULES = """\
rule add not fwmark 0/0x3f00 lookup main suppress_prefixlength 0 priority 6000 protocol 78
rule add oif wan1 lookup 1001 priority 6101
rule add fwmark 0x100/0x3f00 lookup 1001 priority 6401
rule add fwmark 0x100/0x3f00 unreachable priority 6701
rule add fwmark 0x20000/0xff0000 lookup 200 priority 29001 protocol 4
rule add from 192.0.2.0/24 to 203.0.113.0/24 iif wan2 blackhole priority 7000
-6 rule add not fwmark 0/0x3f00 lookup main suppress_prefixlength 0 priority 6000 protocol 78
-6 rule add from 2001:db8::/32 prohibit priority 7000
"""
ACTIONS = {None: "lookup", "6": "blackhole", "7": "unreachable", "8": "prohibit"}


@pytest.mark.parametrize(("family", "flag"), [("ipv4", "-4"), ("ipv6", "-6")])
def test_rules_are_those_of_ip(world: World, family: str, flag: str) -> None:
    world.ip(RULES)
    shown = world.ip_json("-d", "-N", flag, "rule")
    found = rtnl.rules(family)
    assert len(found) == len(shown) > 4 - (family == "ipv6")
    for rule, line in zip(found, shown, strict=True):
        assert rule.priority == line["priority"]
        assert rule.mark == int(line.get("fwmark", "0"), 16)
        assert rule.mask == (int(line["fwmask"], 16) if "fwmask" in line else 0)
        assert rule.invert == ("not" in line)
        assert rule.oif == line.get("oif")
        assert rule.iif == line.get("iif")
        assert rule.table == int(line.get("table", "0"))
        assert rule.protocol == int(line["protocol"])
        assert rule.action == ACTIONS[line.get("action")]
        assert rule.suppress_prefixlength == line.get("suppress_prefixlen")
        source = line["src"] if line["src"] == "all" else f"{line['src']}/{line['srclen']}"
        assert (rule.src or "all") == source


def test_statistics_count_what_was_sent(world: World) -> None:
    world.uplinks(2)
    before = rtnl.statistics()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("wan1", 0))
        for _ in range(10):
            sender.send(b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + b"x" * 86)
    after = rtnl.statistics()
    shown = {each["ifname"]: each["stats64"] for each in world.ip_json("-s", "link")}
    assert after.keys() == shown.keys()
    assert after["wan1"][1] - before["wan1"][1] >= 1000
    assert after["wan1"][3] - before["wan1"][3] >= 10
    assert after["far1"][0] - before["far1"][0] >= 1000
    assert after["far1"][2] - before["far1"][2] >= 10


def test_statistics_are_those_of_ip(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(7):
            sender.sendto(b"x" * 500, ("127.0.0.1", 9))
    (shown,) = world.ip_json("-s", "link", "show", "lo")
    rx, tx = shown["stats64"]["rx"], shown["stats64"]["tx"]
    assert rx["packets"] >= 7
    assert rtnl.statistics()["lo"] == (rx["bytes"], tx["bytes"], rx["packets"], tx["packets"])


def test_a_refusal_says_what_the_kernel_said(world: World) -> None:
    assert world.name
    body = rtnl.RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 78, 0, 1, 0)
    body += netlink.attribute(rtnl.RTA_GATEWAY, socket.inet_aton("192.0.2.1"))
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock, pytest.raises(NetlinkError) as refused:
        sock.request(Message(rtnl.RTM_NEWROUTE, netlink.F_CREATE, body))
    assert "Nexthop has invalid gateway" in str(refused.value)


def test_of_many_requests_each_has_its_own_answer(world: World) -> None:
    world.ip("link add wan1 type ifb\n")

    def rule(priority: int) -> Message:
        body = rtnl.RULEMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, rtnl.RULE_ACTIONS["unreachable"], 0)
        return Message(
            rtnl.RTM_NEWRULE, netlink.F_CREATE | netlink.F_EXCL, body + netlink.u32(rtnl.FRA_PRIORITY, priority)
        )

    priorities = [*range(6000, 6150), 6100]
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        refused = sock.requests([rule(p) for p in priorities])
    assert [p for p, r in zip(priorities, refused, strict=True) if r is not None] == [6100]
    assert len([r for r in rtnl.rules("ipv4") if 6000 <= r.priority < 6150]) == 150
