# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that do not fit: what is sent instead, who is told, and who is not. tests/bond has real ones."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.handshake import Cipher, Keys
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.schedule import Scheduler
from netpath.bond.session import Session
from netpath.bond.slices import NEEDS_CSUM, VNET
from netpath.bond.toobig import RATE, TooBig, completed, fragments, needed

PLAIN = bytes(VNET.size)
DONT = 0x4000


def total(data: bytes) -> int:
    """0xFFFF: the checksum in it is right."""
    found: int = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8) * (
        len(data) % 2
    )
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return found


def ipv4(size: int, place: int = DONT, proto: int = 17, dest: str = "198.51.100.9", body: bytes = b"") -> bytes:
    addresses = ip_address("192.0.2.1").packed + ip_address(dest).packed
    data = (body + bytes(range(256)) * 300)[: size - 20]
    return struct.pack(">BBHHHBBH", 0x45, 0, size, 7, place, 64, proto, 0) + addresses + data


def ipv6(size: int, proto: int = 17, source: str = "2001:db8::1", dest: str = "2001:db8::9", first: int = 0) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, size - 40, proto, 64) + ip_address(source).packed + ip_address(dest).packed
    return head + bytes([first]) + bytes(size - 41)


def test_who_must_not_be_fragmented_is_told_how_much_fits() -> None:
    packet = ipv4(1400)
    message = needed(packet, 1220)
    assert message is not None
    assert (message[12:16], message[16:20]) == (packet[16:20], packet[12:16])
    assert (message[9], message[20:22], int.from_bytes(message[26:28], "big")) == (1, b"\3\4", 1220)
    assert message[28:] == packet[:28]
    assert int.from_bytes(message[2:4], "big") == len(message)
    assert (total(message[:20]), total(message[20:])) == (0xFFFF, 0xFFFF)


def test_the_same_for_ipv6() -> None:
    packet = ipv6(1400)
    message = needed(packet, 1300)
    assert message is not None
    assert (message[8:24], message[24:40], message[6], message[40]) == (packet[24:40], packet[8:24], 58, 2)
    assert int.from_bytes(message[44:48], "big") == 1300
    assert len(message) == 1280
    assert message[48:] == packet[: 1280 - 48]
    assert total(message[8:40] + struct.pack(">II", len(message) - 40, 58) + message[40:]) == 0xFFFF


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(1400, DONT | 3),
        ipv4(1400, dest="224.0.0.5"),
        ipv4(1400, dest="255.255.255.255"),
        ipv4(1400, proto=1, body=bytes([3])),
        ipv4(20),
        ipv6(1280),
        ipv6(1400, dest="ff02::1"),
        ipv6(1400, source="::"),
        ipv6(1400, proto=58, first=1),
    ],
)
def test_nobody_is_told(packet: bytes) -> None:
    """Of fragments, of groups, of errors, and of what IPv6 has no smaller packets for."""
    assert needed(packet, 1000) is None


def test_echoes_may_be_answered() -> None:
    assert needed(ipv4(1400, proto=1, body=bytes([8])), 1220) is not None
    assert needed(ipv6(1400, proto=58, first=128), 1300) is not None


@given(st.integers(21, 9000), st.integers(28, 1500), st.integers(0, 100), st.booleans())
def test_fragments_are_the_packet_again(size: int, largest: int, offset: int, more: bool) -> None:
    packet = ipv4(size, offset | 0x2000 * more)
    parts = fragments(packet, largest)
    body, end = b"", offset
    for part in parts:
        place = int.from_bytes(part[6:8], "big")
        assert len(part) <= largest and int.from_bytes(part[2:4], "big") == len(part)
        assert (place & 0x1FFF, bool(place & 0x2000)) == (end, more or part is not parts[-1])
        assert part[4:6] + part[8:10] + part[12:20] == packet[4:6] + packet[8:10] + packet[12:20]
        assert total(part[:20]) == 0xFFFF
        body += part[20:]
        end += (len(part) - 20) // 8
    assert body == packet[20:]


def test_an_unfinished_checksum_is_finished() -> None:
    packet = ipv4(101, place=0, body=struct.pack(">HHHH", 1, 2, 81, 0))
    whole = completed(VNET.pack(NEEDS_CSUM, 0, 0, 0, 20, 6), packet)
    assert total(whole[20:]) == 0xFFFF
    assert completed(PLAIN, packet) == packet
    assert completed(VNET.pack(NEEDS_CSUM, 0, 0, 0, 200, 6), packet) == packet


def test_messages_are_few_and_packets_without_dont_fragment_go_on() -> None:
    told: list[Sequence[bytes | memoryview]] = []
    too_big = TooBig(told.append)
    for _ in range(1000):
        assert too_big.instead(PLAIN, ipv4(1400), 1220, 1.0, settled=True) == ()
    assert len(told) == RATE[1]
    assert all(buffers[0] == PLAIN for buffers in told)
    too_big.instead(PLAIN, ipv4(1400), 1220, 2.0, settled=True)
    assert len(told) == RATE[1] + 1
    assert len(too_big.instead(PLAIN, ipv4(1400, place=0), 1220, 1.0, settled=True)) == 2
    options = b"\x46" + ipv4(1400, place=0)[1:]
    assert too_big.instead(PLAIN, options, 1220, 1.0, settled=True) == []


def test_nobody_is_told_of_a_size_that_is_still_looked_for() -> None:
    told: list[object] = []
    peer = Peer(Random(1).randbytes, Scheduler(), lambda _: None)
    peer.sender.too_big = TooBig(told.append)
    peer.use(Session(Keys(bytes(32), bytes(32), Cipher.AES256_GCM, 1), 1, 2, 0.0))
    path = peer.add_path(0, "there", 1472, 28, 0.0)
    path.state = State.UP
    for known, messages in ((False, 0), (True, 1)):
        path.mtu.known = known
        peer.tick(0.01)
        assert peer.packet(memoryview(PLAIN + ipv4(1400)), 0.01) + peer.rest(0.01) == []
        assert len(told) == messages
        trains = peer.packet(memoryview(PLAIN + ipv4(1400, place=0)), 0.01) + peer.rest(0.01)
        assert len(trains) == 2, "fragments do no harm"
