# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the schema for the web interface, htdocs/luci-static/resources/netpath/schema.js: `python -m
netpath.config.luci`.

The patterns and tables that values are judged by are in it, so that LuCI's forms and the readers have them from one
place; netpath/valid.js beside it applies them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from netpath.config import kinds, kinds_bond, kinds_monitor, times, values
from netpath.config.option import Option, SectionKind
from netpath.config.schema import SECTIONS, SPECIAL_POLICIES

_HEAD = """\
// SPDX-License-Identifier: GPL-2.0-or-later
// Printed by `python -m netpath.config.luci` from the table that NetPath's readers use; do not edit it.
/* eslint-disable no-useless-escape */
'use strict';
'require baseclass';

return baseclass.extend({"""
_KIND_NAMES = {
    kind: name.lower()
    for module in (kinds, kinds_monitor, kinds_bond)
    for name, kind in vars(module).items()
    if isinstance(kind, kinds.Kind)
}


def schema_js() -> str:
    """The whole text of schema.js."""
    patterns = {**values.SPELLINGS, **times.SPELLINGS, **kinds_monitor.SPELLINGS, **kinds_bond.SPELLINGS}
    words = {**values.WORDS, **times.WORDS, **kinds_bond.WORDS}
    lines = [_HEAD, "\tsections: {"]
    for kind in SECTIONS.values():
        lines += _section(kind)
    lines += ["\t},", "\tpatterns: {"]
    lines += [f"\t\t{name}: {_pattern(pattern)}," for name, pattern in patterns.items()]
    lines += ["\t},", "\twords: {"]
    lines += [f"\t\t{name}: {_literal(_plain(table))}," for name, table in words.items()]
    lines += ["\t},", f"\tspecial_policies: {_literal(SPECIAL_POLICIES)},"]
    lines += [f"\tlongest: {_literal(kinds_monitor.LENGTHS)},"]
    lines += [f"\tlimits: {_literal(kinds_bond.LIMITS)},"]
    lines += [f"\tconntrack_events: {_literal(kinds.CONNTRACK_EVENTS)},", f"\tmax_device: {values.MAX_DEVICE}", "});"]
    return "\n".join(lines) + "\n"


def _section(kind: SectionKind) -> Iterator[str]:
    yield f"\t\t{kind.name}: {{"
    yield f"\t\t\thelp: _({_literal(kind.help)}),"
    yield "\t\t\toptions: {"
    for option in kind.options:
        if not option.ignored:
            yield from _option(option)
    yield "\t\t\t}"
    yield "\t\t},"


def _option(option: Option) -> Iterator[str]:
    """What is empty is left out."""
    facts: dict[str, Any] = {
        "kind": _KIND_NAMES[option.kind],
        "names": option.names,
        "mwan3": option.mwan3 if option.mwan3 != option.name else None,
        "default": option.default,
        "required": option.required,
        "secret": option.secret,
        "list": option.kind.is_list,
        "commas": option.kind.commas,
        "negatable": option.kind.negatable,
        "range": (option.low, option.high) if option.high else None,
        "unit": option.unit,
        "choices": option.choices,
        "spellings": option.spellings,
    }
    yield f"\t\t\t\t{option.name}: {{"
    for name, fact in facts.items():
        if fact not in (None, False, "", (), {}):
            yield f"\t\t\t\t\t{name}: {_literal(fact)},"
    if option.default_note:
        yield f"\t\t\t\t\tnote: _({_literal(option.default_note)}),"
    yield f"\t\t\t\t\thelp: _({_literal(option.help)})"
    yield "\t\t\t\t},"


def _literal(value: Any) -> str:
    """JavaScript, texts in single quotes as LuCI writes them."""
    if isinstance(value, str):
        return "'" + json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_literal(str(key))}: {_literal(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[ " + ", ".join(_literal(entry) for entry in value) + " ]"
    if isinstance(value, float):
        return f"{value:.15g}"
    return json.dumps(value)


def _plain(table: Collection[Any]) -> Collection[Any]:
    return sorted(table) if isinstance(table, frozenset) else table


def _pattern(pattern: re.Pattern[str]) -> str:
    """A RegExp that matches what `fullmatch` does; the patterns use only what both languages have."""
    source = pattern.pattern.replace("(?P<", "(?<").replace("/", "\\/")
    return f"/^(?:{source})$/{'i' if pattern.flags & re.IGNORECASE else ''}"


if __name__ == "__main__":
    sys.stdout.write(schema_js())
