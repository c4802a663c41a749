# SPDX-License-Identifier: GPL-2.0-or-later
"""What a forwarded packet costs the processor, with NetPath and without.

Frames are handed to the LAN end of a cable; veth devices pass a packet on at once, so the sending thread itself does
all of the router's work: connection tracking, rules, routing, masquerading, up to the provider, which drops the packet
at its first hook. Time divided by packets is therefore the cost of one; the sender's own part is in every figure alike.
Each router has its own lab, and they take turns in bursts of a few milliseconds, so that a ratio compares neighbours.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench import configurations, frames, wire
from bench.figure import Figure
from netpath.lab import Lab, LabError
from netpath.lab.layout import CUSTOMER
from netpath.lab.namespace import wait_until

PORT = 5000
NEW_PACKETS = 4096
ESTABLISHED_FLOWS = 64
ESTABLISHED_REPEATS = 64
BURSTS = 3
"""The least of so many bursts counts: whatever disturbs a burst makes it longer."""
FIRST_PORT = 2000
NEW, ESTABLISHED = {10: 1.15, 1000: 1.25}, {10: 1.05, 1000: 1.05}
"""Rules -> times the cost of bare forwarding."""
PLAIN = "1000 plain rules, one after another"
SAME = "bare forwarding again (the noise)"
ONE_RULE = "bare forwarding and one ip rule"
EMPTY_CHAINS = "bare forwarding, one ip rule, empty nft chains"
BY_HAND = "the least policy routing, written by hand"


@dataclass(frozen=True, slots=True)
class Router:
    """A lab and what is sent through its router."""

    lab: Lab
    lan: socket.socket
    """At the LAN's end of the cable."""
    isp: socket.socket
    """At the first provider's."""
    fresh: frames.Batch
    lasting: frames.Batch
    replies: frames.Batch
    """To the flows of `lasting`."""

    def new(self) -> float:
        """Microseconds a packet, each the first of its flow."""
        self.lab.router.run(["conntrack", "-F"])
        return _microseconds(lambda: self.fresh.send(self.lan), len(self.fresh))

    def established(self) -> float:
        """Microseconds a packet from the LAN, of flows that have been answered."""
        return _microseconds(lambda: self.lasting.send(self.lan), len(self.lasting))

    def reply(self) -> float:
        """Microseconds a packet of the same flows from the server."""
        return _microseconds(lambda: self.replies.send(self.isp), len(self.replies))

    def sent(self) -> int:
        """Packets that the router's devices have sent so far."""
        links = json.loads(self.lab.router.run(["ip", "-j", "-s", "link"]))
        return sum(int(link["stats64"]["tx"]["packets"]) for link in links)


def measure(quick: bool) -> list[Figure]:
    """New and established flows with 10 and 1,000 rules against bare forwarding."""
    rounds = 5 if quick else 25
    kinds: dict[str, Callable[[Lab], object]] = {
        "bare": as_it_is,
        SAME: as_it_is,
        ONE_RULE: _one_rule,
        EMPTY_CHAINS: _empty_chains,
        BY_HAND: _by_hand,
        "10": lambda lab: steered(lab, 10),
        "1000": lambda lab: steered(lab, 1000),
        PLAIN: lambda lab: lab.router.nft(_plain_rules(1000)),
    }
    with ExitStack() as stack:
        routers = {name: router(stack, Lab(2), prepare) for name, prepare in kinds.items()}
        new = new_packets(routers, rounds)
        established, replies = established_packets(routers, rounds)
    return [
        *_figures("NEW packet", new, NEW),
        *_figures("established packet", established, ESTABLISHED),
        *_figures("established packet, reply", replies, ESTABLISHED),
    ]


def new_packets(routers: Mapping[str, Router], rounds: int) -> dict[str, list[float]]:
    """Microseconds of each round, by router, of packets that are the first of their flows."""
    for each in routers.values():
        _cut(each.lab)
    return _interleave(routers, Router.new, NEW_PACKETS, rounds)


def established_packets(
    routers: Mapping[str, Router], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The same of packets of flows that have been answered: from the LAN, and from the server."""
    for each in routers.values():
        _establish(each)
    packets = ESTABLISHED_FLOWS * ESTABLISHED_REPEATS
    return (
        _interleave(routers, Router.established, packets, rounds),
        _interleave(routers, Router.reply, packets, rounds),
    )


def _figures(kind: str, costs: Mapping[str, Sequence[float]], budgets: Mapping[int, float]) -> list[Figure]:
    def figure(title: str, key: str, budget: float | None = None, other: str = "bare", unit: str = "x bare") -> Figure:
        ratios = tuple(mine / its for mine, its in zip(costs[key], costs[other], strict=True))
        note = f"{statistics.median(costs[key]):.2f} us a packet, against {statistics.median(costs[other]):.2f}"
        return Figure(f"{kind}, {title}", unit, ratios, budget, note=note)

    return [
        *(figure(f"{rules} rules", str(rules), budget) for rules, budget in budgets.items()),
        *(figure(f"{rules} rules, against {BY_HAND}", str(rules), other=BY_HAND, unit="x") for rules in budgets),
        *(figure(key, key) for key in (SAME, ONE_RULE, EMPTY_CHAINS, BY_HAND, PLAIN)),
    ]


def as_it_is(_: Lab) -> None:
    """The lab's router: connection tracking and masquerading, nothing else."""


def _one_rule(lab: Lab) -> None:
    """An ip rule that matches no packet: what policy routing costs before it does anything."""
    lab.router.ip("rule add priority 6000 fwmark 0x100/0x3f00 lookup 1001\n")


def _empty_chains(lab: Lab) -> None:
    """That, and the hooks that NetPath needs for forwarded packets, without a rule."""
    _one_rule(lab)
    lab.router.nft(
        "table inet empty {\nchain in { type filter hook prerouting priority mangle;\n}\n"
        "chain source { type nat hook postrouting priority srcnat - 5;\n}\n}\n"
    )


def _by_hand(lab: Lab) -> None:
    """What steers all connections by one uplink and keeps them there, with not an instruction to spare.

    No rules, policies, counters, no second uplink, no test of what is new: a packet to the router itself or to a
    network that some route leads to is marked like any other.
    """
    (default, *_) = json.loads(lab.router.run(["ip", "-j", "route", "show", "default", "dev", "wan"]))
    lab.router.ip(
        f"route add default via {default['gateway']} dev wan table 1001\n"
        "rule add priority 6000 not fwmark 0/0x3f00 lookup main suppress_prefixlength 0\n"
        "rule add priority 6001 fwmark 0x100/0x3f00 lookup 1001\n"
        "rule add priority 6002 fwmark 0x100/0x3f00 unreachable\n"
    )
    to_packet, to_connection = (f"{kind} mark set {kind} mark & 0xffffc0ff | 0x100" for kind in ("meta", "ct"))
    lab.router.nft(
        "table inet hand {\nchain in { type filter hook prerouting priority mangle;\n"
        f'ct mark & 0x3f00 == 0x100 iifname != "wan" {to_packet} accept\n'
        "ct mark & 0x3f00 == 0x100 accept\n"
        f'iifname "wan" {to_connection} accept\n'
        f"{to_packet} {to_connection}\n}}\n}}\n"
    )


def steered(lab: Lab, rules: int) -> None:
    """NetPath. All traffic meets the last of the rules and takes `wan`, as it does on the bare router."""
    rules_ = configurations.rules(rules, "all")
    lab.start_netpath(lab.config(mode="failover", options=configurations.UNTRACKED, rules=rules_))


def _plain_rules(count: int) -> str:
    """What a rule-by-rule translation would load, at its shortest: the last one decides."""
    decide = "meta mark set 0x100 ct mark set 0x100 accept"
    lines = [f"ip daddr 203.0.113.{i % 200 + 1} udp dport {10000 + i} counter {decide}" for i in range(count - 1)]
    body = "\n".join(["ct mark 0x100 meta mark set 0x100 accept", *lines, f"counter {decide}"])
    return f"table inet plain {{\nchain in {{ type filter hook prerouting priority mangle;\n{body}\n}}\n}}\n"


def router(stack: ExitStack, wanted: Lab, prepare: Callable[[Lab], object]) -> Router:
    """Open a lab and make its router ready. Raises LabError when traffic does not take the first uplink then."""
    lab = stack.enter_context(wanted)
    prepare(lab)
    if lab.flows(1)["wan"] != 1:
        raise LabError("traffic does not take the uplink that it was meant to take")
    out, home = wire.outward(lab), wire.homeward(lab)
    ports = [*range(FIRST_PORT, FIRST_PORT + ESTABLISHED_FLOWS)] * ESTABLISHED_REPEATS
    # Nobody on the LAN waits for answers; its refusals would delete the connections.
    hook = 'type filter hook ingress device "eth0" priority 0'
    lab.lan.nft(f"table netdev bench {{\nchain in {{ {hook}; udp sport {PORT} drop\n}}\n}}\n")
    return Router(
        lab,
        stack.enter_context(lab.lan.inside(lambda: frames.packet_socket("eth0"))),
        stack.enter_context(lab.isps[1].inside(lambda: frames.packet_socket(CUSTOMER))),
        frames.batch(out, [(port, PORT) for port in range(FIRST_PORT, FIRST_PORT + NEW_PACKETS)]),
        frames.batch(out, [(port, PORT) for port in ports]),
        frames.batch(home, [(PORT, port) for port in ports]),
    )


def _cut(lab: Lab) -> None:
    """Let the providers drop IPv4 at once, which keeps them out of the measurement; ARP goes on."""
    for isp in lab.isps.values():
        isp.nft("add rule netdev faults up meta protocol ip drop\n")


def _establish(router: Router) -> None:
    """Let real servers answer each of the lasting flows once."""
    lab = router.lab
    lab.router.run(["conntrack", "-F"])
    for isp in lab.isps.values():
        isp.nft("flush chain netdev faults up\n")
    router.lasting.send(router.lan, 0, ESTABLISHED_FLOWS)

    def answered() -> bool:
        listed = lab.router.run(["conntrack", "-L", "-p", "udp", "--orig-dst", wire.SERVER], check=False)
        flows = [line for line in listed.splitlines() if f"dport={PORT} " in line]
        return len(flows) == ESTABLISHED_FLOWS and not any("UNREPLIED" in line for line in flows)

    wait_until(answered, 5.0, f"{ESTABLISHED_FLOWS} flows to be answered")
    _cut(lab)


def _interleave(
    routers: Mapping[str, Router], cost: Callable[[Router], float], packets: int, rounds: int
) -> dict[str, list[float]]:
    """Costs by router, turn by turn, after one round that only warms up. Raises LabError when packets were lost."""
    before = {name: router.sent() for name, router in routers.items()}
    costs: dict[str, list[float]] = {name: [] for name in routers}
    for _ in range(1 + rounds):
        for name, router in routers.items():
            costs[name].append(min(cost(router) for _ in range(BURSTS)))
    for name, router in routers.items():
        lost = (1 + rounds) * BURSTS * packets - (router.sent() - before[name])
        if lost > 0:
            raise LabError(f"{name}: {lost} packets did not leave the router")
    return {name: found[1:] for name, found in costs.items()}


def _microseconds(work: Callable[[], None], packets: int) -> float:
    with _undisturbed():
        began = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - began) / packets / 1000


@contextmanager
def _undisturbed() -> Iterator[None]:
    """One processor for this thread, before all ordinary programs. Raises PermissionError where that is forbidden."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, allowed)
