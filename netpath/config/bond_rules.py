# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections bond_rule: which of them are for a bond, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netpath.bonding import BondMode, BondRule
from netpath.config.build import check_ports
from netpath.config.parse import Parsed, Report
from netpath.config.problems import nearest
from netpath.model import AddressSpec, RangeSpec


class BondRules:
    """All of a file, each judged once."""

    def __init__(
        self, parsed: Sequence[Parsed], bonds: Mapping[str, Parsed], peers: Sequence[str], report: Report
    ) -> None:
        """peers: names of all sections bond_peer."""
        self._report = report
        self._bonds = bonds
        self._rules = [section for section in parsed if section.kind.name == "bond_rule"]
        for section in self._rules:
            self._check_named(section, "bond", list(bonds))
            self._check_named(section, "peer", list(peers))
            check_ports(section, report)
            self._check_families(section)
            if "copies" in section.entries and section.maybe("mode", str) not in (None, BondMode.REDUNDANT):
                message = f"has no effect with mode {section.get('mode', str)}"
                report.warning(section, "copies", message, "remove it, or write option mode 'redundant'")

    def of(self, bond: Parsed) -> tuple[BondRule, ...]:
        """Enabled rules for a bond, in order."""
        return tuple(
            BondRule(
                name=section.name,
                mode=BondMode(section.get("mode", str)),
                copies=section.maybe("copies", int) or bond.get("copies", int),
                peers=section.get("peer", tuple),
                proto=section.get("proto", RangeSpec),
                src_ip=section.get("src_ip", AddressSpec),
                dest_ip=section.get("dest_ip", AddressSpec),
                src_port=section.get("src_port", RangeSpec),
                dest_port=section.get("dest_port", RangeSpec),
                dscp=section.get("dscp", RangeSpec),
            )
            for section in self._rules
            if self._is_for(section, bond) and "mode" in section.values
        )

    def _is_for(self, section: Parsed, bond: Parsed) -> bool:
        named = section.get("bond", tuple)
        if not section.get("enabled", bool) or (named and bond.name not in named) or "bond" in section.broken:
            return False
        return not section.get("peer", tuple) or bond.values.get("role") == "server"

    def _check_named(self, section: Parsed, option: str, known: list[str]) -> None:
        for name in section.get(option, tuple):
            if name not in known:
                what = "bond" if option == "bond" else "bond_peer"
                like = nearest(name, known)
                fix = f"did you mean {like}?" if like else f"add config {what} '{name}'"
                self._report.error(section, option, f"there is no {what} {name}", fix, item=name)

    def _check_families(self, section: Parsed) -> None:
        """A rule that nothing can match is a mistake."""
        families = [
            {match.family for match in spec.any_of or spec.none_of}
            for spec in (section.get("src_ip", AddressSpec), section.get("dest_ip", AddressSpec))
        ]
        if all(families) and not families[0] & families[1]:
            message = "source and destination are of different families"
            self._report.error(section, "dest_ip", message, "use one family")
