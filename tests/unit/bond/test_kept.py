# SPDX-License-Identifier: GPL-2.0-or-later
"""What both ends keep of traffic that goes on: as much in a later minute as in an earlier one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import types
import weakref
from collections.abc import Iterator

from bench.bondsim import SERVER, Load, Network, Weather
from netpath.bond import process
from netpath.bond.clients import Served, told
from netpath.bond.fec import CODEC
from netpath.bond.fec.adaptive import policy
from netpath.bond.serverside import Standing
from netpath.memory import tidy
from netpath.tracker.journal import Log
from tests.unit.bond import settings

_NO_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)
BETWEEN = 4.0
"""Seconds from one count to the next."""


def test_steady_traffic_makes_neither_end_grow() -> None:
    """Little of it, so that books bounded by numbers alone would fill for many minutes; losses, cuts, changes of keys,
    repairs, both ways."""
    cuts = tuple((at + 0.0, at + 1.5) for at in range(7, 200, 12))
    network = Network(6, [Weather(0.01, loss=0.04, doubled=0.01), Weather(0.02, 0.002, loss=0.04, cuts=cuts)])
    network.run(1.0)
    for end in (network.client, network.server):
        end.peer.sender.encoder.policy = policy("fixed", 10, 3)
    load = Load(network, 30, 1)
    counts = list(_counts(network, load, 16))
    first, second = max(counts[4:10]), max(counts[10:])
    assert second < 1.05 * first, counts


def test_a_client_that_has_gone_takes_its_books_along() -> None:
    """A MiB or more of each: a server may know hundreds of which few are there."""
    client = settings.peer("away", ("203.0.113.2/24",))
    served = Served(client, Standing(told(client)), lambda address: None, lambda buffers: None, 0.0)
    peer = served.begin(os.urandom, settings.TRANSPORT, 0.1, 0.0)
    gone, receiver = weakref.ref(peer), weakref.ref(peer.receiver)
    del peer
    served.end(1.0)
    assert gone() is None
    tidy()
    assert receiver() is None


def test_the_collector_does_not_look_at_what_was_there_before_the_first_packet() -> None:
    seen = []

    class End:
        def run(self) -> None:
            seen.append(len(gc.get_objects()))

    before = len(gc.get_objects())
    try:
        assert process.run(End, "far", Log(use_stderr=False)) == 0
    finally:
        gc.unfreeze()
    assert seen[0] < before / 4


def test_a_bond_does_without_asyncio() -> None:
    """Which is 4 MiB of its 40."""
    program = "import sys, netpath.bond.main, netpath.bond.client, netpath.bond.server, netpath.bond.surroundings\n"
    program += "print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def _counts(network: Network, load: Load, times: int) -> Iterator[int]:
    for _ in range(times):
        network.client.sessions.rekey(network.now)
        network.run(BETWEEN, load, 0.02)
        for judge in network.judges:
            judge.seen.clear()
        yield _kept(network.client.peer, network.client.sessions, network.server.peer, network.server.sessions)


def _kept(*roots: object) -> int:
    """Objects that can be reached, but for programs, and what all bonds of a process share."""
    known = {id(each) for each in (CODEC, SERVER)}
    found, todo = 0, [*roots]
    while todo:
        each = todo.pop()
        if id(each) not in known and not isinstance(each, _NO_DATA):
            known.add(id(each))
            found += 1
            todo += gc.get_referents(each)
    return found
