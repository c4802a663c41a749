# SPDX-License-Identifier: GPL-2.0-or-later
"""REPAIR frames, and data frames as what they protect (docs/bond-protocol.md, "Repairs"). Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from netpath.bond.fec.field import MOST_DATA, MOST_REPAIRS
from netpath.bond.frames import FrameError, Type

LONGEST = 9000
"""Bytes of a data frame that can be in a group: bounds what a peer can make this end keep."""
LENGTH = 2
"""Bytes before a data frame in its block."""
HEADS = "BIBBBH"
_HEAD = struct.Struct(">" + HEADS)
OVERHEAD = _HEAD.size + LENGTH
"""By so much a REPAIR is longer than the longest data frame of its group."""
COPY = 2
"""Flag of a data frame that other paths carry too. It may differ between them, so repairs are made without it."""
_DATA_FRAME = struct.Struct(">B5xI")
"""Type with flags, number."""
FIRST = Type.REPAIR << 4


class RepairFrame(NamedTuple):
    base: int
    """Number of the group's first data frame."""
    k: int
    r: int
    row: int
    block: bytes


def pack_all(base: int, k: int, blocks: Sequence[bytes], length: int | None = None) -> list[bytes]:
    """All repairs of a group of k data frames. `length`: of each of these, when the blocks were made without it.

    Where all blocks begin alike, repairs begin so, too: through equal values goes a constant.
    """
    prefix = b"" if length is None else length.to_bytes(LENGTH, "big")
    r, size = len(blocks), len(prefix) + len(blocks[0])
    return [_HEAD.pack(FIRST, base, k, r, row, size) + prefix + block for row, block in enumerate(blocks)]


def parse(frame: bytes | memoryview) -> RepairFrame:
    """Padding after the block is ignored. Raises FrameError."""
    try:
        first, base, k, r, row, size = _HEAD.unpack_from(frame)
    except struct.error:
        raise FrameError("a frame of type 10 that is cut off") from None
    block = bytes(frame[_HEAD.size : _HEAD.size + size])
    if first != FIRST:
        raise FrameError(f"a frame of type {first >> 4} with the unknown flags {first & 0xF}")
    if not (1 <= k <= MOST_DATA and row < r <= MOST_REPAIRS and LENGTH < size <= LENGTH + LONGEST):
        raise FrameError(f"a repair {row} of {k}+{r} with {size} bytes")
    if len(block) != size:
        raise FrameError("a frame of type 10 that is cut off")
    return RepairFrame(base, k, r, row, block)


def is_data_frame(frame: bytes, number: int) -> bool:
    """Whether what was computed can be what was lost."""
    if len(frame) <= _DATA_FRAME.size:
        return False
    first, own = _DATA_FRAME.unpack_from(frame)
    return first >> 4 in (Type.PACKET, Type.SLICE) and own == number


def blocks_of(frames: Sequence[bytes], *, copies: bool) -> list[bytes]:
    """`block_of` each; `copies`: some of them have COPY."""
    if copies:
        return list(map(block_of, frames))
    return [len(frame).to_bytes(LENGTH, "big") + frame for frame in frames]


def block_of(frame: bytes | memoryview) -> bytes:
    """What is protected of a data frame, but for zeros at the end."""
    block = len(frame).to_bytes(LENGTH, "big") + frame
    if len(block) > LENGTH and block[LENGTH] & COPY:
        return block[:LENGTH] + bytes((block[LENGTH] & ~COPY,)) + block[LENGTH + 1 :]
    return block
