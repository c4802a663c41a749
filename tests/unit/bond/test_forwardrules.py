# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden rulesets. After an intended change run this with NETPATH_WRITE_GOLDEN=1 and read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netpath.bond import firewalls, forwardrules
from netpath.kernel.nftdump import HOOK_FORWARD, Chain
from tests.unit.bond.settings import peer, server

GOLDEN = Path(__file__).with_name("golden")
NETWORKS = ("192.0.2.0/25", "192.0.2.128/25", "2001:db8:5::/56")
CASES = {
    "server": forwardrules.server(server(), 1420),
    "server-networks": forwardrules.server(server(clients=(peer("a", ("10.99.0.2/24",), NETWORKS),)), 1400),
    "server-no-masquerade": forwardrules.server(server(masquerade=False), 1280),
    "server-no-forward": forwardrules.server(server(forward=False), 1420),
    "client": forwardrules.client("netpath-bond-home", "tun-bond", 1420),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    path = GOLDEN / f"{name}.nft"
    if os.environ.get("NETPATH_WRITE_GOLDEN"):
        path.write_text(CASES[name])
        return
    assert CASES[name] == path.read_text()


@pytest.mark.parametrize("table", ["", "a b", "x; flush ruleset", "1st", "a\n", "x" * 65, 'a"'])
def test_a_name_that_is_none_never_reaches_nft(table: str) -> None:
    with pytest.raises(ValueError, match="table"):
        forwardrules.server(server(table=table), 1420)


@pytest.mark.parametrize("name", ["", "tun*", 'a"b', "much-too-long-for-it", "a b"])
def test_nor_does_a_device_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="network device"):
        forwardrules.server(server(device=name), 1420)


@pytest.mark.parametrize(
    ("chain", "beside", "words"),
    [
        (("ip", "filter", "FORWARD"), {"ufw-before-forward"}, ["ufw route allow in on tun-bond", "out on tun-bond"]),
        (("ip6", "filter", "FORWARD"), {"ufw6-user-forward"}, ["ufw route allow in on tun-bond"]),
        (("ip", "filter", "FORWARD"), {"DOCKER-USER"}, ["Docker", "`iptables -I DOCKER-USER -i tun-bond -j ACCEPT`"]),
        (("ip6", "filter", "FORWARD"), set(), ["`ip6tables -I FORWARD -o tun-bond -j ACCEPT`"]),
        (("inet", "firewalld", "filter_FORWARD"), set(), ["firewall-cmd", "--add-interface=tun-bond"]),
        (("inet", "fw4", "forward"), set(), ["/etc/config/firewall", "tun-bond"]),
        (("inet", "mine", "fwd"), set(), ["`nft insert rule inet mine fwd iifname tun-bond accept`"]),
    ],
)
def test_the_advice_is_for_the_firewall_that_is_there(
    chain: tuple[str, str, str], beside: set[str], words: list[str]
) -> None:
    said = firewalls.advice(Chain(*chain, HOOK_FORWARD, True), beside, "tun-bond")
    assert [w for w in words if w not in said] == []
