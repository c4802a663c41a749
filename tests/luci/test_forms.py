# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages that are forms, on the real LuCI: what is changed there is in the router's configuration and kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from netpath.lab.namespace import wait_until
from tests.luci.places import OPENWRT, PHONE, RealLuci, wait_status
from tests.openwrt.conftest import sh

PAGES = {
    "interfaces": "Interfaces",
    "policies": "Policies",
    "rules": "Rules",
    "settings": "Settings",
    "notifications": "Notifications",
    "monitor/settings": "Monitor",
    "bonding/settings": "Bonding",
}
MORE_RULES = """
config rule 'web'
	option proto 'tcp'
	option dest_ip '192.0.2.0/24'
	option dest_port '443'
	option policy 'all'

config rule
	option proto 'icmp'
	option policy 'default'
"""
MWAN3 = """
config interface 'wan'
	option enabled '1'
	list track_ip '192.0.2.1'

config interface 'wanb'
	list track_ip '192.0.2.1'

config member 'wan_only'
	option interface 'wan'

config policy 'one'
	list use_member 'wan_only'

config rule 'all_of_it'
	option use_policy 'one'
"""
MODAL = ".modal.cbi-modal"
NO_MODAL = "!document.body.classList.contains('modal-overlay-active')"
SAVE = f"{MODAL} .cbi-button-positive.important"


@pytest.fixture
def site(luci: RealLuci) -> Iterator[RealLuci]:
    configure(luci, OPENWRT + MORE_RULES)
    yield luci
    configure(luci, OPENWRT)


def configure(luci: RealLuci, text: str) -> None:
    luci.router.write("/etc/config/netpath", text)
    sh(luci.router, "rm -f /tmp/.uci/netpath /var/run/rpcd/uci-*/netpath; netpath reload")


def open_page(site: RealLuci, name: str, **how: Any) -> None:
    site.visit(f"admin/network/netpath/{name}", **how)
    site.browser.wait_for("#view .np-page h2", PAGES[name])


def edit(site: RealLuci, name: str) -> None:
    """Open the modal of a row of a grid."""
    site.browser.click(f"tr[data-sid='{name}'] .cbi-button-edit")
    site.browser.wait_for(f"{MODAL} .cbi-value")


def field(option: str) -> str:
    return f"{MODAL} [data-name='{option}']"


def save_modal(site: RealLuci) -> None:
    site.browser.click(SAVE)
    site.browser.wait(NO_MODAL)


def apply(site: RealLuci) -> None:
    """Save & Apply, until LuCI has seen that the router still answers, and shows the page anew."""
    site.browser.evaluate("window.before = true")
    site.browser.click(".cbi-page-actions .cbi-button-apply")
    site.browser.wait("!window.before && document.querySelector('#view .np-page h2')", 40)


def problems(site: RealLuci) -> list[str]:
    """What the browser complained of; not that LuCI, before it applies, asks cgi-io, which is not on every router."""
    return [text for text in site.browser.problems() if "/cgi-exec" not in text]


def written(site: RealLuci) -> str:
    return sh(site.router, "uci -q show netpath")


def wait_share(site: RealLuci, percent: int) -> None:
    """Until the tracker sends so much of the new connections by wan."""
    told = re.compile(rf"wan_m1_w3 .* {percent}%")
    wait_until(lambda: told.search(sh(site.router, "netpath policies")) is not None, 20, f"wan {percent}%")


def drag(site: RealLuci, name: str, before: str) -> None:
    """The events of a mouse that drags a row by its handle onto the upper half of another."""
    site.browser.evaluate(f"""(() => {{
        const row = name => document.querySelector(`tr[data-sid="${{name}}"]`);
        const at = row('{before}').getBoundingClientRect(), data = new DataTransfer();
        const send = (node, type, y) => node.dispatchEvent(new DragEvent(type, {{
            bubbles: true, cancelable: true, dataTransfer: data, clientX: at.x + 20, clientY: y }}));
        const handle = row('{name}').querySelector('.drag-handle');
        send(handle, 'dragstart', at.y);
        send(row('{before}'), 'dragenter', at.y + 2);
        send(row('{before}'), 'dragover', at.y + 2);
        send(row('{before}'), 'drop', at.y + 2);
        send(handle, 'dragend', at.y + 2);
    }})()""")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_a_page_opens_without_complaints_and_fits(site: RealLuci, name: str, width: int, dark: bool) -> None:
    open_page(site, name, width=width, dark=dark)
    assert site.browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert problems(site) == []


def test_a_weight_is_previewed_applied_and_in_the_kernel(site: RealLuci) -> None:
    def of_kernel() -> str:
        return sh(site.router, "nft list table inet netpath")

    before = of_kernel()
    open_page(site, "policies")
    edit(site, "all")
    assert "wan 60 %, wanb 40 %" in site.browser.text("[data-preview='ipv4']")
    site.browser.fill(".np-member[data-member='wan_m1_w3'] [data-option='weight']", "8")
    site.browser.wait_for("[data-preview='ipv4']", "wan 80 %, wanb 20 %")
    assert site.browser.text(".np-member[data-member='wanb_m1_w2'] .np-share-of") == "20 %"
    save_modal(site)
    site.browser.wait_for("tr[data-sid='all'] [data-live]", "wan 80 %, wanb 20 %")
    assert "weight='3'" in written(site), "nothing is applied before it is asked for"
    apply(site)
    assert "netpath.wan_m1_w3.weight='8'" in written(site)
    wait_share(site, 80)
    assert of_kernel() != before
    assert problems(site) == []


def test_the_preview_ends_with_the_policys_own_last_resort(site: RealLuci) -> None:
    last = "config policy 'all'\n\toption last_resort 'default'"
    configure(site, OPENWRT.replace("config policy 'all'", last))
    open_page(site, "policies")
    edit(site, "all")
    site.browser.wait_for(f"{MODAL} [data-preview=ipv4]", "when none is left: Main routing table.")


def test_a_member_that_its_hours_keep_out_is_called_closed(site: RealLuci) -> None:
    never = "config member 'wanb_m1_w2'\n\tlist weekdays '{}'"
    other = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(int(sh(site.router, "date +%u")) + 2) % 7]
    configure(site, OPENWRT.replace("config member 'wanb_m1_w2'", never.format(other)))
    open_page(site, "policies")
    site.browser.wait_for("[data-closed='wanb_m1_w2']", "closed")
    assert site.browser.count("[data-closed]") == 1
    configure(site, OPENWRT)
    site.browser.wait("!document.querySelector('[data-closed]')")


def test_members_are_made_and_removed_where_the_policy_is(site: RealLuci) -> None:
    open_page(site, "policies")
    edit(site, "all")
    site.browser.click(".np-member[data-member='wanb_m1_w2'] [data-action='remove']")
    site.browser.click("[data-action='add-member']")
    site.browser.wait("document.querySelector('.np-member:last-child select').value == 'wanb'")
    site.browser.fill(".np-member:last-child [data-option='metric']", "2")
    site.browser.wait_for("[data-preview='ipv4']", "wan 100 %; when they fail: wanb 100 %")
    site.browser.click(".np-member:last-child summary")
    site.browser.fill(".np-member:last-child [data-option='time']", "08:00-25:00")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "08:00-18:00")
    site.browser.fill(".np-member:last-child [data-option='time']", "08:00-18:00 20:00-22:00")
    save_modal(site)
    apply(site)
    now = written(site)
    assert "wanb_m1_w2" not in now
    assert "netpath.all.members='wan_m1_w3' 'all_wanb'" in now
    assert "netpath.all_wanb=member" in now
    assert "netpath.all_wanb.metric='2'" in now
    assert "netpath.all_wanb.time='08:00-18:00' '20:00-22:00'" in now
    assert "all_wanb.weight" not in now, "what is the default is not written"


def test_a_new_policy_with_members_and_its_end(site: RealLuci) -> None:
    open_page(site, "policies")
    name = "#cbi-netpath-policy .cbi-section-create-name"
    site.browser.fill(name, "default")
    site.browser.wait_for("#cbi-netpath-policy [role='status']", "meaning of its own")
    site.browser.fill(name, "wan_m1_w3")
    site.browser.wait_for("#cbi-netpath-policy [role='status']", "taken")
    site.browser.fill(name, "backup")
    site.browser.press("Enter")
    site.browser.wait_for(f"{MODAL} [data-action='add-member']")
    site.browser.click(f"{field('mode')} .cbi-dropdown")
    site.browser.click(f"{field('mode')} .cbi-dropdown[open] li[data-value='failover'] >> visible=true")
    site.browser.wait_for("[data-explains='mode']", "first member of the list")
    for _ in range(2):
        site.browser.click("[data-action='add-member']")
    site.browser.click(".np-member:last-child [data-action='up']")
    site.browser.wait_for("[data-preview='ipv4']", "wanb, then wan")
    save_modal(site)
    apply(site)
    assert "netpath.backup.members='backup_wanb' 'backup_wan'" in written(site)
    wait_until(lambda: "backup" in sh(site.router, "netpath policies"), 20, "the new policy")
    site.browser.click("tr[data-sid='backup'] .cbi-button-remove")
    site.browser.wait("!document.querySelector(\"tr[data-sid='backup']\")")
    apply(site)
    assert "backup" not in written(site), "its members end with it"


def test_an_invalid_value_is_refused_at_the_field(site: RealLuci) -> None:
    open_page(site, "interfaces")
    edit(site, "wan")
    site.browser.click(f"{MODAL} [data-tab='tracking'] a")
    site.browser.fill(f"{field('interval')} input", "5 minutes")
    site.browser.press("Tab")
    site.browser.wait(f"document.querySelector(\"{field('interval')} input\").classList.contains('cbi-input-invalid')")
    assert "20ms and 24h" in site.browser.evaluate(
        f'document.querySelector("{field("interval")} input").dataset.tooltip'
    )
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "Interval")
    site.browser.fill(f"{field('interval')} input", "5m")
    site.browser.click(f"{MODAL} [data-tab='general'] a")
    site.browser.evaluate(f"(s => {{ s.value = 'ipv6'; s.dispatchEvent(new Event('change', {{ bubbles: true }})) }})"
                          f"(document.querySelector(\"{field('family')} select\"))")  # fmt: skip
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "192.0.2.1: the interface is for ipv6")
    assert "interval='5" not in written(site)


def test_quality_appears_when_it_is_wanted(site: RealLuci) -> None:
    def shown() -> bool:
        return bool(site.browser.evaluate(f'document.querySelector("{field("failure_loss")}").offsetParent != null'))

    open_page(site, "interfaces")
    edit(site, "wan")
    site.browser.click(f"{MODAL} [data-tab='quality'] a")
    assert not shown()
    site.browser.click(f"{field('check_quality')} input[type='checkbox']")
    assert shown()
    site.browser.fill(f"{field('failure_loss')} input", "20")
    save_modal(site)
    apply(site)
    now = written(site)
    assert "netpath.wan.check_quality='1'" in now
    assert "netpath.wan.failure_loss='20'" in now
    assert "netpath.wan.interval='0.2'" in now, "what was there stays"


def test_figures_of_a_form_have_their_units(site: RealLuci) -> None:
    open_page(site, "interfaces")
    edit(site, "wan")
    site.browser.click(f"{MODAL} li[data-tab='quality'] a")
    site.browser.click(f"{field('check_quality')} input[type=checkbox]")
    site.browser.wait_for(field("failure_latency"), "Latency that fails (ms)")
    site.browser.wait_for(field("failure_loss"), "Loss that fails (%)")
    site.browser.click(f"{MODAL} li[data-tab='tracking'] a")
    site.browser.wait_for(field("interval"), "In seconds, or with a unit")


def test_an_interface_goes_with_its_members(site: RealLuci) -> None:
    open_page(site, "interfaces")
    site.browser.wait_for("tr[data-sid='wanb'] [data-state='online']")
    site.browser.click("tr[data-sid='wanb'] .cbi-button-remove")
    site.browser.wait("!document.querySelector(\"tr[data-sid='wanb']\")")
    apply(site)
    assert "wanb" not in written(site)
    wait_until(lambda: "wanb" not in site.ask("status")["interfaces"], 20, "the tracker to let go of it")
    assert [problem for problem in site.ask("check")["problems"] if problem["severity"] == "error"] == []


def test_rules_are_sorted_by_dragging(site: RealLuci) -> None:
    open_page(site, "rules")
    site.browser.wait_for("tr[data-sid='web'] [data-problem]", "never matches: rule everything")
    drag(site, "web", before="everything")
    apply(site)
    order = [
        line.split("'")[1]
        for line in sh(site.router, "grep '^config rule' /etc/config/netpath").splitlines()
        if "'" in line
    ]
    assert order == ["web", "everything"]
    wait_until(
        lambda: [r["name"] for r in site.ask("rules")["rules"]][:2] == ["web", "everything"], 20, "the new order"
    )
    assert site.browser.count("tr[data-sid='web'] [data-problem]") == 0


def test_rules_show_what_they_did_and_where_it_goes(site: RealLuci) -> None:
    open_page(site, "rules")
    row = "tr[data-sid='everything']"
    site.router.spaces["lan"].run(["ping", "-c1", "-W1", "192.0.2.1"], check=False)
    site.browser.wait(f"parseInt(document.querySelector(\"{row} [data-live^='hits']\").innerText) > 0")
    site.browser.click(f"{row} [data-live^='way'] a")
    site.browser.wait_for("#view .np-page h2", "Policies")
    assert problems(site) == []


def test_a_rule_of_one_family_shows_no_uplink_of_the_other(site: RealLuci) -> None:
    six = "\nconfig interface 'wan6'\n\toption family 'ipv6'\n\toption track_method 'none'\n\toption ifname 'eth1'\n"
    six += "\toption gateway '2001:db8:1::1'\n"
    member = "\nconfig member 'six'\n\toption interface 'wan6'\n"
    text = OPENWRT.replace("\tlist members 'wan_m1_w3'", "\tlist members 'six'\n\tlist members 'wan_m1_w3'")
    sixth = "\nconfig rule 'sixth'\n\toption dest_ip '::/0'\n\toption policy 'all'\n"
    site.router.spaces["router"].ip("addr add 2001:db8:1::2/64 dev eth1 nodad\n")
    try:
        configure(site, text + six + member + sixth)
        wait_status(site, wan6="online")
        open_page(site, "rules")
        site.browser.wait_for("[data-live='way sixth']", "wan6")
        site.browser.wait_for("[data-live='way everything']", "wan, wanb")
        assert "wan6" not in site.browser.text("[data-live='way everything']")
        assert "wanb" not in site.browser.text("[data-live='way sixth']")
    finally:
        site.router.spaces["router"].ip("addr del 2001:db8:1::2/64 dev eth1\n")


def test_a_rule_cannot_contradict_itself(site: RealLuci) -> None:
    open_page(site, "rules")
    site.browser.fill("#cbi-netpath-rule .cbi-section-create-name", "mail")
    site.browser.press("Enter")
    site.browser.wait_for(f"{MODAL} [data-tab='destination'] a")
    site.browser.click(f"{MODAL} [data-tab='destination'] a")
    site.browser.fill(f"{field('dest_port')} input[type='text']", "25")
    site.browser.press("Enter")
    site.browser.click(SAVE)
    site.browser.wait_for(f"{MODAL} [data-complaint]", "ports need protocols that have them")
    site.browser.click(f"{MODAL} .button-row .btn:not(.important)")
    site.browser.wait(NO_MODAL)
    assert site.browser.count("tr[data-sid='mail']") == 0, "a rule that was never saved is gone"


def test_settings_reach_the_router(site: RealLuci) -> None:
    open_page(site, "settings")
    site.browser.click("[data-tab='kernel'] a")
    mask = "[data-name='mark_mask'] input"
    site.browser.fill(mask, "0xF0F0")
    site.browser.press("Tab")
    site.browser.wait(f"document.querySelector(\"{mask}\").classList.contains('cbi-input-invalid')")
    site.browser.fill(mask, "0xFF0000")
    apply(site)
    assert "netpath.globals.mark_mask='0xFF0000'" in written(site)
    wait_until(lambda: "00ff0000" in sh(site.router, "nft list table inet netpath").lower(), 20, "the new mask")


def test_a_reader_sees_everything_and_changes_nothing(site: RealLuci) -> None:
    # Forms ask what they may write, which a user without this group may not ask.
    sh(site.router, "uci add_list rpcd.@login[1].read=unauthenticated; uci commit rpcd; /etc/init.d/rpcd restart")
    site.router.wait(lambda: "netpath" in sh(site.router, "ubus list"), "object netpath")
    for name in PAGES:
        open_page(site, name, user="reader")
        site.browser.wait_for("#view .alert-message", "read-only")
        free = "button, input, select, textarea"
        acts = site.browser.evaluate(
            f"[...document.querySelectorAll('#view')].flatMap(v => [...v.querySelectorAll('{free}')])"
            ".filter(e => !e.disabled && !e.readOnly && !e.matches('.cbi-button-edit') && e.offsetParent)"
            ".map(e => e.outerHTML)"
        )
        assert acts == [], name
    open_page(site, "policies", user="reader")
    edit(site, "all")
    assert site.browser.evaluate(f'document.querySelector("{SAVE}").disabled')
    assert site.browser.evaluate("document.querySelector('.np-member input').disabled")


def test_pages_say_so_when_nothing_is_configured(site: RealLuci) -> None:
    configure(site, "config globals 'globals'\n\toption enabled '1'\n")
    for name, words in (("interfaces", "No interfaces yet"), ("policies", "They need interfaces first"),
                        ("rules", "They need policies first")):  # fmt: skip
        open_page(site, name)
        site.browser.wait_for("#view", words)
        assert problems(site) == []
    open_page(site, "interfaces", width=PHONE)  # its words take several lines there
    site.browser.wait_for(".tr.placeholder", "No interfaces yet")
    box = "document.querySelector('.tr.placeholder{}').getBoundingClientRect()"
    row, words = box.format(""), box.format(" em")
    site.browser.wait(f"{row}.top <= {words}.top && {words}.bottom <= {row}.bottom")


def test_pages_work_while_the_tracker_is_stopped(site: RealLuci) -> None:
    site.stop()
    try:
        for name in PAGES:
            open_page(site, name)
            site.browser.wait_for("#view .alert-message", "NetPath is stopped")
        open_page(site, "policies")
        assert "wan 60 %, wanb 40 %" in site.browser.text("tr[data-sid='all'] [data-live]")
        assert problems(site) == []
    finally:
        site.start()


def test_the_user_script_is_edited(site: RealLuci) -> None:
    before = sh(site.router, "cat /etc/netpath.user")
    try:
        open_page(site, "notifications")
        assert site.browser.evaluate("document.querySelector('#np-script').value") == before
        site.browser.fill("#np-script", '#!/bin/sh\necho "$ACTION of $INTERFACE <b>\'" >>/tmp/told')
        site.browser.click("#view .cbi-button-save")
        site.browser.wait_for("#maincontent, body", "has been saved")
        assert sh(site.router, "cat /etc/netpath.user") == '#!/bin/sh\necho "$ACTION of $INTERFACE <b>\'" >>/tmp/told\n'
        sh(site.router, "netpath ifdown wanb; netpath ifup wanb")
        told = site.router.root / "tmp/told"
        wait_until(lambda: told.exists() and "ifdown of wanb" in told.read_text(), 20, "the script to be run")
        wait_status(site, wan="online", wanb="online")
        assert problems(site) == []
    finally:
        site.router.write("/etc/netpath.user", before)


def test_a_file_in_mwan3s_words_stays_one(site: RealLuci) -> None:
    configure(site, MWAN3)
    open_page(site, "interfaces")
    assert not site.browser.evaluate("document.querySelector(\"tr[data-sid='wanb'] input[type='checkbox']\").checked")
    edit(site, "wan")
    site.browser.click(f"{MODAL} [data-tab='tracking'] a")
    assert "192.0.2.1" in site.browser.text(field("track_targets"))
    site.browser.fill(f"{field('track_targets')} .add-item input", "192.0.2.2")
    site.browser.press("Enter")
    save_modal(site)
    apply(site)
    now = written(site)
    assert "netpath.wan.track_ip='192.0.2.1' '192.0.2.2'" in now
    assert "track_targets" not in now
    assert [problem for problem in site.ask("check")["problems"] if problem["severity"] == "error"] == []


def test_what_nobody_confirms_is_taken_back(site: RealLuci) -> None:
    """LuCI's rollback, as rpcd has it: the old configuration is in force again."""
    login = site.router.ubus("session", "login", {"username": "root", "password": "netpath"})
    session = {"ubus_rpc_session": login["ubus_rpc_session"]}
    change = {"config": "netpath", "section": "wan_m1_w3", "values": {"weight": "8"}}
    site.router.ubus("uci", "set", {**session, **change})
    site.router.ubus("uci", "apply", {**session, "rollback": True, "timeout": 4})
    wait_share(site, 80)
    wait_share(site, 60)
    assert "netpath.wan_m1_w3.weight='3'" in written(site)
