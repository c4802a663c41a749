# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the command in this process against a fake tracker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from netpath.cli import main
from tests.unit.cli.fake_tracker import FakeTracker


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An instance of its own, nothing of this machine's, and UTC."""
    monkeypatch.setenv("NETPATH_CONFIG", str(tmp_path / "netpath.conf"))
    monkeypatch.setenv("NETPATH_SOCKET", str(tmp_path / "s"))
    monkeypatch.setenv("NETPATH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def tracker(instance: Path) -> Iterator[FakeTracker]:
    """A running fake tracker without replies; a test fills `tracker.replies`."""
    with FakeTracker(instance / "s", {}) as fake:
        yield fake


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("status", "--json")` -> exit code, standard output, standard error."""

    def call(*argv: str) -> Result:
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Result(code, *capsys.readouterr())

    return call
