# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules by domain with OpenWrt's own dnsmasq: where it reads, how it restarts, and that nothing of ours is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openwrt.conftest import NETPATH, attempt, sh
from tests.openwrt.openwrt_root import SERVER, Router
from tests.openwrt.test_procd import CONFIG

SITE = """
config rule 'site'
	list domain 'site.example'
	option policy 'failover'
"""


@pytest.fixture
def answering(router: Router) -> Iterator[Router]:
    """A router whose dnsmasq gets an answer for site.example from its provider."""
    provider = router.spaces["wan"]
    provider.ip("addr add 198.51.100.53/24 dev cable\n")
    server = provider.popen(
        [
            *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"),
            *("--listen-address=198.51.100.53", f"--address=/site.example/{SERVER}", "--pid-file="),
        ],
        name="dns",
    )
    # Documentation addresses are private ones to it, and an answer with one an attack.
    sh(router, "uci set dhcp.@dnsmasq[0].rebind_protection=0; uci commit dhcp; /etc/init.d/dnsmasq restart")
    yield router
    attempt(router, "netpath stop")
    server.stop()
    provider.ip("addr del 198.51.100.53/24 dev cable\n")


def ours(router: Router) -> list[str]:
    """Files of ours in the directories that dnsmasq reads."""
    return sh(router, "ls /tmp/dnsmasq*.d/netpath.conf 2>/dev/null || true").split()


def test_answers_fill_the_set_and_a_stop_leaves_nothing(answering: Router) -> None:
    answering.write(CONFIG, NETPATH.replace("config rule 'everything'", f"{SITE}\nconfig rule 'everything'"))
    sh(answering, "netpath start")
    answering.wait(lambda: ours(answering) != [], "our file")
    asked = "nslookup site.example 127.0.0.1"
    answering.wait(lambda: SERVER in attempt(answering, asked)[1], "an answer")
    sets = [line.split()[1] for line in sh(answering, "nft list table inet netpath").splitlines() if "set dom_" in line]
    (four,) = [name for name in sets if name.endswith("_4")]
    answering.wait(lambda: SERVER in sh(answering, f"nft list set inet netpath {four}"), "the address in the set")
    sh(answering, "netpath stop")
    assert ours(answering) == []
    answering.wait(lambda: SERVER in attempt(answering, asked)[1], "an answer after the stop too")
