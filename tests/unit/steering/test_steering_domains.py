# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines for dnsmasq: one a domain, short enough, and every set where dnsmasq will look for it."""

from __future__ import annotations

from netpath.steering.domains import LONGEST_LINE, lines, sets
from netpath.steering.names import domain_key, is_domain_set
from tests.unit.steering.steering_worlds import rule


def specs(line: str) -> list[str]:
    return line.rpartition("/")[2].split(",")


def test_a_domain_has_the_sets_of_all_rules_that_name_it_or_one_above() -> None:
    wide = rule("wide", domains=["b.example"])
    deep = rule("deep", domains=["a.b.example", "xb.example"], family="ipv6")
    plain = rule("plain", nft_set="s")
    made = lines([wide, plain, deep], "np")
    w, d = domain_key("wide", wide.domains), domain_key("deep", deep.domains)
    assert made.text == (
        f"nftset=/a.b.example/4#inet#np#{w}_4,6#inet#np#{w}_6,6#inet#np#{d}_6",
        f"nftset=/b.example/4#inet#np#{w}_4,6#inet#np#{w}_6",
        f"nftset=/xb.example/6#inet#np#{d}_6",
    )
    assert made.left_out == ()
    assert sets([wide, plain, deep]) == [f"{w}_4", f"{w}_6", f"{d}_6"]


def test_a_line_stays_short_enough_and_later_rules_are_left_out() -> None:
    rules = [rule(f"a_rule_with_a_long_name_number_{n:02}", domains=["x.example", f"{n}.example"]) for n in range(20)]
    made = lines(rules, "netpath")
    assert max(map(len, made.text)) <= LONGEST_LINE
    (shared,) = [line for line in made.text if line.startswith("nftset=/x.example/")]
    fitting = len(specs(shared)) // 2
    assert [name for domain, name in made.left_out if domain == "x.example"] == [r.name for r in rules[fitting:]]
    assert len(made.text) == 21


def test_no_rule_no_line() -> None:
    assert lines([rule("r", dest_ip="192.0.2.1")], "netpath").text == ()


def test_sets_are_called_by_rule_and_domains() -> None:
    """Other domains, other sets: addresses of a domain that a rule no longer names must not stay in it."""
    one = domain_key("r", ("a.example", "b.example"))
    assert one == domain_key("r", ("b.example", "a.example"))
    others = {domain_key("r", ("a.example",)), domain_key("s", ("a.example", "b.example")), domain_key("r" * 64, ())}
    assert len(others | {one}) == 4
    assert all(is_domain_set(f"{key}_{digit}") for key in others for digit in "46")
    assert not any(map(is_domain_set, ("dom_mine_4", "st_dom_4_1", "streaming_12345678_4", f"{one}_5")))
