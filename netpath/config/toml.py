# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the TOML form into the same sections that the UCI reader produces.

`[global]` is UCI's `config globals`, `[monitor]` its `config monitor`; `[interfaces.wan]`, `[members.x]`,
`[policies.x]`, `[rules.x]`, `[sources.x]`, `[bonds.x]` and the like are named sections; `[[rules]]` with a `name` key
is the list form of rules. `[interfaces.wan.track]` holds the tracking options, where the prefix `track_` may be left
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netpath.config.problems import ERROR, WARNING, Problem, nearest
from netpath.config.schema import SECTIONS, TRACK_TABLE
from netpath.config.sections import Entry, Section
from netpath.config.uci import label

_HEADER = re.compile(r"\s*(?P<array>\[)?\[(?P<path>[^\[\]]+)\]")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*(?P<key>{_PART}(?:\s*\.\s*{_PART})*)\s*=")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"([^"]*)"|'([^']*)'""")
_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_TABLES = {name: kind.name for kind in SECTIONS.values() for name in (kind.name, kind.toml)}

_LARGEST_BITS = 64
"""Of a number in TOML."""

_Path = tuple[str, ...]


class Lines:
    """Where each key stands: a search for its text, because tomllib does not say. Good enough for messages."""

    def __init__(self, text: str) -> None:
        self._found: dict[_Path, int] = {}
        table: _Path = ()
        counts: dict[_Path, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _split(header["path"])
                if header["array"]:
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, str(counts[table]))
                self._found.setdefault(table, number)
            elif key := _KEY.match(line):
                self._found.setdefault((*table, *_split(key["key"])), number)

    def of(self, *path: str) -> int | None:
        return self._found.get(path)


def _split(dotted: str) -> _Path:
    return tuple(m[1] or m[2] or m[0] for m in _KEY_PART.finditer(dotted))


@dataclass(frozen=True, slots=True)
class _Found:
    message: str
    fix: str
    section: str | None = None
    option: str | None = None
    value: str | None = None


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = Lines(text)
        self.problems: list[Problem] = []

    def sections(self, document: dict[str, Any]) -> Iterator[Section]:
        for table, content in document.items():
            kind = _TABLES.get(table)
            if kind is None:
                known = sorted(s.toml for s in SECTIONS.values())
                like = nearest(table, known)
                fix = f"did you mean [{like}]?" if like else f"use {', '.join(known)}"
                self._report((table,), _Found("unknown table, ignored", fix, value=table), WARNING)
            elif SECTIONS[kind].single:
                if (found := self._section(kind, None, content, (table,))) is not None:
                    yield found
            elif isinstance(content, list) and kind == "rule":
                yield from self._listed(content, table)
            elif isinstance(content, dict):
                for name, body in content.items():
                    if (found := self._section(kind, name, body, (table, name))) is not None:
                        yield found
            else:
                self._report((table,), _Found("not a table", f"write [{SECTIONS[kind].toml}.NAME]", value=table))

    def _listed(self, content: list[Any], table: str) -> Iterator[Section]:
        for index, body in enumerate(content):
            path = (table, str(index))
            name = body.get("name") if isinstance(body, dict) else None
            if name is not None and not isinstance(name, str):
                self._report((*path, "name"), _Found("not a text", "put it in quotes", "rule", "name", _shown(name)))
                name = None
            rest = {k: v for k, v in body.items() if k != "name"} if isinstance(body, dict) else body
            if (found := self._section("rule", name, rest, path)) is not None:
                yield found

    def _section(self, kind: str, name: str | None, body: Any, path: _Path) -> Section | None:
        if not isinstance(body, dict):
            fix = f"write [{'.'.join(path)}] and its options below"
            self._report(path, _Found("not a table", fix, label(kind, name)))
            return None
        entries: list[Entry] = []
        for key, value in body.items():
            if kind == "interface" and key == "track" and isinstance(value, dict):
                entries += self._entries(kind, name, value, (*path, "track"), TRACK_TABLE)
            else:
                entries += self._entries(kind, name, {key: value}, path, {})
        return Section(kind, name, self.lines.of(*path), tuple(entries))

    def _entries(
        self, kind: str, name: str | None, body: dict[str, Any], path: _Path, renamed: dict[str, str]
    ) -> Iterator[Entry]:
        for key, value in body.items():
            values = value if isinstance(value, list) else [value]
            texts = [as_text(v) for v in values]
            if None in texts:
                message = "neither a text, a number, true, false nor a list of these"
                found = _Found(message, "write a plain value", label(kind, name), key, _shown(value))
                self._report((*path, key), found)
                continue
            known = [text for text in texts if text]
            line = self.lines.of(*path, key)
            if known:
                yield Entry(renamed.get(key, key), tuple(known), (line,) * len(known), isinstance(value, list))

    def _report(self, path: _Path, found: _Found, severity: str = ERROR) -> None:
        line = self.lines.of(*path)
        problem = Problem(severity, self.file, line, found.section, found.option, found.value, found.message, found.fix)
        self.problems.append(problem)


def as_text(value: Any) -> str | None:
    """The value as UCI would spell it; None for what UCI cannot say."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        # Hexadecimal numbers may have any length, but Python does not write one of over 4300 digits as decimal.
        return hex(value) if value.bit_length() > _LARGEST_BITS else repr(value)
    return repr(value) if isinstance(value, float) else None


def _shown(value: Any) -> str:
    """What is no plain value, for messages."""
    try:
        return repr(value)
    except ValueError:
        return "..."  # a number of absurd length in it


def read(text: str, file: str) -> tuple[tuple[Section, ...], list[Problem]]:
    """Sections of a TOML text in file order and what is wrong with its shape. Never raises."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # tomllib stops at the first mistake; ValueError covers TOMLDecodeError and numbers of absurd length.
        found = _ERROR_LINE.search(str(error))
        line = int(found[1]) if found else None
        message = f"not valid TOML: {error}"
        return (), [Problem(ERROR, file, line, None, None, None, message, "correct the line; texts need quotes")]
    reader = _Reader(text, file)
    return tuple(reader.sections(document)), reader.problems
