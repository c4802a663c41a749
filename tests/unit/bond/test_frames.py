# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames there and back, and every cut or garbled plaintext."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.frames import (
    MOST_HOLES,
    Bye,
    Control,
    FrameError,
    Heartbeat,
    Hole,
    Missing,
    Probe,
    Rekey,
    Type,
    pack,
    unpack,
)

u16, u32, u48 = st.integers(0, (1 << 16) - 1), st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 48) - 1)
token = st.binary(min_size=8, max_size=8)
heartbeats = st.builds(
    Heartbeat,
    now=u32,
    echo=u32,
    hold=u32,
    token=token,
    returned=token,
    received=u32,
    bytes=u48,
    highest=u32,
    number=u32,
    largest=u16,
    closing=st.booleans(),
)
holes = st.builds(Hole, path=u16, counter=u32, length=st.integers(1, 255))
controls = st.one_of(
    heartbeats,
    st.just(Rekey()),
    st.builds(Bye, reason=st.integers(0, 255)),
    st.builds(Probe, size=u16),
    st.builds(Missing, holes=st.lists(holes, min_size=1, max_size=MOST_HOLES).map(tuple)),
)


@given(st.lists(controls, max_size=5), st.sampled_from([b"", b"\0\0\0", b"\x80data", b"\x92slice", b"\xa0repair"]))
def test_there_and_back(frames: list[Control], rest: bytes) -> None:
    head = b"".join(pack(frame) for frame in frames)
    found, at = unpack(head + rest)
    assert found == frames
    assert (head + rest)[at:] == (b"" if rest[:1] == b"\0" else rest)


@given(controls)
def test_what_is_cut_off_is_an_error(frame: Control) -> None:
    whole = pack(frame)
    for end in range(1, len(whole)):
        with pytest.raises(FrameError, match="cut off"):
            unpack(whole[:end])


@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_frames_and_nothing_else(plaintext: bytes) -> None:
    with suppress(FrameError):
        frames, at = unpack(plaintext)
        assert at == len(plaintext) or plaintext[at] >> 4 in (Type.PACKET, Type.SLICE, Type.REPAIR)
        assert len(frames) <= len(plaintext)


@pytest.mark.parametrize("first", [0x61, 0x55, 0x70, 0xB0, 0xF0, 0x21, 0x38, 0x4F])
def test_unknown_types_and_flags_are_errors(first: int) -> None:
    with pytest.raises(FrameError, match="unknown"):
        unpack(bytes([first, 0, 0, 0]))
