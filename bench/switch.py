# SPDX-License-Identifier: GPL-2.0-or-later
"""How long one switch of the policies takes, as the tracker itself reports it."""

from __future__ import annotations

from bench import configurations
from bench.figure import Figure
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

    return [
        figure("1000 rules", _switches(RULES, times, foreign=False)),
        figure("beside a foreign table of 100,000 intervals and 10,000 rules", _switches(RULES, times, foreign=True)),
        figure("10,000 rules", _switches(MANY_RULES, times, foreign=False)),
    ]


def _switches(rules: int, times: int, *, foreign: bool) -> tuple[float, ...]:
    """Milliseconds of each switch."""
    with Lab(2) as lab:
        if foreign:
            lab.router.nft(_foreign_table())
        lab.start_netpath(_configuration(lab, rules))
        lab.wait_status(wan="online", wan_6="online", wan2="online", wan2_6="online")
        with lab.events() as events:
            for _ in range(times):
                for command, state in (("disable", "disabled"), ("enable", "online")):
                    lab.call({"cmd": command, "interface": "wan"})
                    events.wait("wan", state)
            return tuple(event["milliseconds"] for event in events.seen if event["kind"] == "switch")


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
