# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.wire import COUNTERS, HEAD, PATHS, Head, Veil, pack_head, unpack_head


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 15), st.integers(0, PATHS - 1), st.integers(0, COUNTERS - 1))
def test_heads_there_and_back(receiver: int, kind: int, path: int, counter: int) -> None:
    packed = pack_head(receiver, kind, path, counter)
    assert len(packed) == HEAD
    assert unpack_head(packed + b"rest") == Head(receiver, kind, path, counter)


def test_the_layout_of_a_head() -> None:
    assert pack_head(0x01020304, 2, 0x567, 0x08090A0B0C0D).hex() == "01020304256708090a0b0c0d"


@given(st.binary(min_size=29, max_size=100), st.sampled_from([HEAD, Veil.HANDSHAKE]))
def test_a_veil_hides_the_head_and_gives_it_back(datagram: bytes, length: int) -> None:
    if len(datagram) < length + 16:
        return
    veil = Veil(b"k" * 32)
    veiled = veil.veiled(datagram, length)
    assert veiled[length:] == datagram[length:]
    assert veil.veiled(veiled, length) == datagram


def test_a_veil_is_nothing_constant() -> None:
    veil = Veil(b"k" * 32)
    heads = {veil.veiled(bytes(13) + bytes([n]) * 16)[:HEAD] for n in range(64)}
    assert len(heads) == 64
    assert Veil(b"K" * 32).veiled(bytes(29)) != veil.veiled(bytes(29))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(OverflowError):
        pack_head(1 << 32, 2, 0, 0)
