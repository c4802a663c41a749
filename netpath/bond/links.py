# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP sockets of paths: bound to an uplink, many datagrams by one call (UDP_SEGMENT and UDP_GRO, linux/udp.h)."""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from netpath.bond.loads import SEGMENTS, at_once
from netpath.bond.rows import Cuts

_SOL_UDP = 17
_UDP_SEGMENT, _UDP_GRO = 103, 104
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3
_IPV6_MTU_DISCOVER, _IPV6_PMTUDISC_PROBE = 23, 3
_SO_MARK = 36
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
BUFFER = 4 * 1024 * 1024
LARGEST = 65536
SINGLE = 2048
"""Bytes of a datagram that came alone; more is a jumbo one, or several."""
ALONE = 0.05
"""Seconds after which a datagram is most often a heartbeat, with nothing behind it that it would pay to look for."""
OVERHEAD = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""Bytes of IP and UDP header."""
_TRANSIENT = {
    errno.EAGAIN,
    errno.ENOBUFS,
    errno.EPERM,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ECONNREFUSED,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
    errno.EINVAL,
    errno.EMSGSIZE,
    errno.EIO,
}
"""A firewall, a route, a link: datagrams are lost, and the path's heartbeats will tell."""

_LINK_LOCAL = b"\xfe\x80"

Address = tuple[str, int] | tuple[str, int, int, int]


NOWHERE = b""
"""`local` of a socket that does not ask for it."""


class Batch(NamedTuple):
    data: memoryview
    """One datagram after another; valid until the next read."""
    segment: int
    """Bytes of each but perhaps the last."""
    address: Address
    local: bytes
    """The own address that it was sent to, as `Link.send` takes it."""
    at: float
    """Monotonic time at which the kernel had (the last of) it: the time until it is read is none of the path's."""
    begin: int
    """Where it stands in the link's buffer."""


class Link:
    """One UDP socket."""

    def __init__(
        self,
        family: int,
        *,
        device: str | None = None,
        mark: int = 0,
        source: str | None = None,
        port: int = 0,
        asked: bool = False,
    ) -> None:
        """`asked`: tell of each batch which own address it came to, so that the answer can leave from there.

        Raises OSError.
        """
        self.family = family
        self.uplink: str | None = None
        """Name of a client's link that it belongs to."""
        self.overhead = OVERHEAD[socket.AddressFamily(family)]
        self.sock = sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IPV6_PMTUDISC_PROBE)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
            if mark:
                sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
            if device is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
            for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if asked and family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            elif asked:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self.gro = _tried(sock, _UDP_GRO, 1)
            self.gso = _tried(sock, _UDP_SEGMENT, 0)
            if source is not None or port:
                sock.bind((source or ("::" if family == socket.AF_INET6 else ""), port))
        except OSError:
            sock.close()
            raise
        # The largest read may begin behind as many single ones as are put together.
        self._buffer = bytearray((SEGMENTS + 1) * SINGLE + LARGEST)
        self._view = memoryview(self._buffer)
        self.cuts = Cuts(self._view)
        self._ahead: Batch | None = None
        """Read already, but no part of the batch before it."""
        self._dry = False
        """There was nothing behind the batch that was given last."""
        self._came = 0.0
        """When the last one that came alone did."""
        self.lost = 0
        """Sends that the kernel refused."""
        self.error: int | None = None
        """Why it refused the last send (errno); None: it took it."""

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def send(
        self, buffers: Sequence[bytes], segment: int, address: Address, each: int = 1, local: bytes = NOWHERE
    ) -> None:
        """Datagrams of `segment` bytes (the last one may be shorter), each of `each` buffers.

        `local`: the own address that they leave from, of a batch that came to it.
        """
        count = len(buffers) // each
        most = at_once(segment) if self.gso else 1
        # In equal parts: two or three datagrams alone would cost both ends what forty do.
        equal = -(-count // max(1, -(-count // most)))
        for begin in range(0, count, equal):
            part = buffers[begin * each : (begin + equal) * each]
            segmented = len(part) > each
            control = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", segment))] if segmented else []
            if local:
                control.append(self._leaving(local))
            try:
                self.sock.sendmsg(part, control, 0, address)
                self.error = None
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                self.lost += 1
                self.error = error.errno

    def _leaving(self, local: bytes) -> tuple[int, int, bytes]:
        """The control message for an own address."""
        if len(local) == 4:
            return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4x", 0, local)
        return socket.IPPROTO_IPV6, _IPV6_PKTINFO, local

    def receive(self) -> Batch | None:
        """What has come; None: nothing (more). Errors that ICMP brought are skipped. Raises OSError.

        Where the kernel does not put datagrams together (UDP_GRO), they are read until another sender's or size comes:
        all that follows costs a batch, not a datagram.
        """
        if self._dry:
            self._dry = False
            return None
        first, self._ahead = self._ahead or self._read(0), None
        if first is None or first.segment != len(first.data) or first.segment > SINGLE:
            return first
        before, self._came = self._came, first.at
        if first.at - before > ALONE:
            self._dry = True  # if it is not, that shows at the next poll
            return first
        total, last = len(first.data), first
        if first.begin:  # what was read too much before
            self._view[:total] = bytes(first.data)
        for _ in range(SEGMENTS):
            found = self._read(total)
            if found is None:
                self._dry = True
                break
            size = len(found.data)
            if found.segment != size or size > first.segment or found[2:4] != first[2:4]:
                self._ahead = found
                break
            total += size
            last = found
            if size < first.segment:
                break
        return Batch(self._view[:total], first.segment, first.address, first.local, last.at, 0)

    def _read(self, begin: int) -> Batch | None:
        """One read, into the buffer from `begin` on."""
        while True:
            try:
                count, control, _, address = self.sock.recvmsg_into([self._view[begin:]], 128)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                continue
            segment, local, at = count, NOWHERE, time.monotonic()
            for level, kind, data in control:
                if level == socket.SOL_SOCKET:
                    if kind == _SO_TIMESTAMPNS:
                        seconds, nanoseconds = _TIMESPEC.unpack(data)
                        # The kernel's stamp is of a clock that may jump: then it says nothing.
                        waited = time.time() - seconds - nanoseconds / 1e9
                        at -= waited if 0.0 < waited < 1.0 else 0.0
                elif level == _SOL_UDP:
                    if kind == _UDP_GRO:
                        segment = struct.unpack("=i", data[:4])[0]
                elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                    local = data[4:8]
                elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                    # The device matters to link-local addresses only; elsewhere the way back is the routes' choice.
                    local = data[:20] if data[:2] == _LINK_LOCAL else data[:16] + bytes(4)
            return Batch(self._view[begin : begin + count], segment or 1, address, local, at, begin)


def listening(addresses: Sequence[str], port: int, ports: int) -> list[Link]:
    """Sockets of a server, for `ports` ports in a row; without addresses, for all that the machine has, of which each
    answer leaves from the one that was asked. Raises OSError.
    """
    made: list[Link] = []
    for number in range(port, port + ports):
        for address in addresses:
            made.append(Link(socket.AF_INET6 if ":" in address else socket.AF_INET, source=address, port=number))
        if not addresses:
            made.append(Link(socket.AF_INET, port=number, asked=True))
            if Path("/proc/net/if_inet6").exists():  # not where IPv6 is switched off
                made.append(Link(socket.AF_INET6, port=number, asked=True))
    return made


def _tried(sock: socket.socket, option: int, value: int) -> bool:
    """Set an option that older kernels do not have."""
    try:
        sock.setsockopt(_SOL_UDP, option, value)
    except OSError:
        return False
    return True
