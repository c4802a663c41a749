# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/ubus.md against the plugin, the tracker's checks, and docs/socket.md."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from netpath.monitor.daemon import METHODS as MONITOR_METHODS
from netpath.tracker.arguments import EPOCH, FLAG, METHODS, TEXT, WHOLE, BadRequestError, unwrapped
from tests.unit.rpcd.plugin import parsed, run
from tests.unit.test_docs import ROOT, rows

BOTH = {**METHODS, "monitor": MONITOR_METHODS["monitor"], "bond": {"name": TEXT}, "bond_genkey": {"name": TEXT}}
WORDS = {TEXT: "text", WHOLE: "number", EPOCH: "seconds", FLAG: "boolean"}
UBUS, SOCKET = (ROOT / "docs" / name for name in ("ubus.md", "socket.md"))
TABLE = rows(UBUS.read_text(), "| method | arguments | reply has | example |")
REPLIES = {row[0].strip("`"): re.findall(r"`([^`]+)`", row[2]) for row in TABLE}
"""Method -> keys that its reply has."""


def test_methods_and_arguments_are_those_of_the_plugin() -> None:
    written = [(row[0].strip("`"), re.findall(r"`(\w+)` (\w+)", row[1])) for row in TABLE]
    assert written == [(m, [(name, WORDS[kind]) for name, kind in known.items()]) for m, known in BOTH.items()]
    assert [name for name, _ in written] == list(parsed(run("list")))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_examples_are_taken(row: list[str]) -> None:
    ubus, call, name, method, *given = shlex.split(row[3].strip("`"))
    assert (ubus, call, name, method) == ("ubus", "call", "netpath", row[0].strip("`"))
    unwrapped({"args": json.loads(given[0]) if given else {}, "cmd": method}, BOTH)


@pytest.mark.parametrize("method", METHODS)
def test_the_socket_document_has_the_same(method: str) -> None:
    """Each argument and each key of the reply is named there too; `internal` has headings, not keys."""
    requests = rows(SOCKET.read_text(), "| request | reply |")
    (row,) = [row for row in requests if f'"cmd":"{method}"' in row[0]]
    for argument in METHODS[method]:
        assert re.search(rf"\b{argument}\b", row[0]), argument
    if method not in ("status", "internal"):
        for key in set(REPLIES[method]) - {"truncated"}:
            assert f'"{key}"' in row[1], key


def test_needed_arguments_are_said() -> None:
    text = UBUS.read_text()
    for method in METHODS:
        try:
            unwrapped({"args": {}, "cmd": method})
        except BadRequestError:
            assert re.search(rf"`{method}`[^.]* needs? `", text), method


def test_the_answer_without_a_tracker_is_the_real_one() -> None:
    (written,) = re.findall(r'^(\{"running".*)$', UBUS.read_text(), re.MULTILINE)
    assert parsed(run("call", "rules", socket="/nonexistent/netpath.sock")) == {
        **json.loads(written),
        "error": json.loads(written)["error"].replace("/var/run/", "/nonexistent/"),
    }


def test_the_monitors_document_has_what_its_method_gives() -> None:
    text = (ROOT / "docs" / "monitor.md").read_text()
    for key in REPLIES["monitor"]:
        assert f'"{key}"' in text, key


def test_the_bonds_document_has_what_its_method_gives() -> None:
    text = (ROOT / "docs" / "bond.md").read_text()
    for key in {*REPLIES["bond"]} - {"bonds"}:
        assert f'"{key}"' in text, key
