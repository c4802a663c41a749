# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams that came one after another, opened into one buffer: no object is made for each. Pure, hot.

Most of a bulk transfer comes as rows: neighbours of one path, all of one size but perhaps the last, each with a run of
one packet's slices in it. What has to be kept is copied out; what can go to the kernel at once goes from the buffer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct

from netpath.bond.dataframes import HEADER
from netpath.bond.wire import HEAD, TAG

LEAST = 4
"""Datagrams from which on a row is worth it."""
MOST = 64
"""Datagrams of a row."""
SMALLEST = HEAD + HEADER + 1 + TAG
"""Bytes of a datagram with a data frame."""
SIZES = 8
"""Sizes of datagrams of one socket whose views are kept, each some 20 KB."""
LAYOUTS, CUTS = 32, 128
"""Sizes, and sizes and numbers, whose cuts are remembered: some KB each."""


class Layout:
    """Where the plaintexts of `stride` bytes each stand in the buffer."""

    __slots__ = ("parts", "plaintexts", "view")

    def __init__(self, view: memoryview, stride: int) -> None:
        self.view = view
        places = range(0, min(MOST * stride, len(view) - stride + 1), stride)
        self.plaintexts = [view[at : at + stride] for at in places]
        self.parts = [view[at + HEADER : at + stride] for at in places]
        """Without the header of a data frame."""


class Row:
    """Plaintexts, `count` of them from the `first` one of the buffer on, `stride` bytes from each to the next; `last`:
    bytes of the last one."""

    __slots__ = ("_first", "_layout", "count", "last", "stride")

    def __init__(self, layout: Layout, stride: int, count: int, last: int, first: int = 0) -> None:
        self._layout, self._first = layout, first
        self.stride, self.count, self.last = stride, count, last

    def __len__(self) -> int:
        return self.count

    @property
    def size(self) -> int:
        """Bytes of all."""
        return (self.count - 1) * self.stride + self.last

    def part(self, begin: int, end: int) -> Row:
        """Some of them."""
        last = self.last if end == self.count else self.stride
        return Row(self._layout, self.stride, end - begin, last, self._first + begin)

    def places(self) -> list[memoryview]:
        """Where each is."""
        found = self._layout.plaintexts[self._first : self._first + self.count]
        if self.last != self.stride:
            found[-1] = found[-1][: self.last]
        return found

    def fill(self, plaintexts: Iterable[bytes]) -> None:
        """Put them there."""
        begin = self._first * self.stride
        self._layout.view[begin : begin + self.size] = b"".join(plaintexts)

    def fields(self, codes: str) -> tuple[int, ...]:
        """Of each the fields (`codes` as of module struct) that its first HEADER bytes consist of."""
        return _fields(codes, self.stride, self.count).unpack_from(self._layout.view, self._first * self.stride)

    def plaintext(self, n: int) -> bytes:
        """A copy."""
        at = (self._first + n) * self.stride
        return bytes(self._layout.view[at : at + (self.last if n == self.count - 1 else self.stride)])

    def plaintexts(self) -> list[bytes]:
        """Copies of all."""
        return cut(self.copy(), self.stride, self.count)

    def parts(self) -> list[memoryview]:
        """What follows each header of a data frame. Valid until the next row."""
        found = self._layout.parts[self._first : self._first + self.count]
        if self.last != self.stride:
            found[-1] = found[-1][: self.last - HEADER]
        return found

    def copy(self) -> bytes:
        """All of them, to be `cut` later."""
        begin = self._first * self.stride
        return bytes(self._layout.view[begin : begin + self.size])


class Arena:
    """The buffer. A row is valid until the next one is opened."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(MOST * 2048))
        self._layouts = lru_cache(LAYOUTS)(lambda stride: Layout(self.view, stride))

    def room(self, stride: int) -> int:
        """Plaintexts of so many bytes that there is room for."""
        return len(self._layouts(stride).plaintexts)

    def row(self, stride: int, count: int, last: int) -> Row:
        return Row(self._layouts(stride), stride, count, last)


class Cuts:
    """Where datagrams of one size stand, one after another, in a buffer that is used again and again: views of them are
    made once."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._of = lru_cache(SIZES)(self._made)

    def of(self, segment: int, count: int) -> tuple[list[memoryview], list[memoryview]]:
        """Head and rest of each; there is room for so many."""
        heads, rests = self._of(segment)
        return heads[:count], rests[:count]

    def _made(self, segment: int) -> tuple[list[memoryview], list[memoryview]]:
        view = self._view
        places = range(0, min(MOST * segment, len(view) - segment + 1), segment)
        return [view[at : at + HEAD] for at in places], [view[at + HEAD : at + segment] for at in places]


def cut(data: bytes, stride: int, count: int) -> list[bytes]:
    """`count` pieces of `stride` bytes, the last of which may be shorter."""
    return [*_pieces(stride, count - 1).unpack_from(data), data[(count - 1) * stride :]]


@lru_cache(CUTS)
def heads(segment: int, count: int) -> Struct:
    """Of datagrams one after another: their heads without the session, as numbers."""
    return Struct(">" + f"4xQ{segment - HEAD}x" * count)


@lru_cache(CUTS)
def _fields(codes: str, stride: int, count: int) -> Struct:
    return Struct(">" + f"{codes}{stride - HEADER}x" * (count - 1) + codes)


@lru_cache(CUTS)
def _pieces(stride: int, count: int) -> Struct:
    return Struct(f"{stride}s" * count)
