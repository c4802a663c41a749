# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls functions of LuCI modules in node, and asks NetPath's readers the same questions."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from netpath.config.bond import loads_bonds
from netpath.config.build import build
from netpath.config.check import check
from netpath.config.monitor import loads_monitor
from netpath.config.parse import Report, parse
from netpath.config.problems import ERROR, Problem
from netpath.config.schema import SECTIONS
from netpath.config.schema_bond import BOND_SECTIONS
from netpath.config.schema_monitor import MONITOR_SECTIONS
from netpath.config.sections import Entry, Section
from netpath.config.write import quote

Values = Mapping[str, str | Sequence[str]]
KNOWN = {
    "interfaces": ["wan", "wan6"],
    "members": ["wan_m1"],
    "policies": ["balanced"],
    "sources": {"proxy": "clash", "router": "openwrt"},
    "bonds": {"home": "client", "vps": "server"},
    "peers": ["cabin"],
}
_NO_KEYS = Path("/nonexistent")
_SECTIONS = (
    Section("interface", "wan", None, ()),
    Section("interface", "wan6", None, ()),
    Section("member", "wan_m1", None, (Entry("interface", ("wan",), (None,)),)),
    Section("policy", "balanced", None, (Entry("members", ("wan_m1",), (None,), True),)),
)
_SOURCES = """
config source 'proxy'
	option type 'clash'
	option url 'ws://192.0.2.1/'

config source 'router'
	option type 'openwrt'
	option url 'http://192.0.2.2/'

"""
KEY = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
_BONDS = f"""
config bond 'home'
	option role 'client'
	option private_key '{KEY}'
	option server 'vps.example.com'
	option server_key '{KEY}'

config bond 'vps'
	option role 'server'
	option device 'tun-vps'
	option private_key '{KEY}'

config bond_peer 'cabin'
	option enabled '0'
	option bond 'vps'
	option public_key '{KEY}'
	option addresses '10.99.0.7'

"""
NAME = "under_test"


class Node:
    """A running ask.mjs."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            pytest.skip("no node: the web interface's modules cannot be run")
        script = str(Path(__file__).with_name("ask.mjs"))
        self._process = subprocess.Popen([node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        request = {"module": f"netpath.{module}", "function": function, "arguments": arguments}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"ask.mjs ended at {request}"
        return json.loads(answer)

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def refused_by_forms(node: Node, kind: str, values: Values) -> set[str]:
    """Options that the forms refuse in a section."""
    own = {"interface": "interfaces"}.get(kind)
    known = {**KNOWN, own: [*KNOWN[own], NAME]} if own else KNOWN
    return {fault["option"] for fault in node.call("valid", "section", kind, dict(values), known)}


def refused_by_reader(kind: str, values: Values) -> set[str]:
    """Options that NetPath refuses in the same section, beside the same other sections."""
    entries = [
        Entry(name, tuple(lines), (None,) * len(lines), not isinstance(value, str))
        for name, value in values.items()
        if (lines := [value] if isinstance(value, str) else list(value))
    ]
    single = SECTIONS[kind].single
    tested = Section(kind, None if single else NAME, None, tuple(entries))
    title = kind if single else f"{kind} {NAME}"
    found = [problem for problem in _problems(tested) if problem.severity == ERROR]
    assert all(problem.section == title for problem in found), found
    blamed = {problem.option or problem.message.split()[0] for problem in found}
    return {"interface" if option == "neither" else option for option in blamed}


def _problems(tested: Section) -> Sequence[Problem]:
    """Of the section, beside others of its reader."""
    if tested.type in MONITOR_SECTIONS:
        settings = "" if tested.type == "monitor" else "config monitor\n"
        return loads_monitor(settings + _SOURCES + _uci(tested)).problems
    if tested.type in BOND_SECTIONS:
        # Only the reader opens files: keys that are not there are nothing that a form can know.
        link = f"config bond_link\n\toption bond '{NAME}'\n\toption interface 'eth7'\n" if _is_client(tested) else ""
        text = link + _uci(tested) if tested.type == "bond" else _BONDS + _uci(tested)
        unread = ("cannot be read", "no file")
        found = loads_bonds(text, keys=_NO_KEYS).problems
        return [problem for problem in found if not any(words in problem.message for words in unread)]
    report = Report("forms", [])
    check(build(parse([*_SECTIONS, tested], report), report, mwan3=False), report)
    return report.problems


def _is_client(section: Section) -> bool:
    return any(entry.name == "role" and entry.values[-1].strip().lower() == "client" for entry in section.entries)


def _uci(section: Section) -> str:
    """As it is written, wrong or not."""
    lines = [f"config {section.type}" + (f" {quote(section.name)}" if section.name else "")]
    for entry in section.entries:
        lines += [f"\t{'list' if entry.is_list else 'option'} {entry.name} {quote(value)}" for value in entry.values]
    return "\n".join(lines) + "\n"
