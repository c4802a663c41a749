# SPDX-License-Identifier: GPL-2.0-or-later
"""The state directory, whole or damaged."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from netpath import statedir
from netpath.statedir import IDS, RULESET, STATES, StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    directory = StateDir(tmp_path / "deep" / "state")
    directory.create()
    return directory


def test_it_is_private(state: StateDir) -> None:
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700


def test_what_was_written_is_read(state: StateDir) -> None:
    state.write_json(IDS, {"ids": {"wan": 1}})
    assert state.read_json(IDS) == {"ids": {"wan": 1}}
    assert state.read_json(STATES) == {}


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '"x"', '{"ids": {}}', "\x00\xff"])
def test_damaged_files_count_as_none(state: StateDir, damage: str) -> None:
    (state.root / IDS).write_bytes(damage.encode("latin-1"))
    assert state.read_json(IDS) == {}


def test_files_of_another_boot_do_not_count(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write_json(STATES, {"states": {"wan": "offline"}})
    monkeypatch.setattr(statedir, "boot_id", lambda: "another")
    assert state.read_json(STATES) == {}


def test_a_full_disk_leaves_the_old_file(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write_json(IDS, {"ids": {"wan": 1}})

    opened = os.open
    monkeypatch.setattr(os, "open", lambda *_: opened("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space"):
        state.write_json(IDS, {"ids": {}})
    monkeypatch.undo()
    assert state.read_json(IDS) == {"ids": {"wan": 1}}


def test_a_full_disk_leaves_no_older_copy_that_could_be_loaded(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.keep_config(Path("/etc/config/netpath"), "older")
    state.write_text(RULESET, "older")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda *_: opened("/dev/full", os.O_WRONLY))
    for again in (Path("/etc/config/netpath"), Path("/etc/netpath/config.toml")):
        with pytest.raises(OSError, match="No space"):
            state.keep_config(again, "newer")
    with pytest.raises(OSError, match="No space"):
        state.write_or_drop(RULESET, "newer")
    monkeypatch.undo()
    assert state.applied_config() is None
    assert state.read_text(RULESET) is None


def test_the_running_configuration_is_kept_with_its_format(state: StateDir) -> None:
    assert state.applied_config() is None
    state.keep_config(Path("/etc/config/netpath"), "uci \udcff")
    kept = state.applied_config()
    assert kept is not None
    assert kept.suffix == ".uci"
    state.keep_config(Path("/etc/netpath/config.toml"), "toml")
    kept = state.applied_config()
    assert kept is not None
    assert (kept.suffix, kept.read_text()) == (".toml", "toml")


def test_a_stop_forgets_everything_but_the_ids(state: StateDir) -> None:
    state.write_json(IDS, {"ids": {"wan": 3}})
    state.write_json(STATES, {"states": {}})
    state.keep_config(Path("x"), "text")
    state.forget()
    assert [p.name for p in state.root.iterdir()] == [IDS]
    assert json.loads((state.root / IDS).read_text())["ids"] == {"wan": 3}
