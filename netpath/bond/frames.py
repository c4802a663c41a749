# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of a plaintext (docs/bond-protocol.md, "Frames"). Pure.

Data frames are made and read where they are hot (`netpath.bond.dataframes`); here is everything else, and the walk
through a plaintext up to its data frame.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

NO_ECHO = 0xFFFFFFFF
"""`hold` of a heartbeat before the first one of the peer has come."""
U16, U32 = (1 << 16) - 1, (1 << 32) - 1
_HEARTBEAT = struct.Struct(">BIII8s8sIHIIIH")
_PROBE = struct.Struct(">BH")
_HOLE = struct.Struct(">HIB")


MOST = 6
"""Frames of a plaintext: each costs as much time as some hundred bytes of data."""


class Type(IntEnum):
    PADDING = 0
    HEARTBEAT = 1
    REKEY = 2
    BYE = 3
    PROBE = 4
    FILLER = 5
    MISSING = 6
    PACKET = 8
    SLICE = 9
    REPAIR = 10


class Reason(IntEnum):
    """Of a BYE."""

    END = 0
    NO_PATH = 1
    REFUSED = 2


class FrameError(ValueError):
    """An authentic plaintext that breaks the rules."""


class Heartbeat(NamedTuple):
    now: int
    """Microseconds modulo 2^32, by the sender's monotonic clock."""
    echo: int
    hold: int
    token: bytes
    returned: bytes
    received: int
    bytes: int
    highest: int
    number: int
    """Of the sender's next data frame."""
    largest: int
    closing: bool
    """The sender wants no data on this path."""


class Rekey(NamedTuple):
    pass


class Bye(NamedTuple):
    reason: int


class Probe(NamedTuple):
    size: int


class Hole(NamedTuple):
    """Datagrams of one path, one after another, that did not come."""

    path: int
    counter: int
    """Of the first, modulo 2^32."""
    length: int
    """1 to 255."""


class Missing(NamedTuple):
    holes: tuple[Hole, ...]
    """MOST_HOLES at most."""


MOST_HOLES = 120
"""Of one MISSING: with everything around it, it fits into the smallest datagram that a path must carry."""

SIZES = (128, 256, 512, 768, 1024, 1200)
"""Bytes of plaintexts when sizes are hidden."""
FILLER = 3
"""Bytes of the smallest FILLER."""

Control = Heartbeat | Rekey | Bye | Probe | Missing


def pack(frame: Control) -> bytes:
    """A frame's bytes; numbers are cut to their field's width."""
    match frame:
        case Heartbeat():
            return _HEARTBEAT.pack(
                Type.HEARTBEAT << 4 | frame.closing,
                frame.now & U32,
                frame.echo & U32,
                min(frame.hold, U32),
                frame.token,
                frame.returned,
                frame.received & U32,
                frame.bytes >> 32 & U16,
                frame.bytes & U32,
                frame.highest & U32,
                frame.number & U32,
                min(frame.largest, U16),
            )
        case Rekey():
            return bytes([Type.REKEY << 4])
        case Bye():
            return bytes([Type.BYE << 4, frame.reason])
        case Probe():
            return _PROBE.pack(Type.PROBE << 4, frame.size)
        case Missing():
            holes = b"".join([_HOLE.pack(path, counter & U32, length) for path, counter, length in frame.holes])
            return bytes([Type.MISSING << 4, len(frame.holes)]) + holes


def unpack(plaintext: bytes | memoryview) -> tuple[list[Control], int]:
    """(control frames in order, where the data frame begins).

    The second is the plaintext's length when there is none. Raises FrameError.
    """
    found: list[Control] = []
    at, end = 0, len(plaintext)
    left = MOST
    while at < end:
        kind, flags = plaintext[at] >> 4, plaintext[at] & 0xF
        left -= 1
        if left < 0:
            raise FrameError(f"more than {MOST} frames")
        if kind >= Type.PACKET:
            if kind > Type.REPAIR:
                raise FrameError(f"a frame of the unknown type {kind}")
            return found, at
        if kind == Type.PADDING:
            return found, end
        if kind == Type.FILLER and not flags:
            at += FILLER + int.from_bytes(plaintext[at + 1 : at + FILLER], "big")
            if at > end:
                raise FrameError("a filler that is cut off")
            continue
        if flags and kind != Type.HEARTBEAT:
            raise FrameError(f"a frame of type {kind} with the unknown flags {flags}")
        frame, at = _control(plaintext, at, kind)
        found.append(frame)
    return found, end


def _control(plaintext: bytes | memoryview, at: int, kind: int) -> tuple[Control, int]:
    """The control frame at `at`, and where it ends."""
    try:
        if kind == Type.HEARTBEAT:
            first, now, echo, hold, token, returned, received, high, low, highest, number, largest = (
                _HEARTBEAT.unpack_from(plaintext, at)
            )
            count = high << 32 | low
            closing = bool(first & 1)
            beat = Heartbeat(now, echo, hold, token, returned, received, count, highest, number, largest, closing)
            return beat, at + _HEARTBEAT.size
        if kind == Type.REKEY:
            return Rekey(), at + 1
        if kind == Type.BYE:
            return Bye(plaintext[at + 1]), at + 2
        if kind == Type.PROBE:
            return Probe(_PROBE.unpack_from(plaintext, at)[1]), at + _PROBE.size
        if kind == Type.MISSING:
            return _missing(plaintext, at + 2, plaintext[at + 1])
    except (struct.error, IndexError):
        raise FrameError(f"a frame of type {kind} that is cut off") from None
    raise FrameError(f"a frame of the unknown type {kind}")


def _missing(plaintext: bytes | memoryview, at: int, count: int) -> tuple[Control, int]:
    """A MISSING of `count` holes, the first at `at`. Raises struct.error."""
    if not 0 < count <= MOST_HOLES:
        raise FrameError(f"{count} holes, not 1 to {MOST_HOLES}")
    end = at + count * _HOLE.size
    return Missing(tuple(Hole(*_HOLE.unpack_from(plaintext, each)) for each in range(at, end, _HOLE.size))), end


def padded(frames: list[bytes], room: int) -> list[bytes]:
    """Data frames of one size with a FILLER before each that makes them one of SIZES, but no longer than `room`.

    What is larger, or too near to it, stays as it is.
    """
    return [_filled(frame, room) for frame in frames]


def _filled(frame: bytes, room: int) -> bytes:
    least = len(frame) + FILLER
    size = min(next((size for size in SIZES if size >= least), 0), room)
    if size < least:
        return frame
    return bytes([Type.FILLER << 4]) + (size - least).to_bytes(2, "big") + bytes(size - least) + frame
