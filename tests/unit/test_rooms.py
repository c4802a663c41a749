# SPDX-License-Identifier: GPL-2.0-or-later
"""The house's order as docs/architecture.md has it: who may import whom."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "netpath").rglob("*.py")
}
_ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = re.findall(r"^\| `(\w+)/?` \|", _ARCHITECTURE.split("## Rooms")[1].split("\n## ")[0], re.MULTILINE)
"""From the top down; `lab` stands last there because it is no part of a router, but it may use everything."""


@cache
def imports(module: str) -> dict[str, bool]:
    """Modules of ours that it names in imports -> whether only for type checking."""
    found: dict[str, bool] = {}

    def walk(node: ast.AST, typing: bool) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            typing = True
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else node.module for name in whole]
        for name in names:
            if name in FILES and name != module:
                found[name] = found.get(name, True) and typing
        for child in ast.iter_child_nodes(node):
            walk(child, typing)

    walk(ast.parse(FILES[module].read_text()), False)
    return found


def room(module: str) -> str | None:
    """None: one of the modules beside the rooms, such as `netpath.paths`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else None


def test_every_directory_is_a_room() -> None:
    assert {path.parent.name for path in (ROOT / "netpath").glob("*/__init__.py")} == {*ROOMS} - {"model"}


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_room_imports_only_from_rooms_below_it(module: str) -> None:
    own = room(module)
    if own is None or own == "lab":
        return
    above = {*ROOMS[: ROOMS.index(own)], "lab"}
    assert {name for name in imports(module) if room(name) in above} == set()


def test_no_import_goes_round_in_a_circle_not_even_for_types() -> None:
    try:
        TopologicalSorter({module: imports(module).keys() for module in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize(
    ("start", "never"),
    [
        ("netpath.tracker.daemon", {"config", "lab", "worker", "cli"}),
        ("netpath.worker.apply", {"tracker", "lab", "cli"}),
    ],
)
def test_what_each_process_never_loads(start: str, never: set[str]) -> None:
    """The tracker's memory is weighed, and nothing on a router needs the lab."""
    seen, todo = set(), [start]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += [name for name, typing in imports(module).items() if not typing]
    assert {name for name in seen if room(name) in never} == set()


@pytest.mark.parametrize("folder", ["netpath", "bench", "tests", "tools"])
def test_every_source_file_names_its_licence_first(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text()
        assert not text or text.startswith("# SPDX-License-Identifier: GPL-2.0-or-later\n"), path
