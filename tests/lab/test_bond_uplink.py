# SPDX-License-Identifier: GPL-2.0-or-later
"""A bond's device as an uplink of NetPath. A wire stands for the bond: its other end is a device at the servers."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from netpath.bond.device import Device, Wanted
from netpath.bond.forwarding import Forwarding
from netpath.bond.tun import Tun
from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import Namespace
from netpath.lab.uci import FAST, Value, section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

INNER = {"ipv4": "203.0.113.130", "ipv6": "2001:db8:9::2"}
NEAR = ("203.0.113.130/28", "2001:db8:9::2/64")
FAR = ("203.0.113.129/28", "2001:db8:9::1/64")
OPT_OUT = 0x3F00
FAMILIES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])


class Wire:
    """Carries packets between device tun-bond on the router and device tun-far on the servers' host."""

    def __init__(self, near: Namespace, far: Namespace) -> None:
        self._places = near, far
        self.open()

    def open(self) -> None:
        near, far = self._places
        self.cut = False
        self.near, self.far = near.inside(lambda: Tun("tun-bond")), far.inside(lambda: Tun("tun-far"))
        near.inside(lambda: _set_up("tun-bond", NEAR))
        far.inside(lambda: _set_up("tun-far", FAR))
        self._end, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        other = {self.near.fileno(): self.far, self.far.fileno(): self.near}
        own = {self.near.fileno(): self.near, self.far.fileno(): self.far}
        while True:
            for ready in select.select([*own, self._end], [], [])[0]:
                if ready == self._end:
                    return
                packet = own[ready].read()
                if packet is not None and not self.cut:
                    other[ready].write([packet])

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        for descriptor in (self._end, self._wake):
            os.close(descriptor)
        self.near.close()
        self.far.close()


def _set_up(name: str, addresses: tuple[str, ...]) -> None:
    assert Device(name).apply(Wanted(addresses, 1400, None)) == []


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    """With what a client loads where it is told to translate LAN addresses."""
    made = Wire(lab.router, lab.internet)
    forwarding = lab.router.inside(lambda: Forwarding("home", lab.directory / "bond"))
    assert lab.router.inside(lambda: forwarding.masquerade("tun-bond", "netpath-bond-home", 1400)) == []
    yield made
    assert lab.router.inside(forwarding.close) == []
    made.close()
    assert "netpath-bond" not in lab.router.run(["nft", "list", "tables"])


def bonded(lab: Lab) -> str:
    """Everything goes by the bond, and by wan when that is down."""
    parts, members = [], []
    for family, name in (("ipv4", "bond"), ("ipv6", "bond_6")):
        own: dict[str, Value] = {
            "enabled": 1,
            "ifname": "tun-bond",
            "family": family,
            "track_targets": SERVERS[family][:2],
        }
        parts.append(section("interface", name, {**own, **FAST}))
        parts.append(section("member", f"{name}_first", {"interface": name, "metric": 1}))
        spare = "wan" if family == "ipv4" else "wan_6"
        parts.append(section("member", f"{spare}_spare", {"interface": spare, "metric": 2}))
        members += [f"{name}_first", f"{spare}_spare"]
    parts.append(section("policy", "by_bond", {"members": members}))
    return lab.config(extra="\n".join(parts), rules=section("rule", "everything", {"policy": "by_bond"}))


@FAMILIES
def test_the_lan_goes_by_the_bond_and_by_an_uplink_while_it_is_down(
    lab: Lab, start: Start, wire: Wire, family: str
) -> None:
    name = "bond" if family == "ipv4" else "bond_6"
    start(bonded(lab))
    assert lab.flows(10, family) == {INNER[family]: 10}
    assert lab.flows(5, family, "tcp") == {INNER[family]: 5}
    wire.cut = True
    lab.wait_states({name: "offline"})
    assert lab.flows(10, family) == {"wan": 10}
    wire.cut = False
    lab.wait_states({name: "online"})
    assert lab.flows(10, family) == {INNER[family]: 10}


def test_a_bond_that_takes_its_carrier_away_is_out_at_once(lab: Lab, start: Start, wire: Wire) -> None:
    start(bonded(lab))
    with lab.events() as events:
        wire.near.carry(False)
        assert "carrier" in events.wait("bond", "offline")["reason"]
        assert lab.flows(5) == {"wan": 5}
        wire.near.carry(True)
        events.wait("bond", "online")
    assert lab.flows(5) == {INNER["ipv4"]: 5}


def test_a_device_that_goes_and_comes_again(lab: Lab, start: Start, wire: Wire) -> None:
    """As when the bond is started anew."""
    start(bonded(lab))
    wire.close()
    lab.wait_states({"bond": "offline", "bond_6": "offline"})
    assert lab.flows(5) == {"wan": 5}
    wire.open()
    lab.wait_states({"bond": "online", "bond_6": "online"})
    assert lab.flows(5) == {INNER["ipv4"]: 5}


@FAMILIES
def test_the_bonds_own_sockets_never_go_into_the_bond(lab: Lab, start: Start, wire: Wire, family: str) -> None:
    """Bound to an uplink, with the mark that opts out; whatever the policies and the main table say."""
    start(bonded(lab))
    assert _seen_from(lab, family) == INNER[family], "an ordinary program of the router goes by the policy"
    for uplink in lab.uplinks:
        assert _seen_from(lab, family, device=uplink.name) == uplink.public(family)
    lab.router.ip("route add default dev tun-bond metric 1\n", family)
    try:
        for uplink in lab.uplinks:
            assert _seen_from(lab, family, device=uplink.name) == uplink.public(family)
    finally:
        lab.router.ip("route del default dev tun-bond metric 1\n", family)


def _seen_from(lab: Lab, family: str, device: str = "") -> str:
    """The address that a server sees of a socket on the router."""
    kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6

    def ask() -> str:
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            if device:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OPT_OUT)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            sock.settimeout(5)
            sock.connect((SERVERS[family][0], 7))
            sock.send(b"who am I\n")
            return sock.recv(200).decode().split()[0]

    return lab.router.inside(ask)


def test_without_netpath_the_lan_goes_where_routes_lead(lab: Lab, wire: Wire) -> None:
    """A LAN packet that is routed to the device gets the router's inner address; others do not."""
    lab.router.ip(f"route add {SERVERS['ipv4'][1]}/32 dev tun-bond\n")
    try:
        assert lab.flows(3, dst=SERVERS["ipv4"][1]) == {INNER["ipv4"]: 3}
        assert lab.flows(3) == {"wan": 3}
    finally:
        lab.router.ip(f"route del {SERVERS['ipv4'][1]}/32 dev tun-bond\n")
