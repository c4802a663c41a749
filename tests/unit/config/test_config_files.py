# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole files: the examples, mwan3's, and what is no configuration at all."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from netpath.config import import_mwan3, load, loads, to_uci
from netpath.config.bond import load_bonds, loads_bonds
from netpath.config.loading import MAX_BYTES, sections_of
from netpath.config.monitor import LoadedMonitor, loads_monitor
from netpath.config.reference import reference
from netpath.config.schema import SECTIONS
from netpath.config.uci import read
from netpath.model import AddressMatch, Config

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
WIKI = Path(__file__).parent / "data" / "mwan3-wiki.uci"


def config_of(path: Path) -> Config:
    loaded = load(path)
    assert loaded.config is not None, [str(p) for p in loaded.problems]
    return loaded.config


def test_the_reference_is_what_the_schema_says() -> None:
    assert (ROOT / "docs" / "options.md").read_text() == reference()


def monitor_of(name: str) -> LoadedMonitor:
    """By its text: that others may read the file is wrong with a router's only."""
    return loads_monitor((EXAMPLES / name).read_text(), name, "toml" if name.endswith(".toml") else "uci")


@pytest.mark.parametrize("name", ["netpath.uci", "config.toml"])
def test_the_examples_load_without_a_word(name: str) -> None:
    assert load(EXAMPLES / name).problems == ()
    assert monitor_of(name).problems == ()
    assert load_bonds(EXAMPLES / name).problems == ()


def test_both_examples_say_the_same() -> None:
    assert config_of(EXAMPLES / "netpath.uci") == config_of(EXAMPLES / "config.toml")
    uci, toml = monitor_of("netpath.uci"), monitor_of("config.toml")
    assert uci == toml
    assert uci.monitor is not None
    assert load_bonds(EXAMPLES / "netpath.uci") == load_bonds(EXAMPLES / "config.toml")


@pytest.mark.parametrize("name", ["netpath.uci", "config.toml"])
def test_the_examples_show_every_option_and_what_is_commented_out_is_right_too(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    shown = re.sub(r"(?m)^(\s*)#(?=option |list |\w+ = )", r"\1", text)
    assert shown != text
    loaded = loads(shown, name, "toml" if name.endswith(".toml") else "uci")
    assert loaded.problems == ()
    assert loads_monitor(shown, name, "toml" if name.endswith(".toml") else "uci").problems == ()
    assert loads_bonds(shown, name, "toml" if name.endswith(".toml") else "uci").problems == ()
    for kind in SECTIONS.values():
        for option in kind.options:
            names = {option.name, option.name.removeprefix("track_")} if name.endswith(".toml") else {option.name}
            words = "|".join(names)
            assert option.ignored or re.search(rf"(?m)^\s*(?:(?:option|list) )?(?:{words})(?: =| ')", shown), (
                option.name
            )


def test_the_wiki_example_loads_without_a_word() -> None:
    loaded = load(WIKI)
    assert loaded.problems == ()
    assert loaded.config is not None
    even, odd, rest = loaded.config.rules
    assert (even.name, even.policy, even.src_ip.any_of) == ("sticky_even", "wan_wan2", (AddressMatch("ipv4", 0, 1),))
    assert (odd.name, odd.policy, odd.src_ip.any_of) == ("sticky_odd", "wan2_wan", (AddressMatch("ipv4", 1, 1),))
    assert even.proto.any_of == ((6, 6),)
    assert even.dest_port.any_of == ((443, 443),)
    assert (rest.family, rest.dest_ip.any_of) == ("ipv4", (AddressMatch("ipv4", 0, 0),))
    wan = loaded.config.interfaces[0]
    assert (wan.enabled, wan.tracking.reliability, wan.tracking.timeout, wan.tracking.up) == (True, 2, 2.0, 8)
    assert wan.tracking.targets == ("8.8.4.4", "8.8.8.8", "208.67.222.222", "208.67.220.220")
    shares = {p.name: [(m.interface, m.metric, m.weight) for m in p.members] for p in loaded.config.policies}
    assert shares["balanced"] == [("wan", 1, 3), ("wan2", 1, 2)]
    assert shares["wan2_wan"] == [("wan", 2, 3), ("wan2", 1, 2)]


def test_mwan3s_shipped_layout_loads() -> None:
    loaded = load(EXAMPLES / "mwan3")
    assert loaded.config is not None
    # Its second line is off as shipped, which is worth a word and no more.
    assert [(p.severity, p.section) for p in loaded.problems] == [("warning", "policy wanb_only")]
    assert [(i.name, i.enabled, i.family) for i in loaded.config.interfaces] == [
        ("wan", True, "ipv4"),
        ("wan6", False, "ipv6"),
        ("wanb", False, "ipv4"),
        ("wanb6", False, "ipv6"),
    ]
    assert [(r.name, r.family, r.sticky) for r in loaded.config.rules] == [
        ("https", "any", True),
        ("default_rule_v4", "ipv4", False),
        ("default_rule_v6", "ipv6", False),
    ]


MWAN3 = """\
package mwan3
config globals 'globals'
	option mmx_mask '0x3f00'
	option local_source 'none'
	option rtmon_interval '5'
	list rt_table_lookup '220'
config interface 'wan'
	option enabled '1'
	option initial_state 'online'
	option family 'ipv4'
	option track_ip '192.0.2.1 192.0.2.2'
	option track_method 'nslookup'
	option reliability '1'
	option check_quality '1'
	option failure_latency '1000'
	option keep_failure_interval '1'
	list flush_conntrack 'ifup'
	list flush_conntrack 'disconnected'
config interface 'unset'
	list track_ip '192.0.2.3'
config member 'm'
	option interface 'wan'
	option comment 'it'\\''s the "first"'
config policy 'p'
	option use_member 'm'
	option last_resort 'blackhole'
config rule
	list comment 'no name'
	option src_iface 'lan'
	option ipset 'youtube'
	option equalize '1'
	option sticky 'yes'
	option use_policy 'p'
config rule 'r'
	option proto 'all'
	option dest_ip '0.0.0.0/0'
	option use_policy 'default'
"""


def test_mwan3s_options_are_understood_and_none_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "mwan3"
    path.write_text(MWAN3)
    loaded = load(path)
    assert loaded.config is not None, loaded.problems
    assert [(p.severity, p.section) for p in loaded.problems] == [("warning", "interface unset")]
    assert "as in mwan3" in loaded.problems[0].message
    assert [i.enabled for i in loaded.config.interfaces] == [True, False]
    assert loaded.config.interfaces[0].tracking.targets == ("192.0.2.1", "192.0.2.2")
    assert loaded.config.interfaces[0].flush_conntrack == ("ifup", "disconnected")
    assert [r.name for r in loaded.config.rules] == ["rule_1", "r"]


def test_with_netpaths_names_an_interface_is_on_unless_it_says_otherwise() -> None:
    native = MWAN3.replace("use_policy", "policy")
    loaded = loads(native)
    assert loaded.config is not None
    assert [i.enabled for i in loaded.config.interfaces] == [True, True]


@pytest.mark.parametrize("source", ["wiki", "shipped", "all options"])
def test_an_import_means_the_same_and_uses_netpaths_names(source: str, tmp_path: Path) -> None:
    path = {"wiki": WIKI, "shipped": EXAMPLES / "mwan3"}.get(source, tmp_path / "mwan3")
    if source == "all options":
        path.write_text(MWAN3)
    imported = import_mwan3(path)
    assert imported.problems == load(path).problems
    assert loads(imported.text).config == config_of(path)
    for theirs in (
        "track_ip",
        "use_member",
        "use_policy",
        "mmx_mask",
        "ipset",
        "rtmon_interval",
        "comment",
        "nslookup",
    ):
        assert theirs not in imported.text


def test_an_import_with_errors_gives_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mwan3"
    path.write_text("config rule r\n\toption use_policy nowhere\n")
    imported = import_mwan3(path)
    assert imported.text == ""
    assert [p.severity for p in imported.problems] == ["error"]


def test_the_toml_example_can_be_written_as_uci() -> None:
    from netpath.config.toml import read as read_toml

    sections, _ = read_toml((EXAMPLES / "config.toml").read_text(), "f")
    assert loads(to_uci(sections)).config == config_of(EXAMPLES / "config.toml")
    assert loads_monitor(to_uci(sections)).monitor == monitor_of("config.toml").monitor


def test_a_native_file_stays_what_it_is_when_written() -> None:
    sections, _ = read((EXAMPLES / "netpath.uci").read_text(), "f")
    again, problems = read(to_uci(sections), "f")
    assert not problems
    assert [(s.type, s.name, [(e.name, e.values) for e in s.entries]) for s in again] == [
        (s.type, s.name, [(e.name, e.values) for e in s.entries]) for s in sections
    ]


def test_a_value_with_a_line_break_is_not_written() -> None:
    sections, _ = read("config rule r\noption policy 'a\nb'\n", "f")
    with pytest.raises(ValueError, match="one line"):
        to_uci(sections)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"config rule r\n\0\0", "not a text file"),
        (b"config rule 'r'\n\toption policy '\xff\xfe'\n", "not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_configuration_is_a_problem(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "netpath"
    path.write_bytes(content)
    loaded = load(path)
    assert loaded.config is None
    (problem,) = loaded.problems
    assert words in problem.message
    assert (problem.severity, problem.file) == ("error", str(path))
    assert problem.line == (2 if "UTF-8" in words else None)
    assert import_mwan3(path).problems == loaded.problems


def test_text_read_with_surrogateescape_is_told_apart_too() -> None:
    (problem,) = loads(b"#\n\xff\n".decode("utf-8", "surrogateescape")).problems
    assert (problem.severity, problem.line) == ("error", 2)


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path / "missing", tmp_path, loop, fifo, Path("/dev/zero"), Path("a\0b"), tmp_path / ("x" * 300)):
        loaded = load(path)
        assert loaded.config is None, path
        (problem,) = loaded.problems
        assert problem.severity == "error"
        assert problem.fix


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "netpath"
    path.write_text("\ufeffconfig rule r\n\toption policy default\n", encoding="utf-8")
    assert config_of(path).rules[0].name == "r"


def test_an_unknown_format_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="format"):
        loads("", format="yaml")


def test_a_problem_is_json() -> None:
    (problem,) = [p for p in loads("config rule r\n\toption policy p\n", "f").problems if p.severity == "error"]
    assert json.loads(json.dumps(problem.as_dict())) == {
        "severity": "error",
        "file": "f",
        "line": 2,
        "section": "rule r",
        "option": "policy",
        "value": "p",
        "message": "there is no policy named p",
        "fix": "add config policy 'p', or use default",
    }
    assert str(problem) == (
        "f:2: error: rule r, option policy 'p': there is no policy named p. Fix: add config policy 'p', or use default"
    )


@pytest.mark.parametrize("blank", ["", " ", "\r"])
def test_lists_of_space_and_line_breaks_of_other_systems_survive_writing(blank: str) -> None:
    text = (
        "config interface 'wan'\n\toption enabled '1'\n\toption device 'eth1\r'\n\toption track_method 'none'\n"
        f"\toption flush_conntrack '{blank}'\n\toption dns '192.0.2.53\r\n192.0.2.54'\n"
    )
    loaded = loads(text)
    assert loaded.config is not None, loaded.problems
    assert loaded.config.interfaces[0].flush_conntrack == ("ifdown", "disconnected"), "as if it was not written"
    sections, _ = sections_of(text, "f", "uci")
    assert loads(to_uci(sections)).config == loaded.config
