# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters of the status reply: what came and was of no use is told, also over the peer that counted it."""

from __future__ import annotations

from random import Random

from netpath.bond.peer import Peer
from netpath.bond.schedule import Scheduler
from netpath.bond.status import Totals, figures
from tests.unit.bond.test_assemble import stream


def nothing(_buffers: object) -> None:
    """In the place of the device."""


def test_what_the_other_end_sends_in_vain_is_counted_for_good() -> None:
    peer = Peer(Random(1).randbytes, Scheduler(), nothing)
    slices, _ = stream(1, 5000, 5, 0)
    peer.receiver.order.timeout = 0.0
    for _, frame in slices[1:-1]:
        peer.receiver.frame(frame, 1.0)
    peer.receiver.reset()
    peer.receiver.frame(b"", 2.0)
    assert figures(peer)["headless"] == len(slices) - 2 > 2
    assert figures(peer)["faulty"] == 1
    peer.receiver.assembler.faulty += 1
    peer.faulty += 1
    assert figures(peer)["faulty"] == 3
    totals = Totals()
    totals.add(peer)
    assert (totals.of(None)["headless"], totals.of(peer)["faulty"]) == (len(slices) - 2, 6)
