# SPDX-License-Identifier: GPL-2.0-or-later
"""What datagrams cost that nobody should send; and a million of them, which must do no harm (`bench.bondfuzz`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.bondfuzz import TARGETS, Server, right_mac
from bench.figure import Figure
from netpath.bond.clientside import ClientSessions
from netpath.bond.wire import MAC

COUNT, QUICK = 1_000_000, 50_000
SLICE_OF = 5_000
"""Datagrams of one seed: what fails is found again quickly."""


def measure(quick: bool) -> list[Figure]:
    """Microseconds for each datagram, by what it is; then the fuzzers, whose seeds are printed."""
    return _costs(5 if quick else 15) + _fuzz(QUICK if quick else COUNT)


def _costs(runs: int) -> list[Figure]:
    random = Random(1)
    server = Server(random)
    stranger = ClientSessions(X25519PrivateKey.generate(), server.public, random.randbytes)
    short, garbage = random.randbytes(20), random.randbytes(512)
    authentic = stranger.round([0], server.now)[0][1]
    keyed = authentic[:16] + random.randbytes(480)
    replayed = server.genuine[0]
    data = bytearray(server.genuine[5])
    data[-1] ^= 1
    kinds: dict[str, bytes] = {
        "too short": short,
        "garbage": b"\0\0\0\0\0\0" + garbage[6:],
        "garbage with the right mac": keyed + right_mac(keyed, server.public),
        "initiation of an unknown key": authentic,
        "initiation again": replayed,
        "data of no session": b"\xff\xff\xff\xff\x20\0" + garbage[6:],
        "data, changed": bytes(data),
        "data again": server.genuine[5],
    }
    assert len(keyed) + MAC == 512
    server.arrives(server.genuine[5], "home")
    return [Figure(f"server: {kind}", "us a datagram", _each(server, each, runs)) for kind, each in kinds.items()]


def _each(server: Server, datagram: bytes, runs: int) -> tuple[float, ...]:
    values = []
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(100):
            assert server.arrives(datagram, "anywhere") is None
        values.append((time.perf_counter() - began) * 1e4)
    return tuple(values)


def _fuzz(count: int) -> list[Figure]:
    seed = time.time_ns() & 0xFFFFFF
    figures = []
    for name, (target, part) in TARGETS.items():
        values = []
        rounds = max(1, count * part // 100 // SLICE_OF)
        print(f"fuzz: {name}: seeds {seed} to {seed + rounds - 1}, {SLICE_OF} each", file=sys.stderr, flush=True)
        for n in range(rounds):
            values.append(_timed(name, target, seed + n))
        figures.append(Figure(f"fuzz: {name}, {rounds * SLICE_OF}", "datagrams/s", tuple(values)))
    return figures


def _timed(name: str, target: Callable[[Random, int], None], seed: int) -> float:
    began = time.perf_counter()
    try:
        target(Random(seed), SLICE_OF)
    except Exception as error:
        # Whatever it is, it is a finding: it goes on with the seed that brings it again.
        error.add_note(f"fuzz: {name}, seed {seed}, {SLICE_OF} datagrams")
        raise
    return SLICE_OF / (time.perf_counter() - began)
