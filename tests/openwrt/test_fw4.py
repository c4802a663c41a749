# SPDX-License-Identifier: GPL-2.0-or-later
"""The real fw4 with our fragment among its includes: it always loads, and what is ours stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.openwrt.conftest import NETPATH, attempt, sh
from tests.openwrt.openwrt_root import SERVER, Router
from tests.openwrt.test_procd import CONFIG, pid, table_handle

FRAGMENT = "/usr/share/nftables.d/ruleset-post/50-netpath.nft"
POLICY = "nft list chain inet netpath pol_failover_4"
STICKY = NETPATH.replace("	option policy 'failover'", "	option policy 'failover'\n\toption sticky '1'")


@pytest.fixture
def steered(router: Router) -> Iterator[Router]:
    router.write(CONFIG, STICKY)
    sh(router, "netpath start")
    router.wait(lambda: "100%" in attempt(router, "netpath policies")[1], "NetPath to steer")
    yield router
    attempt(router, "/etc/init.d/netpath stop")
    sh(router, "/etc/init.d/firewall restart")


def ping(router: Router) -> None:
    router.spaces["lan"].run(["ping", "-c", "1", "-W", "2", SERVER])


def table(router: Router) -> str:
    """The table without what time changes."""
    text = sh(router, "nft list table inet netpath")
    return re.sub(r"expires \w+", "", re.sub(r"packets \d+ bytes \d+", "", text))


def hits(router: Router) -> int:
    """Packets that the uplink's own counter has seen; it is no part of what a load writes."""
    found = re.search(r"packets (\d+)", sh(router, "nft list counter inet netpath wan_1"))
    assert found
    return int(found[1])


def test_the_fragment_is_included_and_finds_nothing_while_netpath_is_off(router: Router) -> None:
    assert FRAGMENT in attempt(router, "fw4 check")[1]
    code, text = attempt(router, "fw4 reload")
    assert code == 0, text
    assert "netpath" not in sh(router, "nft list tables")


@pytest.mark.parametrize("action", ["reload", "restart"])
def test_any_number_of_reloads_and_restarts_change_nothing(steered: Router, action: str) -> None:
    ping(steered)
    before, handle, counted = table(steered), table_handle(steered), hits(steered)
    assert "elements = { 192.168.1.2" in before, "the LAN's client is remembered by its sticky rule"
    assert counted > 0
    for _ in range(3):
        code, text = attempt(steered, f"fw4 {action}")
        assert code == 0, text
    assert table_handle(steered) == handle
    assert hits(steered) >= counted
    assert table(steered).count("elements = { 192.168.1.2") == before.count("elements = { 192.168.1.2")
    assert without_load(table(steered)) == without_load(before)


def without_load(text: str) -> str:
    """A worker that looks after everything names its text anew."""
    return re.sub(r'comment "[0-9a-f]+"', "", re.sub(r"expires \S+", "", text))


def test_it_is_back_after_the_firewall_was_stopped(steered: Router) -> None:
    sh(steered, "/etc/init.d/firewall stop")
    steered.wait(lambda: "table inet netpath" in sh(steered, "nft list tables"), "the table, also without a firewall")
    assert "table inet fw4" not in sh(steered, "nft list tables")
    sh(steered, "/etc/init.d/firewall start")
    assert {"table inet fw4", "table inet netpath"} <= set(sh(steered, "nft list tables").splitlines())
    ping(steered)


def test_a_firewall_that_starts_while_no_tracker_lives_brings_it_back(steered: Router) -> None:
    tracker = pid(steered)
    sh(steered, f"kill -STOP {tracker}")
    try:
        sh(steered, "/etc/init.d/firewall stop")
        assert "netpath" not in sh(steered, "nft list tables")
        sh(steered, "/etc/init.d/firewall start")
        assert "table inet netpath" in sh(steered, "nft list tables")
        ping(steered)
        assert hits(steered) > 0
    finally:
        sh(steered, f"kill -CONT {tracker}")


def test_a_reload_by_an_interface_that_goes_down_keeps_the_policies_of_the_moment(steered: Router) -> None:
    """fw4's own hotplug script reloads it at the very moment at which policies change."""
    sh(steered, "netpath ifdown wan")
    steered.wait(lambda: "goto w_2" in sh(steered, POLICY), "wanb to be used")
    tracker = pid(steered)
    sh(steered, f"kill -STOP {tracker}")
    try:
        assert attempt(steered, "fw4 reload")[0] == 0
        chain = sh(steered, POLICY)
        assert "goto w_2" in chain
        assert "goto w_1" not in chain
    finally:
        sh(steered, f"kill -CONT {tracker}")


def test_nothing_that_netpath_does_keeps_the_firewall_from_loading(steered: Router) -> None:
    for command in (
        "netpath use wanb true",
        "netpath ifdown wan",
        "netpath ifdown wanb",
        "netpath ifup wan",
        "netpath reload",
        "netpath restart",
        "/etc/init.d/netpath stop",
    ):
        attempt(steered, command)
        code, text = attempt(steered, "fw4 check && fw4 reload")
        assert code == 0, (command, text)
    assert "netpath" not in sh(steered, "nft list tables"), "nothing is left once it is off"
