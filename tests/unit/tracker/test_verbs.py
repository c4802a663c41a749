# SPDX-License-Identifier: GPL-2.0-or-later
"""`use` on kernels and at moments that cannot be had in the lab."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netpath.kernel import cgroup
from netpath.tracker.verbs import Verbs

REFUSED = 'Error: Could not process rule: No such file or directory\nsocket cgroupv2 level 1 "netpath.wan" goto w_1'


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the root of the control groups."""
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(cgroup, "_MOUNTS", (tmp_path,))
    monkeypatch.setattr(cgroup, "_SYSFS", tmp_path)
    monkeypatch.setattr(cgroup, "_empty", lambda directory: None)
    return tmp_path


def use(*replies: dict[str, Any]) -> list[dict[str, Any]]:
    """What `use wan` answers when the loads that it asks for end like that."""
    left = list(replies)

    async def apply(*, from_file: bool) -> dict[str, Any]:
        assert not from_file
        return left.pop(0)

    applied = SimpleNamespace(globals=SimpleNamespace(nft_table="netpath"))
    daemon = SimpleNamespace(applied=applied, uplinks={"wan": None}, apply=apply)
    verbs = Verbs(cast("Any", daemon), cast("Any", None))
    answers = [asyncio.run(verbs.answer({"cmd": "use", "interface": "wan"})) for _ in replies]
    assert left == []
    return answers


def test_a_kernel_without_socket_matches_is_named_and_later_loads_do_not_trip_over_the_group(groups: Path) -> None:
    (answer,) = use({"error": REFUSED})
    assert answer["error"].startswith("this kernel cannot tell control groups apart")
    assert REFUSED in answer["error"]
    assert [entry.name for entry in groups.iterdir()] == ["cgroup.controllers"]


def test_a_refusal_for_another_reason_is_handed_on_and_the_next_use_tries_again(groups: Path) -> None:
    first, second = use({"error": "the worker was killed"}, {"result": "ok"})
    assert first == {"error": "the worker was killed"}
    assert Path(second["cgroup"]).is_dir()


def test_a_group_that_programs_are_in_already_stays(groups: Path) -> None:
    group = cgroup.ensure(cgroup.name_of("netpath", "wan"))
    use({"error": REFUSED})
    assert group.directory.is_dir()
