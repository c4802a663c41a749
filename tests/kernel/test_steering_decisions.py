# SPDX-License-Identifier: GPL-2.0-or-later
"""Real packets through the loaded ruleset: the kernel decides each flow as the plain interpreter says."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest

from netpath.model import Config, Rule, Uplink
from netpath.steering.interpret import Flow, decide
from netpath.steering.names import rule_chain
from netpath.steering.routing import desired
from netpath.steering.ruleset import ruleset
from tests.kernel.nsbox import Box, frame
from tests.unit.steering.steering_worlds import (
    MACS,
    SETS,
    config,
    interface,
    policy,
    random_flow,
    random_rules,
    rule,
    uplink,
)

pytestmark = pytest.mark.lab

UPLINKS = 6
LAN = ("lan0", "lan1")


def world(rules: list[Rule]) -> tuple[Config, list[Uplink]]:
    """Uplinks of both families; policy pN has only uplink N of each family, so that a mark tells the policy."""
    interfaces, uplinks, policies = [], [], []
    for number in range(1, UPLINKS + 1):
        for family, name, of in (("ipv4", f"wan{number}", number), ("ipv6", f"wan{number}six", number + UPLINKS)):
            interfaces.append(interface(name, family))
            uplinks.append(uplink(name, of, f"wan{number}", family))
        policies.append(policy(f"p{number}", [f"wan{number}", f"wan{number}six"]))
    return config(interfaces, policies, rules), uplinks


def send_and_compare(seed: int, flows: int) -> int:
    random = Random(seed)
    targets = ["default", "unreachable", "blackhole", *(f"p{n}" for n in range(1, UPLINKS + 1))]
    rules = random_rules(random, 40, targets)
    made, uplinks = world(rules)
    with Box() as router, Box("lan") as lan, Box("net") as net:
        for number in range(1, UPLINKS + 1):
            router.wire(f"wan{number}", net, f"wan{number}")
        for device in LAN:
            router.wire(device, lan, device)
        router.ip("route", "add", "default", "dev", "wan1")
        router.ip("-6", "route", "add", "default", "dev", "wan1", "metric", "1")
        router.route(desired(made, uplinks))
        text = ruleset(
            made,
            uplinks,
            frozenset(i.name for i in made.interfaces),
            existing_chains=(),
            existing_sets=(),
            existing_counters=(),
            load="1a2b",
        )
        # What is in the sets follows from the last byte of an address: see _sets_of.
        fill = "".join(
            f"add set inet netpath {name}_{digit} {{ type ipv{digit}_addr; flags interval; }}\n"
            f"add element inet netpath {name}_{digit} {{ {_members(name, digit)} }}\n"
            for name in SETS
            for digit in "46"
        )
        router.nft(text + fill)
        router.nft(text)
        macs = {device: router.mac(device) for device in LAN}
        wires = {device: lan.link_socket(device) for device in LAN}
        expected: dict[tuple[str, str, int, int, int], Rule | None] = {}
        for _ in range(flows):
            flow = _routable(random_flow(random, rules, [(d, m) for d in LAN for m in MACS]))
            src, dst = (str(_address(a, flow.family)) for a in (flow.src, flow.dst))
            key = (src, dst, flow.proto, flow.sport, flow.dport)
            if key in expected or (dst, src, flow.proto, flow.dport, flow.sport) in expected:
                continue  # known already: what goes the other way is a reply
            assert flow.iface and flow.mac
            expected[key] = decide(rules, flow)[0]
            wires[flow.iface].send(
                frame(
                    macs[flow.iface],
                    src,
                    dst,
                    flow.sport,
                    flow.dport,
                    proto=flow.proto,
                    mac=flow.mac,
                    dscp=flow.dscp,
                )
            )
        for wire in wires.values():
            wire.close()
        hits = Counter(
            rule_chain(r.name, "ipv6" if ":" in key[0] else "ipv4") for key, r in expected.items() if r is not None
        )
        counted = {chain: n for chain, n in router.counted().items() if n and chain.startswith("r_")}
        assert counted == hits
        marks = router.marks() | router.marks("ipv6")
        for key, rule in expected.items():
            assert marks.get(key) == _mark(rule, ":" in key[0]), (key, rule)
        return sum(1 for r in expected.values() if r is not None)


def _members(name: str, digit: str) -> str:
    first, last = ("8", "15") if name == "near" else ("4", "11")
    bases = ("192.0.2.", "198.51.100.") if digit == "4" else ("2001:db8::", "2001:db8:1::")
    return ", ".join(f"{base}{first}-{base}{last if digit == '4' else hex(int(last))[2:]}" for base in bases)


def _sets_of(address: int) -> frozenset[str]:
    low = address & 0xFF
    return frozenset(n for n, (a, b) in {"near": (8, 15), "far": (4, 11)}.items() if a <= low <= b)


def _routable(flow: Flow) -> Flow:
    """The flow without what cannot be chosen freely on a real wire: the sets follow from the destination."""
    # ICMP of the other family is not tracked as such and neighbour discovery would be exempt.
    proto = {("ipv4", 58): 17, ("ipv6", 1): 17}.get((flow.family, flow.proto), flow.proto)
    if proto not in (1, 6, 17, 58, 132):
        proto = 17
    ports = proto in (6, 17, 132)
    return Flow(
        family=flow.family,
        src=flow.src,
        dst=flow.dst,
        proto=proto,
        sport=flow.sport if ports else 0,
        dport=flow.dport if ports else 0,
        iface=flow.iface,
        mac=flow.mac,
        dscp=flow.dscp,
        sets=_sets_of(flow.dst),
    )


def _address(value: int, family: str) -> object:
    return ip_address(value) if family == "ipv4" else ip_address(value.to_bytes(16, "big"))


def _mark(rule: Rule | None, six: bool) -> int | None:
    if rule is None or rule.policy == "default":
        return 0x3F00
    if rule.policy in ("unreachable", "blackhole"):
        return None  # dropped before it became a connection
    return (int(rule.policy[1:]) + (UPLINKS if six else 0)) << 8


@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_decides_like_the_interpreter(seed: int) -> None:
    assert send_and_compare(seed, 250) > 100


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_every_dscp_code_point(family: str) -> None:
    rules = [rule("low", dscp=["0-3", "9-13"]), rule("high", dscp="60-63"), rule("rest", dscp="!20-30")]
    made, uplinks = world(rules)
    src, dst = ("198.51.100.7", "203.0.113.65") if family == "ipv4" else ("2001:db8:100::7", "2001:db8:ffff::1")
    with Box() as router, Box("lan") as lan, Box("net") as net:
        router.wire("wan1", net, "wan1")
        router.wire("lan0", lan, "lan0")
        router.ip("-4" if family == "ipv4" else "-6", "route", "add", "default", "dev", "wan1")
        router.route(desired(made, [u for u in uplinks if u.device == "wan1"]))
        router.nft(
            ruleset(made, uplinks, frozenset(), existing_chains=(), existing_sets=(), existing_counters=(), load="1a2b")
        )
        with lan.link_socket("lan0") as wire:
            for code in range(64):
                wire.send(frame(router.mac("lan0"), src, dst, 1000 + code, 443, dscp=code))
        digit = family[-1]
        counted = router.counted()
        assert [counted[f"r_{name}_{digit}"] for name in ("low", "high", "rest")] == [9, 4, 40]
