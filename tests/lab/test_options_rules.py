# SPDX-License-Identifier: GPL-2.0-or-later
"""Every criterion and setting of a rule, and what policies do with what it hands them, with real packets.

Each rule under test owns one server address, so that many stand side by side: what its criterion accepts goes to wan2,
everything else to wan.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from netpath.lab.plan import GUEST_MAC, LAN_MAC
from netpath.lab.uci import section
from tests.lab.conftest import Start
from tests.lab.kernel_log import kernel_log

pytestmark = pytest.mark.lab

POLICIES = section("policy", "first", {"members": ["wan_m1_w1", "wan_6_m1_w1"]}) + section(
    "policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]}
)
Flow = Mapping[str, Any]
Case = tuple[str, Mapping[str, Any], tuple[Flow, ...], tuple[Flow, ...]]

TCP, UDP, GUEST = {"proto": "tcp"}, {"proto": "udp"}, {"guest": True}
TWO, THREE, FOUR, FIVE = ({"src": f"192.0.2.{n}"} for n in (2, 3, 4, 5))
V4: tuple[Case, ...] = (
    ("proto", {"proto": "udp"}, (UDP,), (TCP,)),
    ("proto-number", {"proto": "6"}, (TCP,), (UDP,)),
    ("proto-not", {"proto": "!tcp"}, (UDP,), (TCP,)),
    ("src-list", {"src_ip": ["192.0.2.3", "192.0.2.4/31"]}, (THREE, FOUR, FIVE), (TWO,)),
    ("src-not", {"src_ip": "192.0.2.0/24 !192.0.2.2/31"}, (FOUR, FIVE, GUEST), (TWO, THREE)),
    ("src-odd", {"src_ip": "0.0.0.1/0.0.0.1"}, (THREE, FIVE), (TWO, FOUR)),
    ("src-not-odd", {"src_ip": "!0.0.0.1/0.0.0.1"}, (TWO, FOUR), (THREE, FIVE)),
    ("iface", {"src_iface": "guest"}, (GUEST,), (TWO,)),
    ("iface-not", {"src_iface": "!guest"}, (TWO,), (GUEST,)),
    ("mac", {"src_mac": LAN_MAC.upper()}, (TWO, THREE), (GUEST,)),
)
PORTS: tuple[Case, ...] = (
    (
        "dport-list",
        {"proto": "tcp udp", "dest_port": "7,5002-5003"},
        ({"dport": 7}, {"dport": 5002, **TCP}, {"dport": 5003}),
        ({"dport": 5001}, {"dport": 5004, **TCP}),
    ),
    ("dport-open", {"proto": "udp", "dest_port": "5005:"}, ({"dport": 5005}, {"dport": 5009}), ({"dport": 5004},)),
    (
        "dport-not",
        {"proto": "udp", "dest_port": "!5000-5004"},
        ({"dport": 5005},),
        ({"dport": 5000}, {"dport": 5004}, {"dport": 5005, **TCP}),
    ),
    (
        "sport-list",
        {"proto": "udp", "src_port": ["4000", "4010:4012"]},
        ({"sport": 4000}, {"sport": 4011}),
        ({"sport": 4001}, {"sport": 4013}),
    ),
    ("sport-not", {"proto": "udp", "src_port": "!4020"}, ({"sport": 4021},), ({"sport": 4020},)),
    (
        "dscp-list",
        {"dscp": "EF,CS5"},
        ({"tos": 46 << 2}, {"tos": 40 << 2}),
        ({"tos": 0}, {"tos": 45 << 2}),
    ),
    ("dscp-not", {"dscp": "!1-10"}, ({"tos": 0}, {"tos": 11 << 2}), ({"tos": 1 << 2}, {"tos": 10 << 2})),
    ("mac-not", {"src_mac": f"!{GUEST_MAC}"}, (TWO,), (GUEST,)),
    (
        "all-at-once",
        {"proto": "udp", "src_ip": "192.0.2.3", "dest_port": "5001", "dscp": "8", "src_iface": "lan"},
        ({**THREE, "dport": 5001, "tos": 8 << 2},),
        (
            {**TWO, "dport": 5001, "tos": 8 << 2},
            {**THREE, "dport": 5002, "tos": 8 << 2},
            {**THREE, "dport": 5001},
            {**THREE, "dport": 5001, "tos": 8 << 2, **TCP},
        ),
    ),
    ("switched-off", {"enabled": 0}, (), (TWO,)),
)
SIX = {n: {"src": f"2001:db8:1::{n}"} for n in (2, 3, 4, 5)}
V6: tuple[Case, ...] = (
    ("src-list", {"src_ip": ["2001:db8:1::3", "2001:db8:1::4/127"]}, (SIX[3], SIX[4], SIX[5]), (SIX[2],)),
    ("src-not", {"src_ip": "!2001:db8:1::2/127"}, (SIX[4],), (SIX[2], SIX[3])),
    ("src-odd", {"src_ip": "::1/::1"}, (SIX[3], SIX[5]), (SIX[2], SIX[4])),
    ("dport", {"proto": "tcp", "dest_port": "5001:5002"}, ({"dport": 5001, **TCP},), ({"dport": 5003, **TCP},)),
    ("dscp", {"dscp": "AF41"}, ({"tos": 34 << 2},), ({"tos": 0},)),
    ("mac", {"src_mac": LAN_MAC}, (SIX[2],), (GUEST,)),
    ("iface", {"src_iface": ["guest", "nonesuch"]}, (GUEST,), (SIX[2],)),
    ("family", {"family": "ipv6"}, (SIX[2],), ()),
    ("not-mine", {"family": "ipv4", "dest_ip": ""}, (), (SIX[2],)),
)


@pytest.mark.parametrize(("family", "cases"), [("ipv4", V4), ("ipv4", PORTS), ("ipv6", V6)], ids=["v4", "ports", "v6"])
def test_each_criterion_takes_what_it_says_and_nothing_else(
    lab: Lab, start: Start, family: str, cases: tuple[Case, ...]
) -> None:
    rules, wanted, found = [], {}, {}
    for server, (name, options, _, _) in zip(SERVERS[family], cases, strict=False):
        dest = {"dest_ip": server} if "dest_ip" not in options else {}
        rules.append(
            section("rule", name, {**{k: v for k, v in options.items() if v != ""}, **dest, "policy": "second"})
        )
    start(rules=POLICIES + "".join(rules) + section("rule", "rest", {"policy": "first"}))
    for server, (name, _, hits, misses) in zip(SERVERS[family], cases, strict=False):
        for where, choices in [*(("wan2", c) for c in hits), *(("wan", c) for c in misses)]:
            key = f"{name}: {dict(choices)}"
            wanted[key] = where
            found[key] = flow(lab, family, server, choices)
    assert found == wanted


def flow(lab: Lab, family: str, server: str, choices: Flow) -> str:
    """The uplink that a new flow took, or how it failed."""
    given = {"proto": "udp", **choices}
    where = lab.guest if given.pop("guest", False) else lab.lan
    if "src" not in given and where is lab.lan:
        given["src"] = lab.clients_of(family)[0]
    return next(iter(lab.flows(1, family, where=where, dst=server, **given)))


def test_protocols_without_ports(lab: Lab, start: Start) -> None:
    start(
        rules=POLICIES
        + section("rule", "pings", {"proto": "icmp ipv6-icmp", "policy": "second"})
        + section("rule", "rest", {"policy": "first"})
    )
    for server, proto in ((SERVERS["ipv4"][3], "icmp"), (SERVERS["ipv6"][3], "icmpv6")):
        with lab.capture("wan2") as second:
            assert " 0% packet loss" in lab.lan.run(["ping", "-c", "1", "-W", "3", server])
            assert [p.proto for p in second.packets() if p.outgoing and p.dst == server] == [proto]
    assert lab.flows(3) == {"wan": 3}


def test_a_set_is_made_filled_and_kept_over_reloads(lab: Lab, start: Start) -> None:
    """What dnsmasq or a script puts into the set decides, from the next flow on, in both families."""
    rules = POLICIES + section("rule", "streams", {"nft_set": "streaming", "policy": "second"})
    start(rules=rules + section("rule", "rest", {"policy": "first"}))
    listening = {"ipv4": SERVERS["ipv4"][5], "ipv6": SERVERS["ipv6"][5]}
    for family, server in listening.items():
        assert lab.flows(3, family, dst=server) == {"wan": 3}
        lab.router.run(["nft", "add", "element", "inet", "netpath", f"streaming_{family[3]}", f"{{ {server} }}"])
        assert lab.flows(3, family, dst=server) == {"wan2": 3}
        assert lab.flows(3, family) == {"wan": 3}
    lab.config_file.write_text(lab.config(rules=rules))
    assert "error" not in lab.call({"cmd": "reload"})
    assert lab.flows(3, dst=listening["ipv4"]) == {"wan2": 3}
    lab.router.run(["nft", "delete", "element", "inet", "netpath", "streaming_4", f"{{ {listening['ipv4']} }}"])
    assert set(lab.flows(3, dst=listening["ipv4"])) == {"wan"}, "no rule matches any more: the main table"


def test_dnsmasq_fills_a_set(lab: Lab, start: Start) -> None:
    """The router's dnsmasq, told as options.md and the example say, steers a site by its name."""
    start(
        rules=POLICIES
        + section("rule", "site", {"nft_set": "streaming", "policy": "second"})
        + section("rule", "rest", {"policy": "first"})
    )
    server = SERVERS["ipv4"][6]
    argv = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--log-facility=-",
        "--user=root",
        "--port=5300",
    ]
    argv += ["--no-resolv", "--no-hosts", "--pid-file=", f"--server={SERVERS['ipv4'][0]}"]
    upstream = lab.start_dns([("site.example", server)])
    resolver = lab.router.popen([*argv, "--nftset=/site.example/4#inet#netpath#streaming_4"])
    try:
        resolver.wait_for("started, version")
        if "no-nftset" in resolver.output():
            pytest.skip("this dnsmasq was built without nftset")
        assert lab.flows(2, dst=server) == {"wan": 2}
        program = (
            "import socket\nfrom netpath.probe.dns_message import query\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)\n"
            "s.sendto(query(7, 'site.example', 1), ('127.0.0.1', 5300)); print(len(s.recv(999)))\n"
        )
        assert int(lab.router.run(["env", *lab.environment, sys.executable, "-c", program])) > 30
        assert lab.flows(2, dst=server) == {"wan2": 2}
    finally:
        resolver.stop()
        upstream.stop()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_rules_that_log_tell_the_kernel_log_once_a_flow_and_only_where_globals_let_them(
    lab: Lab, start: Start, family: str
) -> None:
    name = f"told_{os.getpid()}"
    rules = section("rule", name, {"policy": "all", "logging": 1, "proto": "udp"}) + section(
        "rule", "silent", {"policy": "all"}
    )
    server = SERVERS[family][3]
    start(rules=rules, globals_={"logging": 1})
    with kernel_log() as log:

        def told() -> list[dict[str, str]]:
            lines = log.lines(f"netpath {name}: ")
            return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

        for proto in ("udp", "tcp"):
            assert lab.flows(4, family, proto, dst=server).total() == 4
        flows = told()
        assert {(f["IN"], f["PROTO"], f["DPT"]) for f in flows} == {("lan", "UDP", "7")}
        assert {ip_address(f["DST"]) for f in flows} == {ip_address(server)}
        assert len({f["SPT"] for f in flows}) == 4
        with lab.hold(proto="udp", family=family, dst=server) as held:
            held.wait(lambda record: record.seq == 5 and record.answered)
        assert len(told()) == 5, "one message a flow, not a packet"
        lab.config_file.write_text(lab.config(rules=rules, globals_={"logging": 0}))
        assert "error" not in lab.call({"cmd": "reload"})
        assert lab.flows(4, family, "udp", dst=server).total() == 4
        assert len(told()) == 5


def test_a_sticky_client_is_free_again_after_the_timeout(lab: Lab, start: Start) -> None:
    start(rules=section("rule", "web", {"policy": "all", "sticky": 1, "timeout": 1}))
    client = lab.clients_of()[1]
    first = lab.flows(6, proto="tcp", src=client)
    assert len(first) == 1

    def forgotten() -> bool:
        sets = lab.router.run(["nft", "list", "table", "inet", "netpath"])
        return client not in sets

    assert not forgotten()
    wait_until(forgotten, 10, "the client's time to be over")
    second = lab.flows(6, proto="tcp", src=client)
    assert len(second) == 1
    assert second != first, "the next turn of the balance"


def test_specific_routes_of_other_tables_win_and_their_defaults_do_not(lab: Lab, start: Start) -> None:
    """As a VPN program has them: its own table, which `rt_table_lookup` names."""
    targets = {"ipv4": (SERVERS["ipv4"][7], "32"), "ipv6": (SERVERS["ipv6"][7], "128")}
    for family, (target, bits) in targets.items():
        way = ["via", lab.gateway("wan", family), "dev", "wan", "table", "220"]
        lab.router.run(["ip", f"-{family[3]}", "route", "add", f"{target}/{bits}", *way])
        lab.router.run(["ip", f"-{family[3]}", "route", "add", "default", *way])
    try:
        rules = POLICIES + section("rule", "rest", {"policy": "second"})
        start(rules=rules)
        for family, (target, _) in targets.items():
            assert lab.flows(4, family, dst=target) == {"wan2": 4}
        lab.config_file.write_text(lab.config(rules=rules, globals_={"rt_table_lookup": ["220"]}))
        assert "error" not in lab.call({"cmd": "reload"})
        for family, (target, _) in targets.items():
            assert lab.flows(4, family, dst=target) == {"wan": 4}, "a route of table 220"
            assert lab.flows(4, family) == {"wan2": 4}, "its default route is not meant"
            assert lab.flows(4, family, where=lab.router, dst=target) == {"wan": 4}
    finally:
        for family in targets:
            lab.router.run(["ip", f"-{family[3]}", "route", "flush", "table", "220"])


LONG = "a_name_that_is_much_longer_than_fifteen_letters"


def test_names_longer_than_fifteen_characters(lab: Lab, start: Start) -> None:
    members, text = [], section("globals", "globals", {"enabled": 1, "nft_table": f"{LONG}_t"[-30:]})
    for number, device in enumerate(("wan", "wan2"), 1):
        text += section(
            "interface",
            f"{LONG}_{number}",
            {"ifname": device, "track_targets": [SERVERS["ipv4"][0]], "interval": "100ms"},
        )
        members.append(f"{LONG}_m{number}")
        text += section("member", members[-1], {"interface": f"{LONG}_{number}", "metric": number})
    text += section("policy", f"{LONG}_p", {"members": members})
    text += section("rule", f"{LONG}_r1", {"policy": f"{LONG}_p", "sticky": 1, "proto": "tcp"})
    text += section("rule", f"{LONG}_r2", {"policy": f"{LONG}_p"})
    start(text)
    assert lab.flows(4) == {"wan": 4}
    assert lab.flows(4, proto="tcp") == {"wan": 4}
    assert {r["name"]: r["packets"] for r in lab.call({"cmd": "rules"})["rules"]} == {f"{LONG}_r1": 4, f"{LONG}_r2": 4}
    reply = lab.call({"cmd": "explain", "src": "192.0.2.2", "dst": SERVERS["ipv4"][0], "proto": "udp"})
    assert (reply["rule"], reply["policy"], reply["uplink"]) == (f"{LONG}_r2", f"{LONG}_p", f"{LONG}_1")
    lab.call({"cmd": "ifdown", "interface": f"{LONG}_1"})
    assert lab.flows(4) == {"wan2": 4}
    assert f"interface {LONG}_1 is disabled" in lab.netpath("status")
    out = lab.netpath("use", f"{LONG}_2", "cat", "/proc/self/cgroup")
    group = lab.call({"cmd": "use", "interface": f"{LONG}_2"})["cgroup"]
    assert f"/{Path(group).name}\n" in out


@pytest.mark.parametrize("last_resort", ["unreachable", "blackhole", "default"])
def test_a_policy_without_members_of_a_family_gives_that_family_its_last_resort(
    lab: Lab, start: Start, last_resort: str
) -> None:
    """As in mwan3, where a rule of both families meets a policy of IPv4 members only."""
    policy = section("policy", "four", {"members": ["wan2_m1_w1"], "last_resort": last_resort})
    start(rules=section("rule", "r", {"policy": "four"}) + policy)
    assert lab.flows(4) == {"wan2": 4}
    wanted = {"unreachable": "refused", "blackhole": "timeout", "default": "wan"}[last_resort]
    assert lab.flows(4, "ipv6", "tcp", timeout=0.5) == {wanted: 4}


def test_rules_are_tried_in_file_order_and_what_none_matches_uses_the_main_table(lab: Lab, start: Start) -> None:
    one = section("rule", "one", {"proto": "tcp", "dest_port": "5001", "policy": "second"})
    two = section("rule", "two", {"proto": "tcp", "policy": "first"})
    start(rules=POLICIES + one + two)
    assert lab.flows(4, proto="tcp", dport=5001) == {"wan2": 4}
    assert lab.flows(3) == {"wan": 3}
    assert lab.call({"cmd": "rules"})["default"]["packets"] == 3
    lab.config_file.write_text(lab.config(rules=POLICIES + two + one))
    reply = lab.call({"cmd": "reload"})
    assert [w["section"] for w in reply["warnings"] if "unreachable" in w["message"] or "never" in w["message"]]
    assert lab.flows(4, proto="tcp", dport=5001) == {"wan": 4}


@pytest.mark.parametrize("example", ["netpath.uci", "config.toml"])
def test_the_dnsmasq_line_of_the_examples_names_a_set_that_exists(lab: Lab, start: Start, example: str) -> None:
    text = (Path(__file__).parents[2] / "examples" / example).read_text()
    found = re.search(r"nftset=/example\.com/4#inet#(\w+)#(\w+)", text)
    assert found is not None
    start(rules=section("rule", "streaming", {"nft_set": "streaming", "policy": "all"}))
    assert "type ipv4_addr" in lab.router.run(["nft", "list", "set", "inet", found[1], found[2]])
