# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnsmasq has to be told so that it fills the sets of rules with `domain`.

dnsmasq (2.87 and newer) puts the addresses of an answer into the sets of one `nftset` line only: that of the longest
domain which the name falls under, and of several lines for that domain the first. So each domain gets one line, and on
it stand the sets of all rules that name the domain or one above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netpath.model import Rule
from netpath.steering.names import digit, domain_key, domain_set
from netpath.steering.policy import rule_families

LONGEST_LINE = 1000
"""Characters: dnsmasq cuts its lines after 1024 and does not start with what it finds behind."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines for dnsmasq, and what had no room on them."""

    text: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """(domain, rule) of sets that would have made the line of the domain too long."""


def lines(rules: Sequence[Rule], table: str) -> Lines:
    """The `nftset` lines for all rules with domains; `table` is ours, of family inet. Earlier rules go first."""
    named = [rule for rule in rules if rule.domains]
    text, left_out = [], []
    for domain in sorted({name for rule in named for name in rule.domains}):
        line = f"nftset=/{domain}/"
        for rule in named:
            if any(below(domain, name) for name in rule.domains):
                longer = line + ("" if line.endswith("/") else ",") + _sets(rule, table)
                if len(longer) <= LONGEST_LINE:
                    line = longer
                else:
                    left_out.append((domain, rule.name))
        text.append(line)
    return Lines(tuple(text), tuple(left_out))


def below(name: str, domain: str) -> bool:
    """Whether `name` is `domain` or under it."""
    return name == domain or name.endswith(f".{domain}")


def sets(rules: Sequence[Rule]) -> list[str]:
    """Names of the sets of all rules with domains."""
    return [
        domain_set(domain_key(rule.name, rule.domains), family)
        for rule in rules
        if rule.domains
        for family in rule_families(rule)
    ]


def _sets(rule: Rule, table: str) -> str:
    key = domain_key(rule.name, rule.domains)
    return ",".join(f"{digit(f)}#inet#{table}#{domain_set(key, f)}" for f in rule_families(rule))
