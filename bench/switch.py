# SPDX-License-Identifier: GPL-2.0-or-later
"""How long one switch of the policies takes, as the tracker itself reports it."""

from __future__ import annotations

from bench import configurations
from bench.figure import Figure
from netpath.lab import Lab

POLICIES = 10
RULES = 1000
USER_RULES = 10_000
FOREIGN_ELEMENTS = 100_000
SWITCH = 5.0
"""Milliseconds."""


def measure(quick: bool) -> list[Figure]:
    """Switch an uplink off and on by hand; all policies balance over both uplinks, in both families."""
    times = 4 if quick else 12
    alone = _switches(RULES, times, foreign=False)
    beside = _switches(USER_RULES, times, foreign=True)
    note = "policies and sticky chains of both families in one transaction; without deleting connections"
    return [
        Figure("policy switch, 10 policies, 1000 rules", "ms", alone, SWITCH, note=note),
        Figure("the same with 10,000 rules, beside a foreign set of 100,000 intervals", "ms", beside, SWITCH),
    ]


def _switches(rules: int, times: int, *, foreign: bool) -> tuple[float, ...]:
    """Milliseconds of each switch."""
    with Lab(2) as lab:
        if foreign:
            lab.router.nft(_foreign_set())
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


def _foreign_set() -> str:
    """A blocklist as other programs keep it: every second address of 17 bits of 2001:db8::/32."""
    elements = ", ".join(f"2001:db8::{2 * i >> 16:x}:{2 * i & 0xFFFF:x}" for i in range(FOREIGN_ELEMENTS))
    return (
        "table inet foreign {\n  set blocked { type ipv6_addr; flags interval;\n"
        f"    elements = {{ {elements} }}\n  }}\n}}\n"
    )
