# SPDX-License-Identifier: GPL-2.0-or-later
"""A rule's criteria as intervals of integers, one list a field: the form in which rules can be compared and merged.

Negated ranges and prefixes are intervals too (all the rest). What is none stays a `Condition` beside them: masks with
holes, negated names, named sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec, Rule
from netpath.steering.interpret import PORT_PROTOCOLS
from netpath.steering.names import domain_key

Interval = tuple[int, int]
"""First and last value, inclusive."""
Spans = tuple[Interval, ...]
"""Sorted intervals without overlap or contact."""
Box = tuple[Interval, ...]
"""One interval a field."""

FIELDS = ("iface", "mac", "saddr", "daddr", "proto", "sport", "dport", "dscp")
"""In the order in which they are written. Devices are integers by their bytes, MAC addresses by their value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field.

    `kind` is "in" (any of `spans`), "out" (none of them), "masked" or "unmasked" (value & mask is, is not, `value`) or
    "member" (the destination is in the set `name`) or "domain" (the same for the sets of a rule with domains).
    """

    field: str
    kind: str
    spans: Spans = ()
    value: int = 0
    mask: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Criteria:
    """All of a rule's criteria in one family: fields in their spans or matching a pattern, and all conditions."""

    spans: Mapping[str, Spans]
    """Restricted fields only. A field that `patterns` names too may be in its spans or match a pattern."""
    patterns: Mapping[str, tuple[tuple[int, int], ...]]
    """Field -> (value, mask) with a mask that has holes, any of which will do."""
    conditions: tuple[Condition, ...]

    @property
    def simple(self) -> bool:
        """Intervals are all there is."""
        return not self.patterns and not self.conditions

    def lines(self) -> tuple[tuple[Condition, ...], ...]:
        """Conjunctions, any of which means a match."""
        result: list[tuple[Condition, ...]] = [()]
        for field in FIELDS:
            ways = [Condition(field, "in", self.spans[field])] if field in self.spans else []
            ways += [Condition(field, "masked", value=v, mask=m) for v, m in self.patterns.get(field, ())]
            if ways:
                result = [(*line, way) for line in result for way in ways]
        return tuple((*line, *self.conditions) for line in result)


def top(field: str, family: str) -> int:
    """The highest value of a field that is a number."""
    if field in ("saddr", "daddr"):
        return (1 << (32 if family == "ipv4" else 128)) - 1
    return {"proto": 255, "sport": 65535, "dport": 65535, "dscp": 63}[field]


def criteria(rule: Rule, family: str) -> Criteria | None:
    """What `rule` asks of a flow of `family`, or None when it can never match there."""
    if rule.family not in (family, "any"):
        return None
    reader = _Reader(family)
    reader.addresses("saddr", rule.src_ip)
    reader.addresses("daddr", rule.dest_ip)
    reader.names("iface", rule.src_iface)
    reader.names("mac", rule.src_mac)
    reader.ranges("sport", rule.src_port)
    reader.ranges("dport", rule.dest_port)
    reader.ranges("proto", rule.proto)
    reader.ranges("dscp", rule.dscp)
    if rule.src_port != RangeSpec() or rule.dest_port != RangeSpec():
        reader.needs_ports()
    if rule.nft_set is not None:
        reader.conditions.append(Condition("daddr", "member", name=rule.nft_set))
    if rule.domains:
        reader.conditions.append(Condition("daddr", "domain", name=domain_key(rule.name, rule.domains)))
    return reader.result()


def spanned(intervals: Iterable[Interval]) -> Spans:
    """The same values in sorted intervals that neither overlap nor touch."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def others(spans: Sequence[Interval], highest: int) -> Spans:
    """All values of 0..highest that are in none of `spans` (sorted, disjoint)."""
    gaps, start = [], 0
    for first, last in spans:
        if first > start:
            gaps.append((start, first - 1))
        start = last + 1
    if start <= highest:
        gaps.append((start, highest))
    return tuple(gaps)


def common(some: Sequence[Interval], more: Sequence[Interval]) -> Spans:
    """Values that are in both."""
    return spanned((max(a, c), min(b, d)) for a, b in some for c, d in more if a <= d and c <= b)


def overlap(some: Mapping[str, Spans], more: Mapping[str, Spans]) -> bool:
    """Whether a flow could be in the spans of both; a field that one of them does not restrict keeps nobody apart."""
    return all(any(a <= d and c <= b for a, b in s for c, d in more[f]) for f, s in some.items() if f in more)


def name_value(field: str, name: str) -> int:
    """The integer that stands for a device name or MAC address. Raises ValueError for what is no MAC address."""
    return int.from_bytes(name.encode(), "big") if field == "iface" else int(name.replace(":", ""), 16)


class _Reader:
    """Gathers the criteria of one rule in one family."""

    def __init__(self, family: str) -> None:
        self._family = family
        self._spans: dict[str, Spans] = {}
        self._patterns: dict[str, tuple[tuple[int, int], ...]] = {}
        self.conditions: list[Condition] = []

    def result(self) -> Criteria | None:
        if any(not s and f not in self._patterns for f, s in self._spans.items()):
            return None
        spans = {f: self._spans[f] for f in FIELDS if self._spans.get(f)}
        return Criteria(spans, self._patterns, tuple(self.conditions))

    def addresses(self, field: str, spec: AddressSpec) -> None:
        if not spec.any_of and not spec.none_of:
            return
        highest = top(field, self._family)
        prefixes, holed = _sorted_out(spec.any_of, self._family, highest)
        if not spec.none_of and not holed:
            self._restrict(field, spanned(prefixes))
            return
        excluded, excluded_holed = _sorted_out(spec.none_of, self._family, highest)
        self.conditions += [Condition(field, "unmasked", value=v, mask=m) for v, m in excluded_holed]
        wanted = spanned(prefixes) if spec.any_of else ((0, highest),)
        without = others(spanned(excluded), highest)
        if wanted == ((0, highest),):
            self._restrict(field, without)
        elif not holed:
            self._restrict(field, common(wanted, without))
        else:
            self._patterns[field] = tuple(holed)
            self._restrict(field, wanted)
            if excluded:
                self.conditions.append(Condition(field, "in", without))

    def names(self, field: str, spec: NameSpec) -> None:
        # Sorted, but never joined: that two names' numbers are neighbours means nothing.
        if spec.any_of:
            wanted = sorted({name_value(field, n) for n in spec.any_of if n not in spec.none_of})
            self._spans[field] = tuple((v, v) for v in wanted)
        elif spec.none_of:
            unwanted = sorted({name_value(field, n) for n in spec.none_of})
            self.conditions.append(Condition(field, "out", tuple((v, v) for v in unwanted)))

    def ranges(self, field: str, spec: RangeSpec) -> None:
        if spec.any_of or spec.none_of:
            highest = top(field, self._family)
            wanted = spanned(spec.any_of) if spec.any_of else ((0, highest),)
            if spec.none_of:
                wanted = common(wanted, others(spanned(spec.none_of), highest))
            self._restrict(field, wanted)

    def needs_ports(self) -> None:
        protocols = tuple((p, p) for p in sorted(PORT_PROTOCOLS))
        self._spans["proto"] = common(self._spans["proto"], protocols) if "proto" in self._spans else protocols

    def _restrict(self, field: str, spans: Spans) -> None:
        if spans != ((0, top(field, self._family)),):
            self._spans[field] = spans


def _sorted_out(
    matches: Sequence[AddressMatch], family: str, highest: int
) -> tuple[list[Interval], list[tuple[int, int]]]:
    """Prefixes as intervals, and the (value, mask) of masks with holes."""
    prefixes, holed = [], []
    for m in matches:
        if m.family != family or m.value & ~m.mask:
            continue
        host_bits = highest ^ m.mask
        if host_bits & (host_bits + 1):
            holed.append((m.value, m.mask))
        else:
            prefixes.append((m.value, m.value | host_bits))
    return prefixes, holed
