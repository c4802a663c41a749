# SPDX-License-Identifier: GPL-2.0-or-later
"""Our rules and routes become the wanted ones; nothing foreign changes; packets never meet an empty table."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable

import pytest

from netpath.kernel import routing, rtnl
from netpath.kernel.netlink import NetlinkError
from netpath.steering.routing import IpRule, Route, Routing, desired
from tests.kernel.kernel_world import World
from tests.unit.steering.steering_worlds import config, interface, uplink

pytestmark = pytest.mark.lab

MASK = 0x3F00
SO_MARK = 36


def specific(family: str = "ipv4", priority: int = 6000) -> IpRule:
    return IpRule(family, priority, 0, MASK, True, None, 254, "lookup", 0)


def by_mark(number: int, family: str = "ipv4") -> IpRule:
    return IpRule(family, 6400 + number, number << 8, MASK, False, None, 1000 + number, "lookup", None)


def by_device(number: int, family: str = "ipv4") -> IpRule:
    return IpRule(family, 6100 + number, 0, 0, False, f"wan{number}", 1000 + number, "lookup", None)


def or_nothing(number: int, family: str = "ipv4") -> IpRule:
    return IpRule(family, 6700 + number, number << 8, MASK, False, None, None, "unreachable", None)


def uplink_rules(number: int, family: str = "ipv4") -> list[IpRule]:
    return [by_device(number, family), by_mark(number, family), or_nothing(number, family)]


def uplink_routes(number: int) -> list[Route]:
    first = 4 * number - 4
    table, device = 1000 + number, f"wan{number}"
    return [
        Route("ipv4", table, f"198.51.100.{first}/30", device, None, False),
        Route("ipv4", table, "default", device, f"198.51.100.{first + 2}", False),
        Route("ipv6", table, f"2001:db8:{number}::/64", device, None, False),
        Route("ipv6", table, "fe80::/64", device, None, False),
        Route("ipv6", table, "default", device, f"2001:db8:{number}::1", False),
    ]


def wanted(count: int) -> Routing:
    numbers = range(1, count + 1)
    rules = [
        rule
        for family in ("ipv4", "ipv6")
        for rule in (specific(family), *(r for n in numbers for r in uplink_rules(n, family)))
    ]
    blackhole = IpRule("ipv4", 6990, 0x3D00, MASK, False, None, None, "blackhole", None)
    return Routing((*rules, blackhole), tuple(r for n in numbers for r in uplink_routes(n)))


def with_gateway(gateway: str, device: str = "wan1") -> Routing:
    network = Route("ipv4", 1001, "198.51.100.0/30", "wan1", None, False)
    return Routing(
        (specific(), by_mark(1), or_nothing(1)), (network, Route("ipv4", 1001, "default", device, gateway, True))
    )


def listing(world: World) -> list[str]:
    """Everything that `ip` shows of rules and routes."""
    return [
        line
        for flag in ("-4", "-6")
        for what in (("rule",), ("route", "show", "table", "all"))
        for line in world.run("ip", "-d", "-N", flag, *what).splitlines()
    ]


def leads_to(world: World, destination: str, *, mark: int = 0, oif: str = "", iif: str = "") -> str:
    """Device by which the kernel would send (with `iif` forward what came in there), or why not."""
    flag = "-6" if ":" in destination else "-4"
    argv = ["ip", flag, "-j", "route", "get", destination, *(["mark", hex(mark)] if mark else [])]
    argv += ["oif", oif] if oif else []
    if iif:
        number = int(iif.removeprefix("wan"))
        argv += ["from", f"2001:db8:{number}::7" if flag == "-6" else f"198.51.100.{4 * number - 2}", "iif", iif]
    try:
        route = world.ip_json(*argv[1:])[0]
    except AssertionError as error:
        return str(error).rsplit(":", 1)[1].split("\n")[0].strip()
    return str(route["dev"])


def test_a_marked_packet_takes_the_uplinks_table(world: World) -> None:
    world.uplinks(2)
    world.ip("route add default via 198.51.100.2\n-6 route add default via 2001:db8:1::1\n")
    changes = routing.apply(wanted(2))
    assert changes.warnings == []
    assert changes.added == 2 * (1 + 2 * 3) + 1 + 2 * 5
    for destination in ("203.0.113.9", "2001:db8:999::9"):
        assert leads_to(world, destination) == "wan1"
        assert leads_to(world, destination, mark=0x100) == "wan1"
        assert leads_to(world, destination, mark=0x200) == "wan2"
        assert leads_to(world, destination, mark=0xFF00C2FF) == "wan2", "foreign bits do not matter"
        assert leads_to(world, destination, oif="wan2") == "wan2"


@pytest.mark.parametrize("inside", ["198.51.100.2", "2001:db8:1::7"])
def test_a_specific_route_of_main_wins_over_the_mark(world: World, inside: str) -> None:
    world.uplinks(2)
    routing.apply(wanted(2))
    assert leads_to(world, inside, mark=0x200) == "wan1"


def test_an_unmarked_packet_does_not_meet_the_first_rule(world: World) -> None:
    """Rule 6000 is for marked packets only: a rule of pbr or a VPN behind it must decide about the others."""
    world.uplinks(2)
    world.ip("route add 198.51.100.2/32 dev wan2 table 77\nrule add lookup 77 priority 6050\n")
    world.ip("-6 route add 2001:db8:1::7/128 dev wan2 table 77\n-6 rule add lookup 77 priority 6050\n")
    routing.apply(wanted(2))
    for inside in ("198.51.100.2", "2001:db8:1::7"):
        assert leads_to(world, inside) == "wan2"
        assert leads_to(world, inside, mark=0x10000) == "wan2", "no bit of ours is set"
        assert leads_to(world, inside, mark=0x100) == "wan1"


def as_configured(count: int) -> Routing:
    """What steering wants for `count` uplinks of both families, each with an id of its own."""
    ids = range(1, count + 1)
    four = [
        uplink(f"w{n}", n, f"wan{n}", gateway=f"198.51.100.{4 * n - 2}", addresses=[f"198.51.100.{4 * n - 3}/30"])
        for n in ids
    ]
    six = [
        uplink(f"s{n}", 30 + n, f"wan{n}", "ipv6", gateway=f"2001:db8:{n}::1", addresses=[f"2001:db8:{n}::2/64"])
        for n in ids
    ]
    return desired(config([interface(u.name, u.family) for u in (*four, *six)], [], []), [*four, *six])


def forwarding(world: World) -> None:
    world.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


def test_jumps_take_no_packet_past_what_is_meant_for_it(world: World) -> None:
    world.uplinks(3)
    forwarding(world)
    world.ip("route add default via 198.51.100.2\n-6 route add default via 2001:db8:1::1\n")
    assert routing.apply(as_configured(3)).warnings == []
    assert routing.missing(as_configured(3)) == []
    again = routing.apply(as_configured(3))
    assert (again.added, again.replaced, again.removed) == (0, 0, 0)
    for far, offset in (("203.0.113.9", 0), ("2001:db8:999::9", 30)):
        for mark in (0, 0x3F00, 0xFF0000):
            assert leads_to(world, far, mark=mark) == "wan1", "the main table's business"
            assert leads_to(world, far, mark=mark, oif="wan3") == "wan3", "a bound socket"
            assert leads_to(world, far, mark=mark, iif="wan3") == "wan1", "forwarded"
        for number in (1, 2, 3):
            assert leads_to(world, far, mark=(offset + number) << 8) == f"wan{number}"
            assert leads_to(world, far, mark=(offset + number) << 8, iif="wan3") == f"wan{number}"
        assert leads_to(world, far, mark=(offset + 1) << 8, oif="wan3") == "wan3", "binding comes before steering"
        assert leads_to(world, far, mark=0x3E00) == "Network is unreachable"
        assert leads_to(world, far, mark=0x3D00) == "Invalid argument"


def test_what_is_missing_is_named_as_ip_names_it(world: World) -> None:
    world.uplinks(2)
    wanted = as_configured(2)
    families = {"ipv4": "-4", "ipv6": "-6"}
    named = routing.missing(Routing(wanted.rules, ()))
    assert len(named) == len(wanted.rules)
    routing.apply(wanted)
    shown = []
    for family, flag in families.items():
        for line in world.run("ip", flag, "rule", "show").splitlines():
            words = line.replace("\t", " ").split()
            if words[-2:] == ["proto", str(rtnl.PROTOCOL_OURS)]:
                shown.append(f"{family} ip rule {' '.join(words[:-2])}")
    assert sorted(named) == sorted(shown)
    assert routing.missing(wanted) == []
    world.ip("rule delete pref 6103 fwmark 0x200/0x3f00\n")
    assert routing.missing(wanted) == ["ipv4 ip rule 6103: from all fwmark 0x200/0x3f00 lookup 1002"]


@pytest.mark.parametrize("priority", [6050, 6099, 6100, 6102, 6105])
def test_a_foreign_rule_between_ours_is_still_met_by_unmarked_packets(world: World, priority: int) -> None:
    world.uplinks(2)
    forwarding(world)
    world.ip("route add default via 198.51.100.2\nroute add 203.0.113.9/32 via 198.51.100.6 table 77\n")
    world.ip("-6 route add default via 2001:db8:1::1\n-6 route add 2001:db8:999::9/128 via 2001:db8:2::1 table 77\n")
    world.ip(f"rule add lookup 77 priority {priority}\n-6 rule add lookup 77 priority {priority}\n")
    routing.apply(as_configured(2))
    for far in ("203.0.113.9", "2001:db8:999::9"):
        assert leads_to(world, far) == "wan2"
        assert leads_to(world, far, iif="wan1") == "wan2"
    routing.purge(6000)
    assert leads_to(world, "203.0.113.9") == "wan2"


def test_an_uplink_without_routes_leaks_nowhere(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default via 198.51.100.2\n-6 route add default via 2001:db8:1::1\n")
    rules = tuple(r for f in ("ipv4", "ipv6") for r in (specific(f), by_mark(9, f), or_nothing(9, f)))
    routing.apply(Routing(rules, ()))
    assert leads_to(world, "203.0.113.9", mark=0x900) == "Network is unreachable"
    assert leads_to(world, "2001:db8:999::9", mark=0x900) == "Network is unreachable"


def test_twice_changes_nothing(world: World) -> None:
    world.uplinks(3)
    routing.apply(wanted(3))
    before = listing(world)
    again = routing.apply(wanted(3))
    assert (again.added, again.replaced, again.removed, again.warnings) == (0, 0, 0, [])
    assert listing(world) == before


def test_addresses_need_not_be_written_as_the_kernel_does(world: World) -> None:
    world.uplinks(1)
    routes = (
        Route("ipv6", 1001, "2001:DB8:1:0::/64", "wan1", None, False),
        Route("ipv6", 1001, "::/0", "wan1", "FE80:0::1", False),
        Route("ipv6", 1001, "::ffff:c000:200/120", "wan1", "2001:0db8:1::0001", False),
    )
    assert routing.apply(Routing((specific("ipv6"),), routes)).added == 4
    again = routing.apply(Routing((specific("ipv6"),), routes))
    assert (again.added, again.replaced, again.removed) == (0, 0, 0)


def test_phases_add_first_and_remove_later(world: World) -> None:
    world.uplinks(2)
    routing.apply(wanted(2))
    one = wanted(1)
    assert routing.apply(one, phase="add").removed == 0
    assert leads_to(world, "203.0.113.9", mark=0x200) == "wan2"
    changes = routing.apply(one, phase="remove")
    assert (changes.added, changes.removed) == (0, 6 + 5)
    assert leads_to(world, "203.0.113.9", mark=0x200) != "wan2"
    assert leads_to(world, "203.0.113.9", mark=0x100) == "wan1"
    with pytest.raises(ValueError, match="phase"):
        routing.apply(one, phase="all")


def test_a_rule_that_stands_twice_is_made_single(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.uplinks(1)
    routing.apply(wanted(1))
    before = listing(world)
    with monkeypatch.context() as patched:  # two workers that both saw nothing
        patched.setattr(routing, "_our_rules", lambda _: [])
        routing.apply(wanted(1), phase="add")
    assert listing(world) != before
    assert routing.apply(wanted(1)).removed == 2 * (1 + 3) + 1
    assert listing(world) == before


# Protocols by number: `ip -batch` mixes up names that follow numbers.
FOREIGN = """\
rule add fwmark 0x100/0x3f00 lookup 1001 priority 6401 protocol 4
rule add fwmark 0x700/0x3f00 lookup 77 priority 6407
rule add not fwmark 0/0x3f00 lookup main suppress_prefixlength 0 priority 6000 protocol 99
rule add lookup 77 priority 5999 protocol 78
rule add lookup 77 priority 7000 protocol 78
route add 203.0.113.0/24 via 198.51.100.2 dev wan1 table 1001 proto 4
route add default via 198.51.100.2 dev wan1 table 1001 proto 4 metric 5
route add default via 198.51.100.2 dev wan1 table 500 proto 78
route add 203.0.113.0/24 via 198.51.100.2 dev wan1 proto 78
-6 rule add fwmark 0x100/0x3f00 unreachable priority 6701 protocol 3
-6 route add default via 2001:db8:1::1 dev wan1 table 1001 proto 9
-6 route add 2001:db8:77::/48 via 2001:db8:1::1 dev wan1 table 1001 proto 4
"""


def test_what_is_foreign_stays_byte_for_byte(world: World) -> None:
    world.uplinks(2)
    world.ip(FOREIGN)
    before = listing(world)
    changes = routing.apply(wanted(2))
    assert changes.warnings == []
    assert listing(world) != before
    routing.apply(wanted(1))
    routing.purge(6000)
    assert listing(world) == before


def test_a_foreign_route_in_our_place_stays_and_is_told(world: World) -> None:
    world.uplinks(1)
    world.ip("route add default via 198.51.100.2 dev wan1 table 1001 proto static\n")
    before = listing(world)
    changes = routing.apply(wanted(1))
    assert len(changes.warnings) == 1
    assert "route default via 198.51.100.2 dev wan1 table 1001 not added: a foreign route" in changes.warnings[0]
    routing.purge(6000)
    assert listing(world) == before


def test_a_foreign_route_beside_ours_is_not_replaced(world: World) -> None:
    world.uplinks(1)
    routing.apply(with_gateway("198.51.100.2"))
    world.ip("route prepend default dev wan1 table 1001 proto static\n")
    changes = routing.apply(with_gateway("203.0.113.1"))
    assert len(changes.warnings) == 1
    kept = world.ip_json("-N", "route", "show", "table", "1001", "proto", "4")
    assert [(r["dst"], r.get("gateway")) for r in kept] == [("default", None)]


def test_purge_leaves_nothing_of_ours(world: World) -> None:
    world.uplinks(2)
    before = listing(world)
    routing.apply(wanted(2))
    routing.purge(6000)
    assert listing(world) == before


def test_another_block_of_priorities_is_purged_alone(world: World) -> None:
    world.uplinks(1)
    routing.apply(Routing((specific(priority=8000),), ()))
    before = listing(world)
    routing.apply(wanted(1))
    routing.purge_rules(8000)
    assert all("8000:" not in text for text in listing(world))
    assert leads_to(world, "203.0.113.9", mark=0x100) == "wan1"
    routing.apply(Routing((specific(priority=8000),), ()))
    routing.purge(6000)
    assert listing(world) == before


def test_a_device_that_vanished_costs_only_its_own_routes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.uplinks(2)
    lookup: Callable[[str], int] = socket.if_nametoindex

    def vanish(name: str) -> int:
        """The device goes between our looking at it and the kernel's reading our request."""
        index = lookup(name)
        if name == "wan1":
            world.ip("link delete wan1\n")
        return index

    with monkeypatch.context() as patched:
        patched.setattr(socket, "if_nametoindex", vanish)
        changes = routing.apply(wanted(2))
    assert len(changes.warnings) == 5
    assert all("dev wan1" in text for text in changes.warnings)
    assert leads_to(world, "203.0.113.9", mark=0x200) == "wan2"
    assert leads_to(world, "2001:db8:999::9", mark=0x200) == "wan2"
    changes = routing.apply(wanted(2))
    assert {text.rsplit(": ", 1)[1] for text in changes.warnings} == {"device wan1 does not exist"}


def test_a_gateway_outside_of_the_devices_networks_needs_onlink(world: World) -> None:
    world.uplinks(1)
    rules = (specific(), by_mark(1))
    refused = routing.apply(Routing(rules, (Route("ipv4", 1001, "default", "wan1", "203.0.113.1", False),)))
    assert len(refused.warnings) == 1
    assert "invalid gateway" in refused.warnings[0]
    accepted = routing.apply(Routing(rules, (Route("ipv4", 1001, "default", "wan1", "203.0.113.1", True),)))
    assert accepted.warnings == []
    assert world.ip_json("route", "show", "table", "1001")[0]["flags"] == ["onlink"]


def test_ipv6_switched_off_is_a_warning_and_ipv4_works(world: World) -> None:
    world.uplinks(1)
    world.sysctl("ipv6/conf/all/disable_ipv6", 1)
    changes = routing.apply(wanted(1))
    assert len(changes.warnings) == 3
    assert all("IPv6 is switched off on wan1" in text for text in changes.warnings)
    assert leads_to(world, "203.0.113.9", mark=0x100) == "wan1"
    routing.purge(6000)


def test_a_kernel_without_ipv6_is_one_warning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such kernel here; this address family has no rules in any kernel, and is refused the same way."""
    world.uplinks(1)
    monkeypatch.setitem(rtnl.FAMILIES, "ipv6", socket.AF_APPLETALK)
    changes = routing.apply(Routing(wanted(1).rules, tuple(r for r in wanted(1).routes if r.family == "ipv4")))
    assert changes.warnings == ["this kernel has no ipv6 rules: ipv6 is not steered"]
    assert leads_to(world, "203.0.113.9", mark=0x100) == "wan1"


def test_a_refused_rule_is_an_error(world: World) -> None:
    world.uplinks(1)
    impossible = IpRule("ipv4", 6101, 0, 0, False, "a-name-that-is-too-long", 1001, "lookup", None)
    with pytest.raises(NetlinkError, match="ip rule 6101") as refused:
        routing.apply(Routing((specific(), impossible), ()))
    assert refused.value.errno == errno.ERANGE


def test_sixty_uplinks(world: World) -> None:
    world.uplinks(60)
    changes = routing.apply(wanted(60))
    assert changes.warnings == []
    assert leads_to(world, "203.0.113.9", mark=60 << 8) == "wan60"
    assert leads_to(world, "2001:db8:999::9", mark=37 << 8) == "wan37"
    assert routing.apply(wanted(60)).added == 0
    assert routing.apply(wanted(58)).removed == 2 * (6 + 5)
    routing.purge(6000)
    assert world.run("ip", "route", "show", "table", "all", "proto", "78") == ""


def test_while_the_gateway_changes_no_packet_is_without_a_route(world: World) -> None:
    """Rule 6701 would answer ENETUNREACH at once if the table were empty for a moment."""
    world.uplinks(1)
    world.ip("neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev wan1 nud permanent\n")
    world.ip("neigh add 203.0.113.1 lladdr 02:00:00:00:00:03 dev wan1 nud permanent\n")
    gateways = ("198.51.100.2", "203.0.113.1")
    routing.apply(with_gateway(gateways[0]))
    done = threading.Event()
    failures: list[OSError] = []
    sent = 0

    def send() -> None:
        nonlocal sent
        while not done.is_set():
            try:
                sender.sendto(b"x", ("192.0.2.200", 9))
                sent += 1
            except OSError as error:
                failures.append(error)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x100)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            for turn in range(1, 201):
                assert routing.apply(with_gateway(gateways[turn % 2])).replaced == 1
        finally:
            done.set()
            thread.join()
    assert failures == []
    assert sent > 200
    assert len(world.ip_json("route", "show", "table", "1001")) == 2


def test_an_uplink_moves_to_another_device(world: World) -> None:
    world.uplinks(2)
    routing.apply(with_gateway("203.0.113.1"))
    world.ip("-6 route add default via 2001:db8:1::1 dev wan1 table 1001 proto 78 metric 1\n")
    moved = Routing(
        with_gateway("203.0.113.1").rules,
        (
            *with_gateway("203.0.113.1", "wan2").routes,
            Route("ipv6", 1001, "default", "wan2", None, False),
        ),
    )
    changes = routing.apply(moved)
    assert (changes.added, changes.replaced, changes.removed, changes.warnings) == (0, 2, 0, [])
    assert leads_to(world, "203.0.113.9", mark=0x100) == "wan2"
    assert [r["dev"] for r in world.ip_json("-6", "route", "show", "table", "1001")] == ["wan2"]
