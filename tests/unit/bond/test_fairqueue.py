# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits for a bond: each flow in order, none behind another, a bounded number of bytes."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bondsim import datagram_packet
from netpath.bond import fairqueue
from netpath.bond.fairqueue import FairQueue, room
from netpath.bond.slices import VNET

RANDOM = Random(1)


def packet(flow: int, position: int, size: int = 1000) -> bytes:
    return bytes(datagram_packet(flow, position, size, RANDOM))


def told(data: bytes) -> tuple[int, int]:
    """(flow, position) of a packet."""
    at = VNET.size + 28
    return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([64, 400, 1400])), max_size=80), st.integers(0, 5))
def test_each_flow_in_its_order_and_nothing_lost(pushed: list[tuple[int, int]], every: int) -> None:
    queue = FairQueue()
    sent: list[tuple[int, int]] = []
    got: list[tuple[int, int]] = []
    counts: Counter[int] = Counter()
    for n, (flow, size) in enumerate(pushed):
        queue.push(packet(flow, counts[flow], size), 1e9)
        sent.append((flow, counts[flow]))
        counts[flow] += 1
        if every and n % every == 0:
            got.append(told(queue.pop()))
    while queue:
        got.append(told(queue.pop()))
    assert sorted(got) == sorted(sent)
    assert all([p for f, p in got if f == flow] == list(range(counts[flow])) for flow in counts)
    assert queue.size == 0
    with pytest.raises(IndexError):
        queue.pop()


def test_who_has_nothing_waiting_goes_before_a_download() -> None:
    queue = FairQueue()
    for n in range(200):
        queue.push(packet(1, n, 1400), 1e9)
    for _ in range(100):
        queue.pop()
    for turn in range(20):
        queue.push(packet(2, turn, 100), 1e9)
        ahead = 0
        while told(queue.pop())[0] != 2:
            ahead += 1
        assert ahead <= fairqueue.QUANTUM // 1400 + 1, "no more than what is left of one turn"


def test_two_downloads_share_by_bytes() -> None:
    queue = FairQueue()
    for n in range(2000):
        queue.push(packet(1, n, 1400), 1e9)
        queue.push(packet(2, n, 350), 1e9)
    sizes: Counter[int] = Counter()
    for _ in range(1500):
        data = queue.pop()
        sizes[told(data)[0]] += len(data)
    assert 0.9 < sizes[1] / sizes[2] < 1.1


def test_what_is_too_much_is_dropped_from_the_longest_flow_at_its_head() -> None:
    queue = FairQueue()
    queue.push(packet(2, 0, 500), 50_000)
    for n in range(100):
        queue.push(packet(1, n, 1400), 50_000)
    assert queue.size <= 50_000
    left = [told(queue.pop()) for _ in range(100 + 1 - queue.dropped)]
    assert not queue
    assert left[0] == (2, 0)
    assert left[1:] == [(1, n) for n in range(queue.dropped, 100)]


def test_flows_that_are_over_cost_nothing() -> None:
    queue = FairQueue()
    for n in range(5000):
        queue.push(packet(n, 0, 64), 1e9)
        assert told(queue.pop()) == (n, 0)
        assert len(queue._flows) <= fairqueue.FLOWS
    while queue._flows:
        with pytest.raises(IndexError):
            queue.pop()
    assert not queue._new and not queue._old


def test_a_packet_larger_than_all_that_may_wait_is_dropped() -> None:
    queue = FairQueue()
    queue.push(packet(1, 0, 1400), 1000)
    assert (len(queue._flows[next(iter(queue._flows))].packets), queue.dropped, bool(queue)) == (0, 1, False)


def test_room_follows_the_paths_within_bounds() -> None:
    assert room(0.0) == fairqueue.LEAST
    assert room(20e6) == 1e6
    assert room(4e9) == fairqueue.MOST
