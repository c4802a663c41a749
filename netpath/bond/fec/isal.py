# SPDX-License-Identifier: GPL-2.0-or-later
"""The codec of ISA-L, Intel's storage library (Debian: libisal2), by ctypes; x86 and ARM.

Source: isa-l/erasure_code.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from netpath.bond.fec.codec import MatrixCodec
from netpath.bond.fec.field import MOST_REPAIRS

LIBRARY = "libisal.so.2"
_MOST = 0xFFFF
"""Bytes of a block."""
_STRIDE = _MOST + 1 + 64
"""From one output to the next: not a power of two, which would put all of them into the same lines of the cache."""
_TABLES = 32
"""Bytes of tables for each factor."""

Plan = tuple[int, int, Any, Any]
"""Columns, rows, tables, type of an array with a pointer for each column."""


class IsalCodec(MatrixCodec[Plan]):
    """See netpath.bond.fec.codec.Codec. Raises OSError: no such library; AttributeError: it is another one."""

    name = "ISA-L"

    def __init__(self) -> None:
        super().__init__()
        # Calls take microseconds: giving up the interpreter's lock for them would cost more than it gives.
        library = ctypes.PyDLL(LIBRARY)
        self._tables = library.ec_init_tables
        self._tables.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
        self._tables.restype = None
        self._encode = library.ec_encode_data
        self._encode.argtypes = [ctypes.c_int] * 3 + [ctypes.c_void_p] * 3
        self._encode.restype = None
        # Of this, only the pages that are used exist.
        scratch = bytearray(_STRIDE * MOST_REPAIRS)
        self._scratch = memoryview(scratch)
        first = ctypes.addressof(ctypes.c_char.from_buffer(scratch))
        self._outputs = (ctypes.c_void_p * MOST_REPAIRS)(*range(first, first + len(scratch), _STRIDE))

    def _prepare(self, rows: list[bytes]) -> Plan:
        columns = len(rows[0])
        tables = ctypes.create_string_buffer(_TABLES * columns * len(rows))
        self._tables(columns, len(rows), b"".join(rows), tables)
        return columns, len(rows), tables, ctypes.c_char_p * columns

    def _multiply(self, plan: Plan, blocks: Sequence[bytes], size: int) -> list[bytes]:
        columns, rows, tables, array = plan
        if size > _MOST:
            raise ValueError(f"blocks of {size} bytes; {_MOST} at most")
        self._encode(size, columns, rows, tables, array(*blocks), self._outputs)
        scratch = self._scratch
        return [bytes(scratch[at : at + size]) for at in range(0, rows * _STRIDE, _STRIDE)]
