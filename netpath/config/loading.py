# SPDX-License-Identifier: GPL-2.0-or-later
"""From a file to a Config, with every problem at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from netpath.config import uci
from netpath.config.build import build, speaks_mwan3
from netpath.config.check import check
from netpath.config.parse import Report, parse
from netpath.config.problems import ERROR, Problem
from netpath.config.schema import OTHER_SECTIONS
from netpath.config.secrets import hidden
from netpath.config.sections import Entry, Section
from netpath.config.write import to_uci
from netpath.model import Config

_SURROGATE = re.compile("[\ud800-\udfff]")
"""How a byte that is not UTF-8 looks in a text that was read with surrogateescape."""
MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    config: Config | None
    """None exactly when `problems` holds an error."""
    problems: tuple[Problem, ...]
    """In the order of the file's lines."""


@dataclass(frozen=True, slots=True)
class Imported:
    text: str
    """The native UCI form; empty when `problems` holds an error."""
    problems: tuple[Problem, ...]


def load(path: Path) -> Loaded:
    """Reads a file, TOML by its suffix `.toml`, else UCI. What keeps it from being read is a problem, no exception."""
    text, problem = text_of(path)
    if problem is not None:
        return Loaded(None, (problem,))
    return loads(text, str(path), "toml" if path.suffix == ".toml" else "uci")


def loads(text: str, file: str = "...", format: str = "uci") -> Loaded:
    """Reads a text; `file` is what problems call it. Raises ValueError when `format` is not "uci" or "toml"."""
    sections, report = sections_of(text, file, format)
    return _finish(sections, report, mwan3=None)


def import_mwan3(path: Path) -> Imported:
    """The native form of a mwan3 file; loading it gives the Config that the mwan3 file gives."""
    text, problem = text_of(path)
    if problem is not None:
        return Imported("", (problem,))
    sections, report = sections_of(text, str(path), "uci")
    problems = _finish(sections, report, mwan3=True).problems
    native = "" if report.failed else to_uci([_with_enabled(section) for section in sections])
    return Imported(native, problems)


def _with_enabled(section: Section) -> Section:
    """mwan3 takes an interface without `enabled` as disabled; the native default is the opposite."""
    if section.type != "interface" or any(entry.name == "enabled" for entry in section.entries):
        return section
    return Section(section.type, section.name, section.line, (Entry("enabled", ("0",), (None,)), *section.entries))


def sections_of(text: str, file: str, format: str) -> tuple[tuple[Section, ...], Report]:
    """Every section of a text, and the problems of its form. Raises ValueError as `loads` does."""
    if format not in ("uci", "toml"):
        raise ValueError(f"format is {format!r}, not 'uci' or 'toml'")
    if "\0" in text:
        return (), Report(file, [_unreadable(file, "this is not a text file", "is it the right file?")])
    if odd := _SURROGATE.search(text):
        return (), Report(file, [_not_utf8(file, text.count("\n", 0, odd.start()) + 1)])
    read = _toml().read if format == "toml" else uci.read
    sections, problems = read(text.removeprefix("\ufeff"), file)
    return sections, Report(file, [hidden(problem, text) for problem in problems])


def _toml() -> ModuleType:
    """Imported only when it is used: most loads are of UCI files, and would wait for its expressions."""
    from netpath.config import toml

    return toml


def _finish(sections: Sequence[Section], report: Report, *, mwan3: bool | None) -> Loaded:
    parsed = parse([section for section in sections if section.type not in OTHER_SECTIONS], report)
    draft = build(parsed, report, mwan3=speaks_mwan3(parsed) if mwan3 is None else mwan3)
    check(draft, report)
    problems = tuple(sorted(report.problems, key=lambda p: (p.line is None, p.line or 0)))
    return Loaded(None if report.failed else draft.config(), problems)


def text_of(path: Path) -> tuple[str, Problem | None]:
    """The text of a file, or why it cannot be read."""
    file = str(path)
    try:
        if not path.is_file():
            missing = not path.exists()
            message = "there is no such file" if missing else "this is not a regular file"
            return "", _unreadable(file, message, "create it (examples/netpath.uci is a start) or name another one")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return "", _unreadable(file, f"cannot be read: {reason}", "check the path and its permissions")
    if len(data) > MAX_BYTES:
        return "", _unreadable(file, f"is larger than {MAX_BYTES >> 20} MiB", "is it the right file?")
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return "", _not_utf8(file, data.count(b"\n", 0, error.start) + 1)


def _not_utf8(file: str, line: int) -> Problem:
    message = "there is a byte that is not UTF-8 text"
    return Problem(ERROR, file, line, None, None, None, message, "save the file as UTF-8 text")


def _unreadable(file: str, message: str, fix: str) -> Problem:
    return Problem(ERROR, file, None, None, None, None, message, fix)
