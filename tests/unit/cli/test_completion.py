# SPDX-License-Identifier: GPL-2.0-or-later
"""Bash completion, in a real bash: what Tab offers."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from netpath.cli.commands import COMMANDS, GLOBAL, Command
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker

ROOT = Path(__file__).parents[3]
INSTALLED = ROOT / "files/usr/share/bash-completion/completions/netpath"
GLOBAL_NAMES = {name for argument in GLOBAL for name in argument.names}
COMPLETE = f"""
netpath() {{ {shlex.quote(sys.executable)} -m netpath "$@"; }}
source {shlex.quote(str(INSTALLED))}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_netpath
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(*words: str) -> set[str]:
    """What is offered for the last of `words`, as a real bash computes it."""
    argv = ["bash", "-c", COMPLETE, "bash", "netpath", *words]
    result = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert result.stderr == ""
    return set(result.stdout.split("\n")) - {""}


def test_the_installed_file_is_up_to_date(run: Run) -> None:
    assert INSTALLED.read_text() == run("completion", "bash").out


def test_first_word_offers_every_command() -> None:
    assert offered("") == {command.name for command in COMMANDS} | GLOBAL_NAMES
    assert offered("--socket", "/x", "re") == {"restart", "reload"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_of_every_command_is_offered(command: Command) -> None:
    own = {name for argument in command.arguments for name in argument.names if name.startswith("-")}
    assert offered(command.name, "-") == own | GLOBAL_NAMES


def test_interfaces_come_from_the_tracker_and_only_harmless_ones(tracker: FakeTracker, instance: Path) -> None:
    rows = [{**replies.WAN, "name": name} for name in ("wan", "wan-2.b", f"$(touch {instance}/x)", "`id`", "a b")]
    tracker.replies["interfaces"] = {"interfaces": rows}
    assert offered("ifdown", "w") == {"wan", "wan-2.b"}
    assert offered("use", "") - GLOBAL_NAMES == {"wan", "wan-2.b"}
    assert not (instance / "x").exists()


def test_files_commands_and_choices(instance: Path) -> None:
    (instance / "my config").touch()
    assert offered("check", f"{instance}/my") == {f"{instance}/my config"}
    assert offered("--config", f"{instance}/my") == {f"{instance}/my config"}
    assert "cat" in offered("use", "wan", "ca")
    assert offered("internal", "ipv") == {"ipv4", "ipv6"}
    assert offered("explain", "--sport", "") == set()
