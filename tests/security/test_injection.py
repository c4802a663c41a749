# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of the configuration stay values: in nft's text, in dnsmasq's file, on command lines and in the log."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from netpath.config import loads
from netpath.config.kinds import DIRECTORY, IGNORED
from netpath.config.kinds_monitor import FILE
from netpath.config.monitor import loads_monitor
from netpath.config.schema import SECTIONS
from netpath.model import Config, Uplink
from netpath.steering import domains
from netpath.steering.ruleset import ruleset
from netpath.tracker.journal import Log
from tests.kernel.nsbox import Box
from tests.security.somebody import ROOT

HOSTILE = (
    'x"; flush ruleset; add table inet owned; #',
    "x\nflush ruleset\nadd table inet owned",
    "x; flush ruleset; add table inet owned",
    "} } add table inet owned { chain c {",
    "$owned",
    "x/y#owned",
    'x" comment "owned',
    "example.com/\nconf-script=/tmp/owned\n#",
    "-owned",
    "--owned",
    "owned*",
    "../../tmp/owned",
    "$(touch /tmp/owned)",
)
NFTSET = re.compile(r"nftset=/[a-z0-9.-]+/(?:[46]#inet#\w+#[\w.-]+,?)+")
TABLES = {"globals": "global", "interface": "interfaces.wan", "member": "members.m", "policy": "policies.p",
          "rule": "rules.r"}  # fmt: skip
BASE: dict[str, dict[str, object]] = {
    "global": {"logging": True},
    "interfaces.wan": {"ifname": "eth1"},
    "members.m": {"interface": "wan"},
    "policies.p": {"members": ["m"]},
    "rules.r": {"policy": "p", "logging": True, "proto": "tcp"},
    "rules.d": {"policy": "p", "domain": ["example.com"]},
}


def toml(section: str, option: str, value: object) -> str:
    world = {name: dict(options) for name, options in BASE.items()}
    world[section][option] = value
    # A JSON string is a TOML string, line feeds and quotes escaped.
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(each)}" for key, each in options.items())
        for name, options in world.items()
    )


def text_of(config: Config) -> str:
    uplinks = [
        Uplink(i.name, n, i.family, i.device or "eth1", "192.0.2.1", ("192.0.2.10/24",), True, ("192.0.2.0/24",))
        for n, i in enumerate(config.interfaces, 1)
    ]
    usable = frozenset(u.name for u in uplinks)
    return ruleset(config, uplinks, usable, existing_chains=(), existing_sets=(), existing_counters=(), load="1")


def taken() -> Iterator[tuple[str, str, str, Config]]:
    """Every option with every hostile value that the configuration takes at all."""
    for kind, section in TABLES.items():
        for option in SECTIONS[kind].options:
            for value in HOSTILE:
                for form in (value, [value]):
                    config = loads(toml(section, option.name, form), format="toml").config
                    if config is not None:
                        yield kind, option.name, value, config


def test_what_hostile_values_are_taken_and_that_they_stay_inside_quotes() -> None:
    """Most are refused, with a problem; what is taken is text for people, or reaches no nft at all."""
    seen = set()
    for kind, option, value, config in taken():
        seen.add((kind, option))
        bare = re.sub(r'"[^"\n]*"', '""', text_of(config))
        assert "owned" not in bare, (kind, option, value)
        assert "flush ruleset" not in bare, (kind, option, value)
        lines = domains.lines(config.rules, config.globals.nft_table).text
        assert [line for line in lines if not NFTSET.fullmatch(line)] == [], (kind, option, value)
    free = {
        name for kind in TABLES for o in SECTIONS[kind].options if o.kind is IGNORED for name in (o.name, *o.aliases)
    }
    # Devices may be called almost anything, a path of a URL may have anything printable in it, and what has blanks is a
    # list of domains, each by itself.
    assert {option for _, option in seen} - free == {"ifname", "src_iface", "track_targets", "domain"}


NAMES = ("a", "9-4", "x.y", "st_x", "dom_x_00000000", "flush", "inet", "w" * 64)


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_nft_loads_any_name_and_makes_nothing_beside_our_table(name: str) -> None:
    text = f"""
config interface '{name}'
	option ifname 'eth1'
config member '{name}'
	option interface '{name}'
config policy '{name}'
	list members '{name}'
config rule '{name}'
	option policy '{name}'
	option logging 1
	option sticky 1
"""
    config = loads(text).config
    if config is None:
        assert "policy" in str([str(p) for p in loads(text).problems])
        return
    with Box() as box:
        box.nft(text_of(config))
        assert box.run("nft", "list", "tables").split() == ["table", "inet", "netpath"]


def test_the_options_that_name_files_are_few_and_none_names_a_program() -> None:
    """Who may write the configuration (an account of LuCI) has root read these, or write its own file there; nothing
    is executed."""
    named = {
        (kind, o.name) for kind, section in SECTIONS.items() for o in section.options if o.kind in (FILE, DIRECTORY)
    }
    assert named == {
        ("globals", "dnsmasq_dir"),
        ("monitor", "mqtt_ca"),
        ("bond", "private_key_file"),
        ("bond", "preshared_key_file"),
        ("bond_peer", "preshared_key_file"),
    }
    words = ("script", "command", "exec", "program", "hook", "run")
    assert [o.name for s in SECTIONS.values() for o in s.options if any(word in o.name for word in words)] == []


def test_who_may_register_by_default_and_where_figures_are_served() -> None:
    monitor = loads_monitor("config monitor 'monitor'\n\toption enabled 1\n").monitor
    assert monitor is not None
    assert all(ip_network(network).is_private for network in monitor.datagrams.networks)
    assert all(ip_address(address).is_loopback for address in monitor.metrics.addresses)
    silent = loads_monitor("config monitor 'monitor'\n").monitor
    assert silent is not None
    assert (monitor.enabled, silent.enabled) == (True, False)


def test_pages_build_nothing_from_text() -> None:
    """eslint holds them to it (eslint.config.mjs); here without it."""
    pattern = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.srcdoc"
    found = subprocess.run(
        ["grep", "-rnE", pattern, "htdocs"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert found == ""
    assert len(list((ROOT / "htdocs").rglob("*.js"))) > 20


def test_nothing_is_run_by_a_shell_but_the_users_script() -> None:
    pattern = r"/bin/sh|create_subprocess_shell|shell=True"
    found = subprocess.run(
        ["grep", "-rnE", pattern, "netpath", "--include=*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    places = {line.partition(":")[0] for line in found if not line.startswith("netpath/lab/")}
    assert places <= {"netpath/tracker/hooks.py", "netpath/paths.py", "netpath/config/schema.py"}


def test_a_log_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Log()("error", "a name\nnetpath error: forged \x1b[2J \r over")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert "\r" not in said
