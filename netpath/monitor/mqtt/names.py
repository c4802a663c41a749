# SPDX-License-Identifier: GPL-2.0-or-later
"""What things are called on the broker. Pure."""

from __future__ import annotations

import hashlib
import re
from binascii import crc32

LONGEST = 64
"""Characters of a name in a topic or an id."""
_NOT_IN_LEVEL = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_MADE = re.compile(r"-[0-9a-f]{8}$", re.ASCII)
"""How names end that have been changed here."""


def level(name: str) -> str:
    """`name` as one level of a topic: letters, digits, _, . and - (MQTT forbids + # / and NUL)."""
    return _clean(name, _NOT_IN_LEVEL)


def identifier(name: str) -> str:
    """`name` as (part of) an id of Home Assistant: letters, digits, _ and -."""
    return _clean(name, _NOT_IN_ID)


def _clean(name: str, bad: re.Pattern[str]) -> str:
    """A name with other characters, or too long, is cleaned and told apart by a checksum, and so is one that looks as
    if it had been: names that differ stay different.
    """
    if name and len(name) <= LONGEST and not bad.search(name) and not _MADE.search(name):
        return name
    checksum = f"-{crc32(name.encode('utf-8', 'surrogatepass')):08x}"
    return bad.sub("_", name)[: LONGEST - len(checksum)] + checksum


def client_id(base: str) -> str:
    """The same for each connection of this router, so that the broker drops the one before; at most 23 letters and
    digits, which every broker must take (MQTT 3.1.1, 3.1.3.1).
    """
    return "netpath" + hashlib.sha256(base.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def words(text: str) -> str:
    """A sentence as it may be published: one line of at most 200 characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
