# SPDX-License-Identifier: GPL-2.0-or-later
"""arping: is the neighbour there? ARP (RFC 826) for IPv4, neighbour solicitation (RFC 4861) for IPv6.

Both protocols have no field of ours, so a reply belongs to the youngest probe of its target: credited to an older one,
it would show a round-trip time that never was.
"""

from __future__ import annotations

import socket
import struct
import sys
from abc import ABC, abstractmethod
from array import array

from netpath.health.machine import GATEWAY
from netpath.probe.base import BATCH, GONE, Context, is_address, shut, words
from netpath.probe.icmp import icmp6_filter

_ETH_P_ARP = 0x0806
_ARPHRD_ETHER = 1
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_BROADCAST = b"\xff" * 6

_SOLICIT, _ADVERT = 135, 136
_SOLICITATION = struct.Struct("!BBHI16s")
_OWN_HOPS = 255
"""Hop limit of all neighbour discovery: a packet that was forwarded once is a forgery (RFC 4861 section 7.1)."""

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h


class NeighbourProber(ABC):
    """What ARP and neighbour discovery share: tokens by target, one socket, the gateway as a target."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._socket: socket.socket | None = None
        self._waiting: dict[int, str] = {}
        """Token -> address, oldest first."""

    @abstractmethod
    def open(self) -> socket.socket:
        """A bound, non-blocking socket. Raises OSError."""

    @abstractmethod
    def ask(self, sock: socket.socket, address: str) -> None:
        """Send one question. Raises OSError."""

    @abstractmethod
    def answered(self, sock: socket.socket) -> str | None:
        """Take one packet: the address that it shows to be alive, or None. Raises OSError."""

    def send(self, token: int, target: str) -> None:
        context = self.context
        address = context.uplink.gateway if target == GATEWAY else target
        if address is None:
            context.on_failure(token, "the uplink has no gateway to ask")
            return
        if not is_address(address, context.uplink.family):
            context.on_failure(token, f"not an {context.uplink.family} address")
            return
        try:
            if self._socket is None:
                self._socket = self.open()
                context.loop.add_reader(self._socket, self._readable, self._socket)
            self.ask(self._socket, address)
        except OSError as error:
            if error.errno in GONE:
                self._drop_socket()
            context.on_failure(token, words(error))
            return
        family = socket.AF_INET6 if context.is_ipv6 else socket.AF_INET
        self._waiting[token] = socket.inet_ntop(family, socket.inet_pton(family, address))

    def cancel(self, token: int) -> None:
        self._waiting.pop(token, None)

    def close(self) -> None:
        self._drop_socket()
        self._waiting.clear()

    def _drop_socket(self) -> None:
        if self._socket is not None:
            shut(self.context.loop, self._socket)
            self._socket = None

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(BATCH):
            if sock is not self._socket:
                return
            try:
                address = self.answered(sock)
            except BlockingIOError:
                return
            except OSError as error:
                # ENETDOWN of a device that went down; the link event says the rest.
                if error.errno in GONE:
                    self._drop_socket()
                return
            token = next((t for t in reversed(self._waiting) if self._waiting[t] == address), None)
            if token is not None:
                del self._waiting[token]
                self.context.on_reply(token)


class ArpProber(NeighbourProber):
    """ARP requests, broadcast. The sender address is the uplink's, or 0.0.0.0 (a probe, RFC 5227) when it has none."""

    def open(self) -> socket.socket:
        # Protocol 0 receives nothing: no packet slips in before the filter stands; bind then names the protocol.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            sock.setblocking(False)
            attach_arp_reply_filter(sock)
            sock.bind((self.context.device, _ETH_P_ARP))
            if sock.getsockname()[3] != _ARPHRD_ETHER:
                raise OSError(None, f"{self.context.device} is no Ethernet device, it has no ARP")
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, sock: socket.socket, address: str) -> None:
        own_mac = sock.getsockname()[4]
        own = next(iter(self.context.uplink.addresses), "0.0.0.0").partition("/")[0]
        packet = _ARP.pack(
            _ARPHRD_ETHER, 0x0800, 6, 4, _REQUEST, own_mac, socket.inet_aton(own), bytes(6), socket.inet_aton(address)
        )
        sock.sendto(packet, (self.context.device, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST))

    def answered(self, sock: socket.socket) -> str | None:
        packet = sock.recv(256)
        if len(packet) < _ARP.size:
            return None
        hardware, protocol, _, _, operation, _, sender, _, _ = _ARP.unpack_from(packet)
        if (hardware, protocol, operation) != (_ARPHRD_ETHER, 0x0800, _REPLY):
            return None
        return socket.inet_ntoa(sender)


class SolicitationProber(NeighbourProber):
    """Neighbour solicitations to the solicited-node multicast address of the target."""

    _option = b""
    """Our link address, as solicitations carry it."""

    def open(self) -> socket.socket:
        sock = self.context.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            self._option = link_address_option(self.context.device)
            index = socket.if_nametoindex(self.context.device)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _OWN_HOPS)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_ICMPV6, 1, icmp6_filter((_ADVERT,)))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, sock: socket.socket, address: str) -> None:
        packed = socket.inet_pton(socket.AF_INET6, address)
        group = socket.inet_ntop(socket.AF_INET6, b"\xff\x02" + bytes(9) + b"\x01\xff" + packed[13:])
        sock.sendto(_SOLICITATION.pack(_SOLICIT, 0, 0, 0, packed) + self._option, (group, 0))

    def answered(self, sock: socket.socket) -> str | None:
        packet, ancillary, _, _ = sock.recvmsg(256, 64)
        hops = next((int.from_bytes(d, sys.byteorder) for _, kind, d in ancillary if kind == socket.IPV6_HOPLIMIT), 0)
        if len(packet) < _SOLICITATION.size or packet[0] != _ADVERT or hops != _OWN_HOPS:
            return None
        return socket.inet_ntop(socket.AF_INET6, packet[8:24])


def link_address_option(device: str) -> bytes:
    """The source link-layer address option; without it nobody can answer a solicitation (RFC 4861 section 4.3)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
        sock.bind((device, 0))
        mac: bytes = sock.getsockname()[4]
    return b"\x01\x01" + mac if len(mac) == 6 else b""


def attach_arp_reply_filter(sock: socket.socket) -> None:
    """Let only ARP replies through: on a cable network hundreds of requests a second would wake us.

    Classic BPF on a SOCK_DGRAM packet socket starts at the ARP header: load the half word at 6, the operation; take the
    packet when it is a reply.
    """
    program = [(0x28, 0, 0, 6), (0x15, 0, 1, _REPLY), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)]
    code = array("B", b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    # struct sock_fprog: the number of instructions and, after padding, a pointer to them; copied by the kernel at once.
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), code.buffer_info()[0]))
