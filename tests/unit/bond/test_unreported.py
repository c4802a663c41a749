# SPDX-License-Identifier: GPL-2.0-or-later
"""What was sent is found again when the peer asks for it or its path dies, in bounded memory."""

from __future__ import annotations

import pytest

from netpath.bond import unreported
from netpath.bond.dataframes import ORDERS, SLICE, header
from netpath.bond.frames import Hole
from netpath.bond.unreported import Unreported


def train(order: int, count: int, flow: int = 7, size: int = 20) -> list[bytes]:
    return [header(SLICE, (order + n) % ORDERS, flow, 1000 + order + n) + bytes(size) for n in range(count)]


@pytest.mark.parametrize("base", [0, 100, ORDERS - 3, ORDERS // 2 - 2])
def test_what_is_asked_for_is_found_wherever_it_is_kept(base: int) -> None:
    kept = Unreported()
    frames = train(base, 12)
    kept.add(0, 3, frames[:4])
    kept.add(1, 3, frames[4:8])
    kept.add(0, 7, frames[8:])
    kept.add(0, 8, train(base, 3, flow=9))
    kept.reported(0, 5, 1.0, lossy=True)
    holes = [Hole(7, (base + at) % ORDERS, length) for at, length in ((6, 1), (2, 3), (11, 5))]
    assert sorted(kept.find(holes, 1.1)) == sorted([*frames[2:5], frames[6], frames[11]])
    assert kept.find([Hole(8, base, 200)], 1.1) == []


def test_what_has_arrived_is_kept_no_longer() -> None:
    kept = Unreported()
    kept.add(0, 3, train(0, 4))
    kept.add(0, 7, train(4, 4))
    kept.reported(0, 6, 1.0, lossy=False)
    assert kept.find([Hole(7, 0, 8)], 1.0) == train(4, 4)


def test_what_may_be_lost_is_kept_for_a_moment() -> None:
    kept = Unreported()
    kept.add(0, 3, train(0, 4))
    kept.reported(0, 6, 1.0, lossy=True)
    assert kept.find([Hole(7, 0, 8)], 1.0 + unreported.MEMORY) == train(0, 4)
    assert kept.find([Hole(7, 0, 8)], 1.01 + unreported.MEMORY) == []


def test_a_path_that_dies_gives_back_what_was_not_reported_once() -> None:
    kept = Unreported()
    kept.add(0, 3, train(0, 4))
    kept.add(0, 7, train(4, 4))
    kept.add(1, 3, train(8, 4))
    kept.reported(0, 3, 1.0, lossy=False)
    assert kept.take(0) == train(4, 4)
    assert kept.take(0) == []
    assert kept.find([Hole(7, 8, 1)], 1.0) == train(8, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreported, "KEPT", 3000)
    monkeypatch.setattr(unreported, "DOUBTFUL", 2000)
    kept = Unreported()
    for n in range(100):
        kept.add(0, n, train(n, 1, size=90))
    assert kept.find([Hole(7, 0, 100)], 1.0) == [train(n, 1, size=90)[0] for n in range(70, 100)]
    kept.reported(0, 100, 1.0, lossy=True)
    assert kept.find([Hole(7, 0, 100)], 1.0) == [train(n, 1, size=90)[0] for n in range(80, 100)]
