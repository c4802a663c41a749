# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of switch and deletion, and what of it must not happen. The kernel is a list of what was asked of it."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
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
    TrackMethod,
)
from netpath.statedir import StateDir
from netpath.steering.marks import MarkSpace
from netpath.steering.policy import SteeringView
from netpath.tracker.journal import Journal, Log
from netpath.tracker.switch import Switch
from tests.tracking import tracking

GLOBALS = Globals(True, "netpath", 0x3F00, 6000, (), False, "notice", True, "", "none")
UNTRACKED = tracking(method=TrackMethod.NONE, targets=())
IDS = {"wan": 1, "lte": 2}
FAILOVER = (("wan", 1), ("lte", 2))
BOTH, WAN, LTE = frozenset(IDS), frozenset({"wan"}), frozenset({"lte"})
DOWN = ("ifdown", "disconnected")
NONE = frozenset[str]()


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
    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
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
        self.switch = Switch(self.nft, self.journal, StateDir(directory))

    def since(self) -> list[Any]:
        found = list(self.log)
        self.log.clear()
        return found


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    return Case(monkeypatch, tmp_path)


def applied(
    usable: frozenset[str],
    *,
    mask: int = 0x3F00,
    flush: tuple[str, ...] = DOWN,
    metered: str = "",
    policies: dict[str, tuple[tuple[str, int], ...]] | None = None,
) -> Applied:
    interfaces = tuple(Interface(n, True, n, "ipv4", None, State.ONLINE, UNTRACKED, flush, n == metered) for n in IDS)
    made = tuple(
        Policy(name, tuple(Member(n, n, metric, 1) for n, metric in members), Mode.FAILOVER, LastResort.UNREACHABLE)
        for name, members in (policies or {"p": FAILOVER}).items()
    )
    view = SteeringView("netpath", MarkSpace(mask), IDS, dict.fromkeys(IDS, "ipv4"), made, (), {})
    return Applied(
        replace(GLOBALS, mark_mask=mask), interfaces, view, ("ipv4",), (), {}, {}, usable, 0, 0, (), {}, "1", False
    )


P = {"pol_p_4", "pol_p_6"}


def test_policies_first_then_the_connections_of_the_dead_uplink_alone(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH, NONE)
    assert case.since() == [], "what an earlier tracker left is not disturbed"
    assert case.switch.to(LTE, NONE, "test")
    assert case.since() == [P, (0x100, 0x3F00)]


def test_questions_to_resolvers_follow_in_the_same_transaction(case: Case) -> None:
    """Also those of an uplink that no policy names."""
    own = {"wan": ("192.0.2.53",)}
    for members, chains in (FAILOVER, P), ((("lte", 1),), set()):
        made = applied(BOTH, policies={"p": members})
        made = replace(made, view=replace(made.view, resolvers=own))
        case.switch.loaded(made, BOTH, NONE)
        case.since()
        case.switch.to(LTE, NONE, "test")
        assert case.since()[0] == chains | {"resolvers"}
        case.switch.load_begins()
        case.switch.loaded(made, LTE, NONE)
        assert case.since()[0] == chains | {"resolvers"}, "the load did not know of the failure"


def test_nothing_is_deleted_without_another_way(case: Case) -> None:
    case.switch.loaded(applied(WAN), WAN, NONE)
    case.switch.to(frozenset(), NONE, "test")
    assert case.since() == [P]


def test_never_means_that_no_connection_is_touched(case: Case) -> None:
    case.switch.loaded(applied(BOTH, flush=(), metered="lte"), BOTH, NONE)
    for usable in (LTE, frozenset[str](), LTE, BOTH):
        case.switch.to(usable, NONE, "test")
    assert case.since() == [P] * 4


def test_a_kernel_that_deletes_no_connections_still_switches(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH, NONE)
    case.errno = errno.EPROTONOSUPPORT
    assert case.switch.to(LTE, NONE, "test")
    assert case.switch.usable == LTE
    assert any("could not be deleted" in e.get("message", "") for e in case.journal.since(0))


def test_a_load_that_did_not_know_of_a_failure_moves_nothing_back(case: Case) -> None:
    case.switch.loaded(applied(BOTH, metered="lte"), BOTH, NONE)
    case.switch.load_begins()
    case.switch.to(LTE, NONE, "wan fails while a worker loads")
    case.since()
    case.switch.loaded(applied(BOTH, metered="lte"), LTE, NONE)
    assert case.since() == [P, (0x100, 0x3F00)], "lte is metered, but wan did not come back: its flows stay"


def test_policies_written_during_a_load_are_written_again_from_the_new_view(case: Case) -> None:
    case.switch.loaded(applied(BOTH, policies={"p": FAILOVER, "q": FAILOVER}), BOTH, NONE)
    case.switch.load_begins()
    case.switch.to(LTE, NONE, "fails")
    case.switch.to(BOTH, NONE, "and comes back, perhaps after the new ruleset was loaded")
    case.since()
    case.switch.loaded(applied(BOTH, policies={"p": FAILOVER, "q": (("lte", 1),)}), BOTH, NONE)
    assert case.since() == [P | {"pol_q_4", "pol_q_6"}]


def test_a_refused_switch_is_said_and_what_is_used_stays_known(case: Case) -> None:
    case.switch.loaded(applied(BOTH), BOTH, NONE)
    case.nft.refusing = True
    assert not case.switch.to(LTE, NONE, "test")
    assert case.switch.usable == BOTH
    assert case.since() == []
    assert not case.switch.loaded(applied(BOTH), LTE, NONE)
    assert case.switch.usable == BOTH


@pytest.mark.parametrize(("mask", "gone"), [(0xFF0000, [(0x100, 0x3F00), (0x200, 0x3F00)]), (0xFF00, [])])
def test_marks_that_mean_nothing_any_more_go(case: Case, mask: int, gone: list[Any]) -> None:
    case.switch.loaded(applied(BOTH), BOTH, NONE)
    case.switch.loaded(applied(BOTH, mask=mask), BOTH, NONE)
    assert case.since() == gone


def closing_case(case: Case, *, metered: str = "", flush: tuple[str, ...] = DOWN, **more: Any) -> None:
    """Two policies whose members are named by interface; `p` prefers wan, `q` has lte alone."""
    policies = more.get("policies", {"p": FAILOVER, "q": (("lte", 1),)})
    case.switch.loaded(applied(BOTH, metered=metered, flush=flush, policies=policies), BOTH, NONE)
    case.since()


def test_a_closed_member_is_out_of_its_policies_and_its_flows_stay(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER})
    assert case.switch.to(BOTH, WAN, "wan closed")
    assert case.since() == [P], "new flows go elsewhere, connections stay"
    assert case.switch.view is not None
    assert case.switch.view.closed == WAN
    assert case.switch.to(BOTH, WAN, "nothing new")
    assert case.since() == []
    assert case.switch.to(BOTH, NONE, "wan open")
    assert case.since() == [P]


def test_flows_of_a_metered_uplink_move_when_its_member_closes(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER}, metered="wan")
    case.switch.to(BOTH, WAN, "wan closed")
    assert case.since() == [P, (0x100, 0x3F00)]


def test_they_stay_without_an_alternative_and_where_another_policy_still_uses_it(case: Case) -> None:
    closing_case(case, policies={"p": (("wan", 1),), "r": (("lte", 1),)}, metered="wan")
    case.switch.to(BOTH, WAN, "wan closed")
    assert case.since() == [P], "lte is in no policy of wan"
    view = applied(BOTH, metered="wan", policies={"p": FAILOVER, "q": FAILOVER})
    other = replace(view.view.policies[1], members=(Member("plain", "wan", 1, 1),))
    both = replace(view, view=replace(view.view, policies=(view.view.policies[0], other)))
    case.switch.loaded(both, BOTH, NONE)
    case.since()
    case.switch.to(BOTH, WAN, "wan closed")
    assert case.since() == [P], "q is not touched, and its flows have the same mark"


def test_flows_of_a_metered_uplink_stay_when_nothing_may_be_flushed(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER}, metered="wan", flush=())
    case.switch.to(BOTH, WAN, "wan closed")
    assert case.since() == [P]


def test_a_metered_backup_is_left_when_the_preferred_member_opens(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER}, metered="lte")
    case.switch.to(BOTH, WAN, "wan closed")
    case.since()
    case.switch.to(BOTH, NONE, "wan open")
    assert case.since() == [P, (0x200, 0x3F00)]


def test_a_closed_member_is_no_alternative_until_it_opens(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER})
    case.switch.to(BOTH, LTE, "lte closed")
    assert case.since() == [P]
    case.switch.to(LTE, LTE, "wan fails")
    assert case.since() == [P], "its flows wait: nothing could take them over"
    case.switch.to(LTE, NONE, "lte open")
    assert case.since() == [P, (0x100, 0x3F00)]


def test_a_load_that_did_not_know_of_a_closed_member_is_put_right(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER}, metered="wan")
    case.switch.load_begins()
    case.switch.to(BOTH, WAN, "wan closed while a worker loads")
    case.since()
    case.switch.loaded(applied(BOTH, metered="wan"), BOTH, WAN)
    assert case.since() == [P]
    assert case.switch.view is not None
    assert case.switch.view.closed == WAN


def test_a_load_that_closes_a_member_moves_metered_flows_as_a_switch_does(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER}, metered="wan")
    new = applied(BOTH, metered="wan")
    case.switch.loaded(replace(new, view=new.view.closing(WAN)), BOTH, WAN)
    assert case.since() == [(0x100, 0x3F00)]


def test_a_refused_closing_stays_due(case: Case) -> None:
    closing_case(case, policies={"p": FAILOVER})
    case.nft.refusing = True
    assert not case.switch.to(BOTH, WAN, "wan closed")
    case.nft.refusing = False
    assert case.switch.to(BOTH, WAN, "again")
    assert case.since() == [P]
