# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP echo packets and errors about them: RFC 792, RFC 4443. Nothing here trusts what it reads."""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TTL_EXCEEDED = 0, 3, 8, 11
ECHO_REPLY6, UNREACHABLE6, ECHO_REQUEST6, TTL_EXCEEDED6 = 129, 1, 128, 3

_IPPROTO_ICMP, _IPPROTO_ICMPV6 = 1, 58
_HEADER = struct.Struct("!BBHHH")

# The most frequent codes of the two unreachable messages, in words.
_CODES = {0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable"}
_CODES |= {9: "network prohibited", 10: "host prohibited", 13: "administratively prohibited"}
_CODES6 = {0: "no route", 1: "administratively prohibited", 3: "address unreachable", 4: "port unreachable"}
_CODES6 |= {5: "source address refused by policy", 6: "route rejected"}


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply to an echo request."""

    ident: int
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ICMP error about an echo request that went to `target`."""

    ident: int
    sequence: int
    target: str
    reason: str


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of `data`."""
    if len(data) % 2:
        data += b"\0"
    # The one's complement sum is the same in either byte order, apart from swapped bytes (RFC 1071 section 2 B).
    total = sum(memoryview(data).cast("H"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    total = ~total & 0xFFFF
    return total if sys.byteorder == "big" else (total >> 8) | (total & 0xFF) << 8


def echo_request(ipv6: bool, ident: int, sequence: int, payload: bytes) -> bytes:
    """An echo request. For IPv6 the checksum stays 0: the kernel fills it in on raw ICMPv6 sockets (RFC 3542)."""
    if ipv6:
        return _HEADER.pack(ECHO_REQUEST6, 0, 0, ident, sequence) + payload
    total = checksum(_HEADER.pack(ECHO_REQUEST, 0, 0, ident, sequence) + payload)
    return _HEADER.pack(ECHO_REQUEST, 0, total, ident, sequence) + payload


def parse4(packet: bytes) -> Echo | Refusal | None:
    """A packet from a raw ICMP socket, IP header included; None: nothing that concerns an echo request."""
    start = _ip4_header(packet)
    if start is None or len(packet) < start + 8:
        return None
    kind, code, _, ident, sequence = _HEADER.unpack_from(packet, start)
    if kind == ECHO_REPLY:
        return Echo(ident, sequence, packet[start + 8 :])
    if kind not in (UNREACHABLE, TTL_EXCEEDED):
        return None
    inner = packet[start + 8 :]
    skip = _ip4_header(inner)
    if skip is None or inner[9] != _IPPROTO_ICMP or len(inner) < skip + 8:
        return None
    asked, _, _, ident, sequence = _HEADER.unpack_from(inner, skip)
    reason = "time to live exceeded" if kind == TTL_EXCEEDED else _CODES.get(code, f"unreachable, code {code}")
    return Refusal(ident, sequence, socket.inet_ntoa(inner[16:20]), reason) if asked == ECHO_REQUEST else None


def parse6(packet: bytes) -> Echo | Refusal | None:
    """A packet from a raw ICMPv6 socket (no IP header); None: nothing that concerns an echo request."""
    if len(packet) < 8:
        return None
    kind, code, _, ident, sequence = _HEADER.unpack_from(packet)
    if kind == ECHO_REPLY6:
        return Echo(ident, sequence, packet[8:])
    inner = packet[8:]
    if kind not in (UNREACHABLE6, TTL_EXCEEDED6) or len(inner) < 48 or inner[6] != _IPPROTO_ICMPV6:
        return None
    asked, _, _, ident, sequence = _HEADER.unpack_from(inner, 40)
    reason = "hop limit exceeded" if kind == TTL_EXCEEDED6 else _CODES6.get(code, f"unreachable, code {code}")
    target = socket.inet_ntop(socket.AF_INET6, inner[24:40])
    return Refusal(ident, sequence, target, reason) if asked == ECHO_REQUEST6 else None


def _ip4_header(packet: bytes) -> int | None:
    """Length of the IPv4 header that `packet` starts with."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    length = (packet[0] & 15) * 4
    return length if 20 <= length <= len(packet) else None
