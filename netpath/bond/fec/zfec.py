# SPDX-License-Identifier: GPL-2.0-or-later
"""The codec of zfec, whose own matrix is the protocol's. It is on PyPI, with binaries for x86."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import zfec

from netpath.bond.fec.codec import check, losses, one_size
from netpath.bond.fec.field import MOST_DATA, MOST_REPAIRS


class ZfecCodec:
    """See netpath.bond.fec.codec.Codec."""

    name = "zfec"

    def __init__(self) -> None:
        # Objects of zfec hold a matrix of k columns; the number of repairs changes nothing in its rows.
        self._encoder = lru_cache(MOST_DATA)(lambda k: zfec.Encoder(k, k + MOST_REPAIRS))
        self._decoder = lru_cache(MOST_DATA)(lambda k: zfec.Decoder(k, k + MOST_REPAIRS))

    def encode(self, blocks: Sequence[bytes], r: int) -> list[bytes]:
        """See Codec."""
        k = len(blocks)
        check(k, r)
        one_size(blocks)
        found: list[bytes] = self._encoder(k).encode(tuple(blocks), tuple(range(k, k + r)))
        return found

    def decode(self, k: int, data: Mapping[int, bytes], repairs: Mapping[int, bytes]) -> dict[int, bytes]:
        """See Codec."""
        missing, used = losses(k, data, repairs)
        if not missing:
            return {}
        numbers = [j for j in range(k) if j in data]
        blocks = [data[j] for j in numbers] + [repairs[i] for i in used]
        one_size(blocks)
        numbers += [k + i for i in used]
        whole = self._decoder(k).decode(tuple(blocks), tuple(numbers))
        return {j: whole[j] for j in missing}
