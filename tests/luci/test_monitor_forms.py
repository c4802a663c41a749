# SPDX-License-Identifier: GPL-2.0-or-later
"""The form for the monitor's sections, on the real LuCI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netpath.lab.web import READER
from tests.luci.fake_monitor import FakeMonitor, failing, source
from tests.luci.places import OPENWRT, PASSWORDS, RealLuci
from tests.luci.test_forms import MODAL, SAVE, apply, configure, field, open_page, problems, save_modal, written
from tests.openwrt.conftest import sh

pytestmark = pytest.mark.lab

MONITOR = """
config monitor 'monitor'
	option enabled '1'
	option mqtt_host 'broker.example.com'
	option mqtt_username 'netpath'
	option mqtt_password 'two  blanks'

config source 'proxy'
	option type 'clash'
	option url 'ws://192.0.2.1:9090/connections?token=hidden'
"""


@pytest.fixture
def site(luci: RealLuci) -> Iterator[RealLuci]:
    configure(luci, OPENWRT + MONITOR)
    yield luci
    configure(luci, OPENWRT)


def choose(site: RealLuci, option: str, value: str) -> None:
    """From a list with explanations."""
    site.browser.click(f"{field(option)} .cbi-dropdown")
    site.browser.click(f"{field(option)} .cbi-dropdown[open] li[data-value='{value}'] >> visible=true")


def add(site: RealLuci, kind: str, name: str) -> None:
    site.browser.fill(f"#cbi-netpath-{kind} .cbi-section-create-name", name)
    site.browser.click(f"#cbi-netpath-{kind} .cbi-section-create .cbi-button-add")
    site.browser.wait_for(field("type"))


def test_sources_are_made_judged_and_written(site: RealLuci) -> None:
    row = source("proxy", **failing("it refuses; start it"))
    with FakeMonitor(site.monitor) as fake:
        fake.reply["sources"] = [row]
        open_page(site, "monitor/settings")
        site.browser.wait_for("tr[data-sid='proxy'] [data-state='failing']")
        site.browser.wait_for("tr[data-sid='proxy']", "it refuses; start it")
    assert "hidden" not in site.browser.text("tr[data-sid='proxy']"), "a token in an address is not shown in the list"
    add(site, "source", "router")
    choose(site, "type", "openwrt")
    site.browser.wait_for(field("password"))
    assert site.browser.evaluate(f'document.querySelector("{field("password")} input").type') == "password"
    assert not site.browser.evaluate(f'document.querySelector("{field("token")}")?.checkVisibility() ?? false')
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "Address: must be given")
    site.browser.fill(f"{field('url')} input", "ws://192.0.2.2/")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "http://, https://")
    site.browser.fill(f"{field('url')} input", "http://192.0.2.2/")
    site.browser.fill(f"{field('password')} input", "pass word")
    save_modal(site)
    apply(site)
    now = written(site)
    for line in ("router=source", "router.type='openwrt'", "router.url='http://192.0.2.2/'",
                 "router.password='pass word'", "monitor.mqtt_password='two  blanks'"):  # fmt: skip
        assert f"netpath.{line}" in now, now
    assert "router.retry" not in now, "what is not chosen is not written"
    assert problems(site) == []


def test_a_notification_and_settings_of_the_monitor(site: RealLuci) -> None:
    open_page(site, "monitor/settings")
    add(site, "notify", "mail")
    choose(site, "type", "email")
    site.browser.wait_for(field("server"))
    site.browser.fill(f"{field('server')} input", "mail.example.com")
    site.browser.fill(f"{field('from')} input", "router@example.com")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "Recipients: must be given")
    site.browser.fill(f"{field('to')} .add-item input", "me@example.com")
    site.browser.press("Enter")
    save_modal(site)
    site.browser.click("[data-tab='mqtt'] a")
    secret = "[data-name='mqtt_password'] input"
    assert site.browser.evaluate(f'document.querySelector("{secret}").type') == "password"
    assert site.browser.evaluate(f'document.querySelector("{secret}").value') == "two  blanks"
    site.browser.fill("[data-name='mqtt_topic'] input", "home/netpath")
    apply(site)
    now = written(site)
    for line in ("mail.type='email'", "mail.server='mail.example.com'", "mail.to='me@example.com'",
                 "monitor.mqtt_topic='home/netpath'", "monitor.mqtt_password='two  blanks'"):  # fmt: skip
        assert f"netpath.{line}" in now, now
    assert "mail.events" not in now, "what is the default is not written"
    assert problems(site) == []


def test_who_may_only_read_gets_no_secret(site: RealLuci) -> None:
    sh(site.router, "uci add_list rpcd.@login[1].read=unauthenticated; uci commit rpcd; /etc/init.d/rpcd restart")
    site.router.wait(lambda: "netpath" in sh(site.router, "ubus list"), "object netpath")
    login = site.router.ubus("session", "login", {"username": READER, "password": PASSWORDS[READER]})
    reader = login["ubus_rpc_session"]
    for scope, function, allowed in (("uci", "read", False), ("uci", "write", False), ("ubus", "config", True)):
        asked = {"ubus_rpc_session": reader, "scope": scope, "object": "netpath", "function": function}
        assert site.router.ubus("session", "access", asked)["access"] is allowed, (scope, function)
    open_page(site, "monitor/settings", user=READER)
    site.browser.wait_for("tr[data-sid='proxy']", "Clash or mihomo")
    assert site.browser.evaluate("document.querySelector(\"[data-name='mqtt_password'] input\").value") == "********"
    assert site.browser.evaluate("document.querySelector(\"[data-name='mqtt_username'] input\").value") == "netpath"
    site.visit("admin/network/netpath/tools/troubleshooting", user=READER)
    site.browser.wait("document.querySelector('.npt-text')?.value.includes('mqtt_topic') || "
                      "document.querySelector('.npt-text')?.value.includes('mqtt_host')")  # fmt: skip
    assert problems(site) == []
