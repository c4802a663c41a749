# SPDX-License-Identifier: GPL-2.0-or-later
"""What others have in the router's kernel: tables, a set of 100,000 addresses, marks, ip rules, routes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from netpath.kernel import nftdump
from netpath.lab import Namespace
from tests.torture.policies import TABLE

PROTOCOL = "78"
"""Of our routes and ip rules."""
ELEMENTS = 100_000
PACKET_BIT, FLOW_BIT = 0x80000, 0x10000
"""Marks that somebody else sets on each packet and connection from the LAN, outside of our mask."""
RULE = f"rule add pref 6050 fwmark {PACKET_BIT}/0xff0000 lookup 52\n"
ROUTE = "route add 192.0.2.200/32 dev lan table 1001\n"
"""Amid our priorities, and in a table of ours."""
FIREWALL = """table inet fw4 { }
flush table inet fw4
table inet fw4 {
  chain forward { type filter hook forward priority filter; policy accept; ct state invalid counter accept; }
}
"""
WATCHED = f"""table inet marks {{
  counter packets_lost {{ }}
  counter flows_lost {{ }}
  chain early {{ type filter hook prerouting priority -190;
    iifname "lan" meta mark set meta mark | {PACKET_BIT} ct mark set ct mark | {FLOW_BIT}
  }}
  chain late {{ type filter hook forward priority 300;
    iifname "lan" meta mark & {PACKET_BIT} == 0 counter name packets_lost
    iifname "lan" ct mark & {FLOW_BIT} == 0 counter name flows_lost
  }}
}}
"""


def big_table(name: str) -> str:
    """A table with a large set, as a blocklist has one."""
    addresses = ", ".join(f"2001:db8:f:{i >> 16:x}::{i & 0xFFFF:x}" for i in range(ELEMENTS))
    return (
        f"table inet {name} {{\n set listed {{ type ipv6_addr; elements = {{ {addresses} }}\n }}\n"
        " chain look { type filter hook forward priority 10; ip6 saddr @listed counter drop; }\n}\n"
    )


def add(router: Namespace) -> str:
    """Put everything there; the text of all tables that are not ours, to load them again after a flush."""
    router.nft(FIREWALL + WATCHED + big_table("blocklist"))
    router.ip(RULE + ROUTE)
    return router.run(["nft", "-s", "list", "ruleset"])


def snapshot(router: Namespace) -> dict[str, list[str]]:
    """Everything that is not ours, without counters. Comparable while all uplinks are whole."""
    found = {"sysctl": router.run(["sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]).splitlines()}
    for line in router.run(["nft", "list", "tables"]).splitlines():
        if line != f"table inet {TABLE}":
            found[line] = router.run(["nft", "-s", "-t", "list", *line.split()]).splitlines()
    listed = json.loads(router.run(["nft", "-j", "list", "set", "inet", "blocklist", "listed"]))
    found["elements"] = [str(sum(len(item["set"].get("elem", ())) for item in listed["nftables"] if "set" in item))]
    for family in ("-4", "-6"):
        rules = json.loads(router.run(["ip", family, "-j", "rule"]))
        found[f"rules {family}"] = sorted(json.dumps(r) for r in rules if r.get("protocol") != PROTOCOL)
        routes = json.loads(router.run(["ip", family, "-j", "route", "show", "table", "all"]))
        found[f"routes {family}"] = sorted(json.dumps(r) for r in routes if _lasting(r))
    return found


def _lasting(route: Mapping[str, object]) -> bool:
    return route.get("protocol") != PROTOCOL and "expires" not in route and route.get("table") not in ("local", 255)


def lost_marks(router: Namespace) -> int:
    """Packets from the LAN whose foreign marks were gone when they were forwarded."""
    counted = router.inside(lambda: nftdump.counters("marks"))  # nft would read the large sets first
    return sum(packets for packets, _ in counted.values())
