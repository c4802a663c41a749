# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing makes the readers raise, what is written reads back, and no reachable rule is called unreachable."""

from __future__ import annotations

import itertools
import re
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.config import Section, loads, to_uci, uci
from netpath.config.coverage import unreachable
from netpath.config.describe import describe
from netpath.config.monitor import loads_monitor
from netpath.config.schema import SECTIONS
from netpath.config.sections import Entry
from netpath.config.uci import read
from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec, Rule

OPTION_NAMES = sorted({name for kind in SECTIONS.values() for name in kind.by_name})
WORDS = st.sampled_from(
    ["config", "option", "list", "package", "\n", "\n\t", " ", "'", '"', "\\", "#", ";", "=", "[", "]", "{", "}", "!",
     ",", "wan", "1", "0", "0.0.0.0/0", "::/0", "0x3F00", "\u2018", *SECTIONS, *OPTION_NAMES]
)  # fmt: skip
TEXTS = st.text(max_size=60) | st.lists(WORDS, max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(["uci", "toml"]))
def test_no_text_makes_the_readers_raise(text: str, form: str) -> None:
    loaded = loads(text, "f", form)
    assert (loaded.config is None) == any(p.severity == "error" for p in loaded.problems)
    monitor = loads_monitor(text, "f", form)
    assert (monitor.monitor is None) == any(p.severity == "error" for p in monitor.problems)
    for problem in (*loaded.problems, *monitor.problems):
        assert str(problem).isprintable()
        assert problem.fix


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SECTIONS)), st.sampled_from(OPTION_NAMES), TEXTS, st.sampled_from(["option", "list"]))
def test_no_value_of_any_option_makes_the_reader_raise(kind: str, option: str, value: str, command: str) -> None:
    quoted = "'" + value.replace("'", "'\\''") + "'"
    text = f"config {kind} 'x'\n{command} {option} {quoted}\n"
    loads(text)
    loads_monitor(text)


LINES = st.tuples(
    st.sampled_from(["", "", " ", "\t", ";"]),
    st.sampled_from(["config", "option", "list", "package", "o", "confog", "#"]),
    st.sampled_from([" ", "  ", "\t", "", " '"]),
    st.sampled_from(["rule", "proto", "a", "'a'", "dest-ip", "\u00e9", ""]),
    st.sampled_from([" ", "\t ", "", "\n", " #"]),
    st.sampled_from(
        ["tcp", "'tcp'", "''", "'a b'", "'\u2018'", "\u2018", "a#b", '"b"', "1:2", "b\\", "'b", "b 'c'", ""]
    ),
    st.sampled_from(["\n", "\n", "\n", " \n", ";", "\r\n", "", "\n\n"]),
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES | TEXTS, max_size=8).map("".join))
def test_the_short_way_through_plain_lines_reads_what_the_grammar_does(text: str) -> None:
    found = read(text, "f")
    with mock.patch.object(uci, "_PLAIN_LINE", re.compile("(?!)")):
        assert read(text, "f") == found


VALUES = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_any_value_survives_writing(values: list[str]) -> None:
    entry = Entry("src_mac", tuple(values), (None,) * len(values), True)
    (section,), problems = read(to_uci([Section("rule", "r", None, (entry,))]), "f")
    assert not problems
    assert section.entries[0].values == tuple(values)


def ranges(values: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    item = values.map(str) | st.tuples(values, values).map(lambda p: f"{min(p)}-{max(p)}")
    signed = st.tuples(st.sampled_from(["", "", "!"]), item).map("".join)
    return st.lists(signed, min_size=1, max_size=3).map(",".join)


ADDRESS = st.sampled_from(
    ["192.0.2.0/24", "192.0.2.1", "192.0.2.0/25", "0.0.0.0/0.0.0.1", "0.0.0.1/0.0.0.1", "0.0.0.0/0", "2001:db8::/32",
     "2001:db8::1", "::/0", "!192.0.2.1", "!192.0.2.0/30", "!2001:db8::1"]
)  # fmt: skip
RULE_OPTIONS = st.fixed_dictionaries(
    {"proto": st.sampled_from(["tcp", "udp", "tcp udp", "tcp,sctp"])},
    optional={
        "src_ip": st.lists(ADDRESS, min_size=1, max_size=2).map(" ".join),
        "dest_ip": st.lists(ADDRESS, min_size=1, max_size=2).map(" ".join),
        "src_port": ranges(st.integers(0, 3)),
        "dest_port": ranges(st.integers(0, 3)),
        "src_iface": st.sampled_from(["lan", "lan,guest", "!lan", "guest"]),
        "src_mac": st.sampled_from(["00:00:5e:00:53:01", "!00:00:5e:00:53:01"]),
        "dscp": ranges(st.integers(0, 3)),
        "nft_set": st.sampled_from(["a", "b"]),
        "family": st.sampled_from(["ipv4", "ipv6", "any"]),
    },
)


def rule_from(options: dict[str, str], name: str = "r") -> Rule | None:
    lines = "".join(f"option {option} '{value}'\n" for option, value in options.items())
    config = loads(f"config rule {name}\noption policy default\n{lines}").config
    return config.rules[0] if config else None


@settings(max_examples=200, deadline=None)
@given(RULE_OPTIONS)
def test_a_described_rule_reads_back(options: dict[str, str]) -> None:
    rule = rule_from(options)
    if rule is None:
        return
    words = describe(rule).split(" ")
    again = rule_from({**dict(zip(words[::2], words[1::2], strict=True)), "family": options.get("family", "any")})
    assert again == rule


PACKETS = list(
    itertools.product(
        [("ipv4", 0xC0000200), ("ipv4", 0xC0000201), ("ipv4", 0xC0000285), ("ipv4", 0x01010101), ("ipv6", 1),
         ("ipv6", (0x20010DB8 << 96) + 1), ("ipv6", 0x20010DB8 << 96)],
        [("ipv4", 0xC0000200), ("ipv4", 0xC0000201), ("ipv4", 0x01010101), ("ipv6", 1),
         ("ipv6", (0x20010DB8 << 96) + 1)],
        [6, 17],
        [0, 2, 9],
        [1, 3],
        ["lan", "wan"],
        ["", "a"],
    )
)  # fmt: skip
"""Source, destination, protocol, source port, destination port, device, set that holds the destination."""


def in_addresses(spec: AddressSpec, packet: tuple[str, int]) -> bool:
    def hit(match: AddressMatch) -> bool:
        return match.family == packet[0] and packet[1] & match.mask == match.value

    return (not spec.any_of or any(map(hit, spec.any_of))) and not any(map(hit, spec.none_of))


def in_ranges(spec: RangeSpec, number: int) -> bool:
    wanted = not spec.any_of or any(low <= number <= high for low, high in spec.any_of)
    return wanted and not any(low <= number <= high for low, high in spec.none_of)


def in_names(spec: NameSpec, name: str) -> bool:
    return (not spec.any_of or name in spec.any_of) and name not in spec.none_of


def matches(rule: Rule, packet: tuple[tuple[str, int], tuple[str, int], int, int, int, str, str]) -> bool:
    source, destination, proto, sport, dport, device, held = packet
    return (
        source[0] == destination[0]
        and rule.family in ("any", source[0])
        and in_ranges(rule.proto, proto)
        and in_addresses(rule.src_ip, source)
        and in_addresses(rule.dest_ip, destination)
        and in_ranges(rule.src_port, sport)
        and in_ranges(rule.dest_port, dport)
        and in_names(rule.src_iface, device)
        and rule.nft_set in (None, held)
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(RULE_OPTIONS, min_size=2, max_size=5))
def test_what_is_called_unreachable_never_matches_first(rules: list[dict[str, str]]) -> None:
    for options in rules:
        options.pop("src_mac", None)
        options.pop("dscp", None)
    parsed = [rule for n, options in enumerate(rules) if (rule := rule_from(options, f"r{n}")) is not None]
    for rule, _ in unreachable(parsed):
        before = parsed[: parsed.index(rule)]
        for packet in PACKETS:
            assert not matches(rule, packet) or any(matches(earlier, packet) for earlier in before), (rule, packet)


def test_covered_rules_are_found() -> None:
    pairs = [
        ({}, {"proto": "tcp", "dest_port": "443"}),
        ({"dest_ip": "192.0.2.0/24"}, {"dest_ip": "192.0.2.7", "src_ip": "198.51.100.1"}),
        ({"src_ip": "0.0.0.0/0.0.0.1"}, {"src_ip": "192.0.2.2"}),
        ({"src_ip": "!192.0.2.1"}, {"src_ip": "192.0.2.128/25"}),
        ({"proto": "tcp udp", "dest_port": "80-90"}, {"proto": "tcp", "dest_port": "81,85-86"}),
        ({"src_iface": "lan,guest"}, {"src_iface": "guest", "src_mac": "00:00:5e:00:53:01"}),
        ({"src_mac": "!00:00:5e:00:53:01"}, {"src_mac": "00:00:5e:00:53:02"}),
        ({"dscp": "0-10"}, {"dscp": "CS1"}),
        ({"dest_ip": "0.0.0.0/0"}, {"family": "ipv4", "nft_set": "a"}),
        ({"proto": "!udp"}, {"proto": "tcp"}),
    ]
    for wide, narrow in pairs:
        first, second = rule_from(wide, "wide"), rule_from(narrow, "narrow")
        assert first is not None
        assert second is not None
        assert list(unreachable([first, second])) == [(second, first)], (wide, narrow)
        assert list(unreachable([second, first])) == [], (wide, narrow)


def test_rules_that_only_look_covered_are_left_alone() -> None:
    pairs = [
        ({"src_ip": "!192.0.2.1"}, {"src_ip": "192.0.2.1"}),
        ({"src_ip": "!192.0.2.1"}, {"family": "ipv4"}),
        ({"proto": "tcp", "dest_port": "!80"}, {"proto": "tcp", "dest_port": "80-81"}),
        ({"dest_ip": "192.0.2.0/25"}, {"dest_ip": "192.0.2.0/24"}),
        ({"src_iface": "!lan"}, {"dest_ip": "192.0.2.1"}),
        ({"nft_set": "a"}, {"nft_set": "b"}),
        ({"family": "ipv4"}, {"proto": "tcp"}),
    ]
    for wide, narrow in pairs:
        first, second = rule_from(wide, "wide"), rule_from(narrow, "narrow")
        assert first is not None
        assert second is not None
        assert list(unreachable([first, second])) == [], (wide, narrow)


def test_two_catch_alls_cover_what_comes_after_them() -> None:
    rules = [rule_from({"dest_ip": "0.0.0.0/0"}, "v4"), rule_from({"dest_ip": "::/0"}, "v6"), rule_from({}, "late")]
    known = [rule for rule in rules if rule is not None]
    assert [(rule.name, cover.name) for rule, cover in unreachable(known)] == [("late", "v4")]
