# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever slices are lost: what is written are exact pieces of the packets, and as much of them as there was."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.assemble import Assembler
from netpath.bond.dataframes import HEAD, HEADER, ORDERS, SLICE, header
from netpath.bond.slices import plan
from tests.unit.bond.test_slices import ACK, packet, vnet

ROOM = 500


def frames(flow: int, order: int, sequence: int, payload: bytes, number: int = 0) -> list[tuple[int, bytes]]:
    """(order, frame) of each slice of one packet."""
    whole = packet(4, payload, sequence=sequence, flags=ACK)
    start = len(whole) - len(payload)
    head = plan(vnet(4, start, 1400), whole, ROOM)
    found = []
    for index in range(head.slices):
        at = (order + index) % ORDERS
        ends = index in (0, head.slices - 1)
        frame = header(SLICE | (HEAD if ends else 0), at, flow, number)
        if ends:
            frame += head.block(index)
        begin = head.begin(index)
        found.append((at, frame + payload[begin : begin + head.length(index)]))
    return found


class Kernel:
    """Takes writes as a TUN device does, and knows which byte of the stream each brings."""

    def __init__(self) -> None:
        self.got: dict[int, int] = {}
        """Sequence number -> byte."""
        self.writes = 0

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        self.writes += 1
        data = b"".join(bytes(b) for b in buffers[1:])
        assert int.from_bytes(data[2:4], "big") == len(data)
        sequence = int.from_bytes(data[24:28], "big")
        for at, value in enumerate(data[40:]):
            assert sequence + at not in self.got
            self.got[sequence + at] = value


def stream(count: int, size: int, flow: int, order: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """Slices of so many packets of one connection, and all of its bytes."""
    content = bytes(n * 31 % 256 for n in range(count * size))
    slices: list[tuple[int, bytes]] = []
    for n in range(count):
        slices += frames(flow, (order + len(slices)) % ORDERS, n * size, content[n * size : (n + 1) * size])
    return slices, content


@given(st.data(), st.integers(1, 4), st.integers(600, 5000), st.sampled_from([0, ORDERS - 4]))
def test_all_bytes_of_slices_whose_packet_is_known_are_delivered(
    data: st.DataObject, count: int, size: int, order: int
) -> None:
    slices, content = stream(count, size, 5, order)
    lost = set(data.draw(st.lists(st.integers(0, len(slices) - 1), max_size=6)))
    kernel = Kernel()
    box = Assembler(kernel.write)
    for n, (at, frame) in enumerate(slices):
        if n not in lost:
            box.add(5, at, [frame])
            if data.draw(st.booleans()):
                box.flush()
    box.flush()
    assert all(content[at] == value for at, value in kernel.got.items())
    each = len(slices) // count
    for n in range(count):
        mine = range(n * each, (n + 1) * each)
        if mine[0] in lost and len(mine) > 1:
            continue  # without its first head only what stands right before the last slice is known in time
        here = [frame for k in mine if k not in lost for frame in [slices[k][1]]]
        payload = sum(len(f) - HEADER - (17 + 40 if f[0] & HEAD else 0) for f in here)
        assert sum(n * size <= at < (n + 1) * size for at in kernel.got) == payload
    assert box.faulty == 0


def test_a_whole_packet_is_one_write() -> None:
    slices, content = stream(3, 5000, 1, 0)
    kernel = Kernel()
    box = Assembler(kernel.write)
    for at, frame in slices:
        box.add(1, at, [frame])
    assert kernel.writes == 3
    assert bytes(kernel.got[n] for n in range(15000)) == content


def test_runs_are_the_same_as_their_frames() -> None:
    slices, content = stream(3, 5000, 1, 0)
    kernel = Kernel()
    box = Assembler(kernel.write)
    for begin, end in itertools.pairwise([0, 2, 7, 11, len(slices)]):
        box.add(1, slices[begin][0], [frame for _, frame in slices[begin:end]])
    assert kernel.writes == 3
    assert bytes(kernel.got[n] for n in range(15000)) == content


def test_without_the_first_slice_the_last_one_brings_the_rest() -> None:
    slices, content = stream(1, 5000, 1, 0)
    kernel = Kernel()
    box = Assembler(kernel.write)
    for at, frame in slices[1:]:
        box.add(1, at, [frame])
    assert kernel.writes == 1
    assert bytes(kernel.got[n] for n in sorted(kernel.got)) == content[-len(kernel.got) :]
    assert len(kernel.got) > 4000
    assert box.headless == 0


def test_slices_without_any_head_are_dropped_and_counted() -> None:
    slices, _ = stream(1, 5000, 1, 0)
    kernel = Kernel()
    box = Assembler(kernel.write)
    for at, frame in slices[1:-1]:
        box.add(1, at, [frame])
    following, _ = stream(1, 700, 1, len(slices))
    for at, frame in following:
        box.add(1, at, [frame])
    assert kernel.writes == 1
    assert box.headless == len(slices) - 2


@pytest.mark.parametrize("cut", [0, 1, 5, 17])
def test_faulty_head_blocks_are_counted_and_harmless(cut: int) -> None:
    slices, _ = stream(1, 5000, 1, 0)
    box = Assembler(Kernel().write)
    box.add(1, 0, [slices[0][1][: HEADER + cut]])
    assert box.faulty == 1
