# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening UDP sockets that answer from the address that was asked and tell which peers do not want answers.

One socket an address, never one for both families: an IPv4 client is served alike whatever `net.ipv6` says. Wildcard
sockets ask the kernel which address each datagram was for (IP_PKTINFO, RFC 3542) and name it again in the answer, as a
router has many. The way out is left to the routing table and to the connection's mark: no SO_MARK, no device.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from netpath.monitor.clients import Source, Way
from netpath.monitor.readings import ServiceError
from netpath.monitor.wire import REGISTRATION
from netpath.tracker.journal import Log

IP_PKTINFO, IP_RECVERR, IP_FREEBIND = 8, 11, 15  # linux/in.h; absent from some Pythons' socket module
IPV6_RECVERR, IPV6_FREEBIND = 25, 78  # linux/in6.h
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
MSG_ERRQUEUE = 0x2000
_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err of linux/errqueue.h
_PKTINFO4 = struct.Struct("=i4s4s")  # struct in_pktinfo of linux/in.h
_PKTINFO6 = struct.Struct("=16sI")  # struct in6_pktinfo of linux/ipv6.h
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_UNWANTED = {
    # Destination unreachable (RFC 792, RFC 1812): protocol, port; network, host, communication prohibited.
    _ORIGIN_ICMP: (3, {2, 3, 9, 10, 13}),
    # Destination unreachable (RFC 4443): prohibited; port; failed source policy; reject route.
    _ORIGIN_ICMP6: (1, {1, 4, 5, 6}),
}
"""Type and codes of ICMP errors by which a host, or the firewall before it, says that it wants none of this. A network
or host that is unreachable may be reachable again in a moment.
"""
_ANCILLARY = 512
_WILDCARDS = ("0.0.0.0", "::")
SEND_ROOM = 6 * 1024
"""Bytes of send buffer for each client (the kernel doubles them). A small datagram is charged with 768 until it leaves,
and one for a host that does not answer ARP waits for 3 seconds: the dead must not fill what the living are served from.
"""


class Listener:
    """A socket bound to one address, non-blocking."""

    def __init__(self, number: int, address: str, port: int, clients: int) -> None:
        """`clients`: how many answers are sent to. Raises OSError."""
        (family, _, _, _, where), *_ = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
        self.address = address
        self.absent = False
        """The address is not one of this machine's yet."""
        self._number = number
        self._ipv6 = family == socket.AF_INET6
        self._wildcard = address in _WILDCARDS
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._prepare(clients)
            self._bind(where)
        except BaseException:
            self.socket.close()
            raise

    def receive(self) -> tuple[bytes, Source, Way] | None:
        """The next datagram: as much of it as shows that it is no registration, where it came from, and how. None: it
        was for everybody (broadcast, multicast). Raises BlockingIOError when there is none, OSError for an ICMP error
        that nobody has read yet.
        """
        data, ancillary, _, name = self.socket.recvmsg(len(REGISTRATION) + 1, _ANCILLARY if self._wildcard else 0)
        if not self._wildcard:
            return data, _source(name), Way(self._number)
        way = self._way(ancillary)
        return None if way is None else (data, _source(name), way)

    def send(self, data: bytes, to: Source, way: Way) -> None:
        """Raises OSError, also BlockingIOError; it may be about what was sent to somebody else before."""
        name = (to.address, to.port, 0, to.scope) if self._ipv6 else (to.address, to.port)
        self.socket.sendmsg([data], self._from(way), socket.MSG_DONTWAIT, name)

    def errors(self, most: int) -> Iterator[tuple[Source, bool]]:
        """At most so many ICMP errors that wait: who was written to, and whether that one wants no more.

        An error that waits fails the next send, to whomever that is.
        """
        for _ in range(most):
            try:
                _, ancillary, _, name = self.socket.recvmsg(1, _ANCILLARY, MSG_ERRQUEUE)
            except BlockingIOError:
                return
            if name:
                yield _source(name), any(_unwanted(level, kind, data) for level, kind, data in ancillary)

    def close(self) -> None:
        self.socket.close()

    def _prepare(self, clients: int) -> None:
        room = clients * SEND_ROOM
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, room)
        except PermissionError:  # without CAP_NET_ADMIN the kernel's own limit holds
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        if self._ipv6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, int(self._wildcard))
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, int(self._wildcard))

    def _bind(self, where: Any) -> None:
        """Without SO_REUSEADDR, which would let two servers share a port, and only one of them hear anything."""
        try:
            self.socket.bind(where)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            # A router's devices come and go; this one's displays are served from when it is there.
            level, option = (socket.IPPROTO_IPV6, IPV6_FREEBIND) if self._ipv6 else (socket.IPPROTO_IP, IP_FREEBIND)
            self.socket.setsockopt(level, option, 1)
            self.socket.bind(where)
            self.absent = True

    def _way(self, ancillary: list[tuple[int, int, bytes]]) -> Way | None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) >= _PKTINFO4.size:
                _, local, asked = _PKTINFO4.unpack_from(data)
                # They differ for broadcasts and multicast: `local` is what an answer would come from.
                return Way(self._number, local) if local == asked else None
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _PKTINFO6.size:
                asked, device = _PKTINFO6.unpack_from(data)
                if asked[0] == 0xFF:
                    return None
                return Way(self._number, asked, device if asked[:2] == b"\xfe\x80" else 0)
        return None

    def _from(self, way: Way) -> list[tuple[int, int, bytes]]:
        if way.local is None:
            return []
        if self._ipv6:
            return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(way.local, way.device))]
        return [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO4.pack(0, way.local, bytes(4)))]


def listen(addresses: Iterable[str], port: int, clients: int, log: Log) -> list[Listener]:
    """A socket for each address, numbered as they stand in the list; `::` means all addresses of both families.

    Raises ServiceError when one of them cannot be listened on; a machine without IPv6 does without it.
    """
    opened: list[Listener] = []
    try:
        for address in _separate(addresses):
            try:
                listener = Listener(len(opened), address, port, clients)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise ServiceError(_cannot(address, port, error)) from None
                log("warning", f"displays are not served at {address}: this machine has no IPv6")
                continue
            opened.append(listener)
            if listener.absent:
                log("warning", f"no device has the address {address} now: displays are served there once one has")
        if not opened:
            raise ServiceError("there is no address to listen on: name one of this machine's, or 0.0.0.0 for all")
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def _separate(addresses: Iterable[str]) -> list[str]:
    """Each address once; a wildcard stands for all others of its family, which could not be bound beside it."""
    wanted = dict.fromkeys(str(ip_address(address)) for address in addresses)
    if "::" in wanted:
        wanted["0.0.0.0"] = None
    return [
        address for address in wanted if address in _WILDCARDS or ("::" if ":" in address else "0.0.0.0") not in wanted
    ]


def _cannot(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"UDP port {port} at {address} is taken by another program: `ss -lunp sport = :{port}` (or "
            "`netstat -lunp`) names it; end that one, or set another listen_port"
        )
    return f"cannot listen on UDP port {port} at {address}: {error.strerror}"


def _source(name: tuple[str, int] | tuple[str, int, int, int]) -> Source:
    return Source(name[0], name[1], name[3] if len(name) == 4 else 0)


def _unwanted(level: int, kind: int, data: bytes) -> bool:
    """Whether this ancillary item is an ICMP error that says so."""
    if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
        return False
    if len(data) < _ERROR.size:
        return False
    _, origin, icmp_type, code, _, _ = _ERROR.unpack_from(data)
    wanted_type, codes = _UNWANTED.get(origin, (None, frozenset()))
    return icmp_type == wanted_type and code in codes
