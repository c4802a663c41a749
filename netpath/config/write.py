# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes sections as UCI text with NetPath's own names and spellings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netpath.config import kinds
from netpath.config.option import Option
from netpath.config.schema import SECTIONS
from netpath.config.sections import Entry, Section
from netpath.config.values import BadValueError

_ITEM_PER_LINE = (kinds.NAMES, kinds.TARGETS, kinds.TABLES, kinds.EVENTS)
"""Lists whose items each get a line; the others stay as compact as they were written."""


def to_uci(sections: Sequence[Section]) -> str:
    """UCI text that reads back to the same configuration.

    Aliases become the native names, options that NetPath ignores or does not know are left out. Raises ValueError for
    a name or value with a line break or NUL, which no option of the schema allows.
    """
    blocks = [_block(section) for section in sections if section.type in SECTIONS]
    return "\n".join(blocks)


def quote(value: str) -> str:
    """`value` as one single-quoted UCI word."""
    if any(c in value for c in "\n\r\0"):
        raise ValueError(f"UCI cannot hold {value!r} on one line")
    return "'" + value.replace("'", "'\\''") + "'"


def _block(section: Section) -> str:
    head = f"config {section.type}" + (f" {quote(section.name)}" if section.name is not None else "")
    lines = [head]
    for entry in section.entries:
        option = SECTIONS[section.type].by_name.get(entry.name)
        if option is not None and not option.ignored:
            lines += _lines(option, entry)
    return "\n".join(lines) + "\n"


def _lines(option: Option, entry: Entry) -> Iterator[str]:
    values = list(entry.values)
    if option.kind in _ITEM_PER_LINE:
        values = [item for value in values for item in option.kind.split(value)]
    as_list = option.kind in _ITEM_PER_LINE or (option.kind.is_list and (entry.is_list or len(values) > 1))
    for value in values:
        yield f"\t{'list' if as_list else 'option'} {option.name} {quote(_native(option, value))}"


def _native(option: Option, value: str) -> str:
    """The usual spelling of yes, no and choices; other values as they are."""
    if option.kind not in (kinds.BOOL, kinds.CHOICE, kinds.EVENTS):
        if not {"\r", "\n"} & set(value):
            return value
        # Readers take them for space around a value, or between values: files of other systems have them.
        return " ".join(value.split()) if option.kind.is_list else value.strip("\r\n")
    try:
        read = option.kind.item(value.strip(), option)
    except BadValueError:
        return value  # written as it is, for the reader to complain of
    return str(int(read)) if isinstance(read, bool) else str(read)
