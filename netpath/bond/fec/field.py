# SPDX-License-Identifier: GPL-2.0-or-later
"""GF(2^8) with the polynomial 0x11d, and what a Reed-Solomon code needs of it. Pure.

A group's blocks are, byte by byte, the values of one polynomial of degree < k at the places PLACES[0], PLACES[1], ...
(docs/bond-protocol.md, "Repairs"). Encoding and recovering are then the same: what is known at k places gives the value
at any other one (Lagrange). No matrix is ever inverted. zfec's code is this one.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_DATA = 64
"""k of a group at most."""
MOST_REPAIRS = 32
POLYNOMIAL = 0x11D


def _powers() -> list[int]:
    """Powers of 2 up to exponent 2 * 254, so that a sum of two logarithms needs no modulus."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value <<= 1
        if value > 0xFF:
            value ^= POLYNOMIAL
    return powers * 2


_EXP = _powers()
_LOG = [0] * 256
for _exponent, _value in enumerate(_EXP[:255]):
    _LOG[_value] = _exponent
PLACES = bytes([0, *_EXP[: MOST_DATA + MOST_REPAIRS - 1]])
"""Of data block j: PLACES[j]; of repair i of a group of k: PLACES[k + i]."""


def times(a: int, b: int) -> int:
    """The product."""
    return _EXP[_LOG[a] + _LOG[b]] if a and b else 0


def interpolation(known: Sequence[int], wanted: Sequence[int]) -> list[bytes]:
    """One row for each wanted place: the factors with which the values at the known places add up to its value.

    All places are different. No factor is 0.
    """
    log = _LOG
    bottoms = [sum([log[place ^ other] for other in known]) for place in known]  # log[0] is 0: it adds nothing
    rows = []
    for place in wanted:
        logs = [log[place ^ other] for other in known]
        top = sum(logs)
        rows.append(bytes([_EXP[(top - own - bottom) % 255] for own, bottom in zip(logs, bottoms, strict=True)]))
    return rows
