# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration file as it was written: sections of named values with their line numbers.

Both readers (`uci`, `toml`) produce this shape; nothing here knows what an option means.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One option: `values` and `lines` run in parallel."""

    name: str
    values: tuple[str, ...]
    lines: tuple[int | None, ...]
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    type: str
    name: str | None
    """None for an anonymous section."""
    line: int | None
    entries: tuple[Entry, ...]
