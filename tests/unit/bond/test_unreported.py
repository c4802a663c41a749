# SPDX-License-Identifier: GPL-2.0-or-later
"""What was sent is found again when the peer misses it or its path dies, in bounded memory."""

from __future__ import annotations

import pytest

from netpath.bond import unreported
from netpath.bond.frames import Hole
from netpath.bond.unreported import Unreported


def train(first: int, count: int, size: int = 5) -> list[bytes]:
    """The data frames of datagrams with these counters."""
    return [str(first + n).encode().rjust(size, b".") for n in range(count)]


def sent(*trains: tuple[int, int, int]) -> Unreported:
    """(path, first counter, how many) of each train."""
    kept = Unreported()
    for path, first, count in trains:
        kept.add(path, first + count - 1, train(first, count), 0.0)
    return kept


@pytest.mark.parametrize("base", [0, 100, 2**32 - 5])
def test_what_is_missing_is_found_wherever_it_is_kept(base: int) -> None:
    kept = sent((0, base, 4), (1, 0, 4), (0, base + 4, 3), (0, base + 9, 3))
    kept.reported(0, base + 5, 1.0, lossy=True)
    holes = [Hole(0, (base + at) % 2**32, length) for at, length in ((11, 5), (1, 2), (3, 2), (7, 2))]
    assert kept.find(holes) == [frame for at, n in ((1, 4), (11, 1)) for frame in train(base + at, n)]
    assert kept.find(holes) == [], "each once: what asks comes twice, and is not to cost twice"
    assert kept.find([Hole(1, 0, 1), Hole(2, 0, 200)]) == train(0, 1)


def test_what_has_arrived_is_kept_no_longer() -> None:
    kept = sent((0, 0, 4), (0, 4, 4))
    kept.reported(0, 6, 1.0, lossy=False)
    assert kept.find([Hole(0, 0, 8)]) == train(4, 4)


def test_what_may_be_lost_is_kept_for_a_moment() -> None:
    kept = sent((0, 0, 4))
    kept.reported(0, 6, 1.0, lossy=True)
    kept.reported(0, 6, 1.0 + unreported.MEMORY, lossy=False)
    assert kept.find([Hole(0, 0, 1)]) == train(0, 1)
    kept.reported(0, 6, 1.01 + unreported.MEMORY, lossy=False)
    assert kept.find([Hole(0, 1, 1)]) == []


def test_a_path_that_dies_gives_back_what_was_not_reported_once() -> None:
    kept = sent((0, 0, 4), (0, 4, 4), (1, 0, 4))
    kept.reported(0, 3, 1.0, lossy=False)
    assert kept.find([Hole(0, 5, 1)]) == train(5, 1)
    assert kept.take(0) == [*train(4, 1), *train(6, 2)]
    assert kept.take(0) == []
    assert kept.find([Hole(1, 0, 1)]) == train(0, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreported, "KEPT", 3000)
    monkeypatch.setattr(unreported, "DOUBTFUL", 2000)
    kept = Unreported()
    for n in range(100):
        kept.add(0, n, train(n, 1, size=100), 0.0)
    assert len(kept.find([Hole(0, 0, 80)])) == 10
    kept.reported(0, 100, 1.0, lossy=True)
    assert len(kept.find([Hole(0, 0, 100)])) == 20
