# SPDX-License-Identifier: GPL-2.0-or-later
"""The TOML form means the same as UCI, and its mistakes are named."""

from __future__ import annotations

import pytest

from netpath.config import loads

UCI = """
config globals
	option mark_mask '16128'
	option logging '1'
	list rt_table_lookup '220'
config interface 'wan'
	option ifname 'eth0'
	option track_method 'ping'
	list track_targets '192.0.2.1'
	list track_targets '192.0.2.2'
	option interval '0.2'
	option timeout '2s'
	option stable_time '60'
config member 'm'
	option interface 'wan'
config policy 'p'
	list members 'm'
	option mode 'hash'
config rule 'second'
	option proto 'tcp'
	option dest_port '80,443'
	option policy 'p'
config rule 'first'
	option sticky '1'
	option policy 'default'
	option src_ip '192.0.2.0/24'
"""
HEAD = """
[global]
mark_mask = 0x3f00
logging = true
rt_table_lookup = [220]
"""
MIDDLE = """
[members.m]
interface = "wan"
[policies.p]
members = ["m"]
mode = "hash"
"""
NESTED = """
[interfaces.wan]
ifname = "eth0"
[interfaces.wan.track]
method = "ping"
targets = ["192.0.2.1", "192.0.2.2"]
interval = 0.2
timeout = "2s"
stable_time = 60
"""
FLAT = """
[interfaces.wan]
ifname = "eth0"
track_method = "ping"
track_targets = "192.0.2.1 192.0.2.2"
interval = "200ms"
timeout = 2
stable_time = "1m"
"""
DOTTED = """
[interfaces.wan]
ifname = "eth0"
track.method = "ping"
track = {targets = ["192.0.2.1", "192.0.2.2"], interval = 0.2, timeout = 2.0, stable_time = 60.0, method = "ping"}
""".replace('track.method = "ping"\n', "")
RULES = """
[rules.second]
proto = "tcp"
dest_port = [80, 443]
policy = "p"
[rules.first]
sticky = true
policy = "default"
src_ip = "192.0.2.0/24"
"""
RULE_LIST = """
[[rules]]
name = "second"
proto = ["tcp"]
dest_port = "80,443"
policy = "p"
[[rules]]
name = "first"
sticky = true
policy = "default"
src_ip = ["192.0.2.0/24"]
"""


@pytest.mark.parametrize("interface", [NESTED, FLAT, DOTTED])
@pytest.mark.parametrize("rules", [RULES, RULE_LIST])
def test_all_spellings_give_what_uci_gives(interface: str, rules: str) -> None:
    expected = loads(UCI)
    assert expected.config is not None, expected.problems
    found = loads(HEAD + interface + MIDDLE + rules, format="toml")
    assert found.config == expected.config, found.problems


@pytest.mark.parametrize(
    ("text", "line", "section", "option", "words"),
    [
        ("[global]\nmark_mask = \n", 2, None, None, "not valid TOML"),
        ("[interfaces.wan]\nifname = 'eth0'\nfamily = 'ipv5'\n", 3, "interface wan", "family", "not one of"),
        ("[interfaces.wan.track]\ntargets = ['192.0.2.1']\ndown = 0\n", 3, "interface wan", "down", "out of range"),
        ("[interfaces.wan]\ngateway = 1979-05-27\n", 2, "interface wan", "gateway", "neither a text"),
        ("[interfaces.wan.track]\ntargets = [['192.0.2.1']]\n", 2, "interface wan", "targets", "neither a text"),
        ("[interfaces]\nwan = 1\n", 2, "interface wan", None, "not a table"),
        ("interfaces = 1\n", 1, None, None, "not a table"),
        ("[[rules]]\nname = 5\npolicy = 'default'\n", 2, "rule", "name", "not a text"),
        ("[[rules]]\npolicy = 'default'\n[[rules]]\npolicy = 'defautl'\n", 4, "rule", "policy", "no policy"),
        ("[members.m]\ninterface = 'x'\nweight = true\n", 3, "member m", "weight", "not a whole number"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    text: str, line: int, section: str | None, option: str | None, words: str
) -> None:
    loaded = loads(text, "config.toml", "toml")
    assert loaded.config is None
    errors = [p for p in loaded.problems if p.severity == "error" and words in p.message]
    assert [(p.file, p.line, p.section, p.option) for p in errors] == [("config.toml", line, section, option)]


def test_an_unknown_table_is_named_with_the_nearest_known_one() -> None:
    (problem,) = loads("[interface_s.wan]\nifname = 'eth0'\n", "f", "toml").problems
    assert (problem.severity, problem.line, problem.value) == ("warning", None, "interface_s")
    assert "[interfaces]" in problem.fix


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = {" * 3000])
def test_monstrous_toml_is_a_problem(text: str) -> None:
    loaded = loads(text, "f", "toml")
    assert loaded.config is None
    assert "not valid TOML" in loaded.problems[0].message
