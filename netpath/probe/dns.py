# SPDX-License-Identifier: GPL-2.0-or-later
"""A real DNS query over UDP to each target.

Alive is a server that gives any answer to the question except SERVFAIL and REFUSED: NXDOMAIN is an answer, but a
forwarder in the provider's box says SERVFAIL or REFUSED when the way behind it is gone.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from netpath.probe import dns_message
from netpath.probe.base import BATCH, Context, shut, words

PORT = 53
_BAD = {2, 5}
_IP_RECVERR, _IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
_MSG_ERRQUEUE = 0x2000


@dataclass(frozen=True, slots=True)
class _Asked:
    token: int
    server: bytes
    query: bytes


class DnsProber:
    """One unconnected UDP socket for all servers: its source address is chosen anew for each query, so that it survives
    a change of address, and conntrack sees one flow per server. ICMP errors come by its error queue."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self._name = name
        self._kind = dns_message.TYPE_AAAA if context.is_ipv6 else dns_message.TYPE_A
        self._family = socket.AF_INET6 if context.is_ipv6 else socket.AF_INET
        self._socket: socket.socket | None = None
        self._waiting: dict[int, _Asked] = {}
        """Query id -> what was asked."""

    def send(self, token: int, target: str) -> None:
        context = self._context
        if not context.is_address(target):
            context.on_failure(token, f"not an {context.uplink.family} address")
            return
        ident = self._fresh_ident()
        try:
            query = dns_message.query(ident, self._name, self._kind)
            sock = self._open()
            self._read_errors(sock)
            sock.sendto(query, context.sockaddr(target, PORT))
        except ValueError as error:
            context.on_failure(token, str(error))
        except OSError as error:
            if context.has_lost(self._socket, error):
                self._drop_socket()
            context.on_failure(token, words(error))
        else:
            self._waiting[ident] = _Asked(token, socket.inet_pton(self._family, target), query)

    def cancel(self, token: int) -> None:
        for ident, asked in self._waiting.items():
            if asked.token == token:
                del self._waiting[ident]
                return

    def close(self) -> None:
        self._drop_socket()
        self._waiting.clear()

    def _fresh_ident(self) -> int:
        while (ident := int.from_bytes(os.urandom(2))) in self._waiting:
            pass
        return ident

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._context.open_socket(socket.SOCK_DGRAM)
            if self._context.is_ipv6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            self._context.loop.add_reader(self._socket, self._readable, self._socket)
        return self._socket

    def _drop_socket(self) -> None:
        if self._socket is not None:
            shut(self._context.loop, self._socket)
            self._socket = None

    def _readable(self, sock: socket.socket) -> None:
        self._read_errors(sock)
        for _ in range(BATCH):
            if sock is not self._socket:
                return
            try:
                message, source = sock.recvfrom(4096)
            except BlockingIOError:
                return
            except OSError as error:
                if self._context.has_lost(sock, error):
                    self._drop_socket()
                return
            self._received(message, source)

    def _received(self, message: bytes, source: tuple[str, int]) -> None:
        ident = dns_message.ident_of(message)
        asked = self._waiting.get(ident) if ident is not None else None
        if asked is None or source[1] != PORT:
            return
        if socket.inet_pton(self._family, source[0].partition("%")[0]) != asked.server:
            return
        reply = dns_message.answer(message, asked.query)
        if reply is None:
            return
        del self._waiting[int.from_bytes(message[:2])]
        if reply.rcode in _BAD:
            self._context.on_failure(asked.token, f"DNS answer: {dns_message.RCODES[reply.rcode]}")
        else:
            self._context.on_reply(asked.token)

    def _read_errors(self, sock: socket.socket) -> None:
        """Empty the error queue. Each entry holds the query that it is about; left alone it fails the next send."""
        for _ in range(BATCH):
            try:
                query, ancillary, _, _ = sock.recvmsg(512, 512, _MSG_ERRQUEUE)
            except OSError:  # empty (EAGAIN); a dead device shows in recvfrom
                return
            ident = int.from_bytes(query[:2])
            asked = self._waiting.get(ident)
            if asked is not None and asked.query == query:
                del self._waiting[ident]
                self._context.on_failure(asked.token, _extended_error(ancillary))


def _extended_error(ancillary: list[tuple[int, int, bytes]]) -> str:
    """The errno of struct sock_extended_err (linux/errqueue.h) in words."""
    for level, _, data in ancillary:
        if level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(data) >= 4:
            return os.strerror(struct.unpack_from("=I", data)[0]).lower()
    return "unreachable"
