# SPDX-License-Identifier: GPL-2.0-or-later
"""How long one switch of the policies takes, as the tracker itself reports it."""

from __future__ import annotations

import time

from bench import configurations
from bench.figure import Figure
from netpath.kernel.nft import Nft
from netpath.lab import Lab

POLICIES = 10
RULES, MANY_RULES = 1000, 10_000
FOREIGN_ELEMENTS, FOREIGN_RULES = 100_000, 10_000
SWITCH = 5.0
"""Milliseconds."""


def measure(quick: bool) -> list[Figure]:
    """Switch an uplink off and on by hand; all policies balance over both uplinks, in both families."""
    times = 4 if quick else 12

    def figure(what: str, values: tuple[float, ...]) -> Figure:
        return Figure(f"policy switch, 10 policies, {what}", "ms", values, SWITCH)

    few, _ = _switches(RULES, times, foreign=False)
    beside, _ = _switches(RULES, times, foreign=True)
    many, elsewhere = _switches(MANY_RULES, times, foreign=False)
    return [
        figure("1000 rules", few),
        figure("beside a foreign table of 100,000 intervals and 10,000 rules", beside),
        figure("10,000 rules", many),
        Figure("one rule of another table replaced beside those 10,000 rules", "ms", elsewhere),
    ]


def _switches(rules: int, times: int, *, foreign: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Milliseconds of each switch, and of as many changes that have nothing to do with NetPath's table."""
    with Lab(2) as lab:
        if foreign:
            lab.router.nft(_foreign_table())
        return switches(lab, rules, times), lab.router.inside(lambda: _elsewhere(2 * times))


def switches(lab: Lab, rules: int, times: int) -> tuple[float, ...]:
    """Milliseconds of each switch, two each time, by a daemon that this starts and leaves running."""
    lab.start_netpath(_configuration(lab, rules))
    lab.wait_states({uplink.interface(family): "online" for uplink in lab.uplinks for family in uplink.families}, 30.0)
    with lab.events() as events:
        for _ in range(times):
            for command, state in (("disable", "disabled"), ("enable", "online")):
                lab.call({"cmd": command, "interface": "wan"})
                events.wait("wan", state)
        return tuple(event["milliseconds"] for event in events.seen if event["kind"] == "switch")


def _elsewhere(times: int) -> tuple[float, ...]:
    """Milliseconds of the least change that there is: what libnftables and the kernel ask for at any change."""
    values = []
    with Nft() as nft:
        nft.run("table inet bench {\nchain one {\n}\n}\n")
        for _ in range(times + 1):
            began = time.perf_counter()
            nft.run("flush chain inet bench one\nadd rule inet bench one accept\n")
            values.append((time.perf_counter() - began) * 1000)
    return tuple(values[1:])


def _configuration(lab: Lab, rules: int) -> str:
    names = [f"policy{number}" for number in range(POLICIES)]
    members = [f"{uplink.interface(family)}_m1_w1" for uplink in lab.uplinks for family in uplink.families]
    extra = configurations.policies(names[1:], members)
    return lab.config(rules=configurations.rules(rules, "all", ["all", *names[1:]]), extra=extra)


def _foreign_table() -> str:
    """A blocklist as other programs keep it, and a long chain of rules."""
    elements = ", ".join(f"2001:db8::{2 * i >> 16:x}:{2 * i & 0xFFFF:x}" for i in range(FOREIGN_ELEMENTS))
    rules = "\n".join(f"udp dport {10_000 + i} counter" for i in range(FOREIGN_RULES))
    return (
        "table inet foreign {\nset blocked { type ipv6_addr; flags interval;\n"
        f"elements = {{ {elements} }}\n}}\nchain in {{\n{rules}\n}}\n}}\n"
    )
