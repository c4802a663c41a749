# SPDX-License-Identifier: GPL-2.0-or-later
"""Ping: one raw socket, one ICMP id and so one conntrack entry per target and uplink."""

from __future__ import annotations

import os
import socket
import struct

from netpath.probe import icmp_packet
from netpath.probe.base import BATCH, Context, shut, words

_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/icmp.h
_ICMPV6_FILTER = 1  # linux/icmpv6.h
_LARGEST = 65507
"""Bytes that IPv4 can carry after IP and ICMP headers."""


class IcmpProber:
    """Echo requests of both families. A reply counts from the address asked, with our id, sequence and payload."""

    def __init__(self, context: Context, size: int, max_ttl: int) -> None:
        self._context = context
        self._ttl = max_ttl
        self._ident = int.from_bytes(os.urandom(2))
        self._cookie = os.urandom(8)[:size]
        self._payload = self._cookie.ljust(min(size, _LARGEST), b"\0")
        self._sequence = 0
        self._waiting: dict[int, tuple[int, bytes]] = {}
        """Sequence -> token and packed address of the target."""
        self._sequences: dict[int, int] = {}
        """Token -> sequence."""
        self._socket: socket.socket | None = None
        self._parse = icmp_packet.parse6 if context.is_ipv6 else icmp_packet.parse4
        self._family = socket.AF_INET6 if context.is_ipv6 else socket.AF_INET

    def send(self, token: int, target: str) -> None:
        context = self._context
        if not context.is_address(target):
            context.on_failure(token, f"not an {context.uplink.family} address")
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._forget(self._sequence)
        packet = icmp_packet.echo_request(context.is_ipv6, self._ident, self._sequence, self._payload)
        try:
            if self._socket is None:
                self._socket = self._open()
            self._socket.sendto(packet, context.sockaddr(target, 0))
        except OSError as error:
            if context.has_lost(self._socket, error):
                self._drop_socket()
            context.on_failure(token, words(error))
            return
        self._waiting[self._sequence] = token, socket.inet_pton(self._family, target)
        self._sequences[token] = self._sequence

    def cancel(self, token: int) -> None:
        sequence = self._sequences.pop(token, None)
        if sequence is not None:
            del self._waiting[sequence]

    def close(self) -> None:
        self._drop_socket()
        self._waiting.clear()
        self._sequences.clear()

    def _open(self) -> socket.socket:
        sock = self._context.open_socket(
            socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if self._context.is_ipv6 else socket.IPPROTO_ICMP
        )
        try:
            if self._context.is_ipv6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, self._ttl)
                wanted = (icmp_packet.ECHO_REPLY6, icmp_packet.UNREACHABLE6, icmp_packet.TTL_EXCEEDED6)
                sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, icmp6_filter(wanted))
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, self._ttl)
                wanted = (icmp_packet.ECHO_REPLY, icmp_packet.UNREACHABLE, icmp_packet.TTL_EXCEEDED)
                sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~sum(1 << t for t in wanted) & 0xFFFFFFFF))
        except OSError:
            sock.close()
            raise
        self._context.loop.add_reader(sock, self._readable, sock)
        return sock

    def _drop_socket(self) -> None:
        if self._socket is not None:
            shut(self._context.loop, self._socket)
            self._socket = None

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(BATCH):
            if sock is not self._socket:
                return
            try:
                packet, source = sock.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError as error:
                # A pending error of the device or of the path; probes on their way may still be answered.
                if self._context.has_lost(sock, error):
                    self._drop_socket()
                return
            self._received(packet, source[0])

    def _received(self, packet: bytes, source: str) -> None:
        message = self._parse(packet)
        if message is None or message.ident != self._ident:
            return
        asked = self._waiting.get(message.sequence)
        if asked is None:
            return
        token, target = asked
        if isinstance(message, icmp_packet.Refusal):
            if socket.inet_pton(self._family, message.target) == target:
                self._forget(message.sequence)
                self._context.on_failure(token, f"{message.reason}, says {source.partition('%')[0]}")
        elif message.payload.startswith(self._cookie) and self._packed(source) == target:
            self._forget(message.sequence)
            self._context.on_reply(token)

    def _packed(self, source: str) -> bytes:
        return socket.inet_pton(self._family, source.partition("%")[0])

    def _forget(self, sequence: int) -> None:
        asked = self._waiting.pop(sequence, None)
        if asked is not None:
            del self._sequences[asked[0]]


def icmp6_filter(wanted: tuple[int, ...]) -> bytes:
    """struct icmp6_filter that passes only the types in `wanted` (a set bit blocks, linux/icmpv6.h)."""
    blocked = [0xFFFFFFFF] * 8
    for kind in wanted:
        blocked[kind >> 5] &= ~(1 << (kind & 31))
    return struct.pack("=8I", *blocked)
