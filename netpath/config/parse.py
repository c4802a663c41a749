# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections as written -> sections with typed values, held against the schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from netpath.config.option import Option, SectionKind
from netpath.config.problems import ERROR, WARNING, Problem, nearest
from netpath.config.schema import SECTIONS
from netpath.config.secrets import hidden
from netpath.config.sections import Entry, Section
from netpath.config.uci import label
from netpath.config.values import NAME, BadValueError

T = TypeVar("T")


@dataclass(slots=True)
class Parsed:
    """One section: `values` holds every option of its kind that is set or has a default, under its native name."""

    kind: SectionKind
    name: str
    label: str
    line: int | None
    values: dict[str, Any]
    entries: dict[str, Entry] = field(default_factory=dict)
    """What the user wrote, under native names."""
    broken: set[str] = field(default_factory=set)
    """Options whose written value was refused; `values` has their default."""

    def get(self, option: str, type_: type[T]) -> T:
        value = self.values[option]
        if not isinstance(value, type_):
            raise TypeError(f"{self.kind.name}.{option} is {type(value).__name__}, not {type_.__name__}")
        return value

    def maybe(self, option: str, type_: type[T]) -> T | None:
        return self.get(option, type_) if option in self.values else None


@dataclass(slots=True)
class Report:
    """Collects problems; knows how to find the line and the written value of an option."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def error(
        self, section: Parsed | None, option: str | None, message: str, fix: str, *, item: str | None = None
    ) -> None:
        """`option` is the native name; `item` the part of its value that the problem is about."""
        self.add(replace(_locate(ERROR, self.file, section, option, item), message=message, fix=fix))

    def warning(
        self, section: Parsed | None, option: str | None, message: str, fix: str, *, item: str | None = None
    ) -> None:
        self.add(replace(_locate(WARNING, self.file, section, option, item), message=message, fix=fix))

    @property
    def failed(self) -> bool:
        return any(problem.severity == ERROR for problem in self.problems)

    def add(self, problem: Problem) -> None:
        self.problems.append(hidden(problem))


def _locate(severity: str, file: str, section: Parsed | None, option: str | None, item: str | None) -> Problem:
    """A problem without words, at the place of the option or of the section."""
    line, title, value = None, None, item
    if section is not None:
        line, title = section.line, section.label
        entry = section.entries.get(option) if option else None
        if entry is not None:
            option = entry.name
            line, written = _place(entry, item)
            value = item or written
    return Problem(severity, file, line, title, option, value, "", "")


def _place(entry: Entry, item: str | None) -> tuple[int | None, str]:
    """Line and text: of the value that holds the item, else of the whole option."""
    for value, line in zip(entry.values, entry.lines, strict=True):
        if item is not None and item in re.split(r"[\s,]+", value):
            return line, value
    return entry.lines[0], " ".join(entry.values)


def parse(sections: Sequence[Section], report: Report) -> list[Parsed]:
    """Typed sections in file order. Unknown section kinds and options are left out with a warning."""
    parsed: list[Parsed] = []
    seen: dict[str, int] = {}
    taken = {section.name for section in sections}
    for section in sections:
        kind = SECTIONS.get(section.type)
        if kind is None:
            _unknown_kind(section, report)
            continue
        seen[kind.name] = seen.get(kind.name, 0) + 1
        name = section.name
        if name is None:
            name = _anonymous_name(kind, seen[kind.name], taken)
        found = Parsed(kind, name, label(section.type, section.name), section.line, dict(_defaults(kind)))
        _check_name(section, found, report)
        _read_options(section, found, report)
        parsed.append(found)
    return parsed


def blank(kind: str) -> Parsed:
    """A section of which nothing is written."""
    return Parsed(SECTIONS[kind], kind, kind, None, dict(_defaults(SECTIONS[kind])))


def _anonymous_name(kind: SectionKind, position: int, taken: set[str | None]) -> str:
    name = f"{kind.name}_{position}"
    while name in taken:
        name += "_"
    return name


def _unknown_kind(section: Section, report: Report) -> None:
    if section.type:  # an empty one is a `config` line that the reader has complained of
        like = nearest(section.type, list(SECTIONS))
        fix = f"did you mean config {like}?" if like else f"use {', '.join(SECTIONS)}"
        message = "unknown section type, ignored"
        title = label(section.type, section.name)
        report.problems.append(Problem(WARNING, report.file, section.line, title, None, None, message, fix))


def _check_name(section: Section, found: Parsed, report: Report) -> None:
    if section.name is None:
        if found.kind.name in ("interface", "member", "policy", "bond"):
            report.error(found, None, "has no name, so nothing can refer to it", f"write config {section.type} 'NAME'")
    elif not NAME.fullmatch(section.name):
        report.error(
            found, None, "not a usable section name", "use up to 64 letters, digits, _, . and -, no . or - first"
        )


def _read_options(section: Section, found: Parsed, report: Report) -> None:
    for entry in section.entries:
        option = found.kind.by_name.get(entry.name)
        if option is None:
            _unknown_option(found, entry, report)
            continue
        if option.kind.is_list and entry.values and not any(value.strip() for value in entry.values):
            continue  # a list of nothing but space is one that is not there, as UCI has it of the empty text
        before = found.entries.get(option.name)
        if before is not None:
            entry = _joined(found, option, before, entry, report)
        found.entries[option.name] = entry
    for name, entry in found.entries.items():
        option = found.kind.by_name[name]
        if option.ignored:
            continue
        read = _list if option.kind.is_list else _scalar
        value = read(found, option, entry, report)
        if value is None:
            found.broken.add(name)
        else:
            found.values[name] = value
    for option in found.kind.required:
        if option.name not in found.entries:
            fix = f"add option {option.name} '...'"
            report.error(found, None, f"{option.name} is missing", fix)


def _joined(found: Parsed, option: Option, before: Entry, entry: Entry, report: Report) -> Entry:
    """One option under two of its names: lists add up, of single values the later wins."""
    if option.kind.is_list:
        return Entry(before.name, before.values + entry.values, before.lines + entry.lines, True)
    report.warning(found, option.name, f"given again as {entry.name}, which wins", f"keep only {option.name}")
    return entry


def _unknown_option(found: Parsed, entry: Entry, report: Report) -> None:
    like = nearest(entry.name, list(found.kind.by_name))
    fix = f"did you mean {like}?" if like else f"remove it; docs/options.md lists what a {found.kind.name} knows"
    value = " ".join(entry.values)
    problem = Problem(
        WARNING, report.file, entry.lines[0], found.label, entry.name, value, "unknown option, ignored", fix
    )
    report.add(problem)


def _scalar(found: Parsed, option: Option, entry: Entry, report: Report) -> Any:
    if len(entry.values) > 1:
        report.error(found, option.name, "takes one value", f"write option {option.name} once")
        return None
    text = entry.values[0].strip()
    try:
        return option.kind.item(text, option)
    except BadValueError as bad:
        report.error(found, option.name, bad.message, bad.fix)
        return None


def _list(found: Parsed, option: Option, entry: Entry, report: Report) -> Any:
    plain: list[Any] = []
    negated: list[Any] = []
    good = True
    for text in entry.values:
        for item in option.kind.split(text):
            excluded = option.kind.negatable and item.startswith("!")
            try:
                (negated if excluded else plain).append(option.kind.item(item[1:] if excluded else item, option))
            except BadValueError as bad:
                report.error(found, option.name, bad.message, bad.fix, item=item)
                good = False
    try:
        return _combined(option, plain, negated) if good else None
    except BadValueError as bad:
        report.error(found, option.name, bad.message, bad.fix)
        return None


def _combined(option: Option, plain: list[Any], negated: list[Any]) -> Any:
    return option.kind.combine(plain, negated) if option.kind.combine else None


_DEFAULTS: dict[str, dict[str, Any]] = {}


def _defaults(kind: SectionKind) -> dict[str, Any]:
    """Default values of a section kind, read by the same code as written ones; lists without one are empty."""
    if kind.name not in _DEFAULTS:
        found: dict[str, Any] = {}
        for option in kind.options:
            if option.kind.is_list and not option.ignored:
                items = [option.kind.item(text, option) for text in option.kind.split(option.default or "")]
                found[option.name] = _combined(option, items, [])
            elif option.default is not None:
                found[option.name] = option.kind.item(option.default, option)
        _DEFAULTS[kind.name] = found
    return _DEFAULTS[kind.name]
