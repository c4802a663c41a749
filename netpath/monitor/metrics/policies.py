# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies: where their new connections go."""

from __future__ import annotations

from collections.abc import Mapping

from netpath.model import State
from netpath.monitor.metrics.facts import Facts, Row
from netpath.monitor.metrics.families import Sheet, gauge, info
from netpath.monitor.metrics.interfaces import ratio

_BY = ("policy", "family")

INFO = info("netpath_policy_info", "How the policy is configured.", "policy", "mode", "last_resort")
SHARE = gauge(
    "netpath_policy_share_ratio", "Part of its new connections that an interface gets, 0 to 1.", *_BY, "interface"
)
MEMBERS = gauge("netpath_policy_members", "Members of this address family.", *_BY)
USABLE = gauge("netpath_policy_usable_members", "Of those the ones that are up and open, of whatever metric.", *_BY)
LAST_RESORT = gauge("netpath_policy_last_resort_active", "1 while no member takes its new connections.", *_BY)

FAMILIES = (INFO, SHARE, MEMBERS, USABLE, LAST_RESORT)


def fill(sheet: Sheet, facts: Facts) -> None:
    family_of = {row["name"]: row["family"] for row in facts.interfaces}
    for policy in facts.policies:
        sheet.tell(INFO, policy["name"], policy["mode"], policy["last_resort"])
        for family in facts.steered if family_of else ():  # else nobody knows whose family is which
            _family(sheet, policy, family, family_of)


def _family(sheet: Sheet, policy: Row, family: str, family_of: Mapping[str, str]) -> None:
    members = [row for row in policy["members"] if family_of.get(row["interface"]) == family]
    # Several members of one interface show its percentage, a closed one shows 0.
    shares: dict[str, int] = {}
    for row in members:
        shares[row["interface"]] = max(shares.get(row["interface"], 0), row[family])
    for interface, percent in shares.items():
        sheet.add(SHARE, ratio(percent), policy["name"], family, interface)
    usable = [row for row in members if row["open"] and State(row["status"]).usable]
    sheet.add(MEMBERS, len(members), policy["name"], family)
    sheet.add(USABLE, len(usable), policy["name"], family)
    sheet.add(LAST_RESORT, not policy["active"][family], policy["name"], family)
