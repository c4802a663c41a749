# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every page: it opens without errors, for those who may only read too, dark, and fits a phone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from netpath.lab.web import READER
from tests.luci.places import FITS, OPENWRT, OVERVIEW, PHONE, Place, RealLuci, StandIn, wait_status
from tests.luci.test_forms import configure

pytestmark = pytest.mark.lab

HOME = "admin/network/netpath"


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
    Page(f"{HOME}/interfaces", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/policies", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/rules", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/settings", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/notifications", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/monitor/live", "[data-part=notices] .alert-message"),
    Page(f"{HOME}/monitor/settings", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/bonding/live", "[data-part=notices] .alert-message"),
    Page(f"{HOME}/bonding/settings", "#maincontent h2, h2", form=True),
    Page(f"{HOME}/tools/explain", "#npt-src"),
    Page(f"{HOME}/tools/diagnostics", "[data-topic=link] [data-status=ok]"),
    Page(f"{HOME}/tools/troubleshooting", "textarea.npt-text"),
    Page(f"{HOME}/tools/import", "#maincontent h2, h2", form=True),
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
        assert place.browser.evaluate(FITS)


CONTRAST = """(selector => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = colour => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const part = value => (value /= 255, value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        const [ r, g, b ] = [ ...canvas.getImageData(0, 0, 1, 1).data ].map(part);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(document.querySelector(selector)), body = getComputedStyle(document.body);
    const [ low, high ] = [ light(style.color), light(body.backgroundColor) ].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
})"""
"""Of a text to the page's ground, as WCAG 2 has it."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_small_texts_can_be_read(luci: RealLuci, dark: bool) -> None:
    luci.visit(OVERVIEW, dark=dark)
    luci.browser.wait_for(".np-page .np-hint")
    luci.browser.wait("getComputedStyle(document.documentElement).getPropertyValue('--np-faint')")
    for selector in (".np-page .np-hint", ".np-figures span", ".np-events time", ".np-badge"):
        assert luci.browser.evaluate(f"{CONTRAST}('{selector}')") >= 4.5, selector


def test_explain_answers_the_question_in_its_address(place: Place) -> None:
    place.visit(f"{HOME}/tools/explain#src=192.168.1.2&dst={place.server}&dport=443")
    place.browser.wait_for("[data-verdict]", place.first)
    assert place.browser.problems() == []


def test_diagnostics_names_the_line_that_is_cut(place: Place) -> None:
    place.cut()
    try:
        wait_status(place, **{place.first: "offline"})
        place.visit(f"{HOME}/tools/diagnostics")
        place.browser.wait_for("[data-topic=tracking] [data-status=error]")
        assert place.first in place.browser.text("[data-topic=tracking]")
    finally:
        place.mend()
        wait_status(place, **{place.first: "online"})


def test_explain_says_by_which_criterion_a_rule_was_passed_over(luci: RealLuci) -> None:
    phone = "config rule 'phone'\n\toption src_mac '00:00:5e:00:53:01'\n\toption policy 'all'\n\n"
    everything = "config rule 'everything'"
    configure(luci, OPENWRT.replace(everything, phone + everything))
    try:
        luci.visit(f"{HOME}/tools/explain#src=192.168.1.2&dst={luci.server}")
        luci.browser.wait_for("details", "phone: Source MAC address")
    finally:
        configure(luci, OPENWRT)
