# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's jhash (include/linux/jhash.h), so that `explain` can say where `jhash ip saddr mod N` sends a client."""

from __future__ import annotations

import sys

_INITVAL = 0xDEADBEEF
_M = 0xFFFFFFFF


def jhash(key: bytes, seed: int) -> int:
    """32-bit hash of `key`, whose length is a multiple of four (an IPv4 or IPv6 address in network order)."""
    a = b = c = (_INITVAL + len(key) + seed) & _M
    while len(key) > 12:
        first, second, third = (int.from_bytes(key[i : i + 4], sys.byteorder) for i in (0, 4, 8))
        a, b, c = _mix((a + first) & _M, (b + second) & _M, (c + third) & _M)
        key = key[12:]
    # The kernel reads the tail byte by byte, lowest first, on every machine.
    tail = [int.from_bytes(key[i : i + 4], "little") for i in range(0, 12, 4)]
    return _final((a + tail[0]) & _M, (b + tail[1]) & _M, (c + tail[2]) & _M)


def nft_slot(key: bytes, modulus: int, seed: int) -> int:
    """The value of nft's `jhash KEY mod MODULUS seed SEED` (the kernel scales, it does not divide)."""
    return (jhash(key, seed) * modulus) >> 32


def _rol(word: int, shift: int) -> int:
    return ((word << shift) | (word >> (32 - shift))) & _M


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _M) ^ _rol(c, shift)
        c = (c + b) & _M
        a, b, c = b, c, a  # the next step does the same with the letters moved on
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rol(b, shift)) & _M
        a, b, c = b, c, a  # likewise
    # Seven steps leave the letters one place on from where they started.
    return b
