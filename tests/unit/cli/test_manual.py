# SPDX-License-Identifier: GPL-2.0-or-later
"""The man page names every command and option, and has no formatting errors; so does the help."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from netpath.cli.commands import COMMANDS, GLOBAL, Command
from netpath.paths import OPTIONS
from tests.unit.cli.conftest import Run

PAGE = Path(__file__).parents[3] / "docs/netpath.8"
TEXT = PAGE.read_text(encoding="utf-8").replace("\\-", "-")


def entry(command: Command) -> str:
    """The page's paragraph about one command."""
    parts = re.split(r"^\.TP\n", TEXT, flags=re.MULTILINE)
    found = [part for part in parts if re.match(rf"\.B[RI]* \"?{command.name}\b", part)]
    assert len(found) == 1, command.name
    return found[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_and_option_is_described(command: Command) -> None:
    paragraph = entry(command)
    for argument in command.arguments:
        for word in [*argument.settings.get("choices", ()), *(n for n in argument.names if n.startswith("-"))]:
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", paragraph), word


def test_global_options_and_environment() -> None:
    for word in [name for argument in GLOBAL for name in argument.names] + list(OPTIONS.values()) + ["NO_COLOR"]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", TEXT), word


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_the_page_formats_without_a_warning() -> None:
    argv = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(PAGE)]
    result = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert result.stderr == ""


def test_help_names_every_command_with_its_summary(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command.name} +{re.escape(command.summary)}$", result.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_every_command(command: Command, run: Run) -> None:
    result = run(command.name, "--help")
    assert result.code == 0
    assert command.summary in " ".join(result.out.split())
    options = [name for argument in (*command.arguments, *GLOBAL) for name in argument.names if name.startswith("-")]
    assert [name for name in options if name not in result.out] == []
