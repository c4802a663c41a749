# SPDX-License-Identifier: GPL-2.0-or-later
"""A network namespace of its own for each test; the test runs inside, and so do the programs that it starts."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.kernel.kernel_world import World, enter

_numbers = itertools.count()


@pytest.fixture
def world() -> Iterator[World]:
    name = f"npk-{os.getpid()}-{next(_numbers)}"
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = os.open(f"/run/netns/{name}", os.O_RDONLY)
        enter(inside)
        os.close(inside)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield World(name)
    finally:
        enter(home)
        os.close(home)
        subprocess.run(["ip", "netns", "delete", name], check=True)
