# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pages reckon, in node: tests/luci/*.test.mjs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from netpath.lab.namespace import Unavailable

HERE = Path(__file__).parent


@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: str(file.stem))
def test_logic(file: Path) -> None:
    if not shutil.which("node"):
        raise Unavailable("there is no node here: make setup")
    done = subprocess.run(["node", "--test", str(file)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
