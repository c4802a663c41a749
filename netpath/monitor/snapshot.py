# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of Clash's and mihomo's `/connections`. Pure.

{"downloadTotal": bytes, "uploadTotal": bytes, "connections": null or [{"id", "upload", "download", "chains": [outbound,
group, ...], "metadata": {"type", "process", ...}, ...}, ...]}, in any order. The types are those of mihomo's
tunnel/statistic (1.19).
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import Any, NoReturn

from netpath.monitor.readings import ServiceError
from netpath.monitor.shares import Connection, Snapshot

MOST_CONNECTIONS = 100_000
BATCH = 256
"""Connections that are read at a stretch: a millisecond or two."""
LONGEST_ID = 128
LARGEST = 2**63 - 1
"""Clash counts with int64."""
DIRECT = frozenset({"DIRECT", "COMPATIBLE"})
"""Outbounds that lead straight to the destination; COMPATIBLE stands in for an empty group."""

_SPACE = re.compile(r"[ \t\n\r]*")


def parse(message: bytes) -> Generator[None, None, Snapshot]:
    """The snapshot, as the generator's return value. It pauses after each batch, so that thousands of connections delay
    nothing else, and never has more than one of them as objects: those of 20,000 would take 100 MiB.

    Raises ServiceError.
    """
    # Every name and number that matters is ASCII. As UTF-8, a single foreign letter would make all of the text, which
    # may have megabytes, two to four times as large.
    text = message.decode("latin-1")
    try:
        return (yield from _snapshot(text))
    except (ValueError, IndexError, RecursionError):
        raise ServiceError(f"what comes from there is not JSON: {_FIX}") from None


def _snapshot(text: str) -> Generator[None, None, Snapshot]:
    totals: dict[str, Any] = {}
    connections: dict[str, Connection] = {}
    at = _expect(text, 0, "{")
    while text[at] != "}":
        name, at = _value(text, at)
        at = _expect(text, at, ":")
        if name == "connections" and text[at] == "[":
            at = yield from _connections(text, at, connections)
        elif name == "connections" and not text.startswith("null", at):
            _wrong("connections")
        else:
            value, at = _value(text, at)
            if name in ("uploadTotal", "downloadTotal"):
                totals[name] = value
        at = _next(text, at, "}")
    if _skip(text, at + 1) != len(text):
        raise ValueError
    up, down = (_count(totals, name) for name in ("uploadTotal", "downloadTotal"))
    return Snapshot(up, down, connections)


def _connections(text: str, at: int, found: dict[str, Connection]) -> Generator[None, None, int]:
    """Returns where the list ends."""
    at = _expect(text, at, "[")
    seen = 0
    while text[at] != "]":
        row, at = _value(text, at)
        at = _next(text, at, "]")
        seen += 1
        if seen > MOST_CONNECTIONS:
            raise ServiceError(f"it has over {MOST_CONNECTIONS} connections, which is more than can be watched")
        if isinstance(row, dict):
            _add(row, found)
        else:
            _wrong("a connection")
        if seen % BATCH == 0:
            yield
    return at + 1


def _add(row: dict[str, Any], found: dict[str, Connection]) -> None:
    key, chains, metadata = row.get("id"), row.get("chains"), row.get("metadata")
    up, down = _count(row, "upload"), _count(row, "download")
    if not isinstance(key, str) or len(key) > LONGEST_ID:
        _wrong("id")
    if not isinstance(chains, list | None):
        _wrong("chains")
    if isinstance(metadata, dict) and metadata.get("type") == "Inner" and not metadata.get("process"):
        return  # a hop of another connection or a question to a DNS server, which the totals do not count
    outbound = chains[0] if chains else None
    found[key] = Connection(up, down, isinstance(outbound, str) and outbound in DIRECT)


def _count(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    if type(value) is not int or not 0 <= value <= LARGEST:
        _wrong(name)
    return value


def _wrong(what: str) -> NoReturn:
    raise ServiceError(f"what comes from there has no good {what!r}: {_FIX}")


_FIX = "the address must be that of /connections of Clash or mihomo"


def _constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity, which are Python's own


_decoder = json.JSONDecoder(parse_constant=_constant)


def _value(text: str, at: int) -> tuple[Any, int]:
    """A value, and where the next thing begins. Raises ValueError, IndexError, RecursionError."""
    value, end = _decoder.raw_decode(text, at)
    return value, _skip(text, end)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at] != sign:
        raise ValueError
    return _skip(text, at + 1)


def _next(text: str, at: int, end: str) -> int:
    """After a member: where the next one begins, or the closing sign stands. Raises ValueError."""
    if text[at] == end:
        return at
    at = _expect(text, at, ",")
    if text[at] == end:
        raise ValueError
    return at
