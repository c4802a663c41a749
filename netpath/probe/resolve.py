# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of httping targets, resolved by the uplink that is probed, without the C library (which would block).

The servers are those of /etc/resolv.conf. Where that names only this machine (dnsmasq on a router), the servers that
the providers gave are asked instead, or without those dnsmasq, unbound, as no uplink leads to it.
An address that was found once is used until a newer answer comes: no DNS trouble makes a reachable target fail.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from netpath.probe import dns_message
from netpath.probe.base import BATCH, MAX_SOCKETS, Context, is_address, shut, words

RESOLV_CONF = (Path("/etc/resolv.conf"), Path("/tmp/resolv.conf.d/resolv.conf.auto"))
"""System resolvers; on OpenWrt the second holds the providers'."""

SHORTEST_TTL, LONGEST_TTL = 60.0, 3600.0
"""Seconds: bounds of how long an answer is not asked for again."""

_SERVERS = 3
"""Asked at once, as many as the C library knows (resolv.conf(5))."""


def servers(files: Iterable[Path] = RESOLV_CONF) -> list[str]:
    """Addresses of the resolvers, those of this machine only when there is no other."""
    local: list[str] = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        words_ = [line.split() for line in text.splitlines()]
        found = [word[1] for word in words_ if len(word) > 1 and word[0] == "nameserver"]
        found = [a for a in found if is_address(a, "ipv4") or is_address(a, "ipv6")]
        remote = [address for address in found if not _is_loopback(address)]
        if remote:
            return remote[:_SERVERS]
        local += [address for address in found if _is_loopback(address)]
    return local[:_SERVERS]


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


class Resolver:
    """Resolves names for one prober and remembers them."""

    def __init__(self, context: Context, files: Iterable[Path] = RESOLV_CONF) -> None:
        self._context = context
        self._files = tuple(files)
        self._kind = dns_message.TYPE_AAAA if context.is_ipv6 else dns_message.TYPE_A
        self._known: dict[str, tuple[str, float]] = {}
        """Name -> address and when to ask again."""
        self._sockets: dict[socket.socket, tuple[str, bytes]] = {}
        """Socket -> name and query, oldest first."""
        self._waiting: dict[int, tuple[str, Callable[[str], None]]] = {}
        """Token -> name and what to do with its address."""

    def resolve(self, token: int, name: str, found: Callable[[str], None]) -> None:
        """Call `found(address)`, now, later or never. Raises OSError or ValueError when nothing could be asked."""
        address, until = self._known.get(name, ("", 0.0))
        if self._context.loop.time() >= until:
            try:
                self._ask(name)
            except OSError:
                if not address:
                    raise
        if address:
            found(address)
        else:
            self._waiting[token] = name, found

    def cancel(self, token: int) -> None:
        self._waiting.pop(token, None)

    def close(self) -> None:
        self._waiting.clear()
        for sock in list(self._sockets):
            self._drop(sock)

    def _ask(self, name: str) -> None:
        query = dns_message.query(int.from_bytes(os.urandom(2)), name, self._kind)
        asked = False
        problem = OSError(None, "no name server known")
        for server in servers(self._files):
            try:
                sock = self._connect(server)
            except OSError as error:
                problem = error
                continue
            self._sockets[sock] = name, query
            self._context.loop.add_reader(sock, self._readable, sock)
            try:
                sock.send(query)
                asked = True
            except OSError as error:
                problem = error
                self._drop(sock)
        while len(self._sockets) > MAX_SOCKETS:
            self._drop(next(iter(self._sockets)))
        if not asked:
            raise OSError(problem.errno, f"cannot resolve {name}: {words(problem)}")

    def _connect(self, server: str) -> socket.socket:
        """A connected UDP socket: the kernel drops what others send, and an ICMP error ends it."""
        family = socket.AF_INET if is_address(server, "ipv4") else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._context.mark)
            if not _is_loopback(server):
                device = self._context.device.encode() + b"\0"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            sock.connect((server, 53))
        except OSError:
            sock.close()
            raise
        return sock

    def _readable(self, sock: socket.socket) -> None:
        name, query = self._sockets[sock]
        for _ in range(BATCH):
            try:
                message = sock.recv(4096)
            except BlockingIOError:
                return
            except OSError:  # port unreachable and the like: another server may answer
                self._drop(sock)
                return
            answer = dns_message.answer(message, query)
            if answer is not None:
                self._drop(sock)
                self._answered(name, answer)
                return

    def _answered(self, name: str, answer: dns_message.Answer) -> None:
        if not answer.addresses:
            return
        address = answer.addresses[0]
        until = self._context.loop.time() + min(max(float(answer.ttl), SHORTEST_TTL), LONGEST_TTL)
        self._known[name] = address, until
        for token, (wanted, found) in list(self._waiting.items()):
            if wanted == name and token in self._waiting:
                del self._waiting[token]
                found(address)

    def _drop(self, sock: socket.socket) -> None:
        del self._sockets[sock]
        shut(self._context.loop, sock)
