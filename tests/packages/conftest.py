# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages of `make ipk`, built once for all tests here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages.ipk import Ipk, read

ROOT = Path(__file__).parents[2]


def build(directory: Path) -> dict[str, Ipk]:
    """Run the builder into `directory`; its packages by name."""
    argv = [sys.executable, str(ROOT / "tools/ipk.py"), str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"SOURCE_DATE_EPOCH": "1700000000"})
    if done.returncode and "urlopen" in done.stderr:
        pytest.skip(f"the nftables binding cannot be fetched from PyPI: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return {ipk.control["Package"]: ipk for ipk in map(read, sorted(directory.iterdir()))}


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ipk]:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(packages: dict[str, Ipk], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages but those of monitor and bond unpacked into one directory, as opkg would into /."""
    root = tmp_path_factory.mktemp("root")
    for name in packages.keys() - {"netpath-monitor", "netpath-bond", "python3-prometheus-client"}:
        packages[name].unpack(root)
    return root
