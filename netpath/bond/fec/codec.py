# SPDX-License-Identifier: GPL-2.0-or-later
"""What every codec does, and what those share that take any matrix. Pure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from netpath.bond.fec.field import MOST_DATA, MOST_REPAIRS, PLACES, interpolation

PLANS = 256
"""Matrices that are kept prepared: 10 data blocks have 175 patterns of up to three losses."""
FEW = 3
"""Losses of a group up to which its matrix is kept: patterns of more are so many that hardly one comes twice, and a
matrix for 64 blocks of which 32 are lost takes 64 KiB."""


class Codec(Protocol):
    """All give the same bytes. Not for several threads at once. Wrong sizes or too few blocks: ValueError."""

    name: str

    def encode(self, blocks: Sequence[bytes], r: int) -> list[bytes]:
        """Repairs 0..r-1 of 1..64 data blocks of one size; r is 1..32."""

    def decode(self, k: int, data: Mapping[int, bytes], repairs: Mapping[int, bytes]) -> dict[int, bytes]:
        """The missing ones of data blocks 0..k-1. `data` and `repairs` together are k or more, all of one size."""


def check(k: int, r: int) -> None:
    """Raises ValueError: no group can have these numbers of blocks."""
    if not (1 <= k <= MOST_DATA and 1 <= r <= MOST_REPAIRS):
        raise ValueError(f"a group of {k} blocks with {r} repairs; {MOST_DATA} with {MOST_REPAIRS} at most")


def one_size(blocks: Sequence[bytes]) -> int:
    """The size of all blocks, or ValueError."""
    sizes = set(map(len, blocks))
    if len(sizes) != 1:
        raise ValueError(f"blocks of {len(sizes)} different sizes")
    return sizes.pop()


def losses(k: int, data: Mapping[int, bytes], repairs: Mapping[int, bytes]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(missing data blocks, the repairs to use for them), both in ascending order. Raises ValueError: too few."""
    missing = tuple([j for j in range(k) if j not in data])
    if len(repairs) < len(missing):
        raise ValueError(f"{len(missing)} blocks are missing and only {len(repairs)} repairs are there")
    return missing, tuple(sorted(repairs)[: len(missing)])


Plan = TypeVar("Plan")


class MatrixCodec(Generic[Plan]):
    """Encoding and decoding are each one product of a matrix, prepared once, and the blocks."""

    def __init__(self) -> None:
        self._encoding = lru_cache(PLANS)(self._encoding_plan)
        self._decoding = lru_cache(PLANS)(self._decoding_plan)

    @abstractmethod
    def _prepare(self, rows: list[bytes]) -> Plan: ...

    @abstractmethod
    def _multiply(self, plan: Plan, blocks: Sequence[bytes], size: int) -> list[bytes]:
        """One block of `size` bytes for each row."""

    def encode(self, blocks: Sequence[bytes], r: int) -> list[bytes]:
        """See Codec."""
        return self._multiply(self._encoding(len(blocks), r), blocks, one_size(blocks))

    def decode(self, k: int, data: Mapping[int, bytes], repairs: Mapping[int, bytes]) -> dict[int, bytes]:
        """See Codec."""
        missing, used = losses(k, data, repairs)
        if not missing:
            return {}
        blocks = [data[j] for j in range(k) if j in data]
        blocks += [repairs[i] for i in used]
        plan = self._decoding if len(missing) <= FEW else self._decoding_plan
        found = self._multiply(plan(k, missing, used), blocks, one_size(blocks))
        return dict(zip(missing, found, strict=True))

    def _encoding_plan(self, k: int, r: int) -> Plan:
        check(k, r)
        return self._prepare(interpolation(PLACES[:k], PLACES[k : k + r]))

    def _decoding_plan(self, k: int, missing: tuple[int, ...], used: tuple[int, ...]) -> Plan:
        known = [PLACES[j] for j in range(k) if j not in missing]
        known += [PLACES[k + i] for i in used]
        return self._prepare(interpolation(known, [PLACES[j] for j in missing]))
