# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters of the kernel -> rules, without a word from the tracker, whose verb `rules` starts a process."""

from __future__ import annotations

from collections.abc import Mapping

from netpath.kernel import nftdump
from netpath.steering.names import counted_name, is_counted

Hits = tuple[int, int]
"""Packets and bytes."""


class RuleNames:
    """The names of the counters' rules; those that do not stand in the counter's name are looked up once."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._looked_up: dict[str, str] = {}
        """Chain -> rule. It has the hash of the name in it: never is it another rule's."""

    def sums(self, counters: Mapping[str, Hits]) -> tuple[dict[str, Hits], dict[str, Hits]]:
        """(rule -> hits in both families, family -> hits of what no rule matches). Raises OSError."""
        rules: dict[str, Hits] = {}
        unmatched: dict[str, Hits] = {}
        for chain, (packets, volume) in counters.items():
            if not is_counted(chain):
                continue
            name, family = counted_name(chain)
            if name == "":
                unmatched[family] = (packets, volume)
                continue
            rule = self._comment(chain) if name is None else name
            if rule is not None:
                before = rules.get(rule, (0, 0))
                rules[rule] = (before[0] + packets, before[1] + volume)
        self._looked_up = {chain: rule for chain, rule in self._looked_up.items() if chain in counters}
        return rules, unmatched

    def _comment(self, chain: str) -> str | None:
        """None: the chain went away meanwhile."""
        if chain not in self._looked_up:
            found = nftdump.comments(self._table, chain)
            if not found:
                return None
            self._looked_up[chain] = found[-1][1]
        return self._looked_up[chain]
