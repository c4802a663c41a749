# SPDX-License-Identifier: GPL-2.0-or-later
"""Heads of datagrams, and what hides them (docs/bond-protocol.md, "Datagrams", "Obfuscation"). Pure."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from itertools import repeat
from struct import Struct
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEAD = 12
TAG = 16
MAC = 16
MOST = 65000
"""Bytes of a datagram."""
LEAST = HEAD + 1 + TAG
COUNTERS = 1 << 48
PATHS = 1 << 12
_pack_head = Struct(">LQ").pack


class Kind(IntEnum):
    INITIATION = 0
    RESPONSE = 1
    DATA = 2


class Head(NamedTuple):
    receiver: int
    kind: int
    path: int
    counter: int


def pack_head(receiver: int, kind: int, path: int, counter: int) -> bytes:
    """12 bytes; the numbers are in their ranges, or OverflowError."""
    return (receiver << 64 | kind << 60 | path << 48 | counter).to_bytes(HEAD, "big")


def pack_heads(receiver: int, path: int, counter: int, count: int) -> list[bytes]:
    """Those of so many DATA datagrams, one after another."""
    first = Kind.DATA << 60 | path << 48 | counter
    return list(map(_pack_head, repeat(receiver), range(first, first + count)))


def unpack_head(datagram: bytes | memoryview) -> Head:
    """Of at least 12 bytes. The kind may be none that is known."""
    number = int.from_bytes(datagram[:HEAD], "big")
    return Head(number >> 64, number >> 60 & 0xF, number >> 48 & 0xFFF, number & (COUNTERS - 1))


class Veil:
    """Obfuscation of heads: XOR with what AES makes of a datagram's last 16 bytes. The same call veils and unveils."""

    HANDSHAKE = 16
    """Bytes of a handshake datagram that are veiled: the head and what is constant after it."""

    def __init__(self, server_public: bytes) -> None:
        key = hashlib.sha256(b"NetPath bond head" + server_public).digest()
        # A mode without an IV, of one block at a time: exactly the block cipher that is wanted here.
        self._update = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update

    def mask(self, datagram: bytes | memoryview) -> bytes:
        """16 bytes to XOR with the first ones; `datagram` has at least 28 bytes."""
        return self._update(bytes(datagram[-16:]))

    def veiled(self, datagram: bytes, length: int = HEAD) -> bytes:
        """The datagram with its first `length` bytes XORed."""
        mask = int.from_bytes(self.mask(datagram)[:length], "big")
        head = int.from_bytes(datagram[:length], "big") ^ mask
        return head.to_bytes(length, "big") + datagram[length:]

    def reveal(self, data: memoryview, segment: int) -> None:
        """Unveil, in place, the heads of datagrams of `segment` bytes, the last of which may be shorter."""
        size = len(data)
        ends = [min(at + segment, size) for at in range(0, size, segment)]
        if ends[-1] - (len(ends) - 1) * segment < LEAST:
            ends.pop()
        masks = self._update(b"".join([data[end - 16 : end] for end in ends]))
        for n in range(len(ends)):
            at, mask = n * segment, int.from_bytes(masks[n * 16 : n * 16 + HEAD], "big")
            value = int.from_bytes(data[at : at + HEAD], "big") ^ mask
            data[at : at + HEAD] = value.to_bytes(HEAD, "big")
            if value >> 60 & 0xF != Kind.DATA and ends[n] - at >= LEAST + self.HANDSHAKE:
                for i in range(HEAD, self.HANDSHAKE):
                    data[at + i] ^= masks[n * 16 + i]

    def hide(self, buffers: list[bytes]) -> list[bytes]:
        """Veil data datagrams: head and sealed rest of each, one after another."""
        masks = self._update(b"".join([sealed[-16:] for sealed in buffers[1::2]]))
        found = list(buffers)
        for n in range(0, len(buffers), 2):
            mask = int.from_bytes(masks[n * 8 : n * 8 + HEAD], "big")
            found[n] = (int.from_bytes(buffers[n], "big") ^ mask).to_bytes(HEAD, "big")
        return found
