# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the text of a UCI file. The grammar is libuci's (its file.c): words of bare, 'single' and "double" quoted
pieces, a backslash that takes the next character literally outside single quotes, `;` between statements, `#` for
comments, and the short commands c, o, l and p.

Where libuci stops at the first mistake, this reader notes it and goes on with the next line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netpath.config.problems import ERROR, WARNING, Problem
from netpath.config.sections import Entry, Section

_BLANK = re.compile(r"[ \t\r\v\f]*(?:#[^\n]*)?")
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'
      | "(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"
      | \\(?P<escaped>.)
      | (?P<bare>[^\s'"\\\#;]+)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_PLAIN_LINE = re.compile(r"[ \t]*(?:(\w+)[ \t]+(\w+)(?:[ \t]+(?:'([^'\n]*)'|([\w./:,!-]+)))?[ \t]*)?\n", re.ASCII)
"""An empty line, or a statement as almost all are written: two bare words, and mostly a third one, bare or quoted."""
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STATEMENT_INSIDE = re.compile(r"\n[ \t]*(?:config|option|list|package)[ \t]")
_LOOKALIKE = re.compile("[\u2018-\u201f\u2032\u2033\u00a0\u2007\u202f]")
"""Quotes and spaces that word processors and web pages put in place of the real ones."""
_OPTION_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_COMMANDS = {"c": "config", "o": "option", "l": "list", "p": "package"}
_MAX_ERRORS = 200


class _FaultError(Exception):
    def __init__(self, line: int, message: str, fix: str, value: str | None = None) -> None:
        super().__init__(message)
        self.line, self.message, self.fix, self.value = line, message, fix, value


@dataclass(slots=True)
class _OpenEntry:
    values: list[str]
    lines: list[int | None]
    is_list: bool


@dataclass(slots=True)
class _OpenSection:
    type: str
    name: str | None
    line: int
    entries: dict[str, _OpenEntry] = field(default_factory=dict)

    def close(self) -> Section:
        entries = (Entry(n, tuple(e.values), tuple(e.lines), e.is_list) for n, e in self.entries.items() if e.values)
        return Section(self.type, self.name, self.line, tuple(entries))


class _Words:
    """Splits the text into statements; a statement is the words up to a newline or `;`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.line = 1
        self.words: list[str] = []
        """Of the statement at hand."""

    def next_statement(self) -> tuple[int, list[str]] | None:
        """Line and words of the next statement, None at the end. Raises _FaultError and stands after the bad line."""
        words: list[str] = []
        self.words = words
        while plain := _PLAIN_LINE.match(self.text, self.pos):
            self.pos = plain.end()
            self.line += 1
            if plain[1] is not None:
                words += [word for word in plain.groups() if word is not None]
                return self.line - 1, words
        start = self.line
        while True:
            blank = _BLANK.match(self.text, self.pos)
            self.pos = blank.end() if blank else self.pos
            if self.pos >= len(self.text):
                return (start, words) if words else None
            if self.text[self.pos] in "\n;":
                self._take(self.text[self.pos])
                if words:
                    return start, words
                start = self.line
                continue
            words.append(self._word())

    def _take(self, piece: str) -> None:
        self.pos += len(piece)
        self.line += piece.count("\n")

    def _word(self) -> str:
        pieces: list[str] = []
        while match := _PIECE.match(self.text, self.pos):
            pieces.append(self._piece(match))
            self._take(match[0])
        if self.pos < len(self.text) and self.text[self.pos] in "'\"":
            self._fail(f"the {self.text[self.pos]} quote is not closed", "close the quote on the same line")
        if self.pos == len(self.text) - 1 and self.text[self.pos] == "\\":
            self._take("\\")
        return "".join(pieces)

    def _piece(self, match: re.Match[str]) -> str:
        bare = match["bare"]
        if bare is not None:
            if odd := _LOOKALIKE.search(bare):
                self._fail(
                    f"{odd[0]!a} is not a plain quote or space (pasted from a web page or word processor?)",
                    "type the quotes as plain ' and the spaces as plain spaces",
                    bare,
                )
            return bare
        escaped = match["escaped"]
        if escaped is not None:
            return "" if escaped == "\n" else escaped
        if "\n" in match[0] and _STATEMENT_INSIDE.search(match[0]):
            self._fail(f"the {match[0][0]} quote is not closed", "close the quote on the same line")
        if match["single"] is not None:
            return match["single"]
        return _ESCAPE.sub(lambda m: "" if m[1] == "\n" else m[1], match["double"])

    def _fail(self, message: str, fix: str, value: str | None = None) -> None:
        line = self.line
        end = self.text.find("\n", self.pos)
        self._take(self.text[self.pos :] if end < 0 else self.text[self.pos : end + 1])
        raise _FaultError(line, message, fix, value)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.sections: list[_OpenSection] = []
        self.problems: list[Problem] = []

    def statement(self, line: int, words: list[str]) -> None:
        command = _COMMANDS.get(words[0], words[0])
        arguments = words[1:]
        if command == "config":
            self._config(line, arguments)
        elif command in ("option", "list"):
            self._option(line, command, arguments)
        elif command == "package":
            _expect(line, command, arguments, "package NAME", least=1, most=1)
        else:
            raise _FaultError(
                line, "not a UCI statement", "start the line with config, option, list, package or #", words[0]
            )

    def _config(self, line: int, arguments: list[str]) -> None:
        _expect(line, "config", arguments, "config TYPE 'NAME'", least=1, most=2)
        name = arguments[1] if len(arguments) == 2 and arguments[1] else None
        self.sections.append(_OpenSection(arguments[0], name, line))

    def _option(self, line: int, command: str, arguments: list[str]) -> None:
        _expect(line, command, arguments, f"{command} NAME 'VALUE'", least=2, most=2)
        name, value = arguments
        if not _OPTION_NAME.fullmatch(name):
            raise _FaultError(line, "not an option name", "use letters, digits and _ only", name)
        if not self.sections:
            raise _FaultError(line, f"{command} before the first section", "put a config line before it", name)
        self._store(self.sections[-1], command, name, value, line)

    def _store(self, section: _OpenSection, command: str, name: str, value: str, line: int) -> None:
        entry = section.entries.setdefault(name, _OpenEntry([], [], command == "list"))
        if command == "list":
            entry.is_list = True
        elif entry.values:
            self._overwritten(section, name, entry, line)
            section.entries[name] = entry = _OpenEntry([], [], False)
        if value:  # libuci: an empty value means the option is not set
            entry.values.append(value)
            entry.lines.append(line)

    def _overwritten(self, section: _OpenSection, name: str, entry: _OpenEntry, line: int) -> None:
        self.problems.append(
            Problem(
                WARNING,
                self.file,
                entry.lines[0],
                label(section.type, section.name),
                name,
                entry.values[0],
                f"given again on line {line}, which wins",
                "keep one of the lines, or use list where several values are meant",
            )
        )

    def odd_names(self) -> None:
        """Names that NetPath takes but libuci does not: with one of them LuCI and the uci command refuse the file."""
        types: dict[str, _OpenSection] = {}
        for section in self.sections:
            if section.name is None:
                continue
            first = types.setdefault(section.name, section)
            if first.type != section.type:
                self._odd(section, f"there is also a {first.type} of this name on line {first.line}", "rename one")
            elif not _OPTION_NAME.fullmatch(section.name) and first is section:
                self._odd(section, "the name is not made of letters, digits and _", "rename it")

    def _odd(self, section: _OpenSection, message: str, fix: str) -> None:
        title = label(section.type, section.name)
        message += "; NetPath reads this file, but LuCI and the uci command do not"
        self.problems.append(Problem(WARNING, self.file, section.line, title, None, None, message, fix))

    def fault(self, fault: _FaultError, words: list[str]) -> None:
        """`words`: what could be read of the faulty statement."""
        if words[:1] in (["config"], ["c"]):
            # Without a section of its own, the options below would fall into the section before.
            self.sections.append(_OpenSection("", None, fault.line))
        section = label(self.sections[-1].type, self.sections[-1].name) if self.sections else ""
        problem = Problem(ERROR, self.file, fault.line, section or None, None, fault.value, fault.message, fault.fix)
        self.problems.append(problem)


def label(section_type: str, name: str | None) -> str:
    """How a section is called in problems."""
    return f"{section_type} {name}" if name is not None else section_type


def _expect(line: int, command: str, arguments: list[str], form: str, *, least: int, most: int) -> None:
    if len(arguments) < least:
        raise _FaultError(line, f"{command} is incomplete", f"write {form}")
    if len(arguments) > most:
        raise _FaultError(
            line,
            f"too many words after {command}",
            f"write {form}, with quotes around a value that has spaces",
            " ".join(arguments[most:]),
        )


def read(text: str, file: str) -> tuple[tuple[Section, ...], list[Problem]]:
    """Sections of a UCI text in file order and what is wrong with its syntax. Never raises."""
    words = _Words(text.replace("\r\n", "\n"))
    reader = _Reader(file)
    errors = 0
    while errors < _MAX_ERRORS:
        try:
            statement = words.next_statement()
            if statement is None:
                break
            reader.statement(*statement)
        except _FaultError as fault:
            reader.fault(fault, words.words)
            errors += 1
    if errors == _MAX_ERRORS:
        reader.fault(_FaultError(words.line, "too many errors, the rest was not read", "is this a UCI file?"), [])
    reader.odd_names()
    return tuple(section.close() for section in reader.sections), reader.problems
