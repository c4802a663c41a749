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

from netpath.config.build import build
from netpath.config.check import check
from netpath.config.parse import Report, parse
from netpath.config.problems import ERROR
from netpath.config.sections import Entry, Section

Values = Mapping[str, str | Sequence[str]]
KNOWN = {"interfaces": ["wan", "wan6"], "members": ["wan_m1"], "policies": ["balanced"]}
_SECTIONS = (
    Section("interface", "wan", None, ()),
    Section("interface", "wan6", None, ()),
    Section("member", "wan_m1", None, (Entry("interface", ("wan",), (None,)),)),
    Section("policy", "balanced", None, (Entry("members", ("wan_m1",), (None,), True),)),
)
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
    tested = Section(kind, None if kind == "globals" else NAME, None, tuple(entries))
    report = Report("forms", [])
    draft = build(parse([*_SECTIONS, tested], report), report, mwan3=False)
    check(draft, report)
    title = kind if kind == "globals" else f"{kind} {NAME}"
    found = [problem for problem in report.problems if problem.severity == ERROR]
    assert all(problem.section == title for problem in found), found
    return {problem.option or problem.message.split()[0] for problem in found}
