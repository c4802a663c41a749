# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies that cannot harm who reads them: of bounded size, without NaN, every integer one of 64 bits.

ubusd drops a client, rpcd with all its objects, for one message of 1 MiB. JSON grows by up to 2.5 times when rpcd makes
a message of it (each number and name gets a header).
"""

from __future__ import annotations

import json
from typing import Any

Reply = dict[str, Any]

REPLY_LIMIT = 768 * 1024
"""Bytes of a reply to somebody on the socket."""
UBUS_LIMIT = 256 * 1024
"""Bytes of a reply that goes on to ubus."""
LAST_ARE_NEWEST = frozenset({"events", "history"})
"""Methods whose lists are cut at their beginning."""

_LARGEST = 2**63 - 1
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_ROOM = 64
"""Bytes for `truncated` and what stands around."""
_ELLIPSIS = " ..."


def whole(reply: Reply) -> bytes:
    """The reply as one line; an error instead when it is too long."""
    data = _encoded(reply)
    if len(data) > REPLY_LIMIT:
        too_long = f"the reply has {len(data)} bytes; ask for less (interface, section, limit, offset, since)"
        data = _encoded({"error": too_long})
    return data + b"\n"


def fitted(method: str, reply: Reply) -> bytes:
    """The reply as one line of at most UBUS_LIMIT bytes: the longest lists and texts in it are cut until it fits.

    Then it has `truncated`. Of `events` and `history` the newest stay, of everything else what comes first.
    """
    data = _encoded(reply)
    if b"0" * 19 in data.translate(_DIGITS):  # a number that may be too large, or a text with many digits
        reply = _clamped(reply)
        data = _encoded(reply)
    if len(data) >= UBUS_LIMIT:
        cut = _cut(reply, UBUS_LIMIT - _ROOM, newest=method in LAST_ARE_NEWEST)
        data = _encoded({**cut, "truncated": True})
    return data + b"\n"


def _encoded(value: Any) -> bytes:
    """ASCII, so that a byte is a character. Raises ValueError for NaN and the infinities."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _size(value: Any) -> int:
    return len(_encoded(value))


def _clamped(value: Any) -> Any:
    """Integers that 64 bits cannot hold become the nearest one: a driver's counter of -1 is 2^64 - 1."""
    if isinstance(value, dict):
        return {key: _clamped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_clamped(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_LARGEST - 1, min(_LARGEST, value))
    return value


def _cut(value: Any, room: int, *, newest: bool) -> Any:
    """`value` in at most `room` bytes, which is enough for whatever is no object, list or text."""
    if _size(value) <= room:
        return value
    if isinstance(value, dict):
        return _cut_object(value, room, newest=newest)
    if isinstance(value, list):
        return _cut_list(value, room, newest=newest)
    return _cut_text(value, room) if isinstance(value, str) else value


def _cut_object(value: Reply, room: int, *, newest: bool) -> Reply:
    """Short members stay whole, and the long ones share evenly what is left. Members that find no room at all go."""
    names = {name: _size(name) + 2 for name in value}  # with colon and comma
    sizes = {name: _size(each) for name, each in value.items()}
    left = room - 2
    cut: Reply = {}
    for number, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        share = left // (len(sizes) - number) - names[name]
        if share < min(sizes[name], _ROOM):
            continue
        cut[name] = _cut(value[name], share, newest=newest)
        left -= names[name] + min(sizes[name], share)
    return {name: cut[name] for name in value if name in cut}


def _cut_list(value: list[Any], room: int, *, newest: bool) -> list[Any]:
    """About as many whole items as fit, from one end; where not even one does, one that is cut itself."""
    number = len(value) * room // _size(value)
    while number:
        kept = value[-number:] if newest else value[:number]
        size = _size(kept)
        if size <= room:
            return kept
        number = min(number - 1, number * room // size)
    return [_cut(value[-1 if newest else 0], room - 2, newest=newest)]


def _cut_text(value: str, room: int) -> str:
    """The beginning; a character takes up to 12 bytes."""
    most = min(len(value), room)
    while most and _size(value[:most] + _ELLIPSIS) > room:
        most = most * 3 // 4
    return value[:most] + _ELLIPSIS
