# SPDX-License-Identifier: GPL-2.0-or-later
"""Mark values, ids that stay, and names that nft can take."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.steering.marks import MarkSpace, assign_ids
from netpath.steering.names import device, part, quoted, rule_chain


def test_the_default_mask() -> None:
    marks = MarkSpace(0x3F00)
    assert (marks.shift, marks.capacity, marks.keep) == (8, 60, 0xFFFFC0FF)
    assert (marks.default, marks.unreachable, marks.blackhole) == (0x3F00, 0x3E00, 0x3D00)
    assert (marks.of(1), marks.of(60)) == (0x100, 0x3C00)


@pytest.mark.parametrize(("mask", "capacity"), [(0x7, 4), (0xFF0000, 252), (0xFC000000, 60), (0xFFFFFFFF, 252)])
def test_masks_low_high_and_wide(mask: int, capacity: int) -> None:
    marks = MarkSpace(mask)
    values = [marks.of(n) for n in range(1, capacity + 1)]
    assert marks.capacity == capacity
    assert all(v & ~mask == 0 for v in values)
    assert len({*values, 0, marks.default, marks.unreachable, marks.blackhole}) == capacity + 4


@pytest.mark.parametrize("mask", [0, 0x1, 0x300, 0x3D00, 0x1_0000_0000, 0x101, -1])
def test_masks_that_cannot_be(mask: int) -> None:
    with pytest.raises(ValueError, match="mark_mask"):
        MarkSpace(mask)


@pytest.mark.parametrize("number", [0, 61, -1])
def test_no_mark_for_an_id_beyond_the_mask(number: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.60"):
        MarkSpace(0x3F00).of(number)


def test_known_names_keep_their_id_in_any_order() -> None:
    assert assign_ids(["c", "a", "b"], {"a": 1, "b": 2}, 60) == {"c": 3, "a": 1, "b": 2}


def test_the_id_of_a_removed_interface_is_not_given_away_while_others_are_free() -> None:
    assert assign_ids(["b", "c"], {"a": 1, "b": 2}, 4) == {"b": 2, "c": 3}
    assert assign_ids(["b", "c", "d", "e"], {"a": 1, "b": 2}, 4) == {"b": 2, "c": 3, "d": 4, "e": 1}


def test_an_id_that_was_given_away_stays_with_its_new_owner() -> None:
    assert assign_ids(["old", "new"], {"old": 1, "b": 2, "new": 1}, 4) == {"old": 3, "new": 1}


def test_an_id_that_a_narrower_mask_has_no_room_for_is_replaced() -> None:
    assert assign_ids(["a", "b"], {"a": 40, "b": 2}, 4) == {"a": 1, "b": 2}


def test_too_many_interfaces() -> None:
    with pytest.raises(ValueError, match="5 interfaces do not fit"):
        assign_ids(list("abcde"), {}, 4)


@given(st.lists(st.text(max_size=3), unique=True, max_size=6), st.dictionaries(st.text(max_size=3), st.integers(-1, 9)))
def test_ids_are_always_distinct_and_in_range(names: list[str], previous: dict[str, int]) -> None:
    ids = assign_ids(names, previous, 6)
    assert list(ids) == names
    assert len(set(ids.values())) == len(names)
    assert all(1 <= n <= 6 for n in ids.values())


IDENTIFIER = set(string.ascii_letters + string.digits + "_.-")
HOSTILE = ['x"; drop', "a b", "", "ü", "a/b", "x" * 200, "$HOME", "line\nfeed", "\\", "{", "#", "*", "\udcff"]


@given(st.one_of(st.text(), st.sampled_from(HOSTILE)))
def test_any_name_makes_a_chain_name(name: str) -> None:
    chain = rule_chain(name, "ipv4")
    assert set(chain) <= IDENTIFIER
    assert len(chain) <= 60


@given(st.text(), st.text())
def test_different_names_make_different_chains_and_comments(one: str, other: str) -> None:
    assert (part(one) == part(other)) == (one == other)
    assert (quoted(one) == quoted(other)) == (one == other)


def test_safe_names_are_kept() -> None:
    assert rule_chain("my-rule_1.a", "ipv6") == "r_my-rule_1.a_6"
    assert quoted("Büro, 2. Stock") == "Büro, 2. Stock"


def test_a_name_cannot_pose_as_the_cleaned_form_of_another() -> None:
    cleaned = part("a b")
    assert part(cleaned) != cleaned


@given(st.one_of(st.text(), st.sampled_from(HOSTILE)))
def test_quoted_text_cannot_end_the_quotes_or_name_a_variable(name: str) -> None:
    text = quoted(name)
    assert not set(text) & set('"\\$\n')
    assert 0 < len(text.encode()) <= 100


@pytest.mark.parametrize("name", ["", "x" * 16, "wan*", 'a"b', "a b", "a/b", "a\n", "a\\"])
def test_impossible_device_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="network device"):
        device(name)


def test_usual_device_names() -> None:
    assert [device(d) for d in ("eth0.2", "pppoe-wan", "br-lan", "wg0@x")] == [
        '"eth0.2"',
        '"pppoe-wan"',
        '"br-lan"',
        '"wg0@x"',
    ]
