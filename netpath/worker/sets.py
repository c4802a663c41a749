# SPDX-License-Identifier: GPL-2.0-or-later
"""For `explain`: which of the sets that rules name hold an address now. The kernel is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netpath.kernel import lookup
from netpath.model import Rule
from netpath.steering.names import domain_key, domain_set, user_set
from netpath.steering.policy import rule_families


@dataclass(frozen=True, slots=True)
class Holding:
    """What was found."""

    names: frozenset[str]
    """As `steering.interpret.Flow.sets` has them."""
    words: dict[str, str]
    """Rule with domains -> what its set holds, as a sentence."""


def holding(rules: Sequence[Rule], table: str, family: str, key: bytes, address: str) -> Holding:
    """Which sets of `rules` hold an address of `family`; `key` is it in network order. Raises NetlinkError."""
    names: set[str] = set()
    words: dict[str, str] = {}
    for rule in rules:
        if rule.nft_set is not None and lookup.has_element(table, user_set(rule.nft_set, family), key):
            names.add(rule.nft_set)
        if rule.domains and family in rule_families(rule):
            mine = domain_key(rule.name, rule.domains)
            name = domain_set(mine, family)
            if lookup.has_element(table, name, key):
                names.add(mine)
                words[rule.name] = f"dnsmasq has found {address} under a domain of rule {rule.name} (set {name})"
            else:
                words[rule.name] = (
                    f"{address} is not among the {lookup.count_elements(table, name)} addresses that dnsmasq has found "
                    f"under the domains of rule {rule.name} (set {name})"
                )
    return Holding(frozenset(names), words)
