# SPDX-License-Identifier: GPL-2.0-or-later
"""LAN hosts with addresses of one IPv6 provider that leave by another one, which drops what is not its own.

Each provider delegates a /56; the LAN has a /64 of each, and a unique local one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab, Packet
from netpath.lab.layout import CUSTOMER
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section

pytestmark = pytest.mark.lab

BASES = {1: "2001:db8:a00", 2: "2001:db8:b00"}
NEW = "2001:db8:c00"
UNIQUE_LOCAL = "fd00:1:2:1::2"
SERVER = SERVERS["ipv6"][0]
ONLY_SECOND = section("policy", "second", {"members": ["wan2_6_m1_w1"]}) + section("rule", "r", {"policy": "second"})


def host(base: str) -> str:
    """The LAN host's address out of a delegated prefix."""
    return f"{base}:1::2"


class Site:
    """A lab whose providers delegate prefixes and accept nothing else from their customer."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        for address in ("1::1", "1::2"):
            where, device = (lab.router, "lan") if address == "1::1" else (lab.lan, "eth0")
            for base in (*BASES.values(), "fd00:1:2"):
                where.ip(f"addr add {base}:{address}/64 dev {device} nodad\n")
        for number, base in BASES.items():
            self.accept(number, base)
            self.delegate(number, base)

    def accept(self, number: int, base: str, *more: str, via: str = "") -> None:
        """The provider's ingress filter and its route."""
        uplink, isp = self.lab.uplink(number), self.lab.isps[number]
        customers = ", ".join(("fe80::/10", "::/128", f"{base}::/56", *(more or (uplink.subnet6,))))
        isp.nft(
            "flush chain inet isp origin\n"
            f'add rule inet isp origin iifname "{CUSTOMER}" ip6 saddr != {{ {customers} }} counter name spoofed drop\n'
        )
        isp.ip(f"route replace {base}::/56 via {via or uplink.addresses6[0]} dev {CUSTOMER}\n")

    def delegate(self, number: int, base: str, verb: str = "add") -> None:
        """What a DHCPv6 client makes of a delegated prefix."""
        uplink = self.lab.uplink(number)
        self.lab.router.ip(f"route {verb} default from {base}::/56 via fe80::1 dev {uplink.name} metric 5\n")

    def start(self, nat6: str = "prefix", **choices: Any) -> None:
        options = {"wan_6": {"nat6": nat6}, "wan2_6": {"nat6": nat6}}
        self.lab.start_netpath(self.lab.config(**{"mode": "failover", "per_interface": options, **choices}))
        self.lab.wait_states(dict.fromkeys(("wan_6", "wan2_6"), "online"))


@pytest.fixture
def site() -> Iterator[Site]:
    with Lab(2, nat66=False) as lab:
        yield Site(lab)


def sources(packets: list[Packet], dport: int = 7) -> set[str]:
    """Source addresses of what went out to the servers."""
    return {p.src for p in packets if p.outgoing and p.family == "ipv6" and p.dst == SERVER and p.dport == dport}


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_lan_hosts_fail_over_with_the_other_providers_prefix_and_come_back(site: Site, proto: str) -> None:
    lab, addresses = site.lab, (host(BASES[1]), host(BASES[2]), UNIQUE_LOCAL)
    site.start()
    with lab.capture("wan") as first:
        assert lab.flows(6, "ipv6", proto, src=addresses) == {"wan": 6}
        assert sources(first.packets()) == {host(BASES[1]), "2001:db8:a00:2::2", "2001:db8:a00:3::2"}
    lab.cut("wan")
    lab.wait_status(wan_6="offline")
    with lab.capture("wan2") as second:
        assert lab.flows(6, "ipv6", proto, src=addresses) == {"wan2": 6}
        assert sources(second.packets()) == {host(BASES[2]), "2001:db8:b00:2::2", "2001:db8:b00:3::2"}
    assert lab.spoofed("wan2") == 0
    lab.restore("wan")
    lab.wait_status(wan_6="online")
    assert lab.flows(3, "ipv6", proto, src=host(BASES[1])) == {"wan": 3}


def test_without_the_option_the_other_provider_drops_them(site: Site) -> None:
    site.start("off")
    site.lab.cut("wan")
    site.lab.wait_status(wan_6="offline")
    assert site.lab.flows(2, "ipv6", src=host(BASES[1]), timeout=0.3) == {"timeout": 2}
    assert site.lab.spoofed("wan2") == 2


def test_a_flow_moves_with_its_uplink(site: Site) -> None:
    lab = site.lab
    site.start()
    with lab.hold("ipv6", "tcp", src=host(BASES[1])) as flow:
        flow.wait(lambda r: r.outcome == "wan")
        lab.cut("wan")
        flow.wait(lambda r: r.outcome == "wan2")
    assert " 0% packet loss" in lab.lan.run(["ping", "-c", "2", "-i", "0.2", "-W", "2", "-I", host(BASES[1]), SERVER])


def test_a_prefix_that_changes_under_a_running_flow(site: Site) -> None:
    """The provider takes the prefix back and delegates another one; connections by the other line go on untouched."""
    lab = site.lab
    per_host = section("rule", "other", {"src_ip": UNIQUE_LOCAL, "policy": "all"}) + ONLY_SECOND
    site.start(rules=per_host)
    events = lab.events()
    with (
        lab.capture("wan2") as wire,
        lab.hold("ipv6", src=host(BASES[1])) as flow,
        lab.hold("ipv6", src=UNIQUE_LOCAL) as other,
    ):
        flow.wait(lambda r: r.outcome == "wan2")
        other.wait(lambda r: r.outcome == "wan")
        before = tracked(lab, UNIQUE_LOCAL)
        site.accept(2, NEW)
        lab.router.ip(f"addr del {BASES[2]}:1::1/64 dev lan\naddr add {NEW}:1::1/64 dev lan nodad\n")
        site.delegate(2, NEW)
        site.delegate(2, BASES[2], "del")
        assert events.wait_for(lambda e: e["kind"] == "renumbered", "the new prefix")["interface"] == "wan2_6"
        # The same socket goes on: without the deletion its packets would have the old prefix for ever.
        wait_until(lambda: f"{NEW}:3::2" in sources(wire.packets()), 5.0, "packets with the new prefix")
        done = flow.records()[-1].done
        assert flow.wait(lambda r: r.answered, since=done).outcome == "wan2"
        assert lab.flows(3, "ipv6", src=host(BASES[1])) == {"wan2": 3}
        assert tracked(lab, UNIQUE_LOCAL) == before, "connections by the other line are the same"
        last = other.records()[-1].done
        assert other.wait(lambda r: r.answered, since=last).outcome == "wan"


def tracked(lab: Lab, source: str) -> set[str]:
    """Identities of the connections of a LAN host."""
    text = lab.router.run(["conntrack", "-L", "-f", "ipv6", "-s", source, "-o", "id"], check=False)
    return {word for line in text.splitlines() for word in line.split() if word.startswith("id=")}


@pytest.mark.parametrize("nat6", ["masquerade", "prefix"])
def test_a_line_with_nothing_but_a_delegated_prefix(site: Site, nat6: str) -> None:
    """PPPoE as many providers do it: the device has a link-local address only. Probes, the router's own programs and
    LAN hosts must leave with addresses of the delegated prefix; the kernel would choose by likeness."""
    lab = site.lab
    lab.router.ip(f"addr del {lab.uplink(2).addresses6[0]}/64 dev wan2\naddr add fe80::22/64 dev wan2 nodad\n")
    site.accept(2, BASES[2], BASES[2] + "::/56", via="fe80::22")
    site.start(nat6, rules=ONLY_SECOND)
    for proto in ("udp", "tcp"):
        with lab.capture("wan2") as wire:
            assert lab.flows(2, "ipv6", proto, where=lab.router) == {"wan2": 2}
            assert lab.flows(2, "ipv6", proto, where=lab.router, device="wan2") == {"wan2": 2}
            assert lab.flows(2, "ipv6", proto, where=lab.router, src=f"{BASES[1]}:1::1") == {"wan2": 2}
            assert sources(wire.packets()) == {f"{BASES[2]}:1::1"}
        assert lab.flows(2, "ipv6", proto, src=(host(BASES[1]), UNIQUE_LOCAL)) == {"wan2": 2}
    assert lab.spoofed("wan2") == 0


def test_the_routers_source_is_right_after_its_address_has_changed(site: Site) -> None:
    """Deprecated first, gone later; a program that binds the old one as long as it is there keeps it."""
    lab = site.lab
    old, new = lab.uplink(1).addresses6
    site.start("off")
    lab.router.ip(f"addr change {old}/64 dev wan preferred_lft 0 valid_lft 600\naddr add {new}/64 dev wan nodad\n")
    wait_until(
        lambda: len(lab.call({"cmd": "status"})["interfaces"]["wan_6"]["addresses"]) == 2, 5.0, "the new address"
    )
    with lab.capture("wan") as wire:
        assert lab.flows(3, "ipv6", where=lab.router) == {"wan": 3}
        assert sources(wire.packets()) == {new}
        assert lab.flows(1, "ipv6", where=lab.router, src=old) == {"wan": 1}
        assert sources(wire.packets()) == {new, old}
    lab.router.ip(f"addr del {old}/64 dev wan\n")
    with lab.capture("wan2") as wire:
        lab.cut("wan")
        lab.wait_status(wan_6="offline")
        assert lab.flows(3, "ipv6", where=lab.router) == {"wan2": 3}
        assert sources(wire.packets()) == {lab.uplink(2).addresses6[0]}
    assert lab.spoofed("wan2") == 0


def test_what_the_user_is_told(site: Site) -> None:
    lab = site.lab
    site.delegate(2, BASES[2], "del")
    site.start(rules=ONLY_SECOND)
    (problem,) = [p for p in lab.call({"cmd": "check"})["problems"] if p["option"] == "nat6"]
    assert problem["section"] == "interface wan2_6"
    assert "no prefix is known that the provider routes to this router" in problem["message"]
    assert "nat6_prefix" in problem["fix"]
    assert lab.flows(2, "ipv6", src=host(BASES[1])) == {"wan2": 2}, "masqueraded meanwhile"
    site.delegate(2, BASES[2])
    wait_until(lambda: not [p for p in lab.call({"cmd": "check"})["problems"] if p["option"] == "nat6"], 5.0, "peace")
    question = {"cmd": "explain", "dst": SERVER, "proto": "udp", "dport": 7}

    def told(src: str) -> str:
        why: list[str] = lab.call({**question, "src": src})["why"]
        return why[-1]

    wait_until(lambda: "leaves as" in told(UNIQUE_LOCAL), 5.0, "the new prefix")
    assert told(UNIQUE_LOCAL) == f"{UNIQUE_LOCAL} is no address of wan2_6: it leaves as 2001:db8:b00:2::2"
    assert told(host(BASES[2])) == f"{host(BASES[2])} is an address of wan2_6: it leaves as it is"
    assert told(f"{BASES[1]}:1::1").endswith("it leaves with one of the router")
