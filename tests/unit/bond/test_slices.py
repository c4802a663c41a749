# SPDX-License-Identifier: GPL-2.0-or-later
"""Cut and put together: every run of slices is the packet that the kernel would have made of these bytes."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.slices import (
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    NEEDS_CSUM,
    VNET,
    Head,
    SliceError,
    plan,
    read_block,
    run,
)

FIN, PSH, ACK, CWR = 1, 8, 16, 0x80


def ones_sum(data: bytes) -> int:
    """RFC 1071, by the book."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return int(total)


def packet(
    version: int, payload: bytes, *, sequence: int, flags: int, options: bytes = b"", identification: int = 1
) -> bytes:
    """IP and TCP header with the sum of the pseudo header in the place of the checksum, and the payload."""
    tcp = struct.pack(">HHIIBBHHH", 443, 50000, sequence, 77, (20 + len(options)) // 4 << 4, flags, 500, 0, 0) + options
    length = len(tcp) + len(payload)
    if version == 4:
        source, destination = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 9])
        pseudo = source + destination + struct.pack(">BBH", 0, 6, length)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, identification, 0x4000, 64, 6, 0) + source + destination
        ip = ip[:10] + (ones_sum(ip) ^ 0xFFFF).to_bytes(2, "big") + ip[12:]
    else:
        source, destination = bytes([0x20, 1, 0xD, 0xB8, *bytes(11), 1]), bytes([0x20, 1, 0xD, 0xB8, *bytes(11), 2])
        pseudo = source + destination + struct.pack(">IHBB", length, 0, 0, 6)
        ip = struct.pack(">IHBB", 6 << 28, length, 6, 64) + source + destination
    tcp = tcp[:16] + ones_sum(pseudo).to_bytes(2, "big") + tcp[18:]
    return ip + tcp + payload


def vnet(version: int, headers: int, size: int) -> bytes:
    start = 20 if version == 4 else 40
    return VNET.pack(NEEDS_CSUM, GSO_TCPV4 if version == 4 else GSO_TCPV6, headers, size, start, 16)


versions = st.sampled_from([4, 6])
options = st.sampled_from([b"", b"\1\1\x08\x0a" + bytes(8)])


@given(versions, options, st.integers(1, 60000), st.integers(300, 1446))
def test_slices_cover_the_payload_and_their_datagrams_are_of_one_size(
    version: int, option: bytes, total: int, room: int
) -> None:
    whole = packet(version, bytes(total), sequence=1, flags=ACK, options=option)
    headers = len(whole) - total
    head = plan(vnet(version, headers, 1348), whole, room)
    at = 0
    sizes = []
    for index in range(head.slices):
        assert head.begin(index) == at
        at += head.length(index)
        blocks = head.overhead if index in (0, head.slices - 1) else 0
        sizes.append(head.length(index) + blocks)
    assert at == total
    assert max(sizes) <= room
    assert len(set(sizes[:-1])) <= 1
    assert sizes[0] - head.slices < sizes[-1] <= sizes[0]
    assert min(head.length(i) for i in range(head.slices)) > 0


@given(versions, options, st.integers(1500, 60000), st.integers(300, 1446), st.data())
def test_any_run_is_a_valid_packet_of_those_bytes(
    version: int, option: bytes, total: int, room: int, data: st.DataObject
) -> None:
    payload = bytes(n * 7 % 251 for n in range(total))
    flags = data.draw(st.sampled_from([ACK, ACK | PSH, ACK | FIN, ACK | CWR, ACK | PSH | FIN | CWR]))
    sequence = data.draw(st.sampled_from([0, 5, 0xFFFFFF00]))
    whole = packet(version, payload, sequence=sequence, flags=flags, options=option)
    headers, size = len(whole) - total, 1348
    head = plan(vnet(version, headers, size), whole, room)
    first = data.draw(st.integers(0, head.slices - 1))
    last = data.draw(st.integers(first, head.slices - 1))
    info, made = run(head, first, last)
    begin, end = head.begin(first), head.begin(last) + head.length(last)
    kept = flags
    if last != head.slices - 1:
        kept &= ~(FIN | PSH)
    if first != 0:
        kept &= ~CWR
    expected = packet(
        version,
        payload[begin:end],
        sequence=(sequence + begin) & 0xFFFFFFFF,
        flags=kept,
        options=option,
        identification=1 + begin // size,
    )
    # 0 and 0xffff are the same sum.
    start = 20 if version == 4 else 40
    ours, theirs = (int.from_bytes(p[start + 16 : start + 18], "big") % 0xFFFF for p in (made, expected))
    assert ours == theirs
    assert made[: start + 16] == expected[: start + 16]
    assert made[start + 18 :] + payload[begin:end] == expected[start + 18 :]
    gso_type = GSO_NONE if end - begin <= size and (first, last) != (0, head.slices - 1) else VNET.unpack(head.vnet)[1]
    assert VNET.unpack(info)[1] == gso_type
    assert VNET.unpack(info)[3] == (size if gso_type else 0)


@given(versions, st.integers(2000, 60000), st.sampled_from([0, -1]))
def test_head_blocks_there_and_back(version: int, total: int, which: int) -> None:
    whole = packet(version, bytes(total), sequence=9, flags=ACK)
    head = plan(vnet(version, len(whole) - total, 1400), whole, 1400)
    index = which % head.slices
    block = head.block(index)
    assert read_block(b"head" + block + b"payload", 4) == (index, head, 4 + len(block))
    assert len(block) == head.overhead
    for end in range(len(block)):
        with pytest.raises(SliceError):
            read_block(block[:end], 0)


@given(st.binary(max_size=120), st.integers(0, 100), st.binary(min_size=1, max_size=3))
def test_garbled_head_blocks_are_refused_or_harmless(garbage: bytes, at: int, change: bytes) -> None:
    whole = packet(4, bytes(9000), sequence=9, flags=ACK)
    block = plan(vnet(4, len(whole) - 9000, 1400), whole, 1400).block(0)
    for data in (garbage, block[:at] + change + block[at + len(change) :]):
        with suppress(SliceError):
            index, head, _ = read_block(data, 0)
            made = [run(head, a, b) for a in range(head.slices) for b in (a, head.slices - 1)]
            assert index < head.slices
            assert all(len(headers) == len(head.headers) for _, headers in made)


def test_what_is_no_tcp_packet_is_refused() -> None:
    whole = packet(4, bytes(9000), sequence=9, flags=ACK)
    with pytest.raises(SliceError):
        plan(vnet(4, 40, 1400), whole[:30], 1400)
    with pytest.raises(SliceError):
        plan(vnet(4, 40, 1400), whole, 57)


def test_a_small_packet_is_one_slice() -> None:
    whole = packet(4, bytes(1000), sequence=9, flags=ACK)
    assert plan(vnet(4, 40, 500), whole, 1400).slices == 1
    assert isinstance(plan(vnet(4, 40, 500), whole, 1400), Head)
