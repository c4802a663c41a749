# SPDX-License-Identifier: GPL-2.0-or-later
"""Which member is next: tiers, exact weights, even spreading, and who moves when one is out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.model import Mode, Policy
from netpath.steering.schedule import closing
from netpath.steering.slots import SlotPlan, active, interleave, plan, shares
from tests.unit.steering.steering_worlds import policy

FAMILIES = {"a": "ipv4", "b": "ipv4", "c": "ipv4", "d": "ipv4", "six": "ipv6"}
IDS = {"a": 1, "b": 2, "c": 3, "d": 4, "six": 5}
ALL = frozenset(FAMILIES)


def spread(of: Policy, usable: frozenset[str] = ALL, family: str = "ipv4") -> SlotPlan:
    return plan(of, FAMILIES, IDS, usable, family)


def numbers(slots: SlotPlan) -> list[str]:
    """The interface that each number of the generator means."""
    assert [first for first, _, _ in slots.slots] == [0, *(last + 1 for _, last, _ in slots.slots[:-1])]
    assert slots.slots[-1][1] == slots.modulus - 1
    return [interface for first, last, interface in slots.slots for _ in range(first, last + 1)]


def names(of: Policy, usable: frozenset[str], family: str = "ipv4") -> list[str]:
    return [m.interface for m in active(of, FAMILIES, usable, family)]


def test_the_lowest_metric_with_a_usable_member_is_active_in_list_order() -> None:
    of = policy("p", ["d 1 2", "c 1 1", "a 1 1", "b 1 2"])
    assert names(of, ALL) == ["c", "a"]
    assert names(of, ALL - {"c"}) == ["a"]
    assert names(of, ALL - {"a", "c"}) == ["d", "b"]
    assert names(of, frozenset()) == []


def test_metrics_are_of_each_family_alone() -> None:
    of = policy("p", ["a 1 1", "six 1 2"])
    assert names(of, ALL, "ipv6") == ["six"]
    assert names(of, frozenset(("six",)), "ipv4") == []


@pytest.mark.parametrize("mode", list(Mode))
def test_a_closed_member_is_as_good_as_down(mode: Mode) -> None:
    """In every mode, also for the homes of mode hash and for the next metric."""
    for members in (["a 3", "b 2", "c 1"], ["a 1 1", "b 1 2", "c 1 2"], ["a"]):
        of = policy("p", members, str(mode))
        (shut,) = closing([of], {"m0"})
        assert spread(shut) == spread(of, ALL - {"a"})
        assert shares(shut, FAMILIES, IDS, ALL, "ipv4") == shares(of, FAMILIES, IDS, ALL - {"a"}, "ipv4")


def test_an_interface_goes_on_by_its_other_member() -> None:
    of = policy("p", ["a 2 1", "b 2 1", "a 1 1", "a 1 3"])
    (shut,) = closing([of], {"m0"})
    assert [(m.interface, m.weight) for m in active(shut, FAMILIES, ALL, "ipv4")] == [("b", 2), ("a", 1)]
    (shut,) = closing([of], {"m0", "m1", "m2"})
    assert names(shut, ALL) == ["a"]
    hashed = policy("p", ["a 1", "b 1", "a 1"], "hash")
    (shut,) = closing([hashed], {"m0"})
    assert spread(shut) == spread(hashed), "it is at home where it was"


def test_several_members_of_one_interface_are_one_with_the_sum_of_weights() -> None:
    of = policy("p", ["a 1", "b 2", "a 3"])
    assert [(m.interface, m.weight) for m in active(of, FAMILIES, ALL, "ipv4")] == [("a", 4), ("b", 2)]


def test_balanced_three_to_two_alternates() -> None:
    found = spread(policy("p", ["a 3", "b 2"]))
    assert (found.kind, found.modulus) == ("inc", 5)
    assert numbers(found) == ["a", "b", "a", "b", "a"]


def test_balanced_slots_are_as_few_as_the_weights_allow() -> None:
    assert spread(policy("p", ["a 600", "b 400"])).modulus == 5


def test_balanced_spreads_the_rare_ones() -> None:
    assert "".join(numbers(spread(policy("p", ["a 5", "b 1", "c 1"])))) == "aabaaca"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
@settings(deadline=None)
def test_interleaving_is_exact_and_nobody_is_ever_a_whole_flow_off_its_share(weights: list[int]) -> None:
    order = interleave(tuple(weights))
    assert [order.count(i) for i in range(len(weights))] == weights
    for i, weight in enumerate(weights):
        for done in range(1, len(order)):
            assert abs(order[:done].count(i) * len(order) - done * weight) < len(order)


def test_weights_finer_than_a_thousand_slots_are_rounded_and_nobody_is_forgotten() -> None:
    found = spread(policy("p", ["a 65535", "b 30000", "c 1"]))
    assert found.modulus == 1000
    assert Counter(numbers(found)) == {"a": 685, "b": 314, "c": 1}


def test_weighted_is_one_interval_a_member_in_exact_proportion() -> None:
    assert spread(policy("p", ["a 30", "b 20"], "weighted")) == SlotPlan("random", 5, ((0, 2, "a"), (3, 4, "b")))


@pytest.mark.parametrize(("mode", "kind"), [("round-robin", "inc"), ("random", "random")])
def test_modes_that_ignore_weights(mode: str, kind: str) -> None:
    found = spread(policy("p", ["a 9", "b 1", "c 5"], mode))
    assert (found.kind, numbers(found)) == (kind, ["a", "b", "c"])


def test_failover_is_the_first_in_the_list() -> None:
    of = policy("p", ["b 1", "a 9"], "failover")
    assert spread(of) == SlotPlan("single", 1, ((0, 0, "b"),))
    assert spread(of, ALL - {"b"}) == SlotPlan("single", 1, ((0, 0, "a"),))


@pytest.mark.parametrize("mode", ["balanced", "round-robin", "hash", "weighted", "random"])
def test_a_single_member_needs_no_generator(mode: str) -> None:
    assert spread(policy("p", ["a 3", "b 3"], mode), frozenset("a")).kind == "single"


def test_nobody_is_no_slots() -> None:
    assert spread(policy("p", ["a", "b"]), frozenset()) == SlotPlan("none", 0, ())


HASHED = policy("p", ["d 2", "b 1", "a 3", "c 2"], "hash")


def test_hash_homes_are_by_weight_and_id_whatever_the_list_order() -> None:
    assert Counter(numbers(spread(HASHED))) == {"a": 96, "b": 32, "c": 64, "d": 64}
    assert spread(HASHED) == spread(policy("p", ["a 3", "b 1", "c 2", "d 2"], "hash"))


@given(st.frozensets(st.sampled_from("abcd")), st.sampled_from("abcd"))
def test_hash_moves_nobody_but_the_clients_of_the_one_that_fails(others: frozenset[str], fails: str) -> None:
    before, after = others | {fails}, others - {fails}
    if not after:
        return
    was, now = numbers_of_256(before), numbers_of_256(after)
    assert [s for s in range(256) if was[s] != now[s]] == [s for s in range(256) if was[s] == fails]


def numbers_of_256(usable: frozenset[str]) -> list[str]:
    found = spread(HASHED, usable)
    return numbers(found) if found.kind == "hash" else [found.slots[0][2]] * 256


def test_hash_spreads_a_failed_members_clients_by_weight() -> None:
    was, now = numbers_of_256(ALL), numbers_of_256(ALL - {"a"})
    heirs = Counter(now[s] for s in range(256) if was[s] == "a")
    assert heirs == {"d": 41, "c": 39, "b": 16}  # 96 by 2:2:1, as one fixed draw has it


def test_shares_add_up_to_a_hundred() -> None:
    assert shares(policy("p", ["a", "b", "c"]), FAMILIES, IDS, ALL, "ipv4") == {"a": 34, "b": 33, "c": 33}
    assert shares(policy("p", ["a 3", "b 2"]), FAMILIES, IDS, ALL, "ipv4") == {"a": 60, "b": 40}
    assert shares(policy("p", ["a 3", "b 2"], "failover"), FAMILIES, IDS, ALL, "ipv4") == {"a": 100, "b": 0}
    assert shares(HASHED, FAMILIES, IDS, frozenset("cd"), "ipv4") == {"d": 51, "c": 49}
    assert shares(policy("p", ["a"]), FAMILIES, IDS, frozenset(), "ipv4") == {}
