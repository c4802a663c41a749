# SPDX-License-Identifier: GPL-2.0-or-later
"""Uplinks by their logical names: what the real netifd says of them, and its changes, reach the kernel's rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.openwrt.conftest import FAILOVER, attempt, sh, uci
from tests.openwrt.openwrt_root import ADDRESS, DEVICE, SERVER, Router
from tests.openwrt.test_procd import CONFIG

TRACKED = "\tlist track_targets '{}'\n\toption interval '200ms'\n\toption up '2'\n"
LOGICAL = f"""
config globals 'globals'
	option enabled '1'

config interface 'wan'
{TRACKED.format(ADDRESS["wan"].format(1))}
config interface 'wanb'
{TRACKED.format(ADDRESS["wanb"].format(1))}
{FAILOVER}
config rule 'lan'
	option src_iface 'lan'
	option policy 'failover'
"""


def row(router: Router, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sh(router, "netpath status --json"))["interfaces"][name]
    return found


def is_up(router: Router, name: str) -> bool:
    """Whether netifd knows the interface and has brought it up."""
    return any(i["interface"] == name and i["up"] for i in router.ubus("network.interface", "dump")["interface"])


def is_online(router: Router, name: str) -> bool:
    return attempt(router, "netpath status")[0] == 0 and row(router, name)["status"] == "online"


@pytest.fixture
def steered(router: Router) -> Iterator[Router]:
    """NetPath with logical names only, both uplinks online."""
    sh(router, "cp /etc/config/network /tmp/network.before")
    router.write(CONFIG, LOGICAL)
    sh(router, "netpath start")
    router.wait(lambda: is_online(router, "wan") and is_online(router, "wanb"), "both uplinks")
    yield router
    attempt(router, "netpath stop")
    sh(router, "cp /tmp/network.before /etc/config/network; /etc/init.d/network reload; ifup wan; ifup wanb")
    for name in ("wan", "wanb"):
        router.wait(lambda wanted=name: is_up(router, wanted), name)


def way(router: Router) -> str:
    """The uplink that a new connection from the LAN leaves by: the provider that sees it."""
    before = {name: seen(router, name) for name in ADDRESS}
    router.spaces["lan"].run(["ping", "-c", "1", "-W", "2", SERVER])
    return " ".join(name for name in ADDRESS if seen(router, name) > before[name])


def seen(router: Router, provider: str) -> int:
    """Echo requests for the server that the provider has got."""
    listed = json.loads(router.spaces[provider].run(["nft", "-j", "list", "counter", "inet", "seen", "echo"]))
    return int(listed["nftables"][1]["counter"]["packets"])


@pytest.fixture(autouse=True)
def counted(router: Router) -> None:
    for name in ADDRESS:
        router.spaces[name].nft(
            "table inet seen {\n}\ndelete table inet seen\ntable inet seen { counter echo { }\n"
            "chain c { type filter hook input priority 0\n"
            f"ip daddr {SERVER} icmp type echo-request counter name echo\n}}\n}}\n"
        )


def test_devices_gateways_and_addresses_are_netifds(steered: Router) -> None:
    for name, address in ADDRESS.items():
        found = row(steered, name)
        assert (found["device"], found["gateway"]) == (DEVICE[name], address.format(1))
        assert [a.rpartition(".")[0] for a in found["addresses"]] == [address.format(1).rpartition(".")[0]]
    rules = sh(steered, "nft list chain inet netpath rules_4")
    assert 'iifname "br-lan"' in rules, "src_iface names a logical interface too"
    assert way(steered) == "wan"


def test_ifdown_moves_the_lan_at_once_and_ifup_brings_it_back(steered: Router) -> None:
    sh(steered, "ifdown wan")
    steered.wait(lambda: row(steered, "wan")["status"] == "offline", "wan to be offline")
    assert way(steered) == "wanb"
    sh(steered, "ifup wan")
    steered.wait(lambda: is_online(steered, "wan"), "wan to be online")
    assert way(steered) == "wan"


def test_an_interface_that_netifd_may_not_route_by_is_used_all_the_same(steered: Router) -> None:
    """mwan3's users often take default routes of second uplinks out of the main table."""
    uci(steered, "set network.wanb.defaultroute=0\nset network.wan.defaultroute=0\ncommit network\n")
    steered.wait(lambda: "default" not in sh(steered, "ip -4 route"), "main without a default route")
    steered.wait(lambda: is_online(steered, "wan") and is_online(steered, "wanb"), "both uplinks")
    assert row(steered, "wanb")["gateway"] == ADDRESS["wanb"].format(1)
    assert way(steered) == "wan"


def test_a_lease_with_another_address(steered: Router) -> None:
    old = row(steered, "wanb")["addresses"]
    steered.lease(30)
    try:
        sh(steered, "ifdown wan; killall -USR1 udhcpc")
        steered.wait(lambda: row(steered, "wanb")["addresses"] not in (old, []), "another address")
        steered.wait(lambda: is_online(steered, "wanb"), "wanb to be online")
        (new,) = row(steered, "wanb")["addresses"]
        assert new.startswith(ADDRESS["wanb"].format(3)), "from the new range"
        assert way(steered) == "wanb"
        source = new.partition("/")[0]
        route = sh(steered, f"ip route get {SERVER} oif eth2")
        assert source in route
    finally:
        steered.lease(10)


def test_netifd_restarts(steered: Router) -> None:
    before = row(steered, "wan")["id"], row(steered, "wanb")["id"]
    sh(steered, "/etc/init.d/network restart")
    steered.wait(lambda: is_online(steered, "wan") and is_online(steered, "wanb"), "both uplinks", 40)
    assert (row(steered, "wan")["id"], row(steered, "wanb")["id"]) == before
    assert way(steered) == "wan"


def test_a_family_that_is_an_interface_of_its_own(steered: Router) -> None:
    """What netifd's modems call wan_6, mwan3's users call wan with family ipv6 there."""
    uci(
        steered,
        "set network.line_6=interface\nset network.line_6.device=eth1\nset network.line_6.proto=static\n"
        "add_list network.line_6.ip6addr=2001:db8:1::2/64\nset network.line_6.ip6gw=2001:db8:1::1\ncommit network\n",
    )
    steered.spaces["wan"].ip("addr add 2001:db8:1::1/64 dev cable nodad\n")
    steered.wait(lambda: is_up(steered, "line_6"), "line_6")
    steered.write(
        CONFIG, LOGICAL + "\nconfig interface 'line'\n\toption family 'ipv6'\n" + TRACKED.format("2001:db8:1::1")
    )
    sh(steered, "netpath reload")
    steered.wait(lambda: is_online(steered, "line"), "line to be online")
    found = row(steered, "line")
    assert (found["device"], found["gateway"], found["addresses"]) == ("eth1", "2001:db8:1::1", ["2001:db8:1::2/64"])


def test_resolvers_of_a_dead_uplink_are_not_asked(steered: Router) -> None:
    chain = "nft list chain inet netpath resolvers"
    own, other = "198.51.100.53", ADDRESS["wanb"].format(53)
    assert f"{own} : goto w_" in sh(steered, chain)
    steered.spaces["wan"].ip("link set cable down\n")  # the far end: no more answers
    try:
        steered.wait(lambda: row(steered, "wan")["status"] == "offline", "wan to be offline")
        # without a carrier netifd itself forgets the server; it is never asked by another uplink
        assert f"{other} : goto w_" in sh(steered, chain)
        assert f"{own} : goto" not in sh(steered, chain)
    finally:
        steered.spaces["wan"].ip("link set cable up\n")
