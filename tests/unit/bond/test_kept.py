# SPDX-License-Identifier: GPL-2.0-or-later
"""What both ends keep of traffic that goes on: as much in a later minute as in an earlier one."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator

from bench.bondsim import SERVER, Load, Network, Weather
from netpath.bond.fec import CODEC
from netpath.bond.fec.adaptive import policy

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
