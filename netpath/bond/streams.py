# SPDX-License-Identifier: GPL-2.0-or-later
"""The client's sockets: some for each link, each one path. They follow devices that vanish and come back."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netpath.bond.engine import Place
from netpath.bond.links import OVERHEAD, Address, Link
from netpath.bond.wire import PATHS
from netpath.kernel import rtnl
from netpath.kernel.netlink import NetlinkError

PATIENCE = 3.0
"""Seconds that a path may be down before another address of the server is tried by it."""
ROUND = 4
"""Initiations at once: the server keeps eight sessions to be, and the answer to the first of them must still count when
it arrives, after half a second of round trip."""
STREAMS = 64
"""At most, until the server has said how many it takes."""
_SIOCGIFMTU = 0x8921
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL}


class Endpoint(NamedTuple):
    """An address of the server."""

    family: int
    host: str
    port: int
    """The first one."""


class Wanted(NamedTuple):
    """A link as it should be now."""

    name: str
    device: str | None
    source: str | None
    streams: int
    cap: float | None


@dataclass(slots=True)
class Stream:
    """One socket's place. Its number is its own for as long as the process runs, whatever socket it has."""

    number: int
    link: Wanted
    index: int
    socket: Link | None = None
    device: int = 0
    """Index of the device that the socket is bound to."""
    endpoint: Endpoint | None = None
    tried: int = 0
    """How many of the server's addresses were given up for it."""
    since: float = 0.0
    """When the present address was taken."""
    place: Place | None = None
    problem: str | None = None
    """Why there is no socket, or nothing can be sent."""


class Streams:
    """All of them. `opened` and `closing` are called for each socket; `closing` before it is closed."""

    def __init__(
        self, mark: int, ports: int, opened: Callable[[Stream], None], closing: Callable[[Stream], None]
    ) -> None:
        """`mark`: of all their datagrams. `ports`: of the server, over which they are spread."""
        self.mark = mark
        self._ports = ports
        self._opened = opened
        self._closing = closing
        self._numbers: dict[tuple[str, int], int] = {}
        self.active: dict[int, Stream] = {}
        """By number."""

    def want(self, links: Sequence[Wanted]) -> None:
        """These and no others. What stays keeps its socket."""
        wanted = {(link.name, index): link for link in links for index in range(link.streams)}
        for stream in list(self.active.values()):
            link = wanted.get((stream.link.name, stream.index))
            if link is None or link != stream.link:
                self._close(stream, None)
                del self.active[stream.number]
        for (name, index), link in wanted.items():
            number = self._numbers.get((name, index))
            if number is None:
                if len(self._numbers) >= PATHS:
                    continue  # there is no such number in a head
                number = self._numbers[name, index] = len(self._numbers)
            if number not in self.active:
                self.active[number] = Stream(number, link, index)

    def check(self, endpoints: Sequence[Endpoint], up: Callable[[int], bool], now: float) -> None:
        """Open what can be opened, close what has lost its device, try other addresses where it stays silent."""
        for stream in self.active.values():
            self._check(stream, endpoints, up(stream.number), now)

    def close(self) -> None:
        """All of them."""
        self.want(())

    def _check(self, stream: Stream, endpoints: Sequence[Endpoint], up: bool, now: float) -> None:
        try:
            device, index = self._device(stream.link)
        except OSError as error:
            self._close(stream, str(error))
            return
        if stream.socket is not None and index != stream.device:
            self._close(stream, f"the device {device} was made anew")
        if up:
            stream.since, stream.problem = now, None
            return
        usable = _usable(stream.link, endpoints)
        if not usable:
            stream.problem = "the server has no address of this link's family" if endpoints else None
            return
        refused = stream.socket.error if stream.socket is not None else None
        if refused is not None:
            stream.problem = f"nothing can be sent by it: {os.strerror(refused)}"
        known = stream.endpoint in usable
        if known and (len(usable) > 1 and (now - stream.since > PATIENCE or refused in _NO_ROUTE)):
            stream.tried += 1
            known = False
        if known and stream.socket is not None:
            return
        endpoint = usable[stream.tried % len(usable)]
        if endpoint != stream.endpoint or stream.socket is None:
            self._open(stream, endpoint, device, index, now)

    def _device(self, link: Wanted) -> tuple[str | None, int]:
        """(device, its index): of a link with a source address, the one that has this address. Raises OSError."""
        if link.device is not None:
            try:
                return link.device, socket.if_nametoindex(link.device)
            except OSError:
                raise OSError(f"there is no device {link.device}") from None
        try:
            found = next((entry for entry in rtnl.addresses() if entry.address == link.source), None)
        except NetlinkError as error:
            raise OSError(str(error)) from None
        if found is None:
            raise OSError(f"no device has the address {link.source}")
        return socket.if_indextoname(found.index), found.index

    def _open(self, stream: Stream, endpoint: Endpoint, device: str | None, index: int, now: float) -> None:
        if stream.socket is None or stream.socket.family != endpoint.family:
            self._close(stream, None)
            try:
                opened = Link(endpoint.family, device=device, mark=self.mark, source=stream.link.source)
            except OSError as error:
                stream.problem = f"no socket can be opened: {error.strerror}"
                return
            opened.uplink = stream.link.name
            stream.socket, stream.device = opened, index
        stream.endpoint, stream.since = endpoint, now
        port = endpoint.port + stream.number % self._ports
        stream.place = Place(stream.socket, _address(endpoint, port))
        self._opened(stream)

    def _close(self, stream: Stream, problem: str | None) -> None:
        stream.problem = problem
        if stream.socket is not None:
            self._closing(stream)
            stream.socket = stream.place = None


def chosen(streams: list[Stream], asked: int) -> list[Stream]:
    """Those that initiations go by, in round `asked`: one of each link first, others the next time."""
    streams.sort(key=lambda stream: ((stream.index - asked) % stream.link.streams, stream.number))
    if len(streams) <= ROUND:
        return streams
    begin = asked * ROUND % len(streams)
    return (streams + streams)[begin : begin + ROUND]


def largest(stream: Stream) -> int:
    """Bytes of UDP payload that the stream's device takes."""
    assert stream.socket is not None
    overhead = OVERHEAD[socket.AddressFamily(stream.socket.family)]
    try:
        request = struct.pack("16si20x", socket.if_indextoname(stream.device).encode(), 0)
        mtu: int = struct.unpack_from("i", fcntl.ioctl(stream.socket.sock, _SIOCGIFMTU, request), 16)[0]
    except OSError:  # it has just gone
        mtu = 1500
    return min(mtu, 65000) - overhead


def _usable(link: Wanted, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    if link.source is None:
        return list(endpoints)
    family = socket.AF_INET6 if ":" in link.source else socket.AF_INET
    return [endpoint for endpoint in endpoints if endpoint.family == family]


def _address(endpoint: Endpoint, port: int) -> Address:
    """As the kernel gives it with what comes from there."""
    if endpoint.family == socket.AF_INET6:
        return (endpoint.host, port, 0, 0)
    return (endpoint.host, port)
