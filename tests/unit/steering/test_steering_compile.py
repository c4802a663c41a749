# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled form decides every flow as the plain first-match interpreter does, in blocks that nft can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.model import Rule
from netpath.steering.boxes import Condition, name_value
from netpath.steering.compile import MapBlock, PlainRule, compile_rules
from netpath.steering.interpret import Flow, decide
from netpath.steering.match import block_lines
from netpath.steering.names import domain_key
from tests.unit.steering.steering_worlds import DEVICES, MACS, random_flow, random_rules, rule

INGRESS = [(None, None), *((d, m) for d in DEVICES for m in (None, *MACS))]
FAMILIES = ("ipv4", "ipv6")


def evaluate(blocks: Sequence[MapBlock | PlainRule], flow: Flow) -> int | None:
    """What the kernel would do with the blocks."""
    values = {
        "iface": None if flow.iface is None else name_value("iface", flow.iface),
        "mac": None if flow.mac is None else name_value("mac", flow.mac),
        "saddr": flow.src,
        "daddr": flow.dst,
        "proto": flow.proto,
        "sport": flow.sport,
        "dport": flow.dport,
        "dscp": flow.dscp,
    }
    for block in blocks:
        if isinstance(block, PlainRule):
            if any(all(holds(c, values[c.field], flow.sets) for c in line) for line in block.lines):
                return block.rule
            continue
        for box, index in block.elements:
            keys = [values[f] for f in block.fields]
            if all(k is not None and a <= k <= b for k, (a, b) in zip(keys, box, strict=True)):
                return index
    return None


def holds(condition: Condition, value: int | None, sets: frozenset[str]) -> bool:
    if value is None:
        return False
    within = any(a <= value <= b for a, b in condition.spans)
    match condition.kind:
        case "in":
            return within
        case "out":
            return not within
        case "masked":
            return value & condition.mask == condition.value
        case "unmasked":
            return value & condition.mask != condition.value
        case _:
            return condition.name in sets


def same(rules: Sequence[Rule], flow: Flow) -> None:
    decided = evaluate(compile_rules(rules, flow.family), flow)
    expected, _ = decide(rules, flow)
    assert (None if decided is None else rules[decided]) == expected


@settings(max_examples=250, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 14))
def test_compiled_rules_decide_like_the_interpreter(random: Random, count: int) -> None:
    rules = random_rules(random, count, ("a",))
    for _ in range(12):
        same(rules, random_flow(random, rules, INGRESS))


@pytest.mark.parametrize("seed", range(30))
def test_long_lists_decide_like_the_interpreter(seed: int) -> None:
    random = Random(seed)
    rules = random_rules(random, 120, ("a",))
    compiled = {f: compile_rules(rules, f) for f in FAMILIES}
    for _ in range(300):
        flow = random_flow(random, rules, INGRESS)
        decided = evaluate(compiled[flow.family], flow)
        assert (None if decided is None else rules[decided]) == decide(rules, flow)[0]


@pytest.mark.parametrize("seed", range(10))
def test_rules_by_domain_decide_like_the_interpreter(seed: int) -> None:
    """Every third rule has domains; what dnsmasq has found is drawn by lot."""
    random = Random(seed)
    found = random_rules(random, 60, ("a",))
    rules = [replace(r, domains=("a.example",)) if number % 3 == 0 else r for number, r in enumerate(found)]
    keys = [domain_key(r.name, r.domains) for r in rules if r.domains]
    compiled = {f: compile_rules(rules, f) for f in FAMILIES}
    for _ in range(300):
        held = frozenset(key for key in keys if random.random() < 0.5)
        flow = replace(random_flow(random, rules, INGRESS), sets=held)
        decided = evaluate(compiled[flow.family], flow)
        assert (None if decided is None else rules[decided]) == decide(rules, flow)[0]


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_a_map_never_overlap(seed: int) -> None:
    """nft refuses a map that has two answers for one packet."""
    for family in FAMILIES:
        for block in compile_rules(random_rules(Random(seed), 120, ("a",)), family):
            if isinstance(block, MapBlock):
                boxes = [box for box, _ in block.elements]
                for i, one in enumerate(boxes):
                    for other in boxes[:i]:
                        assert any(a > d or c > b for (a, b), (c, d) in zip(one, other, strict=True)), (one, other)


def test_neighbours_of_one_shape_become_one_map() -> None:
    rules = [rule(f"r{i}", dest_ip=f"192.0.2.{i}", proto="tcp", dest_port=443) for i in range(200)]
    (block,) = compile_rules(rules, "ipv4")
    assert isinstance(block, MapBlock)
    assert block.fields == ("daddr", "proto", "dport")
    assert [index for _, index in block.elements] == list(range(200))


def test_a_rule_that_an_equal_one_leaves_nothing_to_does_no_harm() -> None:
    """A map of one element would have no key that tells anything apart."""
    rules = [rule("one", dest_ip="192.0.2.1"), rule("same", dest_ip="192.0.2.1"), rule("all")]
    first, last = compile_rules(rules, "ipv4")
    assert block_lines(first, "ipv4", str) == ["ip daddr 192.0.2.1 goto 0"]
    assert block_lines(last, "ipv4", str) == ["goto 2"]


def test_overlap_in_several_dimensions_starts_a_new_block() -> None:
    rules = [
        rule("one", src_ip="192.0.2.1", dest_ip="198.51.100.1"),
        rule("two", src_ip="192.0.2.2", dest_ip="198.51.100.1"),
        rule("wide", src_ip="192.0.2.0/24", dest_ip="198.51.100.0/24"),
    ]
    assert [type(b) for b in compile_rules(rules, "ipv4")] == [MapBlock, PlainRule]


def test_overlap_in_one_dimension_is_cut_out_of_the_later_rule() -> None:
    rules = [rule("inner", dest_ip="192.0.2.64/26"), rule("outer", dest_ip="192.0.2.0/24")]
    (block,) = compile_rules(rules, "ipv4")
    assert isinstance(block, MapBlock)
    base = 0xC0000200
    assert block.elements == (
        (((base, base + 63),), 1),
        (((base + 64, base + 127),), 0),
        (((base + 128, base + 255),), 1),
    )


def test_a_rule_joins_its_shape_across_rules_that_it_does_not_touch() -> None:
    """Two rules a client, one for the web and one for the rest, are two maps and not two rules a client."""
    rules = [
        made
        for i in range(50)
        for made in (
            rule(f"web{i}", src_ip=f"192.0.2.{i}", proto="tcp", dest_port=443),
            rule(f"rest{i}", src_ip=f"192.0.2.{i}"),
        )
    ]
    blocks = compile_rules(rules, "ipv4")
    assert [b.fields for b in blocks if isinstance(b, MapBlock)] == [("saddr", "proto", "dport"), ("saddr",)]


def test_a_rule_does_not_jump_over_a_mask_with_holes_beside_a_prefix() -> None:
    """`odd` wants 198.51.100.1 too, although its only interval is another one."""
    rules = [
        rule("one", src_ip="192.0.2.1"),
        rule("odd", src_ip=["203.0.113.0/24", "0.0.0.1/0.0.0.1"]),
        rule("two", src_ip="198.51.100.1"),
    ]
    same(rules, Flow("ipv4", 0xC6336401, 1, 6, 1, 1, None, None, 0, frozenset()))
    assert [b.rule for b in compile_rules(rules, "ipv4") if isinstance(b, PlainRule)] == [0, 1, 2]


def test_nothing_is_compiled_after_a_rule_that_takes_everything() -> None:
    rules = [rule("all", dest_ip="0.0.0.0/0", family="ipv4"), rule("late", dest_ip="192.0.2.1")]
    assert compile_rules(rules, "ipv4") == (PlainRule(0, ((),)),)
    assert [b.rule for b in compile_rules(rules, "ipv6") if isinstance(b, PlainRule)] == []


def test_a_rule_with_addresses_of_one_family_says_nothing_of_the_other() -> None:
    assert compile_rules([rule("v6", dest_ip="2001:db8::/32")], "ipv4") == ()
    assert compile_rules([rule("mixed", src_ip="192.0.2.1", dest_ip="2001:db8::1")], "ipv6") == ()


def test_ports_mean_protocols_that_have_ports() -> None:
    flow = Flow("ipv4", 1, 2, 1, 0, 443, None, None, 0, frozenset())
    rules = [rule("port", dest_port=443)]
    same(rules, flow)
    assert decide(rules, flow) == (None, [("port", "proto")])


def test_more_fields_than_nft_can_concatenate_stay_plain() -> None:
    rules = [
        rule(
            f"r{i}",
            src_iface="lan0",
            src_ip=f"192.0.2.{i}",
            dest_ip="198.51.100.1",
            proto="tcp",
            src_port=1,
            dest_port=2,
        )
        for i in range(3)
    ]
    assert [type(b) for b in compile_rules(rules, "ipv4")] == [PlainRule] * 3


def test_the_first_failed_criterion_is_named() -> None:
    rules = [
        rule("six", family="ipv6"),
        rule("udp", proto="udp"),
        rule("source", src_ip="!192.0.2.0/24"),
        rule("target", dest_ip="198.51.100.2"),
        rule("from", src_port="1-10"),
        rule("to", dest_port="!443"),
        rule("guests", src_iface="lan1"),
        rule("phone", src_mac=MACS[1]),
        rule("voice", dscp=46),
        rule("listed", nft_set="near"),
        rule("hit", "bal"),
    ]
    flow = Flow("ipv4", 0xC0000201, 0xC6336401, 6, 1024, 443, "lan0", MACS[0], 0, frozenset(("far",)))
    found, rejected = decide(rules, flow)
    assert found is rules[-1]
    assert rejected == [
        ("six", "family"),
        ("udp", "proto"),
        ("source", "src_ip"),
        ("target", "dest_ip"),
        ("from", "src_port"),
        ("to", "dest_port"),
        ("guests", "src_iface"),
        ("phone", "src_mac"),
        ("voice", "dscp"),
        ("listed", "nft_set"),
    ]


def test_touching_blocks_of_one_rule_are_joined() -> None:
    (block,) = compile_rules([rule("halves", dest_ip=["192.0.2.0/25", "192.0.2.128/25"])], "ipv4")
    assert isinstance(block, PlainRule)
    assert block.lines[0][0].spans == ((0xC0000200, 0xC00002FF),)
    assert all(b < c for (_, b), (c, _) in pairwise(block.lines[0][0].spans))
