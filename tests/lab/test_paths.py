# SPDX-License-Identifier: GPL-2.0-or-later
"""Where single packets go: replies, foreign marks, connected and static routes, the router's own traffic, explain."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.uci import config, section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

FAMILIES = ("ipv4", "ipv6")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_replies_of_forwarded_ports_leave_by_their_arrival_uplink(
    lab: Lab, start: Start, family: str, proto: str
) -> None:
    start(mode="failover")
    lab.serve(lab.lan).wait_for("ready")
    lab.port_forward(proto, 5002)
    for name in ("wan", "wan2"):
        with lab.capture("wan2" if name == "wan" else "wan") as other:
            taken = lab.flow_records(10, family, proto, where=lab.internet, dst=lab.address(name, family), dport=5002)
            assert all(r.answered for r in taken), [r.outcome for r in taken]
            assert not [p for p in other.packets() if p.outgoing and 5002 in (p.sport, p.dport)]


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_of_the_router_itself_leave_by_their_arrival_uplink(lab: Lab, start: Start, family: str) -> None:
    start(mode="failover")
    lab.serve(lab.router).wait_for("ready")
    for name in ("wan", "wan2"):
        taken = lab.flow_records(5, family, "tcp", where=lab.internet, dst=lab.address(name, family), dport=5003)
        assert all(r.answered for r in taken), [r.outcome for r in taken]


def test_foreign_mark_bits_survive_both_ways_and_ours_stay_ours(lab: Lab, start: Start) -> None:
    start(mode="balanced", rules=section("rule", "s", {"policy": "all", "sticky": 1}))
    lab.router.nft(
        "table inet qos {\n"
        " counter out_good { }\n counter out_bad { }\n counter in_good { }\n counter in_bad { }\n"
        ' chain before { type filter hook prerouting priority -190; iifname "lan" meta mark set meta mark | 0x80000\n'
        '  iifname "lan" ct mark set ct mark | 0x40000\n }\n'
        " chain after { type filter hook postrouting priority 300;\n"
        '  oifname { "wan", "wan2" } udp dport 7 meta mark & 0xffffc0ff == 0x80000 ct mark & 0xffffc0ff == 0x40000'
        " counter name out_good\n"
        '  oifname { "wan", "wan2" } udp dport 7 meta mark & 0xffffc0ff != 0x80000 counter name out_bad\n'
        '  oifname "lan" udp sport 7 ct mark & 0xffffc0ff == 0x40000 counter name in_good\n'
        '  oifname "lan" udp sport 7 ct mark & 0xffffc0ff != 0x40000 counter name in_bad\n }\n}\n'
    )
    try:
        first = lab.flows(20, src=lab.clients_of()[0])
        assert len(first) == 1, "sticky must work beside foreign bits"
        text = lab.router.run(["nft", "list", "counters", "table", "inet", "qos"])
        values = dict(zip(text.split("counter ")[1:], [0] * 4, strict=True))
        numbers = {k.split()[0]: int(k.split("packets ")[1].split()[0]) for k in values}
        assert numbers == {"out_good": 20, "out_bad": 0, "in_good": 20, "in_bad": 0}
    finally:
        lab.router.nft("delete table inet qos\n")


def test_a_program_may_opt_out_by_mark(lab: Lab, start: Start) -> None:
    start(rules=section("rule", "r", {"policy": "second"}) + section("policy", "second", {"members": ["wan2_m1_w1"]}))
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)\n"
        "s.setsockopt(socket.SOL_SOCKET, 36, int(sys.argv[1], 0)); s.sendto(b'x', ('203.0.113.201', 7))\n"
        "print(s.recv(99).decode().split()[0])\n"
    )
    seen = {
        m: lab.uplink_of(lab.router.run([sys.executable, "-c", program, m]).strip()) for m in ("0", "0x3f00", "0x100")
    }
    assert seen == {"0": "wan2", "0x3f00": "wan", "0x100": "wan2"}, "0x100: inherited bits of ours are not trusted"


@pytest.mark.parametrize("family", FAMILIES)
def test_connected_and_static_routes_win_over_every_rule(lab: Lab, start: Start, family: str) -> None:
    everything = section("rule", "r", {"policy": "second"}) + section(
        "policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]}
    )
    start(rules=everything)
    assert lab.flows(4, family) == {"wan2": 4}
    bits = "32" if family == "ipv4" else "128"
    short = ["-6"] if family == "ipv6" else []
    target, gateway = SERVERS[family][3], lab.gateway("wan", family)
    lab.router.run(["ip", *short, "route", "add", f"{target}/{bits}", "via", gateway, "dev", "wan"])
    try:
        assert lab.flows(6, family, dst=target) == {"wan": 6}, "a route added while running wins at once"
    finally:
        lab.router.run(["ip", *short, "route", "del", f"{target}/{bits}", "dev", "wan"])
    assert lab.flows(4, family, dst=target) == {"wan2": 4}
    assert lab.guest is not None
    lab.serve(lab.guest).wait_for("ready")
    guest = "192.0.2.130" if family == "ipv4" else "2001:db8:1:1::2"
    records = lab.flow_records(4, family, dst=guest)
    assert all(r.answered for r in records), "LAN to guest LAN never meets the policies"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("proto", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_a_socket_bound_to_an_uplink_uses_it(lab: Lab, start: Start, family: str, proto: str) -> None:
    start(mode="failover")
    server, kind = SERVERS[family][0], "AF_INET" if family == "ipv4" else "AF_INET6"
    program = (
        "import socket, sys\n"
        f"s = socket.socket(socket.{kind}, socket.{proto}); s.settimeout(3)\n"
        "device, address = sys.argv[1:]\n"
        "s.setsockopt(socket.SOL_SOCKET, 25, device.encode()) if device else None\n"
        "s.bind((address, 0)) if address else None\n"
        f"s.connect(('{server}', 7)); s.send(b'x\\n'); print(s.recv(99).decode().split()[0])\n"
    )

    def seen(device: str, address: str) -> str:
        return lab.uplink_of(lab.router.run([sys.executable, "-c", program, device, address]).strip())

    assert seen("", "") == "wan"
    assert seen("wan2", "") == "wan2"
    assert seen("", lab.address("wan2", family)) == "wan2"
    assert seen("wan", "") == "wan"
    assert seen("", lab.address("wan", family)) == "wan"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_the_routers_own_traffic_fails_over_with_a_right_source(
    lab: Lab, start: Start, family: str, proto: str
) -> None:
    start(mode="failover")
    assert lab.flows(5, family, proto, where=lab.router) == {"wan": 5}
    lab.cut("wan")
    lab.wait_status(wan="offline", wan_6="offline")
    spoofed = lab.spoofed("wan2")
    with lab.capture("wan2") as wire:
        assert lab.flows(5, family, proto, where=lab.router) == {"wan2": 5}
        assert lab.flows(2, family, proto, where=lab.router, src=lab.address("wan", family)) == {"wan2": 2}
        sent = {p.src for p in wire.packets() if p.outgoing and p.dst == SERVERS[family][0] and p.dport == 7}
    assert sent == {lab.address("wan2", family)}
    assert lab.spoofed("wan2") == spoofed


def test_two_families_on_one_device_have_states_of_their_own(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.mute(*SERVERS["ipv6"][:2])
    lab.wait_status(wan_6="offline", wan2_6="offline", wan="online", wan2="online")
    assert lab.flows(5) == {"wan": 5}
    assert set(lab.flows(5, "ipv6", "tcp")) == {"refused"}


def test_ipv6_is_left_alone_where_no_uplink_has_it(lab: Lab) -> None:
    lab.start_netpath(config([replace(u, ipv6=False) for u in lab.uplinks], mode="failover"))
    lab.wait_status(wan="online", wan2="online")
    assert lab.flows(5, "ipv6") == {"wan": 5}


def test_ping_traceroute_and_neighbour_discovery_work(lab: Lab, start: Start) -> None:
    start(rules=section("rule", "r", {"policy": "second"}) + section(
        "policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]}))  # fmt: skip
    lab.router.run(["ip", "-6", "neigh", "flush", "all"])
    for target in (SERVERS["ipv4"][2], SERVERS["ipv6"][2], lab.gateway("wan"), "2001:db8:1::1"):
        assert " 0% packet loss" in lab.lan.run(["ping", "-c", "2", "-i", "0.2", "-W", "2", target]), target
    assert " 0% packet loss" in lab.router.run(["ping", "-c", "2", "-i", "0.2", "-W", "2", "-I", "wan", "fe80::1"])


RULES = (
    ("by_source", {"src_ip": "192.0.2.3", "policy": "second"}),
    ("by_port", {"proto": "udp", "dest_port": "5004:5006", "policy": "second"}),
    ("not_ports", {"proto": "tcp", "dest_port": "!5000-5009 !80", "policy": "second"}),
    ("by_dscp", {"dscp": "EF", "policy": "second"}),
    ("by_mac", {"src_mac": "02:00:00:00:02:02", "policy": "second"}),
    ("by_iface", {"src_iface": "guest", "proto": "tcp", "policy": "first"}),
    ("odd", {"src_ip": "0.0.0.1/0.0.0.1", "dest_ip": SERVERS["ipv4"][4], "policy": "second"}),
    ("gone", {"dest_ip": SERVERS["ipv4"][5], "policy": "blackhole"}),
    ("refused", {"dest_ip": SERVERS["ipv4"][6], "policy": "unreachable"}),
    ("plain", {"dest_ip": SERVERS["ipv4"][7], "policy": "default"}),
    ("v6", {"dest_ip": f"{SERVERS['ipv6'][1]}/128", "policy": "second"}),
    ("rest", {"policy": "first"}),
)
POLICIES = section("policy", "first", {"members": ["wan_m1_w1", "wan_6_m1_w1"], "mode": "failover"}) + section(
    "policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"], "mode": "failover"}
)
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("rest", "ipv4", {}),
    ("by_source", "ipv4", {"src": "192.0.2.3"}),
    ("by_port", "ipv4", {"dport": 5005}),
    ("rest", "ipv4", {"dport": 5005, "proto": "tcp"}),
    ("not_ports", "ipv4", {"dport": 7, "proto": "tcp"}),
    ("by_dscp", "ipv4", {"tos": 46 << 2}),
    ("odd", "ipv4", {"src": "192.0.2.5", "dst": SERVERS["ipv4"][4]}),
    ("rest", "ipv4", {"src": "192.0.2.2", "dst": SERVERS["ipv4"][4]}),
    ("gone", "ipv4", {"dst": SERVERS["ipv4"][5]}),
    ("refused", "ipv4", {"dst": SERVERS["ipv4"][6], "proto": "tcp", "dport": 5000}),
    ("plain", "ipv4", {"dst": SERVERS["ipv4"][7]}),
    ("v6", "ipv6", {"dst": SERVERS["ipv6"][1]}),
    ("rest", "ipv6", {}),
)


def test_explain_says_where_real_packets_go_and_which_rule_counts_them(lab: Lab, start: Start) -> None:
    start(rules=POLICIES + "".join(section("rule", name, options) for name, options in RULES))
    for rule, family, choices in CASES:
        before = {r["name"]: r["packets"] for r in lab.call({"cmd": "rules"})["rules"]}
        taken = lab.flows(1, **{"family": family, "timeout": 0.5, "src": lab.clients_of(family)[0], **choices})
        after = {r["name"]: r["packets"] for r in lab.call({"cmd": "rules"})["rules"]}
        hit = [name for name in after if after[name] > before[name]]
        assert hit == [rule], f"{choices}: counted by {hit}"
        reply = lab.call(
            {
                "cmd": "explain",
                "src": choices.get("src", lab.clients_of(family)[0]),
                "dst": choices.get("dst", SERVERS[family][0]),
                "proto": choices.get("proto", "udp"),
                "dport": choices.get("dport", 7),
                "dscp": int(choices.get("tos", 0)) >> 2,
                "iface": "lan",
                "mac": "02:00:00:00:01:02",
            }
        )
        assert reply["rule"] == rule, reply
        where = next(iter(taken))
        uplink = (reply["uplink"] or "").removesuffix("_6")
        if where in ("timeout", "refused"):
            assert uplink == "", reply
            assert reply["policy"] == ("blackhole" if where == "timeout" else "unreachable")
        elif rule == "plain":
            assert reply["policy"] == "default" and reply["device"] == where
        else:
            assert uplink == where, reply
        assert reply["why"]
    assert lab.guest is not None
    assert lab.flows(2, "ipv4", "udp", where=lab.guest) == {"wan2": 2}
    assert lab.flows(2, "ipv4", "tcp", where=lab.guest, dport=5001) == {"wan2": 2}, "by_mac comes before by_iface"


def test_explain_of_connected_static_local_and_hashed(lab: Lab, start: Start) -> None:
    start(mode="hash")
    assert lab.call({"cmd": "explain", "src": "192.0.2.2", "dst": "192.0.2.130"})["rule"] is None
    assert lab.call({"cmd": "explain", "src": "192.0.2.2", "dst": "192.0.2.1"})["device"] == "lo"
    for family in FAMILIES:
        for client in lab.clients_of(family):
            reply = lab.call({"cmd": "explain", "src": client, "dst": SERVERS[family][0], "proto": "udp", "dport": 7})
            assert lab.flows(2, family, src=client) == {reply["uplink"].removesuffix("_6"): 2}
    assert "not an address" in lab.call({"cmd": "explain", "src": "x; reboot", "dst": "1"})["error"]
