# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside what else runs on a router: marks, ip rules, routes, tables and queues as those programs make them.

The programs themselves are not here; their footprint in the kernel is, side by side with NetPath's, and real packets
pass both. docs/openwrt.md ("Beside other programs") says what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netpath.lab import SERVERS, Lab, LabError, Unavailable
from netpath.lab.plan import LAN
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

FIRST = {"mode": "failover"}
"""Everything by wan, and by wan2 when that fails."""
SECOND = section("policy", "second", {"members": ["wan2_m1_w1"]})
FAR = "192.0.2.194"
"""What is behind a tunnel."""
CLIENT = LAN.client(1, "ipv4")


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    """Without a guest network, whose addresses the tunnels have here."""
    with Lab(2) as lab:
        yield lab


@contextmanager
def tunnel(lab: Lab, device: str) -> Iterator[None]:
    """A device that leads to the servers past all uplinks, without address translation."""
    far = f"{device}-far"
    lab.router.ip(
        f"link add {device} type veth peer name {far} netns {lab.internet.name}\n"
        f"addr add 192.0.2.193/26 dev {device} noprefixroute\nlink set {device} up\n"
    )
    try:
        lab.internet.ip(
            f"addr add {FAR}/26 dev {far}\nlink set {far} up\nroute add 192.0.2.0/25 dev {far} via 192.0.2.193\n"
        )
        yield
    finally:
        lab.router.ip(f"link del {device}\n")


@contextmanager
def ip_rules(lab: Lab, *rules: str) -> Iterator[None]:
    lab.router.ip("".join(f"rule add {rule}\n" for rule in rules), "ipv4")
    try:
        yield
    finally:
        lab.router.ip("".join(f"rule del {rule}\n" for rule in rules), "ipv4")


@contextmanager
def nft_table(lab: Lab, name: str, body: str) -> Iterator[None]:
    lab.router.nft(f"table {name} {{\n{body}\n}}\n")
    try:
        yield
    finally:
        lab.router.nft(f"delete table {name}\n")


@pytest.mark.parametrize("left_alone", [True, False], ids=["policy default", "no such rule"])
def test_pbr(lab: Lab, start: Start, left_alone: bool) -> None:
    """pbr marks 0x20000/0xff0000 and has its rules at 29990 and below, behind ours."""
    theirs = section("rule", "pbr", {"proto": "udp", "dest_port": 5001, "policy": "default"}) if left_alone else ""
    start(**FIRST, rules=theirs + section("rule", "everything", {"policy": "all"}))
    gateway = lab.uplink("wan2").gateways4[0]
    marks = 'chain pbr_prerouting { type filter hook prerouting priority mangle;\n iifname "lan" udp dport 5001 '
    marks += "meta mark set meta mark & 0xff00ffff | 0x00020000\n}"
    with nft_table(lab, "inet pbr_like", marks), ip_rules(lab, "pref 29990 fwmark 0x20000/0xff0000 lookup 257"):
        lab.router.ip(f"route replace default via {gateway} dev wan2 table 257\n")
        assert lab.flows(20, dport=5001) == {"wan2" if left_alone else "wan": 20}
        assert lab.flows(20) == {"wan": 20}
        assert "shares bits" not in lab.netpath("check", check=False)
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(20) == {"wan2": 20}


def test_tailscale(lab: Lab, start: Start) -> None:
    """Its rules stand at 5210 to 5270, before ours: its networks by table 52, its own packets by the main table."""
    rules = ("pref 5210 fwmark 0x80000/0xff0000 lookup main", "pref 5230 fwmark 0x80000/0xff0000 lookup default",
             "pref 5250 fwmark 0x80000/0xff0000 unreachable", "pref 5270 lookup 52")  # fmt: skip
    marks = (
        'chain forward { type filter hook forward priority filter;\n iifname "tailscale0" meta mark set meta mark & '
    )
    marks += "0xff00ffff | 0x40000\n }\nchain postrouting { type nat hook postrouting priority srcnat;\n"
    marks += " meta mark & 0x00ff0000 == 0x40000 masquerade\n}"
    start(rules=section("rule", "everything", {"policy": "second"}) + SECOND)
    with tunnel(lab, "tailscale0"), ip_rules(lab, *rules), nft_table(lab, "ip tailscale_like", marks):
        lab.router.ip("route add 192.0.2.192/26 dev tailscale0 table 52\n")
        assert lab.flows(20, dst=FAR) == {CLIENT: 20}, "its networks are reached through it"
        assert lab.flows(20) == {"wan2": 20}
        assert lab.flows(20, where=lab.router, mark=0x80000) == {"wan": 20}, "its own packets obey the main table"
        assert lab.flows(20, where=lab.router) == {"wan2": 20}
        assert "shares bits" not in lab.netpath("check", check=False)
        lab.cut("wan2")
        lab.wait_status(wan2="offline")
        assert lab.flows(20, dst=FAR) == {CLIENT: 20}


def test_wireguard_and_openvpn_that_take_everything(lab: Lab, start: Start) -> None:
    """`redirect-gateway def1` and allowed IPs of 0.0.0.0/1, 128.0.0.0/1: routes more specific than any default win."""
    start(**FIRST)
    with tunnel(lab, "tun0"):
        lab.router.ip("route add 0.0.0.0/1 dev tun0\nroute add 128.0.0.0/1 dev tun0\n")
        assert lab.flows(20) == {CLIENT: 20}, "all into the tunnel"
        lab.router.ip("route del 0.0.0.0/1 dev tun0\nroute del 128.0.0.0/1 dev tun0\n")
        assert lab.flows(20) == {"wan": 20}, "without these routes, by the policies"
        lab.router.ip(f"route add {SERVERS['ipv4'][1]} dev tun0\n")
        assert lab.flows(20, dst=SERVERS["ipv4"][1]) == {CLIENT: 20}, "a network behind the tunnel"
        assert lab.flows(20) == {"wan": 20}


def test_a_tunnels_own_packets_go_by_a_rule(lab: Lab, start: Start) -> None:
    """Encrypted packets come from the router itself: a rule chooses their uplink, and they fail over like others."""
    peer = section("rule", "vpn", {"proto": "udp", "dest_port": 5002, "policy": "backwards"})
    members = {"members": ["wan2_m1_w1", "wan_m1_w1"], "mode": "failover"}
    start(
        **FIRST,
        rules=peer + section("rule", "everything", {"policy": "all"}),
        extra=section("policy", "backwards", members),
    )
    assert lab.flows(20, where=lab.router, dport=5002) == {"wan2": 20}
    assert lab.flows(20, where=lab.router) == {"wan": 20}
    lab.cut("wan2")
    lab.wait_status(wan2="offline")
    assert lab.flows(20, where=lab.router, dport=5002) == {"wan": 20}


def test_a_mark_without_a_mask_is_warned_of(lab: Lab, start: Start) -> None:
    """wg-quick's 0xca6c shares bits with the default mask, and its rule compares all 32."""
    start(**FIRST)
    with ip_rules(lab, "pref 32764 fwmark 0xca6c lookup main"):
        warned = lab.netpath("check", check=False)
        assert "0xca6c" in warned
        assert "mark_mask" in warned


def test_sqm(lab: Lab, start: Start) -> None:
    """A shaper on the uplink, and its incoming packets through an intermediate device."""
    start(**FIRST)
    commands = """
        ip link add ifb4wan type ifb
        ip link set ifb4wan up
        tc qdisc add dev wan root tbf rate 50mbit burst 64kb latency 50ms
        tc qdisc add dev wan handle ffff: ingress
        tc filter add dev wan parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev ifb4wan
        tc qdisc add dev ifb4wan root tbf rate 50mbit burst 64kb latency 50ms
    """
    try:
        for command in filter(None, map(str.strip, commands.splitlines())):
            try:
                lab.router.run(command.split())
            except LabError as error:
                raise Unavailable(f"this kernel has no {command}: {error}") from None
        assert lab.flows(50) == {"wan": 50}
        assert lab.flows(20, "ipv6", "tcp") == {"wan": 20}
        shaped = lab.router.run(["tc", "-s", "qdisc", "show", "dev", "ifb4wan"])
        assert "Sent 0 bytes" not in shaped, "answers come through the shaper"
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(50) == {"wan2": 50}
    finally:
        lab.router.run(["tc", "qdisc", "del", "dev", "wan", "root"], check=False)
        lab.router.run(["tc", "qdisc", "del", "dev", "wan", "ingress"], check=False)
        lab.router.run(["ip", "link", "del", "ifb4wan"], check=False)


def test_banip(lab: Lab, start: Start) -> None:
    """Its own table with big interval sets: what it bans stays banned, everything else is steered and fails over."""
    start(**FIRST)
    banned = ", ".join(f"10.{i >> 8}.{i & 255}.0/25" for i in range(20000))
    blocks = f"set blocklist {{ type ipv4_addr; flags interval; elements = {{ {SERVERS['ipv4'][2]}, {banned} }}; }}\n"
    blocks += "chain pre-routing { type filter hook prerouting priority -150;\n ip daddr @blocklist counter drop\n}"
    with nft_table(lab, "inet banip_like", blocks):
        assert lab.flows(5, dst=SERVERS["ipv4"][2], timeout=0.3) == {"timeout": 5}
        assert lab.flows(20) == {"wan": 20}
        lab.netpath("reload")
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(20) == {"wan2": 20}
        assert lab.flows(5, dst=SERVERS["ipv4"][2], timeout=0.3) == {"timeout": 5}


def test_nodogsplash(lab: Lab, start: Start) -> None:
    """A captive portal marks who has logged in (0x30000/0x30000) and lets nobody else through."""
    start(**FIRST)
    portal = "chain clients { type filter hook prerouting priority mangle - 10;\n"
    portal += f" ip saddr {CLIENT} meta mark set meta mark | 0x30000\n}}\n"
    portal += 'chain portal { type filter hook forward priority filter - 10;\n iifname "lan" '
    portal += "meta mark & 0x30000 != 0x30000 reject with icmp type admin-prohibited\n}"
    with nft_table(lab, "ip nodogsplash_like", portal):
        assert lab.flows(20, src=CLIENT) == {"wan": 20}
        stranger = lab.flows(5, src=LAN.client(2, "ipv4"))
        assert not {"wan", "wan2"} & stranger.keys()
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(20, src=CLIENT) == {"wan2": 20}


@pytest.mark.parametrize("uplink", ["wan", "wan2"])
def test_ddns(lab: Lab, start: Start, uplink: str) -> None:
    """What binds to an uplink's device (curl --interface DEVICE) leaves by it, whatever the rules say; what binds
    to an address too, but for that of the main default route, which programs have without binding to it."""
    start(rules=section("rule", "everything", {"policy": "second"}) + SECOND)
    assert lab.flows(5, "ipv4", "tcp", where=lab.router, device=uplink) == {uplink: 5}
    address = lab.uplink(uplink).addresses4[0]
    assert lab.flows(5, "ipv4", "tcp", where=lab.router, src=address) == {"wan2": 5}
