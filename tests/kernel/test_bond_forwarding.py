# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of a bond's clients through its server's machine: what passes, with which addresses, what does not."""

from __future__ import annotations

import select
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from netpath.bond.device import Device, Wanted, client_routes
from netpath.bond.forwarding import Forwarding
from netpath.bond.tun import Tun
from netpath.bonding import BondServer
from tests.kernel.nsbox import Box, frame
from tests.unit.bond.settings import peer, server

pytestmark = pytest.mark.lab

CLIENT = {"ipv4": "203.0.113.2", "ipv6": "2001:db8:99::2"}
OTHER = {"ipv4": "203.0.113.3", "ipv6": "2001:db8:99::3"}
BEHIND = {"ipv4": "192.0.2.9", "ipv6": "2001:db8:5::9"}
SERVER = {"ipv4": "198.51.100.1", "ipv6": "2001:db8:1::1"}
FAR = {"ipv4": "198.51.100.2", "ipv6": "2001:db8:1::2"}
CLIENTS = (
    peer("a", ("203.0.113.2/24", "2001:db8:99::2/64")),
    peer("b", ("203.0.113.3/24", "2001:db8:99::3/64"), ("192.0.2.0/24", "2001:db8:5::/64")),
)
NO_GSO = bytes(10)
FAMILIES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])


@dataclass
class Site:
    """A server with its device, and a host on its uplink."""

    box: Box
    far: Box
    tun: Tun
    forwarding: Forwarding

    def serve(self, settings: BondServer, mtu: int = 1400) -> None:
        with self.box.inside():
            routes = client_routes(settings.inner, [(c.addresses, c.networks) for c in settings.clients])
            assert Device("tun-bond").apply(Wanted(settings.inner, mtu, None, routes)) == []
            assert self.forwarding.apply(settings, mtu) == []

    def send(self, src: str, dst: str, sport: int = 4000, dport: int = 7) -> None:
        """A packet of a client."""
        self.inject(frame("02:00:00:00:00:01", src, dst, sport, dport)[14:])

    def inject(self, packet: bytes) -> None:
        self.tun.write([NO_GSO, packet])

    def received(self, seconds: float = 0.3) -> bytes | None:
        """The next packet for clients, without multicast of the kernel; None: none came."""
        while select.select([self.tun], [], [], seconds)[0]:
            found = self.tun.read()
            if found is not None and not (found[10] >> 4 == 6 and found[10 + 24] == 0xFF):
                return bytes(found[10:])
        return None

    def reaches(self, src: str, dst: str) -> bool:
        """Whether what goes into the device comes out of it again (or an error message does)."""
        self.send(src, dst)
        came = self.received()
        return came is not None and ip_address(dst).packed in came[:40]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Box("bond") as box, Box("far") as far:
        box.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
        box.wire("eth0", far, "eth0")
        for here, addresses, there in ((box, SERVER, FAR), (far, FAR, SERVER)):
            here.up("eth0", f"{addresses['ipv4']}/24", f"{addresses['ipv6']}/64")
            for name in CLIENT:
                if here is far:  # as a neighbour may who means no good
                    for target in (
                        ("203.0.113.0/24", "192.0.2.0/24")
                        if name == "ipv4"
                        else ("2001:db8:99::/64", "2001:db8:5::/64")
                    ):
                        here.ip("route", "add", target, "via", there[name])
        with box.inside():
            tun, forwarding = Tun("tun-bond"), Forwarding("home", tmp_path)
            try:
                yield Site(box, far, tun, forwarding)
            finally:
                assert forwarding.close() == []
                tun.close()
                assert box.tables() == ""


@FAMILIES
def test_clients_reach_the_internet_by_the_servers_address_and_get_answers(site: Site, family: str) -> None:
    site.serve(server(clients=CLIENTS))
    with site.far.udp(family) as host:
        host.bind((FAR[family], 7))
        host.settimeout(5)
        site.send(CLIENT[family], FAR[family])
        _, seen = host.recvfrom(100)
        assert seen[0] == SERVER[family]
        host.sendto(b"back", seen)
    came = site.received(5)
    assert came is not None
    assert ip_address(CLIENT[family]).packed in came[:40]
    assert came.endswith(b"back")


@FAMILIES
def test_without_masquerade_addresses_stay(site: Site, family: str) -> None:
    site.serve(server(clients=CLIENTS, masquerade=False))
    with site.far.udp(family) as host:
        host.bind((FAR[family], 7))
        host.settimeout(5)
        site.send(CLIENT[family], FAR[family])
        assert host.recvfrom(100)[1][0] == CLIENT[family]


@FAMILIES
def test_nobody_outside_opens_connections_to_clients_but_to_declared_networks(site: Site, family: str) -> None:
    site.serve(server(clients=CLIENTS))
    with site.far.udp(family) as host:
        host.sendto(b"knock", (CLIENT[family], 22))
        assert site.received() is None
        host.sendto(b"hello", (BEHIND[family], 22))
        came = site.received(5)
    assert came is not None
    assert came.endswith(b"hello")


def test_a_port_that_the_owner_forwards_reaches_the_client(site: Site) -> None:
    site.serve(server(clients=CLIENTS))
    site.box.nft(
        "table ip mine { chain dstnat { type nat hook prerouting priority dstnat; "
        f"udp dport 8080 dnat to {CLIENT['ipv4']}\n}}\n}}\n"
    )
    with site.far.udp() as host:
        host.sendto(b"hello", (SERVER["ipv4"], 8080))
        came = site.received(5)
    assert came is not None
    assert came.endswith(b"hello")
    site.box.nft("delete table ip mine")


@FAMILIES
def test_clients_do_not_reach_each_other_but_declared_networks(site: Site, family: str) -> None:
    site.serve(server(clients=CLIENTS))
    assert not site.reaches(CLIENT[family], OTHER[family])
    while site.received() is not None:  # the message that says so
        pass
    assert site.reaches(CLIENT[family], BEHIND[family])


@FAMILIES
def test_without_forward_nothing_passes_whoever_has_switched_forwarding_on(site: Site, family: str) -> None:
    site.box.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    site.serve(server(clients=CLIENTS, forward=False))
    with site.far.udp(family) as host:
        host.bind((FAR[family], 7))
        host.settimeout(0.3)
        site.send(CLIENT[family], FAR[family])
        with pytest.raises(TimeoutError):
            host.recvfrom(100)
        while site.received() is not None:
            pass
        host.sendto(b"hello", (BEHIND[family], 22))
        assert site.received() is None


def test_what_a_cloud_tells_its_servers_is_not_for_clients(site: Site) -> None:
    site.far.ip("address", "add", "169.254.169.254/32", "dev", "eth0")
    site.box.ip("route", "add", "169.254.169.254", "dev", "eth0")
    site.serve(server(clients=CLIENTS))
    with site.far.udp() as host:
        host.bind(("169.254.169.254", 80))
        host.settimeout(0.3)
        site.send(CLIENT["ipv4"], "169.254.169.254", dport=80)
        with pytest.raises(TimeoutError):
            host.recvfrom(100)


@FAMILIES
@pytest.mark.parametrize(("asked", "gets"), [(1460, 1400), (536, 536)])
def test_tcp_is_told_what_passes_the_bond(site: Site, family: str, asked: int, gets: int) -> None:
    """1400 less IPv4's or IPv6's headers; less than that stays as it is."""
    site.serve(server(clients=CLIENTS))
    gets = gets - (40 if family == "ipv4" else 60) if asked > gets else gets
    with site.far.link_socket("eth0") as wire:
        wire.settimeout(5)
        site.inject(_syn(CLIENT[family], FAR[family], asked))
        tcp = 14 + (20 if family == "ipv4" else 40)
        while (seen := wire.recv(2000))[tcp : tcp + 4] != struct.pack("!HH", 4321, 80):
            pass
    assert struct.unpack_from("!BBH", seen, tcp + 20) == (2, 4, gets)


@FAMILIES
def test_a_foreign_policy_drops_in_spite_of_us_until_the_advice_is_followed(site: Site, family: str) -> None:
    site.serve(server(clients=CLIENTS))
    place = "ip filter" if family == "ipv4" else "ip6 filter"
    site.box.nft(f"table {place} {{ chain FORWARD {{ type filter hook forward priority 0; policy drop; }}\n}}\n")
    with site.far.udp(family) as host:
        host.bind((FAR[family], 7))
        host.settimeout(0.3)
        site.send(CLIENT[family], FAR[family])
        with pytest.raises(TimeoutError):
            host.recvfrom(100)
        told = site.forwarding.obstacles(server(clients=CLIENTS))
        assert len(told) == 1
        assert f"{'iptables' if family == 'ipv4' else 'ip6tables'} -I FORWARD -i tun-bond -j ACCEPT" in told[0]
        for side in ("iifname", "oifname"):  # which is what that command makes
            site.box.nft(f"insert rule {place} FORWARD {side} tun-bond accept")
        assert site.forwarding.obstacles(server(clients=CLIENTS)) == []
        host.settimeout(5)
        site.send(CLIENT[family], FAR[family], 4001)
        assert host.recvfrom(100)[1][0] == SERVER[family]
    site.box.nft(f"delete table {place}")


def _syn(src: str, dst: str, mss: int) -> bytes:
    """A SYN with a maximum segment size; from port 4321."""
    packet = frame("02:00:00:00:00:01", src, dst, 4321, 80, proto=6)[14:]
    head = 20 if "." in src else 40
    tcp = bytearray(packet[head:]) + struct.pack("!BBH", 2, 4, mss)
    tcp[12], tcp[16:18] = 0x60, b"\0\0"
    over = ip_address(src).packed + ip_address(dst).packed + struct.pack("!II", len(tcp), 6) + tcp
    tcp[16:18] = _sum(bytes(over))
    ip = bytearray(packet[:head])
    if head == 20:
        ip[2:4], ip[10:12] = struct.pack("!H", head + len(tcp)), b"\0\0"
        ip[10:12] = _sum(bytes(ip))
    else:
        ip[4:6] = struct.pack("!H", len(tcp))
    return bytes(ip + tcp)


def _sum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)
