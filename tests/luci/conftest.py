# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages in a browser: each test runs on the stand-in of LuCI, and on the real one where there is an OpenWrt to boot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.luci.places import Place, RealLuci, StandIn, real_luci, stand_in
from tests.openwrt.openwrt_root import openwrt_root
from tests.packages.conftest import packages

__all__ = ["packages"]


@pytest.fixture(scope="package")
def standin() -> Iterator[StandIn]:
    """For what the stand-in alone has."""
    with stand_in() as place:
        yield place


@pytest.fixture(scope="package")
def luci(request: pytest.FixtureRequest) -> Iterator[RealLuci]:
    """For what only the real LuCI has, such as forms."""
    openwrt_root()
    with real_luci(request.getfixturevalue("packages")) as place:
        yield place


@pytest.fixture(scope="package", params=["standin", "luci"])
def anywhere(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture
def place(anywhere: Place) -> Iterator[Place]:
    """Whole again at the end, whatever a test did."""
    yield anywhere
    anywhere.browser.problems()
