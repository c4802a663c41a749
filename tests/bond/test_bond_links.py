# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of paths on loopback: whatever comes from whomever, each datagram comes out once, in order."""

from __future__ import annotations

import select
import socket
import time
from random import Random

import pytest

from netpath.bond.links import Link


def drained(link: Link) -> list[tuple[tuple[str, int], bytes]]:
    """(sender, datagram) of all that waits, taken out of batches as the engine does."""
    found = []
    while (batch := link.receive()) is not None:
        assert 0 <= time.monotonic() - batch.at < 5
        data = bytes(batch.data)
        assert len(data) > 0
        for at in range(0, len(data), batch.segment):
            found.append(((batch.address[0], batch.address[1]), data[at : at + batch.segment]))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_each_datagram_comes_out_once_and_in_order(seed: int) -> None:
    random = Random(seed)
    link = Link(socket.AF_INET, source="127.0.0.1")
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    try:
        for sender in senders:
            sender.bind(("127.0.0.1", 0))
            sender.connect(link.sock.getsockname())
        sent: list[tuple[tuple[str, int], bytes]] = []
        got: list[tuple[tuple[str, int], bytes]] = []
        for number in range(400):
            sender = senders[random.random() < 0.1]
            size = random.choice([1472, 1472, 1472, 1472, 1471, 60, 1, 2048, 2049, 9000])
            data = number.to_bytes(4, "big").ljust(size, b"x")[: max(size, 4)]
            sender.send(data)
            sent.append((sender.getsockname(), data))
            if random.random() < 0.02:
                got += drained(link)
        end = time.monotonic() + 10
        while len(got) < len(sent) and time.monotonic() < end:
            select.select([link], [], [], 1)
            got += drained(link)
        assert got == sent
    finally:
        link.close()
        for sender in senders:
            sender.close()


@pytest.mark.parametrize("jump", [-86400.0, 0.0, 5.0, 86400.0])
def test_a_clock_that_jumps_makes_no_delay(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """The kernel's stamps are of the clock of the day: the time that a datagram waited is never taken from a jump."""
    link = Link(socket.AF_INET, source="127.0.0.1")
    real = time.time
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", link.sock.getsockname())
            select.select([link], [], [], 5)
            monkeypatch.setattr(time, "time", lambda: real() + jump)
            batch = link.receive()
            assert batch is not None
            assert -0.1 <= time.monotonic() - batch.at < 1.0
    finally:
        link.close()
