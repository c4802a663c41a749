# SPDX-License-Identifier: GPL-2.0-or-later
"""Forward error correction: what is lost is computed from repairs instead of being sent again.

`field` and the codecs are Reed-Solomon; `groups` makes REPAIR frames (`repair`) and recovers data frames with them;
`adaptive` says how many a group needs. CODEC is the fastest codec here; UNUSABLE says why faster ones are not it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netpath.bond.fec.codec import Codec
from netpath.bond.fec.python import PythonCodec


def _isal() -> Codec:
    from netpath.bond.fec.isal import IsalCodec

    return IsalCodec()


def _zfec() -> Codec:
    from netpath.bond.fec.zfec import ZfecCodec

    return ZfecCodec()


_FASTEST_FIRST: tuple[tuple[str, Callable[[], Codec]], ...] = (("ISA-L", _isal), ("zfec", _zfec))


def choose() -> tuple[Codec, Mapping[str, str]]:
    """(the fastest codec that can be had, the faster ones' names and what is wrong with them)."""
    unusable: dict[str, str] = {}
    for name, make in _FASTEST_FIRST:
        try:
            return make(), unusable
        except (ImportError, OSError, AttributeError) as error:
            unusable[name] = str(error)
    return PythonCodec(), unusable


CODEC, UNUSABLE = choose()
