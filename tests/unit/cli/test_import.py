# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath import mwan3`: a file in NetPath's own form, and never somebody else's file lost."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

MWAN3 = """\
config interface 'wan'
\toption enabled '1'
\tlist track_ip '198.51.100.1'
\toption reliability '1'

config member 'wan_m1_w3'
\toption interface 'wan'
\toption metric '1'
\toption weight '3'

config policy 'balanced'
\tlist use_member 'wan_m1_w3'

config rule 'default_rule'
\toption dest_ip '0.0.0.0/0'
\toption use_policy 'balanced'
"""


@pytest.fixture
def source(instance: Path) -> str:
    path = instance / "mwan3"
    path.write_text(MWAN3)
    return str(path)


def test_printed_text_is_a_configuration_without_problems(source: str, run: Run, instance: Path) -> None:
    result = run("import", "mwan3", source)
    assert result.code == 0
    assert "config policy 'balanced'" in result.out
    own = instance / "own"
    own.write_text(result.out)
    from netpath.config import load

    config = load(own).config
    assert config is not None
    assert [member.interface for member in config.policies[0].members] == ["wan"]


def test_output_is_written_once_and_overwritten_only_by_force(source: str, run: Run, instance: Path) -> None:
    target = instance / "netpath"
    first = run("import", "mwan3", source, "-o", str(target))
    assert (first.code, first.out) == (0, f"{target} is written\n")
    written = target.read_text()
    assert written == run("import", "mwan3", source).out
    target.write_text("mine")
    refused = run("import", "mwan3", source, "--output", str(target))
    assert refused.code == 1
    assert "--force" in refused.err
    assert target.read_text() == "mine"
    assert run("import", "mwan3", source, "-o", str(target), "--force").code == 0
    assert target.read_text() == written
    assert stat.S_ISREG(target.stat().st_mode)
    assert sorted(path.name for path in instance.iterdir()) == ["mwan3", "netpath"]


def test_a_file_with_errors_is_not_written(run: Run, instance: Path) -> None:
    target = instance / "netpath"
    target.write_text("mine")
    for source in (instance / "broken", instance / "missing"):
        (instance / "broken").write_text("config rule 'r'\n\toption use_policy 'nowhere'\n")
        result = run("import", "mwan3", str(source), "-o", str(target), "--force")
        assert (result.code, result.out) == (1, "")
        assert f"{source}" in result.err
        assert "fix:" in result.err
    assert target.read_text() == "mine"


def test_json_holds_text_and_problems(source: str, run: Run) -> None:
    reply = json.loads(run("--json", "import", "mwan3", source).out)
    assert sorted(reply) == ["problems", "text", "written"]
    assert "wan_m1_w3" in reply["text"]
    assert reply["written"] is None
