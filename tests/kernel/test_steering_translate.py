# SPDX-License-Identifier: GPL-2.0-or-later
"""What addresses IPv6 packets have when they leave by an uplink with `nat6`, and what becomes of the answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netpath.model import Nat6
from tests.kernel.nsbox import frame
from tests.kernel.steering_site import GATEWAY_MAC, HOST_MAC, Site, both, everything, gateway, internet, one_policy, own
from tests.kernel.steering_site import site as made_site
from tests.kernel.test_steering_paths import base_chain, source_of

pytestmark = pytest.mark.lab

FAR = internet("ipv6")
HOST = "2001:db8:100::7"
"""A LAN host with an address of nobody's: as of the first provider's delegated prefix."""
MAPPED = "2001:db8:b00::7"
DELEGATED = ("2001:db8:b00::/56",)
LAN = ("2001:db8:100::/64", "2001:db8:b00:1::/64", "fd00:1:2:3::/64")
OF_UPLINK = "2001:db8:b00:1::7"
"""The same host with an address of the second provider's delegated prefix."""
UNIQUE_LOCAL = "fd00:1:2:3::7"
UDP, TCP, ICMP6 = 17, 6, 58
NEW_MTU = 1300


@pytest.fixture
def site() -> Iterator[Site]:
    with made_site() as there:
        for host in (OF_UPLINK, UNIQUE_LOCAL):
            there.router.ip("address", "add", f"{host[:-1]}1/64", "dev", "lan0", "nodad")
            there.router.ip("neigh", "add", host, "lladdr", HOST_MAC, "dev", "lan0")
        yield there


def second(site: Site, nat6: str, **facts: object) -> None:
    """Everything leaves by uplink 2, which has `nat6`."""
    facts = {"prefixes": DELEGATED, "lan": LAN, **facts}
    site.uplinks = [replace(u, **facts) if u.name == "six2" else u for u in site.uplinks]  # type: ignore[arg-type]
    site.options["six2"] = {"nat6": Nat6(nat6)}
    site.load(one_policy(both("2")), [everything()])


def leaves(site: Site, src: str, proto: int = UDP, sport: int | None = None) -> tuple[bytes, int]:
    """A LAN host's packet as it leaves by uplink 2, and the source port that the host gave it."""
    key = site.send(src, FAR, sport, proto=proto)
    if proto == ICMP6:
        for packet in site.arriving("wan2"):
            if packet[6] == ICMP6 and packet[40] == 128:
                return packet, key[3]
        raise AssertionError("no echo request left")
    for packet in site.arriving("wan2"):
        if packet[6] == proto and packet[24:40] == ip_address(FAR).packed:
            return packet, key[3]
    raise AssertionError("nothing left")


def answer(site: Site, packet: bytes, proto: int) -> None:
    """The far end's reply to a packet that it got."""
    sport, dport = struct.unpack("!HH", packet[40:44])
    if proto == ICMP6:  # identifier instead of a port
        sport = struct.unpack("!H", packet[44:46])[0]
    data = frame(
        site.router.mac("wan2"), FAR, source_of(packet), dport, sport, proto=proto, mac=GATEWAY_MAC, flags=0x12
    )
    if proto == ICMP6:
        data = echo_reply(data, sport)
    site.wires["wan2"].send(data)


def echo_reply(data: bytes, identifier: int) -> bytes:
    head, body = data[:54], struct.pack("!BBHHH", 129, 0, 0, identifier, 1)
    return head[:18] + struct.pack("!H", len(body)) + head[20:] + checked(head[22:54], body)


def checked(addresses: bytes, body: bytes) -> bytes:
    """An ICMPv6 message with its checksum."""
    data = addresses + struct.pack("!II", len(body), ICMP6) + body
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack("!H", total ^ 0xFFFF) + body[4:]


def comes_back(site: Site, dst: str, proto: int) -> bytes:
    """The answer on the LAN."""
    for packet in site.arriving("lan0"):
        if packet[6] == proto and packet[24:40] == ip_address(dst).packed and packet[8:24] == ip_address(FAR).packed:
            return packet
    raise AssertionError(f"no answer for {dst}")


@pytest.mark.parametrize("proto", [UDP, TCP, ICMP6])
@pytest.mark.parametrize(("src", "seen"), [(HOST, MAPPED), (UNIQUE_LOCAL, "2001:db8:b00:3::7")])
def test_a_prefix_is_exchanged_and_the_answer_finds_its_host(site: Site, proto: int, src: str, seen: str) -> None:
    second(site, "prefix")
    packet, sport = leaves(site, src, proto)
    assert source_of(packet) == seen
    if proto != ICMP6:
        assert struct.unpack("!H", packet[40:42])[0] == sport, (
            "hosts have addresses of their own, so they keep their ports"
        )
    answer(site, packet, proto)
    comes_back(site, src, proto)


@pytest.mark.parametrize("proto", [UDP, TCP, ICMP6])
def test_masquerading_gives_the_routers_address_and_the_answer_finds_its_host(site: Site, proto: int) -> None:
    second(site, "masquerade")
    packet, _ = leaves(site, HOST, proto)
    assert source_of(packet) == own("ipv6", 2)
    answer(site, packet, proto)
    comes_back(site, HOST, proto)


@pytest.mark.parametrize("nat6", ["masquerade", "prefix"])
def test_sources_of_the_uplink_stay_as_they_are(site: Site, nat6: str) -> None:
    second(site, nat6)
    assert source_of(leaves(site, OF_UPLINK)[0]) == OF_UPLINK


def test_what_has_no_room_is_masqueraded_not_let_through(site: Site) -> None:
    second(site, "prefix", prefixes=("2001:db8:b00:1::/64",))
    assert source_of(leaves(site, HOST)[0]) == own("ipv6", 2)


def test_without_the_option_nothing_is_touched(site: Site) -> None:
    site.uplinks = [replace(u, prefixes=("2001:db8:100::/56",)) if u.name == "six1" else u for u in site.uplinks]
    second(site, "off")
    assert source_of(leaves(site, HOST)[0]) == HOST


def test_an_uplink_without_addresses_masquerades_with_one_of_its_delegated_prefix(site: Site) -> None:
    site.router.ip("address", "del", f"{own('ipv6', 2)}/64", "dev", "wan2")
    site.router.ip("neigh", "replace", gateway("ipv6", 2), "lladdr", GATEWAY_MAC, "dev", "wan2")
    second(site, "masquerade", addresses=(), source="2001:db8:b00:1::1")
    packet, _ = leaves(site, HOST)
    assert source_of(packet) == "2001:db8:b00:1::1", "left to itself, the kernel takes any address of the LAN"
    answer(site, packet, UDP)
    comes_back(site, HOST, UDP)


@pytest.mark.parametrize("nat6", ["masquerade", "prefix"])
def test_icmp_errors_come_back_with_the_hosts_own_address_inside(site: Site, nat6: str) -> None:
    second(site, nat6)
    packet, sport = leaves(site, HOST)
    router = ip_address(gateway("ipv6", 2)).packed
    body = struct.pack("!BBHI", 2, 0, 0, NEW_MTU) + packet  # packet too big, RFC 4443
    addresses = router + packet[8:24]
    head = struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 64) + addresses
    link = bytes.fromhex(f"{site.router.mac('wan2')}{GATEWAY_MAC}".replace(":", "")) + b"\x86\xdd"
    site.wires["wan2"].send(link + head + checked(addresses, body))
    for error in site.arriving("lan0"):
        if error[6] == ICMP6 and error[40] == 2:
            break
    else:
        raise AssertionError("the error did not come through")
    assert error[24:40] == ip_address(HOST).packed
    quoted = error[48:]
    assert source_of(quoted) == HOST
    assert struct.unpack("!H", quoted[40:42])[0] == sport
    assert error[40:] == checked(error[8:40], error[40:42] + b"\0\0" + error[44:]), "its checksum is right again"


@pytest.mark.parametrize("nat6", ["off", "masquerade", "prefix"])
def test_the_routers_own_addresses_of_another_uplink_never_leave(site: Site, nat6: str) -> None:
    """The router's LAN address out of the first provider's delegated prefix is what the kernel may choose."""
    first = replace(site.uplinks[3], prefixes=("2001:db8:100::/56",))
    site.uplinks = [first if u.name == "six1" else u for u in site.uplinks]
    second(site, nat6)
    with site.router.udp("ipv6", address="2001:db8:100::1") as sock:
        sock.sendto(b"query", (FAR, 443))
        packet = site.leaves("wan2", FAR, sock.getsockname()[1])
    assert source_of(packet) == own("ipv6", 2)


def test_link_local_packets_keep_their_address(site: Site) -> None:
    """A DHCPv6 client's, for one."""
    second(site, "masquerade", source="2001:db8:b00:1::1")
    with site.router.udp("ipv6", device="wan2") as sock:
        sock.sendto(b"solicit", ("ff02::1:2", 547))
        port = sock.getsockname()[1].to_bytes(2, "big")
        packet = next(p for p in site.arriving("wan2") if p[6] == UDP and p[40:42] == port)
    assert source_of(packet).startswith("fe80::")


@pytest.mark.parametrize(("src", "seen"), [(HOST, MAPPED), (OF_UPLINK, own("ipv6", 2))])
def test_a_firewall_that_masquerades_comes_after_us(site: Site, src: str, seen: str) -> None:
    """What we have translated is settled, what we have left alone is not."""
    second(site, "prefix")
    site.router.nft(base_chain("srcnat", "nat hook postrouting priority srcnat", "oifname wan2 masquerade"))
    assert source_of(leaves(site, src)[0]) == seen


def test_connections_of_two_hosts_that_share_a_port_stay_apart(site: Site) -> None:
    second(site, "prefix")
    seen = {source_of(leaves(site, src, sport=4000)[0]) for src in (HOST, UNIQUE_LOCAL, OF_UPLINK)}
    assert seen == {MAPPED, "2001:db8:b00:3::7", OF_UPLINK}
