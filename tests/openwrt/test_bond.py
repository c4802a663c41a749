# SPDX-License-Identifier: GPL-2.0-or-later
"""A bond's device as an interface of OpenWrt and of NetPath. A reflector of pings stands for the bond behind it."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from netpath.bond.device import Device, Wanted
from netpath.bond.tun import Tun
from netpath.lab.namespace import LabError
from tests.openwrt.conftest import attempt, sh, uci
from tests.openwrt.openwrt_root import SERVER, Router
from tests.openwrt.test_netifd import is_online, is_up
from tests.openwrt.test_procd import CONFIG

INNER = "192.0.2.130"
NETPATH = f"""
config globals 'globals'
	option enabled '1'

config interface 'bond'
	list track_targets '{SERVER}'
	option interval '200ms'
	option up '2'

config member 'bond_first'
	option interface 'bond'

config policy 'bonded'
	list members 'bond_first'

config rule 'lan'
	option src_iface 'lan'
	option policy 'bonded'
"""
NETWORK = """
set network.bond=interface
set network.bond.proto=none
set network.bond.device=tun-bond
commit network
"""


class Reflector:
    """Answers the pings that come to a device, and remembers who sent them."""

    def __init__(self, tun: Tun) -> None:
        self.tun, self.seen = tun, set[str]()
        self._end, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not select.select([self._end, self.tun.fileno()], [], [])[0].count(self._end):
            packet = self.tun.read()
            if packet is not None and packet[10] == 0x45 and packet[10 + 9] == 1:
                self._answer(bytearray(packet[10:]))

    def _answer(self, packet: bytearray) -> None:
        """The sum grows by what the type loses: 8, in the upper byte (RFC 1624)."""
        self.seen.add(str(ip_address(bytes(packet[12:16]))))
        packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
        total = int.from_bytes(packet[22:24]) + 0x0800
        packet[20], packet[22:24] = 0, ((total & 0xFFFF) + (total >> 16)).to_bytes(2)
        self.tun.write([bytes(10), bytes(packet)])

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        self.tun.close()
        os.close(self._end)
        os.close(self._wake)


@pytest.fixture
def reflector(router: Router) -> Iterator[Reflector]:
    space = router.spaces["router"]
    made = Reflector(space.inside(lambda: Tun("tun-bond")))
    device, wanted = space.inside(lambda: Device("tun-bond")), Wanted((f"{INNER}/25",), 1400, None)
    assert space.inside(lambda: device.apply(wanted)) == []
    sh(router, "cp /etc/config/network /tmp/network.before; cp /etc/config/firewall /tmp/firewall.before")
    uci(router, NETWORK)
    router.wait(lambda: is_up(router, "bond"), "the interface bond")
    # netifd takes all addresses from a device that it begins to look after; the bond looks after it once a second.
    router.wait(lambda: INNER not in space.run(["ip", "address", "show", "tun-bond"]), "netifd to clear the device")
    assert space.inside(lambda: device.apply(wanted)) == []
    router.write(CONFIG, NETPATH)
    sh(router, "netpath start")
    yield made
    attempt(router, "netpath stop")
    made.close()
    sh(
        router,
        "cp /tmp/network.before /etc/config/network; cp /tmp/firewall.before /etc/config/firewall; reload_config",
    )


def test_an_interface_without_protocol_is_enough_and_a_zone_of_the_firewall_does_the_rest(
    router: Router, reflector: Reflector
) -> None:
    router.wait(lambda: is_online(router, "bond"), "NetPath's interface bond")
    assert reflector.seen == {INNER}
    with pytest.raises(LabError):  # the firewall does not know it yet
        ping(router)
    zone = next(
        line.partition(".name")[0]
        for line in sh(router, "uci show firewall").splitlines()
        if line.endswith(".name='wan'") and "zone" in line
    )
    uci(router, f"add_list {zone}.network=bond\ncommit firewall\n")
    router.wait(lambda: "tun-bond" in sh(router, "nft list table inet fw4"), "the firewall to know the device")
    reflector.seen.clear()
    ping(router)
    assert reflector.seen == {INNER}, "masqueraded"


def ping(router: Router) -> None:
    router.spaces["lan"].run(["ping", "-c", "1", "-W", "2", SERVER])
