# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds rules that can never match because an earlier rule takes all their traffic.

The test is conservative: it compares criterion by criterion and knows nothing of unions, so what it reports is true,
but it does not find everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec, Rule
from netpath.steering.domains import below

_FAMILIES = ("ipv4", "ipv6")
_MAX_CANDIDATES = 64
"""Earlier rules looked at per rule and family: a bound on the work for thousands of rules on one address."""


def unreachable(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Pairs (rule that never matches, earlier rule that takes its traffic), in file order."""
    earlier = _Index()
    for rule in rules:
        covers = [earlier.cover(rule, family) for family in _families(rule)]
        first = covers[0]
        if first is not None and None not in covers:
            yield rule, first
        else:
            earlier.add(rule)


def _families(rule: Rule) -> tuple[str, ...]:
    return _FAMILIES if rule.family == "any" else (rule.family,)


class _Index:
    """Earlier rules by one criterion that a covered rule must share, so that few have to be compared."""

    def __init__(self) -> None:
        self._by_address: dict[tuple[str, AddressMatch], list[Rule]] = {}
        self._masks: dict[str, set[tuple[str, int]]] = {"src_ip": set(), "dest_ip": set()}
        self._by_ports: dict[tuple[str, int, int], list[Rule]] = {}
        """(criterion, 0, port), and for a range (criterion, 8, upper 8 bits) of all ports in it."""
        self._broad: list[Rule] = []

    def add(self, rule: Rule) -> None:
        for criterion, addresses in (("dest_ip", rule.dest_ip), ("src_ip", rule.src_ip)):
            if addresses.any_of and all(match.mask for match in addresses.any_of):
                for match in addresses.any_of:
                    self._masks[criterion].add((match.family, match.mask))
                    self._by_address.setdefault((criterion, match), []).append(rule)
                return
        for criterion, ports in (("dest_port", rule.dest_port), ("src_port", rule.src_port)):
            if ports.any_of:
                pages = {
                    (shift, page)
                    for low, high in ports.any_of
                    for shift in (0 if low == high else 8,)
                    for page in range(low >> shift, (high >> shift) + 1)
                }
                for shift, page in pages:
                    self._by_ports.setdefault((criterion, shift, page), []).append(rule)
                return
        self._broad.append(rule)

    def cover(self, rule: Rule, family: str) -> Rule | None:
        """An earlier rule that takes all of this rule's traffic of the family."""
        for number, candidate in enumerate(self._candidates(rule, family)):
            if number == _MAX_CANDIDATES:
                return None
            if _covers(candidate, rule, family):
                return candidate
        return None

    def _candidates(self, rule: Rule, family: str) -> Iterator[Rule]:
        yield from self._broad
        for criterion, addresses in (("dest_ip", rule.dest_ip), ("src_ip", rule.src_ip)):
            wanted = next((match for match in addresses.any_of if match.family == family), None)
            if wanted is None:
                continue
            for of_family, mask in self._masks[criterion]:
                if of_family == family and wanted.mask & mask == mask:
                    key = criterion, AddressMatch(family, wanted.value & mask, mask)
                    yield from self._by_address.get(key, ())
        for criterion, ports in (("dest_port", rule.dest_port), ("src_port", rule.src_port)):
            if ports.any_of:
                for shift in (0, 8):
                    yield from self._by_ports.get((criterion, shift, ports.any_of[0][0] >> shift), ())


def _covers(wide: Rule, narrow: Rule, family: str) -> bool:
    return (
        wide.family in ("any", family)
        and wide.nft_set in (None, narrow.nft_set)
        and _domains_within(wide.domains, narrow.domains)
        and _ranges_within(wide.dest_port, narrow.dest_port)
        and _ranges_within(wide.src_port, narrow.src_port)
        and _ranges_within(wide.proto, narrow.proto)
        and _names_within(wide.src_iface, narrow.src_iface)
        and _names_within(wide.src_mac, narrow.src_mac)
        and _ranges_within(wide.dscp, narrow.dscp)
        and _addresses_within(wide.dest_ip, narrow.dest_ip, family)
        and _addresses_within(wide.src_ip, narrow.src_ip, family)
    )


def _domains_within(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    return not wide or (bool(narrow) and all(any(below(name, domain) for domain in wide) for name in narrow))


def _addresses_within(wide: AddressSpec, narrow: AddressSpec, family: str) -> bool:
    wide_any, wide_none = _of(wide.any_of, family), _of(wide.none_of, family)
    narrow_any, narrow_none = _of(narrow.any_of, family), _of(narrow.none_of, family)
    if narrow.any_of and not narrow_any:
        return True  # the narrow rule takes nothing of this family
    if wide.any_of:
        everything = any(match.mask == 0 for match in wide_any)
        if not everything and not (narrow_any and all(_inside(match, wide_any) for match in narrow_any)):
            return False
    return all(
        _inside(excluded, narrow_none) or (narrow_any and all(_apart(excluded, match) for match in narrow_any))
        for excluded in wide_none
    )


def _of(matches: Sequence[AddressMatch], family: str) -> list[AddressMatch]:
    return [match for match in matches if match.family == family]


def _inside(match: AddressMatch, wider: Sequence[AddressMatch]) -> bool:
    return any(match.mask & wide.mask == wide.mask and match.value & wide.mask == wide.value for wide in wider)


def _apart(one: AddressMatch, other: AddressMatch) -> bool:
    return (one.value ^ other.value) & one.mask & other.mask != 0


def _ranges_within(wide: RangeSpec, narrow: RangeSpec) -> bool:
    if wide.any_of and not (narrow.any_of and all(_range_inside(r, wide.any_of) for r in narrow.any_of)):
        return False
    return all(
        _range_inside(excluded, narrow.none_of)
        or (narrow.any_of and all(high < excluded[0] or excluded[1] < low for low, high in narrow.any_of))
        for excluded in wide.none_of
    )


def _range_inside(inner: tuple[int, int], wider: Sequence[tuple[int, int]]) -> bool:
    return any(low <= inner[0] and inner[1] <= high for low, high in wider)


def _names_within(wide: NameSpec, narrow: NameSpec) -> bool:
    wanted = set(narrow.any_of)
    if wide.any_of and not (wanted and wanted <= set(wide.any_of)):
        return False
    excluded = set(wide.none_of)
    return excluded <= set(narrow.none_of) or (bool(wanted) and not wanted & excluded)
