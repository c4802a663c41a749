# SPDX-License-Identifier: GPL-2.0-or-later
"""Classic BPF socket filters (linux/filter.h): the kernel drops what we do not want before it wakes us."""

from __future__ import annotations

import socket
from array import array
from struct import Struct, pack

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_INSTRUCTION = Struct("=HBBI")
_LOAD_HALF, _LOAD_BYTE, _JUMP_EQUAL, _RETURN = 0x28, 0x30, 0x15, 0x06

ACCEPT = _INSTRUCTION.pack(_RETURN, 0, 0, 0xFFFFFFFF)
DROP = _INSTRUCTION.pack(_RETURN, 0, 0, 0)


def load_byte(offset: int) -> bytes:
    return _INSTRUCTION.pack(_LOAD_BYTE, 0, 0, offset)


def load_half(offset: int) -> bytes:
    """Two bytes in network order; compare with `socket.htons` of a field that is in host order."""
    return _INSTRUCTION.pack(_LOAD_HALF, 0, 0, offset)


def if_equal(value: int, then_skip: int, else_skip: int) -> bytes:
    """Skip that many of the following instructions, by whether the loaded value is `value`."""
    return _INSTRUCTION.pack(_JUMP_EQUAL, then_skip, else_skip, value)


def attach(sock: socket.socket, program: bytes) -> None:
    """Install instructions as the socket's filter. Raises OSError when the kernel finds them wrong."""
    instructions = array("B", program)
    address, length = instructions.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("HP", length // _INSTRUCTION.size, address))
