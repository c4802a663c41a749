# SPDX-License-Identifier: GPL-2.0-or-later
"""First-match rules -> few blocks that decide alike: verdict maps where rules are boxes that do not overlap.

A rule joins the last block of its own set of fields as long as nothing between them (and, in several dimensions,
nothing in that block) could want the same flow. In one dimension an earlier rule simply keeps what it has, a later one
gets the rest. Every doubt ends in a block of its own, which is slower to match but never wrong.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from netpath.model import Rule
from netpath.steering.boxes import Box, Condition, Criteria, Interval, Spans, criteria, overlap

_MOST_FIELDS = 5
"""Of a concatenation: nft 1.0.6 packs six bits a field into 32 and takes more without a word, but wrongly."""
_MOST_BOXES = 1024
"""That a rule with several lists may expand to."""
_REACH = 16
"""Blocks that a rule is held against, going back, before it starts its own."""
_EFFORT = 2000
"""Boxes that a rule is held against within a block before overlap is taken for granted."""


@dataclass(frozen=True, slots=True)
class MapBlock:
    """Boxes without overlap and the index of the rule that each belongs to."""

    fields: tuple[str, ...]
    elements: tuple[tuple[Box, int], ...]


@dataclass(frozen=True, slots=True)
class PlainRule:
    """One rule on its own: it matches where all conditions of any line hold. No conditions: always."""

    rule: int
    lines: tuple[tuple[Condition, ...], ...]


def compile_rules(rules: Sequence[Rule], family: str) -> tuple[MapBlock | PlainRule, ...]:
    """Blocks to go through in order; the first that matches decides. Rules that can match nothing are left out."""
    wanted = []
    for index, rule in enumerate(rules):
        found = criteria(rule, family)
        if found is not None:
            wanted.append((index, found))
            if not found.spans and found.simple:
                break  # it takes all that is left
    index_fields = _most_telling([c for _, c in wanted])
    blocks: list[_Single] = []
    for index, found in wanted:
        _place(blocks, index, found, index_fields)
    return tuple(b.finished() for b in blocks)


class _Single:
    """A block of one rule, which no other joins."""

    def __init__(self, first: int, found: Criteria) -> None:
        self._first, self._only = first, found
        self._hull = {f: s for f, s in found.spans.items() if f not in found.patterns}

    def add(self, rule: int, spans: Mapping[str, Spans]) -> None:
        """Take in a rule that `joins` said yes to, or the first one."""

    def joins(self, spans: Mapping[str, Spans]) -> bool:
        """Whether a rule with these spans can become part of this block."""
        del spans
        return False

    def may_want(self, spans: Mapping[str, Spans]) -> bool:
        """Whether some flow within `spans` could be meant for this block. False only when none is."""
        return overlap(self._hull, spans)

    def finished(self) -> MapBlock | PlainRule:
        return PlainRule(self._first, self._only.lines())


class _Line(_Single):
    """One field: disjoint intervals; what an earlier rule has is cut out of a later one."""

    def __init__(self, field: str, first: int, found: Criteria) -> None:
        super().__init__(first, found)
        self._field = field
        self._taken: list[tuple[int, int, int]] = []
        """First value, last value, rule; sorted."""

    def joins(self, spans: Mapping[str, Spans]) -> bool:
        return spans.keys() == {self._field}

    def add(self, rule: int, spans: Mapping[str, Spans]) -> None:
        for interval in spans[self._field]:
            for first, last in list(self._gaps(interval)):
                insort(self._taken, (first, last, rule))

    def may_want(self, spans: Mapping[str, Spans]) -> bool:
        return self._field not in spans or any(True for i in spans[self._field] for _ in self._within(i))

    def _within(self, interval: Interval) -> Iterator[Interval]:
        """What is taken of `interval`, in order."""
        first, last = interval
        for at in range(max(bisect_left(self._taken, (first,)) - 1, 0), len(self._taken)):
            start, end, _ = self._taken[at]
            if start > last:
                return
            if end >= first:
                yield start, end

    def _gaps(self, interval: Interval) -> Iterator[Interval]:
        """What is left of `interval`."""
        start, last = interval
        for taken_first, taken_last in self._within(interval):
            if taken_first > start:
                yield start, taken_first - 1
            start = taken_last + 1
        if start <= last:
            yield start, last

    def finished(self) -> MapBlock | PlainRule:
        if len({rule for _, _, rule in self._taken}) == 1:  # alone, or it left nothing to the others
            return super().finished()
        return MapBlock((self._field,), tuple((((a, b),), rule) for a, b, rule in self._taken))


class _Grid(_Single):
    """Several fields: boxes, found again by one field's intervals."""

    def __init__(self, fields: tuple[str, ...], index_field: str, first: int, found: Criteria) -> None:
        super().__init__(first, found)
        self._fields, self._index_field = fields, index_field
        self._rules = 0
        self._boxes: list[tuple[Box, int]] = []
        self._by_size: dict[int, list[tuple[int, int, int]]] = {}
        """Bits of an interval's length -> (first value, last value, box); sorted.

        Intervals of one size class that meet a given one start close to it, however long the others are.
        """

    def joins(self, spans: Mapping[str, Spans]) -> bool:
        return tuple(spans) == self._fields and not self.may_want(spans)

    def add(self, rule: int, spans: Mapping[str, Spans]) -> None:
        self._rules += 1
        at = self._fields.index(self._index_field)
        for box in product(*spans.values()):
            first, last = box[at]
            size = self._by_size.setdefault((last - first).bit_length(), [])
            insort(size, (first, last, len(self._boxes)))
            self._boxes.append((box, rule))

    def may_want(self, spans: Mapping[str, Spans]) -> bool:
        for effort, number in enumerate(self._near(spans.get(self._index_field))):
            box, _ = self._boxes[number]
            if effort > _EFFORT or _meets(zip(self._fields, box, strict=True), spans):
                return True
        return False

    def _near(self, spans: Spans | None) -> Iterator[int]:
        """Boxes that overlap `spans` in the indexed field."""
        if spans is None:
            yield from range(len(self._boxes))
            return
        for first, last in spans:
            for bits, intervals in self._by_size.items():
                for at in range(bisect_left(intervals, (first - (1 << bits),)), len(intervals)):
                    start, end, number = intervals[at]
                    if start > last:
                        break
                    if end >= first:
                        yield number

    def finished(self) -> MapBlock | PlainRule:
        if self._rules == 1:
            return super().finished()
        return MapBlock(self._fields, tuple(self._boxes))


def _meets(box: Iterator[tuple[str, Interval]], spans: Mapping[str, Spans]) -> bool:
    for field, (first, last) in box:
        wanted = spans.get(field)
        if wanted is not None and not any(a <= last and first <= b for a, b in wanted):
            return False
    return True


def _place(blocks: list[_Single], index: int, found: Criteria, index_fields: Mapping[tuple[str, ...], str]) -> None:
    fields = tuple(found.spans)
    if not _mergeable(found):
        blocks.append(_Single(index, found))
        return
    for block in reversed(blocks[-_REACH:]):
        if block.joins(found.spans):
            block.add(index, found.spans)
            return
        if block.may_want(found.spans):
            break
    new = _Line(fields[0], index, found) if len(fields) == 1 else _Grid(fields, index_fields[fields], index, found)
    new.add(index, found.spans)
    blocks.append(new)


def _mergeable(found: Criteria) -> bool:
    spans = found.spans
    # nft 1.0.6 cannot put `dscp`, which is no whole byte, into a concatenation.
    return (
        found.simple
        and 0 < len(spans) <= _MOST_FIELDS
        and "dscp" not in spans
        and prod(map(len, spans.values())) <= _MOST_BOXES
    )


def _most_telling(all_criteria: Sequence[Criteria]) -> dict[tuple[str, ...], str]:
    """Set of fields -> the field that tells its rules apart best: the one with the most different spans."""
    seen: dict[tuple[str, ...], dict[str, set[Spans]]] = {}
    for found in all_criteria:
        by_field = seen.setdefault(tuple(found.spans), {f: set() for f in found.spans})
        for field, spans in found.spans.items():
            by_field[field].add(spans)

    def variety(by_field: Mapping[str, set[Spans]]) -> Callable[[str], int]:
        return lambda field: len(by_field[field])

    return {fields: max(fields, key=variety(by_field)) for fields, by_field in seen.items() if fields}
