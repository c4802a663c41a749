# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that work without a tracker, by a worker's job in the same process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netpath.kernel.nft import NftError
from netpath.paths import Paths
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run

Job = Callable[[Paths, dict[str, Any]], dict[str, Any]]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replies of the worker's jobs by name; what was asked is left in `asked`."""
    laid_down: dict[str, Any] = {"asked": []}

    def job(name: str) -> Job:
        def function(where: Paths, request: dict[str, Any]) -> dict[str, Any]:
            laid_down["asked"].append((name, where.config.name, request))
            reply = laid_down[name]
            if isinstance(reply, Exception):
                raise reply
            assert isinstance(reply, dict)
            return reply

        return function

    monkeypatch.setattr("netpath.worker.__main__.job", job)
    return laid_down


def test_check_lists_all_problems(jobs: dict[str, Any], run: Run) -> None:
    jobs["check"] = replies.PROBLEMS
    result = run("check")
    assert result.out == (GOLDEN / "check.txt").read_text(encoding="utf-8")
    assert result.code == 1
    assert json.loads(run("check", "--json").out) == replies.PROBLEMS


def test_check_with_warnings_only_is_fine(jobs: dict[str, Any], run: Run) -> None:
    jobs["check"] = {"problems": replies.PROBLEMS["problems"][1:]}
    assert run("check").code == 0


def test_check_of_a_named_file(jobs: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch, instance: Path) -> None:
    jobs["check"] = {"problems": []}
    monkeypatch.chdir(instance)
    result = run("check", "other.conf")
    assert (result.code, result.out) == (0, f"{instance}/other.conf: no problems found\n")
    run("check")
    assert [request for _, _, request in jobs["asked"]] == [
        {"file": f"{instance}/other.conf"},
        {"file": f"{instance}/netpath.conf"},
    ]
    assert json.loads(run("check", "--json").out) == {"problems": []}


def test_a_job_that_fails_is_exit_code_1(jobs: dict[str, Any], run: Run) -> None:
    jobs["check"] = {"error": "no such file"}
    result = run("check", "gone")
    assert (result.code, result.out, result.err) == (1, "", "netpath: no such file\n")


@pytest.mark.parametrize(
    "error", [NftError("the Python module `nftables` is missing"), PermissionError(1, "Operation not permitted")]
)
def test_a_kernel_that_refuses_is_one_sentence(error: Exception, jobs: dict[str, Any], run: Run) -> None:
    jobs["diag"] = error
    result = run("diag")
    assert (result.code, result.out) == (1, "")
    assert str(error) in result.err.splitlines()[-1]


def test_explain_and_internal_answer_without_a_tracker_and_say_so(jobs: dict[str, Any], run: Run) -> None:
    jobs.update(explain=replies.EXPLAIN, internal=replies.INTERNAL)
    for line, golden in (("explain 192.0.2.7 198.51.100.1 tcp 443", "explain"), ("internal ipv4", "internal")):
        result = run(*line.split())
        assert result.code == 0
        assert result.out == (GOLDEN / f"{golden}.txt").read_text(encoding="utf-8")
        assert "not running" in result.err
    assert jobs["asked"][1] == ("internal", "netpath.conf", {"family": "ipv4"})


def test_diag_without_a_tracker_shows_what_it_finds_and_is_exit_code_3(jobs: dict[str, Any], run: Run) -> None:
    jobs["diag"] = replies.DIAG
    result = run("diag")
    assert result.code == 3
    assert result.out == (GOLDEN / "diag.txt").read_text(encoding="utf-8")
    assert "netpath start" in result.err


def test_stop_without_a_tracker_cleans_up(jobs: dict[str, Any], run: Run) -> None:
    jobs["stop"] = {"result": "ok"}
    result = run("stop")
    assert result.code == 0
    assert "no tracker was running" in result.out
    assert jobs["asked"] == [("stop", "netpath.conf", {})]


def test_stop_leaves_a_tracker_alone_that_is_just_starting(jobs: dict[str, Any], run: Run, instance: Path) -> None:
    import fcntl

    (instance / "state").mkdir()
    with (instance / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ("stop", "start"):
            result = run(command)
            assert result.code == 1
            assert "try again" in result.err
    assert jobs["asked"] == []
