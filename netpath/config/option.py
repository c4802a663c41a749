# SPDX-License-Identifier: GPL-2.0-or-later
"""The shape of the schema's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netpath.config.kinds import CHOICE, Kind


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    kind: Kind
    default: str | None
    """As it would be written; None: not set (see `default_note`)."""
    help: str
    mwan3: str | None = None
    """Its name in mwan3, None where mwan3 has nothing like it."""
    aliases: tuple[str, ...] = ()
    """Further names that are understood."""
    low: float = 0
    high: float = 0
    """Inclusive range of numbers and durations (seconds)."""
    unit: str = ""
    choices: tuple[str, ...] = ()
    spellings: dict[str, str] = field(default_factory=dict)
    """Other spellings of choices -> the choice."""
    required: bool = False
    default_note: str = ""
    """What happens when it is not set, where that is not a fixed value."""
    ignored: str = ""
    """Not empty: accepted from mwan3 files without effect, for this reason."""
    tracking: bool = False
    """May stand in TOML's [interfaces.NAME.track]."""
    secret: bool = False
    """Its value is shown nowhere, not even where it is wrong."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it goes by, the native one first."""
        found = (self.name, *((self.mwan3,) if self.mwan3 else ()), *self.aliases)
        return tuple(dict.fromkeys(found))


def log_level(help_text: str, mwan3: str | None = None) -> Option:
    """Of any program of NetPath's."""
    return Option(
        "loglevel",
        CHOICE,
        "notice",
        help_text,
        mwan3,
        choices=("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"),
        spellings={"err": "error", "warn": "warning"},
    )


@dataclass(frozen=True, slots=True)
class SectionKind:
    name: str
    """UCI's section type."""
    toml: str
    help: str
    options: tuple[Option, ...]
    single: bool = False
    """There is one at most; in TOML it has no name."""
    by_name: Mapping[str, Option] = field(init=False)
    """Every native name and alias -> its option."""
    required: tuple[Option, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "required", tuple(option for option in self.options if option.required))
        object.__setattr__(self, "by_name", {name: option for option in self.options for name in option.names})
