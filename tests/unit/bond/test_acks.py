# SPDX-License-Identifier: GPL-2.0-or-later
"""Of acknowledgements that are read together only those go out that no later one makes needless."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.acks import Acks
from netpath.bond.slices import VNET

FIN, SYN, RST, PSH, ACK, ECE = 1, 2, 4, 8, 16, 64
STAMP = b"\1\1\x08\x0a"


def packet(
    number: int,
    *,
    stamp: int | None = None,
    port: int = 5000,
    flags: int = ACK,
    options: bytes = b"",
    payload: bytes = b"",
    version: int = 4,
    protocol: int = 6,
    fragment: int = 0x4000,
    trailer: bytes = b"",
) -> memoryview:
    if stamp is not None:
        options = STAMP + struct.pack(">II", stamp, 7)
    offset = (20 + len(options)) // 4 << 4
    tcp = struct.pack(">HHIIBBHHH", port, 443, 1, number & 0xFFFFFFFF, offset, flags, 500, 0, 0) + options + payload
    if version == 4:
        ends = bytes([192, 0, 2, 1, 198, 51, 100, 9])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, fragment, 64, protocol, 0) + ends
    else:
        ends = bytes([0x20, 1, 0xD, 0xB8, *bytes(11), 1, 0x20, 1, 0xD, 0xB8, *bytes(11), 2])
        ip = struct.pack(">IHBB", 6 << 28, len(tcp), protocol, 64) + ends
    return memoryview(bytes(VNET.size) + ip + tcp + trailer)


def sent(*packets: memoryview) -> list[memoryview]:
    acks = Acks()
    out = [each for one in packets for each in acks.sift(one)]
    out += acks.rest()
    assert not acks.rest(), "held twice"
    return out


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("stamp", [None, 9])
def test_the_last_of_a_row_says_it_all(version: int, stamp: int | None) -> None:
    row = [packet(number, stamp=stamp, version=version) for number in (1000, 2000, 9000)]
    assert sent(*row) == row[-1:]


def test_numbers_and_stamps_wrap() -> None:
    row = [packet(0xFFFFFF00, stamp=0xFFFFFFFF), packet(0x100, stamp=3)]
    assert sent(*row) == row[1:]


def test_flows_are_told_apart_and_keep_their_turn() -> None:
    row = [packet(1, port=1), packet(1, port=2), packet(2, port=1), packet(2, port=2)]
    assert sent(*row) == row[2:]


@pytest.mark.parametrize(
    "other",
    [
        packet(2000, flags=ACK | FIN),
        packet(2000, flags=ACK | PSH),
        packet(2000, flags=ACK | RST),
        packet(2000, flags=ACK | SYN),
        packet(2000, flags=ACK | ECE),
        packet(2000, payload=b"x"),
        packet(2000, options=b"\1\1\5\x0a" + bytes(8)),
        packet(2000, options=STAMP + bytes(8) + b"\1\1\5\x0a" + bytes(8)),
        packet(2000, options=bytes(4)),
        packet(2000, protocol=17),
        packet(2000, version=6, protocol=17),
        packet(2000, fragment=0x2000),
        packet(2000, fragment=5),
        packet(2000, trailer=b"xxxx"),
        packet(1000),
        packet(1000 + (1 << 31)),
        packet(2000, stamp=1),
        memoryview(bytes(VNET.size) + b"\x45"),
        memoryview(bytes(VNET.size + 40)),
        memoryview(bytes(VNET.size) + b"\x60" + bytes(40)),
        memoryview(bytes(5000)),
    ],
)
def test_whatever_says_anything_else_goes_out_and_what_came_before_it_too(other: memoryview) -> None:
    first, last = packet(1000, stamp=5), packet(1000, stamp=5)
    assert sent(first, other, last) == [first, other, last]


def test_a_lower_one_replaces_none() -> None:
    row = [packet(1000), packet(999)]
    assert sent(*row) == row


@given(
    st.lists(
        st.builds(
            packet,
            st.integers(0, 6).map(lambda n: n * 1000),
            stamp=st.none() | st.integers(1, 3),
            port=st.integers(1, 2),
            flags=st.sampled_from([ACK, ACK, ACK, ACK | PSH]),
            payload=st.sampled_from([b"", b"", b"", b"x"]),
        ),
        max_size=30,
    )
)
def test_only_bare_ones_are_dropped_and_each_is_followed_by_a_higher_one(packets: list[memoryview]) -> None:
    found = sent(*packets)
    for port in (1, 2):
        came = [each for each in packets if each[VNET.size + 20 : VNET.size + 22] == port.to_bytes(2, "big")]
        went = [each for each in found if each[VNET.size + 20 : VNET.size + 22] == port.to_bytes(2, "big")]
        at = 0
        for each in came:
            if at < len(went) and went[at] == each:
                at += 1
                continue
            assert each[VNET.size + 33] == ACK and each[VNET.size + 3] in (40, 52)
            assert at < len(went) and number(went[at]) > number(each)
        assert at == len(went)


def number(each: memoryview) -> int:
    return int.from_bytes(each[VNET.size + 28 : VNET.size + 32], "big")
