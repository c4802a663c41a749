# SPDX-License-Identifier: GPL-2.0-or-later
"""The form for the bond's sections, on the real LuCI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netpath.lab.web import READER
from tests.luci.fake_bond import KEYS, FakeBond, down, path
from tests.luci.places import OPENWRT, RealLuci
from tests.luci.test_forms import MODAL, SAVE, apply, configure, field, open_page, problems, save_modal, written
from tests.luci.test_monitor_forms import choose

pytestmark = pytest.mark.lab

PRESHARED = "7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u4="
BOND = f"""
config bond 'home'
	option role 'client'
	list server 'vps.example.com'
	option server_key '{KEYS["peer"]}'
	option preshared_key '{PRESHARED}'
	option address '192.0.2.130/24'
"""


@pytest.fixture
def site(luci: RealLuci) -> Iterator[RealLuci]:
    configure(luci, OPENWRT + BOND)
    yield luci
    configure(luci, OPENWRT)


def add(site: RealLuci, kind: str, name: str, first: str) -> None:
    """A new section, whose form has a field `first`."""
    site.browser.fill(f"#cbi-netpath-{kind} .cbi-section-create-name", name)
    site.browser.click(f"#cbi-netpath-{kind} .cbi-section-create .cbi-button-add")
    site.browser.wait_for(field(first))


def test_a_bond_a_link_and_a_client_are_made_judged_and_written(site: RealLuci) -> None:
    with FakeBond(site.bonds) as fake:
        fake.reply["peers"][0].update(state="down", problem="it does not answer", paths=[path(0, "wan", **down())])
        open_page(site, "bonding/settings")
        site.browser.wait_for("tr[data-sid='home'] [data-state='down']")
        site.browser.wait_for("tr[data-sid='home']", "it does not answer")
    add(site, "bond", "office", "role")
    choose(site, "role", "client")
    site.browser.wait_for(field("server_key"))
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "must be given")
    site.browser.fill(f"{field('server')} .add-item input", "192.0.2.1:9100")
    site.browser.press("Enter")
    site.browser.fill(f"{field('server_key')} input", KEYS["own"][:-1])
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "44 characters")
    site.browser.fill(f"{field('server_key')} input", KEYS["own"])
    save_modal(site)
    add(site, "bond", "vps", "role")
    choose(site, "role", "server")
    save_modal(site)
    add(site, "bond_peer", "branch", "public_key")
    site.browser.fill(f"{field('public_key')} input", KEYS["peer"])
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "must be given")
    site.browser.fill(f"{field('addresses')} .add-item input", "192.0.2.140/24")
    site.browser.press("Enter")
    save_modal(site)
    add(site, "bond_link", "slow", "cap")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "several bonds")
    choose(site, "bond", "office")
    choose(site, "interface", "wanb")
    site.browser.fill(f"{field('cap')} input", "fast")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "must be a rate")
    site.browser.fill(f"{field('cap')} input", "20mbit")
    save_modal(site)
    apply(site)
    now = written(site)
    for line in (
        "office=bond", "office.role='client'", "office.server='192.0.2.1:9100'", f"office.server_key='{KEYS['own']}'",
        "vps.role='server'", "branch=bond_peer", "branch.addresses='192.0.2.140/24'", "slow.bond='office'",
        "slow.interface='wanb'", "slow.cap='20mbit'", f"home.preshared_key='{PRESHARED}'",
    ):  # fmt: skip
        assert f"netpath.{line}" in now, now
    assert "office.mode" not in now, "what is the default is not written"
    assert problems(site) == []


def test_a_rule_is_made_judged_and_written(site: RealLuci) -> None:
    open_page(site, "bonding/settings")
    site.browser.wait_for("tr[data-sid='home']")
    add(site, "bond_rule", "calls", "mode")
    choose(site, "mode", "redundant")
    site.browser.fill(f"{field('dest_port')} .add-item input", "5060")
    site.browser.press("Enter")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "ports need protocols")
    site.browser.fill(f"{field('proto')} .add-item input", "udp")
    site.browser.press("Enter")
    save_modal(site)
    site.browser.wait_for("tr[data-sid='calls']", "5060")
    apply(site)
    now = written(site)
    for line in ("calls=bond_rule", "calls.mode='redundant'", "calls.dest_port='5060'", "calls.proto='udp'"):
        assert f"netpath.{line}" in now, now
    assert problems(site) == []


def test_who_may_only_read_gets_no_key_and_makes_none(site: RealLuci) -> None:
    open_page(site, "bonding/settings", user=READER)
    site.browser.wait_for("tr[data-sid='home']", "vps.example.com")
    assert PRESHARED not in site.browser.evaluate("document.documentElement.outerHTML")
    site.browser.click("tr[data-sid='home'] [data-action=keys]")
    site.browser.wait_for("[data-part=keys]", "read-only")
    assert site.browser.count("[data-action=genkey]") == 0
    assert problems(site) == []
