# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way real packets take: replies, other people's marks, other routes, the router's own traffic, reloads."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.kernel.steering_site import (
    ALL,
    HOST_MAC,
    LAN_HOST,
    MARK,
    Site,
    both,
    everything,
    gateway,
    internet,
    one_policy,
    own,
    site,
)
from tests.unit.steering.steering_worlds import policy, rule

pytestmark = pytest.mark.lab

FAMILIES = ("ipv4", "ipv6")
FOREIGN = 0x55000055
"""Mark bits of somebody else."""


@pytest.fixture
def there() -> Iterator[Site]:
    with site() as made:
        yield made


def source_of(packet: bytes) -> str:
    at, size = (12, 4) if packet[0] >> 4 == 4 else (8, 16)
    return str(ip_address(packet[at : at + size]))


def base_chain(name: str, hook: str, line: str) -> str:
    """A chain of somebody else's table `inet foreign`."""
    return f"table inet foreign {{\nchain {name} {{\ntype {hook};\n{line}\n}}\n}}\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_leave_by_the_uplink_that_the_connection_came_in_by(there: Site, family: str) -> None:
    there.load(one_policy(both("3")), [everything()])
    nfproto, to = ("ip", LAN_HOST[family]) if family == "ipv4" else ("ip6", f"[{LAN_HOST[family]}]")
    there.router.nft(
        base_chain("forwards", "nat hook prerouting priority dstnat", f"tcp dport 8080 dnat {nfproto} to {to}:80")
    )
    far = internet(family)
    there.send(far, own(family, 2), 5000, 8080, via="wan2", proto=6)
    there.leaves("lan0", LAN_HOST[family], 5000, 80)
    there.send(LAN_HOST[family], far, 80, 5000, proto=6, flags=0x12)
    packet = there.leaves("wan2", far, 8080, 5000)
    assert source_of(packet) == own(family, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_routers_own_service_answers_by_the_uplink_that_it_was_asked_by(there: Site, family: str) -> None:
    there.load(one_policy(both("3")), [everything()])
    far = internet(family)
    with there.router.udp(family) as service:
        service.bind((own(family, 2), 5353))
        there.send(far, own(family, 2), 5000, 5353, via="wan2")
        service.settimeout(3)
        _, asker = service.recvfrom(64)
        service.sendto(b"answer", asker)
    there.leaves("wan2", far, 5353, 5000)


def test_the_routers_own_service_answers_by_an_uplink_though_the_main_default_is_none(there: Site) -> None:
    there.load(one_policy(both("3")), [everything()])
    there.router.ip("route", "replace", "default", "via", "203.0.113.2", "dev", "vpn0")
    with there.router.udp() as service:
        service.bind((own("ipv4", 2), 5353))
        service.connect((internet("ipv4"), 5000))
        there.send(internet("ipv4"), own("ipv4", 2), 5000, 5353, via="wan2")
        service.settimeout(3)
        service.recv(64)
        service.send(b"answer")
    there.leaves("wan2", internet("ipv4"), 5353, 5000)


@pytest.mark.parametrize("family", FAMILIES)
def test_foreign_mark_bits_survive_in_packet_and_connection(there: Site, family: str) -> None:
    there.load(one_policy(both("2")), [everything()])
    mark = FOREIGN | MARK[family, 2]
    there.router.nft(
        "table inet foreign\nadd counter inet foreign kept\n"
        + base_chain("first", "filter hook prerouting priority raw", f"iifname lan0 meta mark set {FOREIGN:#x}")
        + base_chain("second", "filter hook prerouting priority mangle - 1", f"ct state new ct mark set {FOREIGN:#x}")
        + base_chain(
            "last",
            "filter hook postrouting priority mangle",
            f"meta mark {mark:#x} ct mark {mark:#x} counter name kept",
        )
    )
    key = there.send(LAN_HOST[family], internet(family))  # decided
    there.send(*key[:2], sport=key[3])  # restored
    there.leaves("wan2", internet(family), key[3])
    inbound = there.send(internet(family), LAN_HOST[family], 443, 9, via="wan2")
    there.leaves("lan0", LAN_HOST[family], 443, 9)
    counter = there.router.listing("foreign")
    assert [c["counter"]["packets"] for c in counter if "counter" in c] == [2]
    assert there.router.marks(family)[key] == FOREIGN | MARK[family, 2]
    assert there.router.marks(family)[inbound] == FOREIGN | MARK[family, 2]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("use", "number"), [("bal", 2), ("default", 1)])
def test_packets_from_an_uplink_are_never_marked_themselves(there: Site, family: str, use: str, number: int) -> None:
    """Reverse path checks with marks would take them for spoofed."""
    there.load(one_policy(both("2")), [everything(use)])
    there.router.nft(
        "table inet foreign\nadd counter inet foreign kept\n"
        + base_chain("last", "filter hook forward priority 0", "meta mark and 0x3f00 != 0 counter name kept")
    )
    key = there.send(LAN_HOST[family], internet(family))
    for _ in range(2):
        there.send(internet(family), LAN_HOST[family], 443, key[3], via=f"wan{number}")
    there.send(internet(family), LAN_HOST[family], 443, 9, via=f"wan{number}")
    there.leaves("lan0", LAN_HOST[family], 443, 9)
    counter = there.router.listing("foreign")
    assert [c["counter"]["packets"] for c in counter if "counter" in c] == [1]  # the one from the LAN


@pytest.mark.parametrize(("inherited", "device", "mark"), [(0x2A00, "wan2", 0x200), (0x3F00, "wan1", 0x3F00)])
def test_inherited_bits_of_ours_are_cleared_unless_they_opt_out(
    there: Site, inherited: int, device: str, mark: int
) -> None:
    there.load(one_policy(both("2")), [everything()])
    there.router.nft(
        base_chain("first", "filter hook prerouting priority raw", f"iifname lan0 meta mark set {inherited:#x}")
    )
    key = there.send(LAN_HOST["ipv4"], internet("ipv4"))
    there.leaves(device, internet("ipv4"), key[3])
    assert there.router.marks()[key] == mark


@pytest.mark.parametrize("family", FAMILIES)
def test_connected_static_and_vpn_routes_escape_the_rules(there: Site, family: str) -> None:
    there.load(one_policy(both("1")), [everything("unreachable")])
    prefix, vpn, hosts = {
        "ipv4": ("203.0.113.16/28", "203.0.113.32/28", ("203.0.113.17", "203.0.113.33", "203.0.113.2")),
        "ipv6": ("2001:db8:bb::/64", "2001:db8:cc::/64", ("2001:db8:bb::1", "2001:db8:cc::1", "2001:db8:aa::2")),
    }[family]
    peer = "203.0.113.2" if family == "ipv4" else "2001:db8:aa::2"
    there.router.ip("route", "add", prefix, "via", gateway(family, 2), "dev", "wan2")
    there.router.ip("route", "add", vpn, "via", peer, "dev", "vpn0")
    for host, device in zip(hosts, ("wan2", "vpn0", "vpn0"), strict=True):
        key = there.send(LAN_HOST[family], host)
        there.leaves(device, host, key[3])
        assert there.router.marks(family)[key] == 0
    there.router.ip("route", "del", vpn)
    assert there.send(LAN_HOST[family], hosts[1]) not in there.router.marks(family)


def test_a_table_of_the_users_choice_is_looked_up_like_main(there: Site) -> None:
    there.router.ip("route", "add", "203.0.113.32/28", "via", "203.0.113.2", "dev", "vpn0", "table", "77")
    there.router.ip("route", "add", "default", "via", "203.0.113.2", "dev", "vpn0", "table", "77")
    there.load(one_policy(both("2")), [everything()], rt_table_lookup=(77,))
    key = there.send(LAN_HOST["ipv4"], "203.0.113.33")
    there.leaves("vpn0", "203.0.113.33", key[3])
    there.send(*key[:2], sport=key[3])  # the established connection goes the same way
    there.leaves("vpn0", "203.0.113.33", key[3])
    assert there.router.counted()["wan_2"] == 0
    other = there.send(LAN_HOST["ipv4"], internet("ipv4"))
    there.leaves("wan2", internet("ipv4"), other[3])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_uplink_without_a_route_lets_nothing_leak_by_another(there: Site, family: str) -> None:
    there.load(one_policy(both("2")), [everything()])
    there.router.ip(
        "-4" if family == "ipv4" else "-6", "route", "flush", "table", "1002" if family == "ipv4" else "1005"
    )
    key = there.send(LAN_HOST[family], internet(family))
    assert key not in there.router.marks(family)


def test_packets_without_a_connection_are_steered_too(there: Site) -> None:
    there.load(one_policy(["wan2"]), [everything()])
    there.router.nft(base_chain("first", "filter hook prerouting priority raw", "notrack"))
    key = there.send(LAN_HOST["ipv4"], internet("ipv4"))
    there.leaves("wan2", internet("ipv4"), key[3])


# -- the router's own traffic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_own_traffic_follows_the_rules_with_the_address_of_its_uplink(there: Site, family: str) -> None:
    there.load(one_policy(both("2")), [everything()])
    with there.router.udp(family) as sock:
        sock.connect((internet(family), 443))  # the kernel picks wan1's address for it
        assert sock.getsockname()[0] == own(family, 1)
        sock.send(b"query")
        packet = there.leaves("wan2", internet(family), sock.getsockname()[1])
    assert source_of(packet) == own(family, 2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bound", ["address", "device"])
def test_a_program_that_binds_an_uplink_gets_it(there: Site, family: str, bound: str) -> None:
    there.load(one_policy(both("2")), [everything()])
    option = {"address": own(family, 3)} if bound == "address" else {"device": "wan3"}
    with there.router.udp(family, **option) as sock:
        sock.sendto(b"query", (internet(family), 443))
        packet = there.leaves("wan3", internet(family), sock.getsockname()[1])
    assert source_of(packet) == own(family, 3)


def test_own_traffic_that_opts_out_takes_the_main_table(there: Site) -> None:
    there.load(one_policy(both("2")), [everything()])
    with there.router.udp(mark=0x3F00) as sock:
        sock.sendto(b"probe", (internet("ipv4"), 443))
        port = sock.getsockname()[1]
        there.leaves("wan1", internet("ipv4"), port)
    there.send(internet("ipv4"), own("ipv4", 1), 443, port, via="wan1")
    assert [c.mark for c in there.router.connections() if c.sport == port] == [0x3F00]
    assert set(there.router.counted().values()) == {0}


@pytest.mark.parametrize("criterion", [{"src_iface": "lan0"}, {"src_iface": "!lan0"}, {"src_mac": f"!{HOST_MAC}"}])
def test_rules_for_devices_and_mac_addresses_do_not_mean_own_traffic(there: Site, criterion: dict[str, str]) -> None:
    there.load(
        [*one_policy(both("2")), policy("three", both("3"))], [rule("come in", "three", **criterion), everything()]
    )
    with there.router.udp() as sock:
        sock.sendto(b"query", (internet("ipv4"), 443))
        there.leaves("wan2", internet("ipv4"), sock.getsockname()[1])


def test_own_traffic_to_the_lan_and_to_an_uplinks_own_network_is_left_alone(there: Site) -> None:
    there.load(one_policy(both("2")), [everything("blackhole")])
    with there.router.udp() as sock:
        sock.bind(("0.0.0.0", 4000))
        sock.sendto(b"x", (LAN_HOST["ipv4"], 443))
        there.leaves("lan0", LAN_HOST["ipv4"], 4000)
        sock.sendto(b"x", (gateway("ipv4", 3), 443))
        there.leaves("wan3", gateway("ipv4", 3), 4000)


# -- reload ---------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_what_has_been_counted_and_learned_and_removes_what_is_gone(there: Site) -> None:
    bal = one_policy(both("1", "2"))
    rules = [rule("listed", "bal", nft_set="news"), rule("gone", "bal", dest_port=1), everything(sticky=True)]
    there.load(bal, rules)
    there.router.nft(base_chain("first", "filter hook input priority 0", "accept"))
    there.router.nft("add element inet netpath news_4 { 203.0.113.70 }")
    before = there.router.run("nft", "list", "table", "inet", "foreign")
    for _ in range(4):
        there.send(LAN_HOST["ipv4"], internet("ipv4"))
    packets = there.router.counted()
    assert packets["wan_1"] == packets["r_everything_4"] == 4
    there.load(bal, [rules[0], everything(sticky=True, timeout=60), rule("new", "bal")])
    now = there.router.counted()
    assert {name: now[name] for name in packets if name in now} == {k: v for k, v in packets.items() if "gone" not in k}
    assert "203.0.113.70" in there.router.run("nft", "list", "set", "inet", "netpath", "news_4")
    assert LAN_HOST["ipv4"] in there.router.run("nft", "list", "set", "inet", "netpath", "st_everything_4_1")
    assert {"r_gone_4", "r_gone_6"}.isdisjoint(there.router.names("chain"))
    there.load(bal, [everything()])
    assert sorted(there.router.names("set")) == ["news_4", "news_6"]  # the user's, whoever filled them
    assert there.router.run("nft", "list", "table", "inet", "foreign") == before


def test_a_removed_interface_leaves_no_chain_and_no_counter(there: Site) -> None:
    there.load(one_policy(both("1", "2")), [everything()])
    there.uplinks = [u for u in there.uplinks if u.name != "wan3"]
    there.load(one_policy(both("1", "2")), [everything()])
    assert {"w_3", "in_3", "set_3"}.isdisjoint(there.router.names("chain"))
    assert "wan_3" not in there.router.counted()


def test_loading_the_same_text_twice_changes_nothing(there: Site) -> None:
    there.load(one_policy(both("1", "2")), [rule("gone", "bal", dest_port=1), everything(sticky=True)])
    text = there.load(one_policy(both("1", "2")), [everything(sticky=True)])
    before = there.router.run("nft", "list", "table", "inet", "netpath")
    there.router.nft(text)
    assert there.router.run("nft", "list", "table", "inet", "netpath") == before
    there.send(LAN_HOST["ipv4"], internet("ipv4"))
    there.router.nft(text)
    assert there.router.counted()["r_everything_4"] == 1, "a firewall that includes our file resets no counter"
    there.router.nft("flush ruleset")
    there.router.nft(text)
    assert there.router.run("nft", "list", "table", "inet", "netpath") == before


def test_foreign_rules_and_unused_uplinks_are_no_reason_to_drop(there: Site) -> None:
    """Traffic from an uplink to the LAN passes unmarked, as the kernel routes it."""
    there.load(one_policy(both("2")), [everything("blackhole")], ALL - {"wan2"})
    there.send(internet("ipv4"), LAN_HOST["ipv4"], 443, 4001, via="wan3")
    there.leaves("lan0", LAN_HOST["ipv4"], 443, 4001)
