# SPDX-License-Identifier: GPL-2.0-or-later
"""How often an idle end has to wake up: on a router nothing may cost much that does nothing."""

from __future__ import annotations

import heapq
import itertools
from random import Random

import pytest

from netpath.bond.handshake import Cipher, Keys
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.schedule import Scheduler
from netpath.bond.session import Session
from netpath.bond.wire import HEAD

PATHS = 5
BEAT = 0.1


def end(number: int, *, follows: bool) -> Peer:
    keys = [bytes(range(32)), bytes(range(32, 64))]
    peer = Peer(Random(number).randbytes, Scheduler(), lambda _: None, follows=follows)
    peer.use(Session(Keys(keys[number], keys[1 - number], Cipher.AES256_GCM, 1), number, 1 - number, 0.0))
    for path in range(PATHS):
        peer.add_path(path, "there", 1472, 28, 0.0)
    return peer


def wakeups(delay: float, shift: float, *, follows: bool) -> tuple[list[float], list[float]]:
    """When the client woke up in ten seconds without traffic, and when it sent a heartbeat by its first path.

    `delay`: one way; `shift`: how much later the server begins.
    """
    ends = end(0, follows=follows), end(1, follows=False)
    wire: list[tuple[float, int, int, bytes]] = []
    woken: list[float] = []
    beats: list[float] = []
    now, times = 0.0, [0.0, shift]
    while now < 10.0:
        now = min([*times, *(entry[0] for entry in wire[:1])])
        due = [time <= now for time in times]
        if due[0] or any(time <= now and side == 0 for time, side, _, _ in wire):
            woken.append(now)
        came = {0: False, 1: False}
        while wire and wire[0][0] <= now:
            _, side, path, data = heapq.heappop(wire)
            peer = ends[side]
            assert peer.session is not None
            first = int.from_bytes(data[:HEAD], "big") >> 48
            found, *_ = peer.session.open_all(memoryview(data), len(data), 0, first, now)
            peer.opened_all(peer.paths[path], found, "there", peer.session, now)
            came[side] = True
        for side, peer in enumerate(ends):
            if due[side] or (came[side] and peer.answers(now)):
                datagrams, _ = peer.tick(now)
                if side == 0 and any(datagram.path == 0 for datagram in datagrams):
                    beats.append(now)
                for datagram in datagrams:
                    heapq.heappush(wire, (now + delay, 1 - side, datagram.path, datagram.data))
                times[side] = max(peer.due(now), now + 0.001)
    assert all(path.state is State.UP for peer in ends for path in peer.paths.values())
    return woken, beats


@pytest.mark.parametrize("shift", [0.0, 0.013, 0.05, 0.07])
@pytest.mark.parametrize("delay", [0.002, 0.02, 0.21])
def test_heartbeats_go_with_those_of_the_other_end(delay: float, shift: float) -> None:
    woken, beats = wakeups(delay, shift, follows=True)
    late = [time for time in woken if time > 6.0]
    assert len(late) <= 1.2 * (10.0 - 6.0) / BEAT
    assert len(late) < 0.7 * len([time for time in wakeups(delay, shift, follows=False)[0] if time > 6.0])
    gaps = [after - before for before, after in itertools.pairwise(beats)][5:]
    assert min(gaps) > 0.7 * BEAT and max(gaps) < 1.1 * BEAT
