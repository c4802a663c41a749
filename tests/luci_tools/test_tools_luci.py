# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages under Tools on the real LuCI, as a user sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.luci.browser import Browser
from tests.luci_tools.luci import HOME, READER, TOOLS, language, login, site
from tests.openwrt.openwrt_root import Router

pytestmark = pytest.mark.lab

MWAN3 = (Path(__file__).parents[1] / "unit/config/data/mwan3-wiki.uci").read_text()
CONFIG = """
config globals 'globals'
	option enabled '1'

config interface 'wan'
	option ifname 'eth1'
	list track_targets '192.0.2.1'

config interface 'wanb'
	option ifname 'eth2'
	list track_targets '192.0.2.1'

config member 'wan_m'
	option interface 'wan'

config policy 'first'
	list members 'wan_m'

config rule 'mail'
	option proto 'tcp'
	option dest_port '25'
	option policy 'unreachable'

config rule 'everything'
	option policy 'first'
"""
QUESTION = "src=192.168.1.2&dst=192.0.2.99&dport=443"
Site = tuple[Router, Browser]


@pytest.fixture(scope="module")
def luci() -> Iterator[Site]:
    with site({"/etc/config/netpath": CONFIG, "/etc/config/mwan3": MWAN3}) as (router, browser):
        router.run("/etc/init.d/netpath", "start")
        router.wait(lambda: "running" not in router.ubus("netpath", "version"), "the tracker")
        states = ("online",)
        router.wait(lambda: router.ubus("netpath", "interfaces")["interfaces"][0]["status"] in states, "wan online", 40)
        yield router, browser


def test_explain_answers_the_question_in_the_address(luci: Site) -> None:
    _, browser = luci
    login(browser)
    browser.open(f"{TOOLS}explain#{QUESTION}")
    browser.wait_for("[data-verdict]", "wan")
    assert "rule everything" in browser.text("[data-why]")
    assert "mail: Destination port" in browser.text("details")
    assert browser.problems() == []


def test_explain_names_a_wrong_field_and_asks_by_keyboard(luci: Site) -> None:
    _, browser = luci
    login(browser)
    browser.open(f"{TOOLS}explain")
    browser.wait_for("#npt-src")
    browser.fill("#npt-src", "192.168.1.2")
    browser.fill("#npt-dst", "nonsense")
    browser.press("Enter")
    browser.wait_for("#npt-dst-error", "IPv4")
    assert browser.evaluate("document.activeElement.id") == "npt-dst"
    browser.fill("#npt-dst", "192.0.2.99")
    browser.fill("#npt-dport", "25")
    browser.press("Enter")
    browser.wait_for("[data-verdict]")
    assert "unreachable" in browser.text("[data-why]")
    assert "dport=25" in browser.evaluate("location.hash")
    assert browser.count(".npt-last a") == 1


def test_diagnostics_has_words_and_runs_again(luci: Site) -> None:
    router, browser = luci
    login(browser)
    browser.open(f"{TOOLS}diagnostics")
    browser.wait_for("[data-topic=link] [data-status=ok]", "OK")
    router.spaces["wan"].ip("link set cable down\n")
    try:
        router.wait(lambda: not router.ubus("netpath", "interfaces")["interfaces"][0]["up"], "the cut")
        browser.click("[data-action=run]")
        browser.wait_for("[data-topic=link] [data-status=error]", "Error")
        assert "wan is down" in browser.text("[data-topic=link]")
    finally:
        router.spaces["wan"].ip("link set cable up\n")
    assert browser.problems() == []


def test_the_report_is_masked_until_it_is_told_otherwise(luci: Site) -> None:
    _, browser = luci
    login(browser)
    browser.open(f"{TOOLS}troubleshooting")
    browser.wait("document.querySelector('textarea.npt-text')?.value.includes('table inet netpath')")
    value = "document.querySelector('textarea.npt-text').value"
    text = browser.evaluate(value)
    assert "198.51.100" not in text
    assert "===== last events" in text
    assert "config interface 'wan'" in text
    browser.click("[data-mask=addresses]")
    assert "198.51.100.1" in browser.evaluate(value)


def test_a_reader_sees_the_preview_and_cannot_take_it(luci: Site) -> None:
    _, browser = luci
    login(browser, READER)
    browser.open(f"{TOOLS}import")
    browser.wait_for("[data-preview]", "config policy 'balanced'")
    assert browser.evaluate("document.querySelector('[data-action=take]').disabled")
    assert browser.problems() == []


@pytest.mark.parametrize(("name", "heading"), [("ru", "Диагностика"), ("zh_cn", "诊断")])
def test_pages_speak_other_languages(luci: Site, name: str, heading: str) -> None:
    router, browser = luci
    language(router, name)
    try:
        login(browser)
        browser.open(f"{TOOLS}diagnostics")
        browser.wait_for("h2", heading)
        browser.wait_for("#tabmenu, .cbi-tabmenu, ul.tabs", heading)
    finally:
        language(router, "auto")


def test_an_import_is_asked_for_reviewed_and_applied(luci: Site) -> None:
    router, browser = luci
    login(browser)
    browser.open(f"{TOOLS}import")
    browser.wait_for("[data-preview]", "config policy 'balanced'")
    browser.click("[data-action=take]")
    browser.wait_for("[data-answer=yes]")
    browser.press("Escape")
    assert "netpath.first=policy" in router.run("uci", "show", "netpath")
    browser.click("[data-action=take]")
    browser.wait_for("[data-answer=yes]")
    browser.click("[data-answer=yes]")
    browser.wait_for(".uci-change-list", "wan_m1_w3")
    assert "netpath.first=policy" in router.run("uci", "show", "netpath"), "nothing before Save & Apply"
    browser.click(".uci-dialog .cbi-button-positive")
    router.wait(lambda: "netpath.balanced=policy" in router.run("uci", "show", "netpath"), "the new configuration", 60)
    shown = router.run("uci", "show", "netpath")
    assert "netpath.first=policy" not in shown
    assert "netpath.globals.enabled='1'" in shown
    assert "netpath.wan2.track_targets='8.8.8.8' '208.67.220.220'" in shown
    router.wait(lambda: _policies(router) >= {"balanced", "wan_only"}, "the tracker to take it", 60)
    browser.wait(f"location.href.startsWith({HOME!r})")


def _policies(router: Router) -> set[str]:
    return {policy["name"] for policy in router.ubus("netpath", "policies").get("policies", [])}


def test_without_a_tracker_each_page_says_so(luci: Site) -> None:
    router, browser = luci
    router.run("/etc/init.d/netpath", "stop")
    login(browser)
    for page in ("diagnostics", "import", f"explain#{QUESTION}", "troubleshooting"):
        browser.open(f"{TOOLS}{page}")
        browser.wait_for(".alert-message", "/etc/init.d/netpath start")
    assert "NetPath is not running" in browser.evaluate("document.querySelector('textarea.npt-text').value")
