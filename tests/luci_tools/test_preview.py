# SPDX-License-Identifier: GPL-2.0-or-later
"""The preview of an import from mwan3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from netpath import paths
from netpath.config import loads
from netpath.tracker.arguments import METHODS
from netpath.tracker.bounded import UBUS_LIMIT, fitted
from netpath.worker.preview import preview


def previewed(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("NETPATH_MWAN3", str(file))
    where, _ = paths.resolve([], {})
    return preview(where, {})


def test_a_configuration_is_shown_in_our_form(monkeypatch: pytest.MonkeyPatch) -> None:
    found = previewed(Path(__file__).parents[1] / "unit/config/data/mwan3-wiki.uci", monkeypatch)
    assert found["sections"] == {"interface": 2, "member": 4, "policy": 5, "rule": 3}
    assert loads(found["text"]).config is not None
    assert found["found"]
    assert not found["truncated"]


def test_nothing_to_import_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = previewed(tmp_path / "none", monkeypatch)
    assert (found["found"], found["text"], found["problems"]) == (False, "", [])


def test_errors_leave_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mwan3").write_text("config policy 'p'\n\tlist use_member 'nobody'\n")
    found = previewed(tmp_path / "mwan3", monkeypatch)
    assert found["text"] == ""
    assert [p["severity"] for p in found["problems"]] == ["error"]


def test_the_largest_one_fits_whole_or_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half a configuration never leaves the router."""
    for rules in (900, 5000):
        odd = "".join(
            f"config rule 'r{n}'\n\toption no_such '{'x' * 500}'\n\toption use_policy 'default'\n" for n in range(rules)
        )
        (tmp_path / "mwan3").write_text(odd)
        found = previewed(tmp_path / "mwan3", monkeypatch)
        assert found["truncated"]
        assert found["text"].count("config rule") in (0, rules)
        line = fitted("import", found)
        assert len(line) <= UBUS_LIMIT
        assert found["text"] == "" or found["text"][-20:].encode("unicode_escape") in line


def test_the_pages_know_every_method_that_they_call() -> None:
    """Else a page asks for what is not there, and shows nothing at all."""
    resources = Path(__file__).parents[2] / "htdocs/luci-static/resources"
    table = (resources / "netpath/api.js").read_text().partition("METHODS = {")[2].partition("};")[0]
    known = set(re.findall(r"^\t(\w+):", table, re.MULTILINE))
    called = {name for page in resources.rglob("*.js") for name in re.findall(r"\bapi\.(\w+)\(", page.read_text())}
    assert called <= known <= {*METHODS, "monitor", "bond", "bond_genkey"}
