# SPDX-License-Identifier: GPL-2.0-or-later
"""What does not come by a path is noticed at once, and asked for once, unless it was only late."""

from __future__ import annotations

from netpath.bond import missing
from netpath.bond.frames import Hole
from netpath.bond.missing import LATE, Losses, holes
from tests.unit.bond.datagrams import open_one
from tests.unit.bond.test_batches import ends


class Line:
    """One direction of a session, and what its receiver misses."""

    def __init__(self) -> None:
        self.session, self.receiver = ends()
        self.box = Losses()
        self.sealed: dict[int, dict[int, bytes]] = {}

    def bring(self, *counters: int, now: float, path: int = 3) -> None:
        """Datagrams of these counters arrive together."""
        sealed = {}
        while (counter := self.session.sent(path)) <= max(counters):
            sealed[counter] = self.session.seal(path, b"something", 0.0)
        self.sealed.setdefault(path, {}).update(sealed)
        for counter in counters:
            assert open_one(self.receiver, self.sealed[path][counter], 0.0) is not None
        self.box.notice(path, self.receiver, now)


def test_gaps_of_each_path_are_asked_for_once_and_soon() -> None:
    line = Line()
    line.bring(0, 1, now=1.0)
    line.bring(0, path=4, now=1.0)
    assert line.box.due(LATE) is None
    line.bring(3, 4, 7, now=1.1)
    line.bring(2, path=4, now=1.15)
    assert line.box.due(LATE) == 1.1 + LATE
    assert line.box.take(LATE, 1.1) == []
    assert line.box.take(LATE, 1.14) == [Hole(3, 2, 1), Hole(3, 5, 2)]
    assert line.box.take(LATE, 1.2) == [Hole(4, 1, 1)]
    assert line.box.take(LATE, 9.0) == []


def test_what_was_overtaken_is_not_asked_for() -> None:
    line = Line()
    line.bring(0, now=1.0)
    line.bring(6, now=1.0)
    line.bring(2, 3, now=1.001)
    assert line.box.take(LATE, 1.1) == [Hole(3, 1, 1), Hole(3, 4, 2)]


def test_what_was_sent_before_this_end_was_there_is_not_missing() -> None:
    line = Line()
    line.bring(50, now=1.0)
    assert line.box.take(LATE, 1.1) == []
    line.bring(52, now=1.2)
    assert line.box.take(LATE, 1.3) == [Hole(3, 51, 1)]


def test_new_keys_count_anew() -> None:
    line = Line()
    line.bring(0, 5, now=1.0)
    line.bring(8, now=1.0)
    line.session, line.receiver = ends()
    line.bring(0, now=1.0)
    assert line.box.take(LATE, 2.0) == []
    line.bring(2, now=2.0)
    assert line.box.take(LATE, 3.0) == [Hole(3, 1, 1)]


def test_a_faulty_peer_fills_no_memory() -> None:
    line = Line()
    for n in range(0, 40_000, 2):
        window = line.receiver._windows.get(3)
        if window is None:
            line.bring(0, now=1.0)
            continue
        window.enter(n)
        line.box.notice(3, line.receiver, 1.0)
    assert len(line.box._noticed) == missing.MOST


def test_long_holes_are_told_in_parts() -> None:
    assert holes(1, [*range(4, 600), 700]) == [Hole(1, 4, 255), Hole(1, 259, 255), Hole(1, 514, 86), Hole(1, 700, 1)]
    assert holes(1, []) == []
