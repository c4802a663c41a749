# SPDX-License-Identifier: GPL-2.0-or-later
"""The logic of the pages under Tools, in node."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIME_LIMIT = 120


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing")
def test_logic() -> None:
    argv = ["node", "--test", str(HERE / "logic.test.mjs")]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout
