# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of switch and deletion, and what of it must not happen. The kernel is a list of what was asked of it."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest

from netpath.handover import Applied
from netpath.kernel import conntrack
from netpath.kernel.nft import Nft, NftError
from netpath.model import (
    Globals,
    Interface,
    LastResort,
    Member,
    Mode,
    Policy,
    State,
    Tracking,
    TrackMethod,
)
from netpath.steering.marks import MarkSpace
from netpath.steering.policy import SteeringView
from netpath.tracker.journal import Journal, Log
from netpath.tracker.switch import Switch

GLOBALS = Globals(True, "netpath", 0x3F00, 6000, (), False, "notice")
TRACKING = Tracking(TrackMethod.NONE, (), 1, 1, 56, 60, None, 1, 1, 1, False, 3, 3, 0, None, False, "example.com", 443)
IDS = {"wan": 1, "lte": 2}
FAILOVER = (("wan", 1), ("lte", 2))
BOTH, WAN, LTE = frozenset(IDS), frozenset({"wan"}), frozenset({"lte"})
DOWN = ("ifdown", "disconnected")


class Kernel(Nft):
    """Notes each transaction; refuses while `refusing`."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.refusing = False

    def fills_chains(self) -> bool:
        return True

    def run(self, text: str) -> None:
        if self.refusing:
            raise NftError("no such chain")
        self.log.append({line.split()[4] for line in text.splitlines() if line.startswith("flush")})


class Case:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[Any] = []
        self.errno = 0

        def delete(mark: int, mask: int, *, unreplied_only: bool = False) -> None:
            if self.errno:
                raise OSError(self.errno, "refused")
            self.log.append((mark, mask) + (("unreplied",) if unreplied_only else ()))

        monkeypatch.setattr(conntrack, "delete_by_mark", delete)
        log = Log()
        log.set_level("emerg")
        self.journal = Journal(log)
        self.nft = Kernel(self.log)
        self.switch = Switch(self.nft, self.journal)

    def since(self) -> list[Any]:
        found = list(self.log)
        self.log.clear()
        return found


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(monkeypatch)


def applied(
    usable: frozenset[str],
    *,
    mask: int = 0x3F00,
    flush: tuple[str, ...] = DOWN,
    metered: str = "",
    policies: dict[str, tuple[tuple[str, int], ...]] | None = None,
) -> Applied:
    interfaces = tuple(Interface(n, True, n, "ipv4", None, State.ONLINE, TRACKING, flush, n == metered) for n in IDS)
    made = tuple(
        Policy(name, tuple(Member(n, n, metric, 1) for n, metric in members), Mode.FAILOVER, LastResort.UNREACHABLE)
        for name, members in (policies or {"p": FAILOVER}).items()
    )
    view = SteeringView("netpath", MarkSpace(mask), IDS, dict.fromkeys(IDS, "ipv4"), made, ())
    return Applied(replace(GLOBALS, mark_mask=mask), interfaces, view, ("ipv4",), (), {}, {}, usable, 0, 0, ())


P = {"pol_p_4", "pol_p_6"}


def test_policies_first_then_the_connections_of_the_dead_uplink_alone(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH)
    assert case.since() == [], "what an earlier tracker left is not disturbed"
    assert case.switch.to(LTE, "test")
    assert case.since() == [P, (0x100, 0x3F00)]


def test_nothing_is_deleted_without_another_way(case: Case) -> None:
    case.switch.loaded(applied(WAN), WAN)
    case.switch.to(frozenset(), "test")
    assert case.since() == [P]


def test_never_means_that_no_connection_is_touched(case: Case) -> None:
    case.switch.loaded(applied(BOTH, flush=(), metered="lte"), BOTH)
    for usable in (LTE, frozenset[str](), LTE, BOTH):
        case.switch.to(usable, "test")
    assert case.since() == [P] * 4


def test_a_kernel_that_deletes_no_connections_still_switches(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH)
    case.errno = errno.EPROTONOSUPPORT
    assert case.switch.to(LTE, "test")
    assert case.switch.usable == LTE
    assert any("could not be deleted" in e.get("message", "") for e in case.journal.since(0))


def test_a_load_that_did_not_know_of_a_failure_moves_nothing_back(case: Case) -> None:
    case.switch.loaded(applied(BOTH, metered="lte"), BOTH)
    case.switch.load_begins()
    case.switch.to(LTE, "wan fails while a worker loads")
    case.since()
    case.switch.loaded(applied(BOTH, metered="lte"), LTE)
    assert case.since() == [P, (0x100, 0x3F00)], "lte is metered, but wan did not come back: its flows stay"


def test_policies_written_during_a_load_are_written_again_from_the_new_view(case: Case) -> None:
    case.switch.loaded(applied(BOTH, policies={"p": FAILOVER, "q": FAILOVER}), BOTH)
    case.switch.load_begins()
    case.switch.to(LTE, "fails")
    case.switch.to(BOTH, "and comes back, perhaps after the new ruleset was loaded")
    case.since()
    case.switch.loaded(applied(BOTH, policies={"p": FAILOVER, "q": (("lte", 1),)}), BOTH)
    assert case.since() == [P | {"pol_q_4", "pol_q_6"}]


def test_a_refused_switch_is_said_and_what_is_used_stays_known(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH)
    case.nft.refusing = True
    assert not case.switch.to(LTE, "test")
    assert case.switch.usable == BOTH
    assert case.since() == []
    assert not case.switch.loaded(applied(BOTH), LTE)
    assert case.switch.usable == BOTH


@pytest.mark.parametrize(("mask", "gone"), [(0xFF0000, [(0x100, 0x3F00), (0x200, 0x3F00)]), (0xFF00, [])])
def test_marks_that_mean_nothing_any_more_go(case: Case, mask: int, gone: list[Any]) -> None:
    case.switch.loaded(applied(BOTH), BOTH)
    case.switch.loaded(applied(BOTH, mask=mask), BOTH)
    assert case.since() == gone
