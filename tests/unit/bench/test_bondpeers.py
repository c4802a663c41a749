# SPDX-License-Identifier: GPL-2.0-or-later
"""What `python -m bench bondpeers` compares, and how it tells of what cannot be had. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import bondpeers
from bench.bondpeers import CASES, Case
from bench.figure import Figure, Missing
from bench.links import Links
from bench.tunnels import GLORYTUN, TUNNELS, Tunnel
from netpath.lab.namespace import LabError, Unavailable


def _nothing(_: Links) -> None:
    """Start nothing."""


def _present() -> None:
    """It can be had."""


def _absent() -> None:
    raise Unavailable("it is not installed")


def _tunnel(name: str, check: Callable[[], None] = _present, *, single: bool = False) -> Tunnel:
    return Tunnel(name, "a note", check, _nothing, single=single)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(who, case) in the order of measuring; the bond gets 150 Mbit/s, `broken` fails, all others get 100."""
    seen: list[tuple[str, str]] = []

    def bond(case: Case, _: float) -> float:
        seen.append(("bond", case.name))
        return 150.0

    def other(tunnel: Tunnel, case: Case, _: float) -> float:
        seen.append((tunnel.name, case.name))
        if tunnel.name == "broken":
            raise LabError("no answer\nand a long story")
        return 100.0

    monkeypatch.setattr(bondpeers, "_bond", bond)
    monkeypatch.setattr(bondpeers, "_tunnel", other)
    return seen


def test_what_cannot_be_had_is_one_row_with_the_reason(
    turns: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bondpeers, "TUNNELS", (_tunnel("this", _absent), _tunnel("that", _absent)))
    rows = bondpeers.measure(quick=True)
    assert [row.what for row in rows] == ["this beside the bond", "that beside the bond"]
    assert all("not measured on this machine: it is not installed" in row.cells() for row in rows)
    assert turns == []  # the bond alone would be no comparison


def test_glorytun_wants_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    glorytun = next(tunnel for tunnel in TUNNELS if tunnel.name == "glorytun")
    monkeypatch.delenv(GLORYTUN, raising=False)
    with pytest.raises(Unavailable, match=GLORYTUN):
        glorytun.check()
    monkeypatch.setenv(GLORYTUN, "/nowhere/gt")
    with pytest.raises(Unavailable, match="/nowhere/gt"):
        glorytun.check()
    monkeypatch.setenv(GLORYTUN, "/bin/true")
    glorytun.check()


def test_they_take_turns_and_the_ratio_is_told(turns: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bondpeers, "TUNNELS", (_tunnel("other"),))
    monkeypatch.setattr(bondpeers, "CASES", CASES[:1])
    ours, theirs = bondpeers.measure(quick=False)
    assert turns == [("bond", "2x100"), ("other", "2x100")] * 2
    assert isinstance(ours, Figure)
    assert isinstance(theirs, Figure)
    assert (ours.values, theirs.values) == ((150.0,) * 2, (100.0,) * 2)
    assert ours.budget is None
    assert theirs.note == "a note; the bond: 1.50 times that"


def test_what_uses_one_link_is_compared_over_one(turns: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bondpeers, "TUNNELS", (_tunnel("single", single=True),))
    bondpeers.measure(quick=True)
    assert [case for who, case in turns if who == "single"] == ["one unlimited link"]
    assert [case for who, case in turns if who == "bond"] == ["one unlimited link"]


@pytest.mark.usefixtures("turns")
def test_one_that_fails_does_not_take_the_others_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bondpeers, "TUNNELS", (_tunnel("broken"), _tunnel("other")))
    monkeypatch.setattr(bondpeers, "CASES", CASES[:1])
    bond, broken, other = bondpeers.measure(quick=True)
    assert isinstance(bond, Figure)
    assert isinstance(broken, Missing)
    assert broken.reason == "no answer"
    assert isinstance(other, Figure)


def test_a_congestion_control_that_the_kernel_lacks_is_a_row(
    turns: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bondpeers, "TUNNELS", (_tunnel("other"),))
    monkeypatch.setattr(bondpeers, "CASES", (Case("a link", (0,), congestion="nosuch"),))
    (row,) = bondpeers.measure(quick=True)
    assert isinstance(row, Missing)
    assert row.reason == "the kernel has no nosuch"
    assert turns == []
