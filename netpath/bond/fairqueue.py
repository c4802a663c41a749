# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits for a bond, flow by flow (deficit round robin; RFC 8290, 4.1, without CoDel). Pure; times are not needed.

A flow that has nothing waiting goes first, so a call or an answer never stands behind a download; others take turns by
bytes. What is too much is dropped from the head of the longest flow: its sender learns it soonest, and nobody else
suffers.
"""

from __future__ import annotations

from collections import deque

from netpath.bond.dataframes import flow_of
from netpath.bond.slices import VNET

QUANTUM = 16 * 1024
"""Bytes of a flow's turn: some packets, or a part of a large one that is paid for later."""
SECONDS = 0.05
"""Of what its paths carry may wait for a peer."""
LEAST, MOST = 256 * 1024, 8 * 1024 * 1024
"""Bytes that may wait at least and at most: some large packets; what a router can spare."""
FLOWS = 256
"""From which on those are forgotten that have nothing waiting."""


class _Flow:
    __slots__ = ("credit", "packets", "size")

    def __init__(self) -> None:
        self.packets: deque[bytes] = deque()
        self.size = 0
        self.credit = QUANTUM


class FairQueue:
    """`push` and `pop` packets, each with its virtio_net_hdr."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes that wait."""
        self.dropped = 0
        """Packets that were too much."""
        self._flows: dict[int, _Flow] = {}
        """Those that have something waiting, and those whose turn is not over."""
        self._new: deque[int] = deque()
        self._old: deque[int] = deque()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.size > 0

    def push(self, packet: bytes, most: float) -> None:
        """No more than `most` bytes will wait: for that some are dropped, this one perhaps among them."""
        number = flow_of(memoryview(packet)[VNET.size :])
        flow = self._flows.get(number)
        if flow is None:
            if len(self._flows) >= FLOWS:
                self._forget()
            flow = self._flows[number] = _Flow()
            self._new.append(number)
        flow.packets.append(packet)
        flow.size += len(packet)
        self.size += len(packet)
        while self.size > most:
            self._drop()

    def pop(self) -> bytes:
        """The next one. Raises IndexError: nothing waits."""
        while True:
            turns = self._new or self._old
            flow = self._flows[turns[0]]
            if flow.packets and flow.credit > 0:
                packet = flow.packets.popleft()
                flow.size -= len(packet)
                self.size -= len(packet)
                flow.credit -= len(packet)
                return packet
            number = turns.popleft()
            if flow.packets or turns is self._new:
                # A new flow that is empty waits once among the old ones: or it would always be new, and always first.
                flow.credit += QUANTUM if flow.credit <= 0 else 0
                self._old.append(number)
            else:
                del self._flows[number]

    def clear(self) -> None:
        """Nothing waits any more."""
        self.size = 0
        self._flows.clear()
        self._new.clear()
        self._old.clear()

    def _forget(self) -> None:
        """Flows that have nothing waiting begin anew with their next packet."""
        for turns in (self._new, self._old):
            for number in [number for number in turns if not self._flows[number].packets]:
                turns.remove(number)
                del self._flows[number]

    def _drop(self) -> None:
        longest = max(self._flows.values(), key=lambda flow: flow.size)
        packet = longest.packets.popleft()
        longest.size -= len(packet)
        self.size -= len(packet)
        self.dropped += 1


def room(speed: float) -> float:
    """Bytes that may wait for paths that carry `speed` bytes a second."""
    return min(MOST, max(LEAST, SECONDS * speed))
