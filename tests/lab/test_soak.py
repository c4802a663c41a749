# SPDX-License-Identifier: GPL-2.0-or-later
"""A soak of some seconds: level when all is well, not when something is left behind, and gone after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from netpath.lab.namespace import NETNS_DIR, wait_until
from netpath.lab.soak import run
from netpath.lab.soak.readings import QUANTITIES
from netpath.lab.soak.run import Plan, soak
from netpath.lab.soak.schedule import Fault, faults
from netpath.lab.soak.site import Site

pytestmark = pytest.mark.lab


def test_a_short_soak_sees_no_drift(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "samples"
    code = soak(Plan(time=20.0, seed=2, every=2.0, pace=0.2, out=out))
    told = capsys.readouterr().out
    assert code == 0, told
    assert told.splitlines()[-1].startswith("verdict: no drift")
    samples = [json.loads(line) for line in out.read_text().splitlines()]
    assert 1 < sum(sample["calm"] for sample in samples) < len(samples)
    assert any(sample["fault"] for sample in samples)
    assert {*samples[-1]["values"]} == {quantity.name for quantity in QUANTITIES}
    for name, value in samples[-1]["values"].items():
        assert value > 0 or name.endswith(("CPU", "nft elements")), name
        assert name in told


def test_what_a_fault_leaves_behind_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first fault leaves an ip rule, and the second one is never healed."""
    done: list[Fault] = []

    def break_(site: Site, fault: Fault) -> Callable[[], None]:
        if not done:
            site.lab.router.ip("rule add fwmark 0x77 lookup main priority 30000\n", "ipv4")
        else:
            site.lab.cut("fibre")
        done.append(fault)
        return lambda: None

    monkeypatch.setattr(Site, "break_", break_)
    monkeypatch.setattr(run, "faults", lambda *wanted: islice(faults(*wanted), 2))
    monkeypatch.setattr(run, "RIGHT_SECONDS", 3.0)
    monkeypatch.setattr(run, "LEVEL_SECONDS", 1.0)
    code = soak(Plan(time=60.0, seed=1, every=2.0, pace=0.2, out=None))
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert code == 1
    assert verdict.startswith("verdict: DRIFT: ")
    assert f"3 s after {done[1]}: fibre is offline" in verdict
    assert "ip rules: " in verdict


def test_a_process_that_ends_ends_the_soak_with_its_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_(site: Site, fault: Fault) -> Callable[[], None]:
        site.ours["tracker"].signal(signal.SIGKILL)
        return lambda: None

    monkeypatch.setattr(Site, "break_", break_)
    assert soak(Plan(time=60.0, seed=1, every=2.0, pace=0.2, out=None)) == 1
    told = capsys.readouterr().out
    assert "bond server RSS" in told
    assert re.search(r"^verdict: DRIFT: \[0:\d\d:\d\d\] the tracker has ended", told.splitlines()[-1])


def test_ctrl_c_gives_the_table_and_leaves_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "netpath.lab.soak", "--pace", "0.2", "--out", str(tmp_path / "samples")]
    file = tmp_path / "told"
    with file.open("wb") as told:
        process = subprocess.Popen(argv, stdout=told, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        # In the middle of a fault; the whole group hears of it, as at a terminal.
        wait_until(lambda: "[0:" in file.read_text() or process.poll() is not None, 60.0, "the first fault")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0, file.read_text()
    finally:
        process.kill()
        process.wait()
    assert "tracker RSS" in file.read_text()
    assert "\nverdict: no drift" in file.read_text()
    assert not [entry.name for entry in NETNS_DIR.iterdir() if entry.name.startswith(f"np-{process.pid}-")]
    assert not [*Path(tempfile.gettempdir()).glob(f"netpath-lab-{process.pid}-*")]
