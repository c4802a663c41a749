# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP packets: ours against icmplib's, and against garbage."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icmplib.sockets import ICMPv4Socket, ICMPv6Socket  # type: ignore[import-untyped]

from netpath.probe.icmp import icmp6_filter
from netpath.probe.icmp_packet import Echo, Refusal, checksum, echo_request, parse4, parse6

words16 = st.integers(0, 0xFFFF)


def ip4(payload: bytes, source: str = "192.0.2.1", target: str = "192.0.2.2", protocol: int = 1) -> bytes:
    total = 20 + len(payload)
    return (
        struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target)
        )
        + payload
    )


def ip6(payload: bytes, target: str, next_header: int = 58) -> bytes:
    source = socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    return (
        struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
        + source
        + socket.inet_pton(socket.AF_INET6, target)
        + payload
    )


@given(words16, words16, st.binary(max_size=70))
def test_requests_are_those_of_icmplib(ident: int, sequence: int, payload: bytes) -> None:
    for ipv6, oracle in ((False, ICMPv4Socket), (True, ICMPv6Socket)):
        maker = oracle.__new__(oracle)
        maker._sock = None  # no socket is needed to make a packet
        theirs = maker._create_packet(ident, sequence, payload)
        if ipv6:  # the kernel computes this checksum
            theirs = theirs[:2] + b"\0\0" + theirs[4:]
        assert echo_request(ipv6, ident, sequence, payload) == theirs


@given(st.binary(max_size=80))
def test_the_checksum_verifies(data: bytes) -> None:
    even = data + b"\0" * (len(data) % 2)
    assert checksum(even + checksum(even).to_bytes(2)) == 0


@given(words16, words16, st.binary(max_size=70))
def test_replies_come_apart_again(ident: int, sequence: int, payload: bytes) -> None:
    reply = b"\0" + echo_request(False, ident, sequence, payload)[1:]
    assert parse4(ip4(reply)) == Echo(ident, sequence, payload)
    reply6 = b"\x81" + echo_request(True, ident, sequence, payload)[1:]
    assert parse6(reply6) == Echo(ident, sequence, payload)


def test_ip_options_are_skipped() -> None:
    packet = ip4(b"\x01" * 8 + b"\0" + echo_request(False, 7, 8, b"x")[1:])
    assert parse4(b"\x47" + packet[1:]) == Echo(7, 8, b"x")


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [(3, 1, "host unreachable"), (3, 13, "administratively prohibited"), (11, 0, "time to live exceeded")],
)
def test_errors_name_the_request_that_they_are_about(kind: int, code: int, reason: str) -> None:
    about = ip4(echo_request(False, 7, 8, b""), target="203.0.113.9")
    assert parse4(ip4(struct.pack("!BBHI", kind, code, 0, 0) + about)) == Refusal(7, 8, "203.0.113.9", reason)


@pytest.mark.parametrize(("kind", "code", "reason"), [(1, 3, "address unreachable"), (3, 0, "hop limit exceeded")])
def test_errors_of_ipv6(kind: int, code: int, reason: str) -> None:
    about = ip6(echo_request(True, 7, 8, b""), "2001:db8::9")
    assert parse6(struct.pack("!BBHI", kind, code, 0, 0) + about) == Refusal(7, 8, "2001:db8::9", reason)


def test_errors_about_other_protocols_are_ignored() -> None:
    about_udp = ip4(b"\x08" + bytes(7), protocol=17)
    assert parse4(ip4(struct.pack("!BBHI", 3, 1, 0, 0) + about_udp)) is None
    about_tcp = ip6(b"\x80" + bytes(7), "2001:db8::9", next_header=6)
    assert parse6(struct.pack("!BBHI", 1, 3, 0, 0) + about_tcp) is None


def test_our_own_requests_are_no_replies() -> None:
    assert parse4(ip4(echo_request(False, 7, 8, b""))) is None
    assert parse6(echo_request(True, 7, 8, b"")) is None


@given(st.binary(max_size=120))
def test_garbage_is_survived(data: bytes) -> None:
    parse4(data)
    parse6(data)
    parse4(ip4(data))
    parse4(ip4(struct.pack("!BBHI", 3, 1, 0, 0) + data))
    parse6(struct.pack("!BBHI", 1, 3, 0, 0) + data)


@given(st.integers(0, 76))
def test_truncated_errors_are_survived(length: int) -> None:
    whole = ip4(struct.pack("!BBHI", 3, 1, 0, 0) + ip4(echo_request(False, 7, 8, b"12345678")))
    message = parse4(whole[:length])
    assert message is None or length >= 20 + 8 + 20 + 8


def test_the_icmpv6_filter_blocks_all_other_types() -> None:
    blocked = struct.unpack("=8I", icmp6_filter((1, 129)))
    passing = [kind for kind in range(256) if not blocked[kind >> 5] >> (kind & 31) & 1]
    assert passing == [1, 129]
