# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers of data frames, and the flow of an inner packet (docs/bond-protocol.md, "Data frames"). Pure, hot."""

from __future__ import annotations

from zlib import crc32

from netpath.bond.frames import Type

HEADER = 10
HEAD, COPY, LOOSE = 1, 2, 4
PARTIAL = HEAD
PACKET, SLICE = Type.PACKET << 4, Type.SLICE << 4
ORDERS = 1 << 24
NUMBERS = 1 << 32
FLOWS = 1 << 16
_TCP, _UDP = 6, 17
_MORE_FRAGMENTS_OR_OFFSET = 0x3FFF


def header(first: int, order: int, flow: int, number: int) -> bytes:
    """`first`: type and flags. 10 bytes."""
    return (first << 72 | order << 48 | flow << 32 | number).to_bytes(HEADER, "big")


def flow_of(packet: bytes | memoryview) -> int:
    """16 bits that are the same for all packets of a connection in one direction.

    Fragments have no ports, so what may be fragmented is told apart by its addresses alone once it is: such a flow
    changes its number for the time of the fragment, and nothing but its order suffers.
    """
    if len(packet) >= 24 and packet[0] == 0x45:
        whole = not int.from_bytes(packet[6:8], "big") & _MORE_FRAGMENTS_OR_OFFSET
        end = 24 if whole and packet[9] in (_TCP, _UDP) else 20
        return crc32(packet[12:end], packet[9]) & 0xFFFF
    if len(packet) >= 44 and packet[0] >> 4 == 6:
        end = 44 if packet[6] in (_TCP, _UDP) else 40
        return crc32(packet[8:end], packet[6]) & 0xFFFF
    return crc32(packet[12:20]) & 0xFFFF
