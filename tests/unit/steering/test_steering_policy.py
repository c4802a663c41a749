# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tracker keeps and the transaction that it makes of it."""

from __future__ import annotations

import json

from netpath.steering.policy import SteeringView, served, swap
from tests.unit.steering.steering_worlds import config, interface, policy, rule

INTERFACES = [interface("wan"), interface("wanb"), interface("six", "ipv6")]
IDS = {"wan": 1, "wanb": 2, "six": 3, "gone": 4}


def view(**settings: object) -> SteeringView:
    policies = [policy("bal", ["wan 3", "wanb 2", "six"]), policy("only", ["wanb"], "failover", "blackhole")]
    rules = [
        rule("web", "bal", sticky=True, dest_port=443, family="ipv4", timeout=90),
        rule("never", "default", sticky=True),
        rule("plain", "only"),
    ]
    return SteeringView.of(config(INTERFACES, policies, rules, **settings), IDS)


def test_the_view_survives_json() -> None:
    made = view()
    assert SteeringView.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_the_view_knows_configured_interfaces_and_sticky_rules_with_a_policy_only() -> None:
    made = view()
    assert made.ids == {"wan": 1, "wanb": 2, "six": 3}
    assert [(s.key, s.policy, s.timeout, s.families) for s in made.sticky] == [("web", "bal", 90, ("ipv4",))]


def test_a_swap_touches_the_named_policies_and_their_sticky_rules_only() -> None:
    assert swap(view(), frozenset(("wanb",)), ["only"]) == (
        "flush chain inet netpath pol_only_4\n"
        "add rule inet netpath pol_only_4 goto w_2\n"
        "flush chain inet netpath pol_only_6\n"
        "add rule inet netpath pol_only_6 goto w_drop\n"
    )


def test_a_swap_with_a_sticky_rule() -> None:
    text = swap(view(nft_table="mine"), frozenset(("wanb",)), ["bal"])
    assert text == (
        "flush chain inet mine pol_bal_4\n"
        "add rule inet mine pol_bal_4 goto w_2\n"
        "flush chain inet mine pol_bal_6\n"
        "add rule inet mine pol_bal_6 goto w_rej\n"
        "flush chain inet mine sk_web_4\n"
        "add rule inet mine sk_web_4 ip saddr @st_web_4_2 update @st_web_4_2 { ip saddr timeout 90s } goto w_2\n"
        "add rule inet mine sk_web_4 delete @st_web_4_1 { ip saddr }\n"
        "add rule inet mine sk_web_4 delete @st_web_4_2 { ip saddr }\n"
        "add rule inet mine sk_web_4 jump pol_bal_4\n"
        "add rule inet mine sk_web_4 meta mark & 0x3f00 == 0x200 update @st_web_4_2 { ip saddr timeout 90s }\n"
    )


def test_a_swap_in_blocks_says_the_same_with_the_sets_first() -> None:
    assert swap(view(nft_table="mine"), frozenset(("wanb",)), ["bal"], blocks=True) == (
        "add set inet mine st_web_4_1 { type ipv4_addr; size 65536; flags dynamic,timeout; }\n"
        "add set inet mine st_web_4_2 { type ipv4_addr; size 65536; flags dynamic,timeout; }\n"
        "flush chain inet mine pol_bal_4\n"
        "add chain inet mine pol_bal_4 {\n"
        "goto w_2\n"
        "}\n"
        "flush chain inet mine pol_bal_6\n"
        "add chain inet mine pol_bal_6 {\n"
        "goto w_rej\n"
        "}\n"
        "flush chain inet mine sk_web_4\n"
        "add chain inet mine sk_web_4 {\n"
        "ip saddr @st_web_4_2 update @st_web_4_2 { ip saddr timeout 90s } goto w_2\n"
        "delete @st_web_4_1 { ip saddr }\n"
        "delete @st_web_4_2 { ip saddr }\n"
        "jump pol_bal_4\n"
        "meta mark & 0x3f00 == 0x200 update @st_web_4_2 { ip saddr timeout 90s }\n"
        "}\n"
    )


def test_a_swap_of_nothing_is_no_transaction() -> None:
    assert swap(view(), frozenset(), []) == ""


def test_families_that_nobody_configured_are_not_ours() -> None:
    only_four = [interface("wan")]
    assert served(config(only_four, [], [rule("any")])) == ("ipv4",)
    assert served(config(only_four, [], [rule("six", family="ipv6")])) == ("ipv4", "ipv6")
    assert served(config(INTERFACES, [], [])) == ("ipv4", "ipv6")
