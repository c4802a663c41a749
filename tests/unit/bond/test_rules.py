# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rule a packet meets, and what becomes of its flow between the two ends."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

import pytest

from bench.bondsim import Network, Weather, datagram_packet
from netpath.bond import rules as module
from netpath.bond.rules import Rules, for_peer
from netpath.bond.schedule import Way
from netpath.bonding import BondMode, BondRule
from netpath.model import AddressMatch, AddressSpec, RangeSpec

TCP, UDP, ICMP = 6, 17, 1
TWICE = Way(BondMode.REDUNDANT, 2)


def udp4(
    *, source: str = "192.0.2.1", dest: str = "198.51.100.9", ports: tuple[int, int] = (1000, 5060), tos: int = 0,
    place: int = 0, number: int = 7, options: bytes = b"", proto: int = UDP,
) -> bytes:  # fmt: skip
    body = struct.pack(">HH", *ports) + bytes(12)
    first, last = ip_address(source).packed, ip_address(dest).packed
    length = 20 + len(options)
    head = struct.pack(">BBHHHBBH", 0x40 | length // 4, tos, length + len(body), number, place, 64, proto, 0)
    return head + first + last + options + body


def udp6(*, tos: int = 0, before: bytes = b"", following: int = UDP, ports: tuple[int, int] = (1000, 5060)) -> bytes:
    body = before + struct.pack(">HH", *ports) + bytes(12)
    addresses = ip_address("2001:db8::1").packed + ip_address("2001:db8::9").packed
    return struct.pack(">IHBB", 6 << 28 | tos << 20, len(body), following, 64) + addresses + body


def networks(*texts: str) -> AddressSpec:
    found: dict[bool, list[AddressMatch]] = {False: [], True: []}
    for text in texts:
        network = ip_network(text.removeprefix("!"))
        match = AddressMatch(f"ipv{network.version}", int(network.network_address), int(network.netmask))
        found[text.startswith("!")].append(match)
    return AddressSpec(tuple(found[False]), tuple(found[True]))


def only(*numbers: int) -> RangeSpec:
    return RangeSpec(tuple((number, number) for number in numbers))


def rule(**criteria: object) -> BondRule:
    return BondRule(name="r", mode=BondMode.REDUNDANT, copies=2, **criteria)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("criteria", "packet", "met"),
    [
        ({}, udp4(), True),
        ({"proto": only(UDP)}, udp4(), True),
        ({"proto": only(TCP)}, udp4(), False),
        ({"dest_port": only(5060)}, udp4(), True),
        ({"dest_port": only(1000)}, udp4(), False),
        ({"src_port": RangeSpec(((900, 1100),))}, udp4(), True),
        ({"src_port": RangeSpec((), ((900, 1100),))}, udp4(), False),
        ({"dest_port": only(5060)}, udp4(proto=ICMP), False),
        ({"dest_port": only(5060)}, udp4(options=bytes(8)), True),
        ({"dscp": only(46)}, udp4(tos=46 << 2 | 1), True),
        ({"dscp": only(46)}, udp4(tos=45 << 2), False),
        ({"dscp": only(46)}, udp6(tos=46 << 2), True),
        ({"src_ip": networks("192.0.2.0/24")}, udp4(), True),
        ({"src_ip": networks("192.0.2.0/24", "!192.0.2.1/32")}, udp4(), False),
        ({"dest_ip": networks("192.0.2.0/24")}, udp4(), False),
        ({"dest_ip": networks("!192.0.2.0/24")}, udp4(), True),
        ({"dest_ip": networks("!192.0.2.0/24")}, udp6(), False),
        ({"dest_ip": networks("192.0.2.0/24", "2001:db8::/64")}, udp6(), True),
        ({"dest_ip": networks("2001:db8::/64")}, udp4(), False),
        ({"dest_port": only(5060)}, udp6(), True),
        ({"proto": only(UDP), "dest_port": only(5060)}, udp6(following=0, before=bytes([UDP, 0]) + bytes(6)), True),
        ({"proto": only(UDP)}, udp6(following=60, before=bytes([UDP, 200]) + bytes(6)), True),
        ({}, b"", False),
        ({}, bytes([0x45] * 19), False),
        ({}, bytes([0x4F] * 30), False),
        ({}, bytes([0x60] * 30), False),
        ({}, bytes([0x15] * 60), False),
        ({}, udp6(following=43, before=bytes([44, 0]) + bytes(6))[:50], False),
    ],
)  # fmt: skip
def test_what_a_rule_matches(criteria: dict[str, object], packet: bytes, met: bool) -> None:
    rules = Rules([rule(**criteria)])
    assert [rules.way(packet), rules.way(packet)] == ([TWICE] * 2 if met else [None] * 2)


def test_the_first_rule_that_matches_decides() -> None:
    games = BondRule("games", BondMode.LOW_LATENCY, 2, dest_port=only(5060))
    rules = Rules([games, rule(proto=only(UDP))])
    assert rules.way(udp4()) == Way(BondMode.LOW_LATENCY, 2)
    assert rules.way(udp4(ports=(1, 2))) == TWICE
    assert rules.way(udp4(proto=TCP, ports=(1, 2))) is None


def test_a_flow_is_judged_once_and_not_every_flow_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[bytes] = []
    read = module.read

    def counted(packet: bytes) -> module.Facts | None:
        judged.append(packet)
        return read(packet)

    monkeypatch.setattr(module, "read", counted)
    rules = Rules([rule(dest_port=only(5060))])
    for _ in range(3):
        assert rules.way(udp4()) == TWICE
        assert rules.way(udp6(ports=(7, 7))) is None
    assert len(judged) == 2
    for port in range(2 * module.REMEMBERED):
        rules.way(udp4(ports=(port, 5060)))
    assert len(rules._known) <= module.REMEMBERED


@pytest.mark.parametrize("version", [4, 6])
def test_later_fragments_go_as_the_first_one(version: int) -> None:
    def fragment(offset: int, number: int, ports: tuple[int, int]) -> bytes:
        if version == 4:
            return udp4(place=0x2000 | offset, number=number, ports=ports)
        before = bytes([UDP, 0]) + struct.pack(">HI", offset << 3 | 1, number)
        return udp6(following=44, before=before, ports=ports)

    rules = Rules([rule(proto=only(UDP), dest_port=only(5060))])
    assert rules.way(fragment(100, 1, (9, 5060))) is None, "those are no ports"
    assert rules.way(fragment(0, 1, (9, 5060))) == TWICE
    assert rules.way(fragment(100, 1, (9, 9))) == TWICE
    assert rules.way(fragment(100, 2, (9, 9))) is None
    assert rules.way(fragment(0, 1, (9, 9))) is None
    assert rules.way(fragment(100, 1, (9, 9))) is None, "the number is another packet's now"


def test_rules_for_one_client() -> None:
    everybody, one = rule(), BondRule("one", BondMode.REDUNDANT, 2, peers=("cabin",))
    assert for_peer([everybody, one], "cabin") == (everybody, one)
    assert for_peer([everybody, one], "other") == (everybody,)


def test_a_matched_flow_loses_nothing_at_a_cut_and_others_are_not_doubled() -> None:
    network = Network(3, [Weather(0.01, cuts=((1.5, 9.0),)), Weather(0.012), Weather(0.011)])
    network.run(1.0)
    sender = network.client.peer.sender
    sender.rules = Rules([rule(dest_port=only(9), src_port=only(1024))])
    copies = network.server.peer.receiver.order
    for position in range(600):
        for flow in (0, 1):
            network.client.send_packet(datagram_packet(flow, position, 900, network.random))
        network.run(0.005)
    network.run(1.0)
    judge = network.judges[1] if network.judges[1].seen else network.judges[0]
    assert set(judge.seen[0].values()) == {1} and len(judge.seen[0]) == 600
    assert 0.7 * 600 < copies.copies <= 650, "each of the one flow came twice while both of its paths worked"
    assert judge.repeated <= judge.seen[1].total() - len(judge.seen[1])
