# SPDX-License-Identifier: GPL-2.0-or-later
"""`.env` files: NAME=VALUE lines, as many programs read them."""

from __future__ import annotations

import re

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(?P<rest>.*)", re.ASCII)
_SINGLE = re.compile(r"'(?P<value>[^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class DotenvError(ValueError):
    """A line that is no assignment; the text says which, not what is in it."""


def parse(text: str) -> dict[str, str]:
    """Names and values; of a name that is set twice the last value. Raises DotenvError.

    Values are bare (a `#` after a space begins a comment), 'as they are', or "with backslash escapes". Nothing in them
    is expanded.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DotenvError(f"line {number} is not NAME=VALUE")
        found[match["name"]] = _value(match["rest"], number)
    return found


def _value(text: str, line: int) -> str:
    if text.startswith("'"):
        quoted = _SINGLE.fullmatch(text)
    elif text.startswith('"'):
        quoted = _DOUBLE.fullmatch(text)
    else:
        return _COMMENT.sub("", text, count=1).strip()
    if quoted is None:
        raise DotenvError(f"line {line}: the {text[0]} quote is not closed, or something follows it")
    if text.startswith("'"):
        return quoted["value"]
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), quoted["value"])
