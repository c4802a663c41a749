# SPDX-License-Identifier: GPL-2.0-or-later
"""Values out of the bytes that a fuzzer gives: the same bytes are the same values, and there always is one more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Reads from the front; what is missing at the end is zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, size: int = 1) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def choice(self, among: Sequence[T]) -> T:
        return among[self.number() % len(among)]

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        self._at += len(found)
        return found

    def piece(self) -> bytes:
        """Bytes with their length, two bytes, before them."""
        return self.take(self.number(2))

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def __bool__(self) -> bool:
        """Whether there is more."""
        return self._at < len(self._data)
