# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration for people who may look at it, but not at the passwords in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netpath.config.schema import OTHER_SECTIONS, SECTIONS
from netpath.config.sections import Section

MASK = "********"
"""In the place of every value that may be a secret."""


def masked(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """[{"type", "name" or null, "options": {option: text or [texts]}}], without sections of others.

    In the monitor's and the bond's sections an option that is not known may be a password with a slip in its name.
    """
    return [
        {"type": each.type, "name": each.name, "options": _options(each)} for each in sections if each.type in SECTIONS
    ]


def _options(section: Section) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    for entry in section.entries:
        option = SECTIONS[section.type].by_name.get(entry.name)
        secret = option.secret if option else section.type in OTHER_SECTIONS
        values = [MASK if secret and value else value for value in entry.values]
        found[entry.name] = values if entry.is_list else values[-1]
    return found
