# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs give the same bytes as each other, as the stored examples, and as a slow textbook implementation."""

from __future__ import annotations

import ctypes
import json
import sys
import tracemalloc
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.bond import fec
from netpath.bond.fec.codec import PLANS, Codec
from netpath.bond.fec.isal import IsalCodec
from netpath.bond.fec.python import PythonCodec

CODECS: list[Codec] = [PythonCodec(), IsalCodec()]
try:
    from netpath.bond.fec.zfec import ZfecCodec
except ImportError:  # There are no binaries for every Python and machine.
    HAS_ZFEC = False
else:
    HAS_ZFEC = True
    CODECS.append(ZfecCodec())
VECTORS = json.loads(Path(__file__).with_name("repairs.json").read_text())

each = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


def product(a: int, b: int) -> int:
    """In GF(2^8), bit by bit."""
    result = 0
    while b:
        if b & 1:
            result ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return result


def quotient(a: int, b: int) -> int:
    """a / b = a * b^254."""
    for _ in range(254):
        a = product(a, b)
    return a


@cache
def place(number: int) -> int:
    """0, 1, 2, 4, 8, ..."""
    if number == 0:
        return 0
    value = 1
    for _ in range(number - 1):
        value = product(value, 2)
    return value


def textbook(blocks: list[bytes], r: int) -> list[bytes]:
    """The polynomial through (place(j), block j), by Lagrange's formula, at place(k), place(k + 1), ..."""
    k = len(blocks)
    repairs = []
    for i in range(r):
        factors = []
        for j in range(k):
            top = bottom = 1
            for other in range(k):
                if other != j:
                    top = product(top, place(k + i) ^ place(other))
                    bottom = product(bottom, place(j) ^ place(other))
            factors.append(quotient(top, bottom))
        repair = bytearray(len(blocks[0]))
        for factor, block in zip(factors, blocks, strict=True):
            for at, byte in enumerate(block):
                repair[at] ^= product(factor, byte)
        repairs.append(bytes(repair))
    return repairs


def blocks_of(vector: dict[str, list[str]], key: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in vector[key]]


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[bytes], int, set[int], set[int]]:
    """(data blocks, r, which data are lost, which repairs are), so that just enough or more are left."""
    k, r, size = draw(st.integers(1, 64)), draw(st.integers(1, 32)), draw(st.integers(1, 1500))
    random = draw(st.randoms(use_true_random=False))
    blocks = [random.randbytes(size) for _ in range(k)]
    lost = random.sample(range(k + r), draw(st.integers(0, r)))
    return blocks, r, {n for n in lost if n < k}, {n - k for n in lost if n >= k}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{len(v['data'])}+{len(v['repairs'])}")
def test_the_stored_examples_are_what_the_textbook_says(vector: dict[str, list[str]]) -> None:
    repairs = blocks_of(vector, "repairs")
    assert textbook(blocks_of(vector, "data"), len(repairs)) == repairs


@each
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{len(v['data'])}+{len(v['repairs'])}")
def test_every_codec_gives_the_stored_examples(codec: Codec, vector: dict[str, list[str]]) -> None:
    repairs = blocks_of(vector, "repairs")
    assert codec.encode(blocks_of(vector, "data"), len(repairs)) == repairs


@settings(deadline=None, max_examples=150)
@given(groups())
def test_what_one_codec_encodes_every_other_one_recovers(group: tuple[list[bytes], int, set[int], set[int]]) -> None:
    blocks, r, lost, without = group
    encoded = [codec.encode(blocks, r) for codec in CODECS]
    assert all(repairs == encoded[0] for repairs in encoded)
    data = {j: block for j, block in enumerate(blocks) if j not in lost}
    repairs = {i: block for i, block in enumerate(encoded[0]) if i not in without}
    for codec in CODECS:
        assert codec.decode(len(blocks), data, repairs) == {j: blocks[j] for j in lost}, codec.name


@each
@pytest.mark.parametrize("size", [*range(1, 70), 127, 129, 255, 257, 1399, 1401, 9002, 65535])
def test_every_size(codec: Codec, size: int) -> None:
    """Vector instructions have edges."""
    blocks = [bytes((size * j + at) & 0xFF for at in range(size)) for j in (3, 5, 7)]
    repairs = codec.encode(blocks, 2)
    assert codec.decode(3, {1: blocks[1]}, dict(enumerate(repairs))) == {0: blocks[0], 2: blocks[2]}
    assert [len(repair) for repair in repairs] == [size, size]


@each
def test_results_stay_as_they_are(codec: Codec) -> None:
    """A codec may compute into memory of its own, but hands out none of it."""
    first = codec.encode([b"abcd", b"efgh"], 2)
    before = [bytes(bytearray(block)) for block in first]
    codec.encode([b"ijkl", b"mnop"], 2)
    assert first == before


@each
def test_more_patterns_than_are_remembered(codec: Codec) -> None:
    blocks = [bytes([j] * 5) for j in range(24)]
    repairs = dict(enumerate(codec.encode(blocks, 2)))
    for a in range(24):
        for b in range(a):
            data = {j: block for j, block in enumerate(blocks) if j not in (a, b)}
            assert codec.decode(24, data, repairs) == {a: blocks[a], b: blocks[b]}
    assert PLANS < 24 * 23 // 2


@each
def test_large_patterns_are_not_remembered(codec: Codec) -> None:
    """A peer chooses k, r and what is missing; 256 matrices of the largest size are 16 MiB."""
    k, r, chance = 64, 16, Random(3)
    blocks = [bytes((n, n + 1)) for n in range(k)]
    repairs = dict(enumerate(codec.encode(blocks, r)))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(40):
            lost = chance.sample(range(k), r)
            found = codec.decode(k, {n: blocks[n] for n in range(k) if n not in lost}, repairs)
            assert found == {n: blocks[n] for n in sorted(lost)}
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
    finally:
        tracemalloc.stop()


@each
def test_impossible_groups_are_refused(codec: Codec) -> None:
    with pytest.raises(ValueError, match="65 blocks"):
        codec.encode([b"x"] * 65, 1)
    with pytest.raises(ValueError, match="0 blocks"):
        codec.encode([], 1)
    for r in (0, 33):
        with pytest.raises(ValueError, match=f"with {r} repairs"):
            codec.encode([b"x"], r)
    with pytest.raises(ValueError, match="2 different sizes"):
        codec.encode([b"x", b"xy"], 1)
    with pytest.raises(ValueError, match="2 different sizes"):
        codec.decode(2, {0: b"xy"}, {0: b"x"})
    with pytest.raises(ValueError, match="2 blocks are missing and only 1"):
        codec.decode(3, {0: b"x"}, {1: b"x"})


@each
def test_nothing_missing_is_nothing_to_do(codec: Codec) -> None:
    assert codec.decode(1, {0: b"x"}, {}) == {}


@pytest.mark.skipif(not HAS_ZFEC, reason="there is no zfec here")
def test_the_fastest_codec_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, unusable = fec.choose()
    assert (codec.name, unusable) == ("ISA-L", {})

    def no_library(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "PyDLL", no_library)
    codec, unusable = fec.choose()
    assert (codec.name, list(unusable)) == ("zfec", ["ISA-L"])

    monkeypatch.setitem(sys.modules, "zfec", None)
    monkeypatch.delitem(sys.modules, "netpath.bond.fec.zfec")
    codec, unusable = fec.choose()
    assert codec.name == "Python"
    assert "libisal.so.2" in unusable["ISA-L"]
    assert "zfec" in unusable["zfec"]


def test_another_library_of_that_name_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = ctypes.PyDLL(None)
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: libc)
    assert fec.choose()[0].name != "ISA-L"
    assert "ec_init_tables" in fec.choose()[1]["ISA-L"]
