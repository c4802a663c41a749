# SPDX-License-Identifier: GPL-2.0-or-later
"""From the kernel's counters back to the names of rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.config.values import NAME
from netpath.kernel import nftdump
from netpath.monitor.metrics.rulenames import RuleNames
from netpath.steering.names import counted_name, default_chain, is_counted, rule_chain

LONG = "a-rule-with-a-name-that-is-longer-than-forty-characters"


@given(st.from_regex(NAME, fullmatch=True), st.sampled_from(["ipv4", "ipv6"]))
def test_every_name_that_may_be_configured_comes_back_or_is_looked_up(name: str, family: str) -> None:
    chain = rule_chain(name, family)
    assert is_counted(chain)
    found, of = counted_name(chain)
    assert found in (name, None)
    assert of == family
    if len(name) <= 30 and "_" not in name:
        assert found == name


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_rest_has_no_name(family: str) -> None:
    assert counted_name(default_chain(family)) == ("", family)


@pytest.mark.parametrize("name", ["rest", "4", "rest_4", "r_x_6", "_4"])
def test_names_like_chains_are_names(name: str) -> None:
    assert counted_name(rule_chain(name, "ipv6")) == (name, "ipv6")


def test_families_are_summed_and_hashed_names_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def comments(table: str, chain: str) -> list[tuple[int, str]]:
        assert table == "netpath"
        asked.append(chain)
        return [(1, ""), (2, LONG)]

    monkeypatch.setattr(nftdump, "comments", comments)
    names = RuleNames("netpath")
    counters = {
        "r_https_4": (1, 100),
        "r_https_6": (2, 200),
        rule_chain(LONG, "ipv4"): (3, 300),
        "rest_4": (4, 400),
        "rest_6": (0, 0),
        "wan_1": (9, 900),
    }
    for _ in range(3):
        assert names.sums(counters) == (
            {"https": (3, 300), LONG: (3, 300)},
            {"ipv4": (4, 400), "ipv6": (0, 0)},
        )
    assert asked == [rule_chain(LONG, "ipv4")]
    names.sums({})
    names.sums(counters)
    assert len(asked) == 2, "what has gone is forgotten"


def test_a_chain_that_goes_away_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftdump, "comments", lambda table, chain: [])
    assert RuleNames("netpath").sums({rule_chain(LONG, "ipv4"): (3, 300)}) == ({}, {})
