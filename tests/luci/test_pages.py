# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every page: it opens without errors, for those who may only read too, dark, and fits a phone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from netpath.lab.web import READER
from tests.luci.places import OVERVIEW, Place, StandIn

pytestmark = pytest.mark.lab

PHONE = 390


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    landmark: str
    """Selector of something that is visible once the page is there."""
    form: bool = False
    """Forms need the real LuCI."""


PAGES = [
    Page(OVERVIEW, ".np-card"),
    Page("admin/status/overview", ".np-widget .np-badge"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path))
@pytest.mark.parametrize("user", ["root", READER])
def test_a_page_opens_without_errors_and_fits_a_phone(place: Place, page: Page, user: str) -> None:
    if page.form and isinstance(place, StandIn):
        pytest.skip("forms need the real LuCI")
    place.visit(page.path, user=user, width=PHONE, dark=user == READER)
    place.browser.wait_for(page.landmark)
    assert place.browser.problems() == []
    if page.path.startswith("admin/network/netpath"):  # others have parts of others
        assert place.browser.evaluate("document.scrollingElement.scrollWidth") <= PHONE
