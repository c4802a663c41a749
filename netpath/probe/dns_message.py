# SPDX-License-Identifier: GPL-2.0-or-later
"""The little of RFC 1035 that a probe needs: one question out, its answer in. Hostile messages raise nothing."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

TYPE_A, TYPE_AAAA = 1, 28
_CLASS_IN = 1
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_SIZES = {TYPE_A: (4, socket.AF_INET), TYPE_AAAA: (16, socket.AF_INET6)}

RCODES = {0: "no error", 1: "format error", 2: "server failure", 3: "no such name", 4: "not implemented", 5: "refused"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to a question of ours."""

    rcode: int
    addresses: tuple[str, ...]
    """Of the type asked for, at most 16."""
    ttl: int
    """Seconds; the least of the addresses', 0 without any."""


def encode_name(name: str) -> bytes:
    """Wire form of a host name. Raises ValueError when it is none (empty or long labels, not ASCII)."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if any(not 0 < len(label) < 64 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise ValueError(f"{name!r} is not a host name")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(ident: int, name: str, kind: int) -> bytes:
    """A recursive query. Raises ValueError for an impossible name (UnicodeEncodeError is one)."""
    question = encode_name(name) + struct.pack("!HH", kind, _CLASS_IN)
    return _HEADER.pack(ident, _RECURSION_DESIRED, 1, 0, 0, 0) + question


def ident_of(message: bytes) -> int | None:
    """The id of a response; None when it is too short or a query."""
    if len(message) < 12 or not message[2] & 0x80:
        return None
    return int.from_bytes(message[:2])


def answer(message: bytes, asked: bytes) -> Answer | None:
    """The response `message` to the query `asked`; None when it is not one: other id, other question, no response."""
    if ident_of(message) != int.from_bytes(asked[:2]):
        return None
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    question = asked[12:]
    rcode = flags & 15
    if questions == 0 and rcode:  # servers that could not or would not read the question leave it out
        return Answer(rcode, (), 0)
    if questions != 1 or message[12 : 12 + len(question)].lower() != question.lower():
        return None
    kind = int.from_bytes(question[-4:-2])
    return Answer(rcode, *_addresses(message, 12 + len(question), answers, kind))


def _addresses(message: bytes, position: int, answers: int, kind: int) -> tuple[tuple[str, ...], int]:
    """The addresses of `kind` in the answer section, as far as it can be read, and their least time to live."""
    found: list[str] = []
    ttls: list[int] = []
    size, family = _SIZES.get(kind, (-1, socket.AF_INET))
    for _ in range(min(answers, 64)):
        after_name = _skip_name(message, position)
        if after_name is None or len(message) < after_name + _RECORD.size:
            break
        type_, class_, ttl, length = _RECORD.unpack_from(message, after_name)
        position = after_name + _RECORD.size + length
        if len(message) < position:
            break
        if type_ == kind and class_ == _CLASS_IN and length == size and len(found) < 16:
            found.append(socket.inet_ntop(family, message[position - length : position]))
            ttls.append(ttl)
    return tuple(found), min(ttls, default=0)


def _skip_name(message: bytes, position: int) -> int | None:
    """Position after the name at `position`. Never follows compression pointers, so that loops are impossible."""
    while position < len(message):
        length = message[position]
        if length == 0:
            return position + 1
        if length >= 0xC0:
            return position + 2
        if length >= 0x40:
            return None
        position += 1 + length
    return None
