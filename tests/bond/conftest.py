# SPDX-License-Identifier: GPL-2.0-or-later
"""A world for all tests of a module, without processes and with whole lines at the beginning of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bond.bondlab import World


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture
def world(built: World) -> Iterator[World]:
    yield built
    built.stop()
    for device in ("w0", "w1"):
        if f"cut_{device}" in built.home.tables():
            built.mend(device)
