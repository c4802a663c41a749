# SPDX-License-Identifier: GPL-2.0-or-later
"""Inner addresses: whose an inner packet is, by the longest prefix. Pure, hot."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
CACHED = 8192
"""Addresses whose owner is remembered."""
_BITS = {4: 32, 16: 128}


class Table(Generic[T]):
    """Prefixes and their owners."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """(prefix or address, owner); of two equal prefixes the first counts. Raises ValueError, OSError."""
        self._prefixes: dict[int, dict[int, dict[int, T]]] = {4: {}, 16: {}}
        """Bytes of an address -> bits that do not count -> the others, as a number -> owner."""
        for prefix, owner in entries:
            address, length = parse(prefix)
            shift = _BITS[len(address)] - length
            self._prefixes[len(address)].setdefault(shift, {}).setdefault(
                int.from_bytes(address, "big") >> shift, owner
            )
        for size, found in self._prefixes.items():
            self._prefixes[size] = dict(sorted(found.items()))
        self._cache: dict[bytes, T | None] = {}

    def owner(self, address: bytes) -> T | None:
        """Of 4 or 16 bytes."""
        cache = self._cache
        try:
            return cache[address]
        except KeyError:
            pass
        if len(cache) >= CACHED:
            cache.clear()
        owner = cache[address] = self._search(address)
        return owner

    def _search(self, address: bytes) -> T | None:
        value = int.from_bytes(address, "big")
        for shift, found in self._prefixes[len(address)].items():
            if (owner := found.get(value >> shift)) is not None:
                return owner
        return None


def parse(prefix: str) -> tuple[bytes, int]:
    """(address, prefix length) of `192.0.2.7/24`, or of an address alone. Raises OSError, ValueError."""
    text, slash, length = prefix.partition("/")
    address = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    bits = int(length) if slash else _BITS[len(address)]
    if not 0 <= bits <= _BITS[len(address)]:
        raise ValueError(f"{prefix!r} is no prefix")
    return address, bits


def host(prefix: str) -> str:
    """The address alone, as a prefix."""
    address, _ = parse(prefix)
    return f"{prefix.partition('/')[0]}/{_BITS[len(address)]}"


def text(address: bytes) -> str:
    """An address of 4 or 16 bytes in words; with one more byte, its prefix length too."""
    size = 16 if len(address) >= 16 else 4
    words = socket.inet_ntop(socket.AF_INET6 if size == 16 else socket.AF_INET, address[:size])
    return f"{words}/{address[size]}" if len(address) > size else words


def source(packet: bytes | memoryview) -> bytes:
    """Source address of an IP packet of at least 20 bytes; empty when it is none."""
    version = packet[0] >> 4
    if version == 4:
        return bytes(packet[12:16])
    return bytes(packet[8:24]) if version == 6 and len(packet) >= 40 else b""


def destination(packet: bytes | memoryview) -> bytes:
    """The same for the destination."""
    version = packet[0] >> 4
    if version == 4:
        return bytes(packet[16:20])
    return bytes(packet[24:40]) if version == 6 and len(packet) >= 40 else b""
