# SPDX-License-Identifier: GPL-2.0-or-later
"""The bond's device: addresses, MTU, queue and routes, all of which go with it when it is closed.

The queue of a TUN device is a ring of `txqueuelen` packets of any size, first in, first out, and what finds it full is
dropped there: up to kernel 6.18 at least, a queueing discipline before it never gets to hold anything. So the ring is
kept short, and packets small where the bond is slow. The fair queue is there for kernels that stop a full TUN device.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

from netpath.kernel import netdev, rtnl, sysctl
from netpath.kernel.netlink import NetlinkError

LARGEST_GSO = 65536
"""Not the 60,000 of one train: a forwarded packet that is larger than the device takes would come in 45 pieces."""
_AT_ONCE = 0.005
"""Seconds that one packet may occupy the bond: others go on after it. 60 KB are 48 ms at 10 Mbit/s."""
_WAITING = 0.4
"""Seconds that a ring full of the largest packets takes to leave; forwarded ones are mostly a small part of that."""
_SHORTEST, _LONGEST = 128, 1000
_SEGMENTS = 65535
_FAIR = "fq_codel"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the device should be."""

    addresses: tuple[str, ...]
    """Inner addresses with prefix length."""
    mtu: int
    rate: float | None
    """Bytes a second of all paths together, as far as it is known."""
    routes: tuple[str, ...] = ()
    """Prefixes behind the other end, beside the addresses' own networks."""


def limits(rate: float | None, mtu: int) -> tuple[int, int]:
    """(bytes of the largest unsegmented packet, packets of the ring) for a bond of that many bytes a second.

    In steps of two, so that a rate that is measured anew all the time changes nothing.
    """
    if rate is None:
        return LARGEST_GSO, 500
    steady = 1 << max(10, int(rate).bit_length() - 1)
    size = min(LARGEST_GSO, max(2 * mtu, int(steady * _AT_ONCE)))
    return size, min(_LONGEST, max(_SHORTEST, int(steady * _WAITING / size)))


def client_routes(inner: Iterable[str], clients: Iterable[tuple[Sequence[str], Sequence[str]]]) -> tuple[str, ...]:
    """What a server routes to its device: clients' networks, and those of their addresses that its own networks lack.

    inner: the server's addresses; clients: (addresses, networks) of each; all with prefix length.
    """
    linked = {ip_interface(a).network for a in inner}
    wanted: dict[str, None] = {}
    for addresses, networks in clients:
        hosts = [ip_network(ip_interface(a).ip) for a in addresses]
        for network in [*hosts, *(ip_network(n, strict=False) for n in networks)]:
            if not any(own.version == network.version and network.subnet_of(own) for own in linked):  # type: ignore[arg-type]
                wanted[str(network)] = None
    return tuple(wanted)


class Device:
    """Follows what is wanted, and changes what differs; only what it made itself is removed."""

    def __init__(self, name: str) -> None:
        """Raises OSError when there is no such device."""
        self.name = name
        self._index = socket.if_nametoindex(name)
        self._addresses: dict[str, None] = {}
        self._prepared = False
        self._routed = False

    def apply(self, wanted: Wanted) -> list[str]:
        """Bring the device up as wanted; twice changes nothing. What could not be done, in words.

        To be called about once a second, too: OpenWrt's netifd removes the addresses of a device when it begins to
        look after it (an interface with `proto none`), and an administrator may.

        Raises NetlinkError when the device itself is gone or refuses its settings.
        """
        if not self._prepared:
            netdev.no_link_local(self._index)
            sysctl.isolate(self.name)
            if netdev.queueing(self._index) != _FAIR:
                netdev.set_queueing(self._index, _FAIR)
            self._prepared = True
        size, queue = limits(wanted.rate, wanted.mtu)
        netdev.change(self._index, netdev.Settings(wanted.mtu, queue, size, _SEGMENTS))
        return self._number(wanted.addresses) + self._route(wanted.routes)

    def _number(self, wanted: Sequence[str]) -> list[str]:
        """Surplus addresses go first: with an IPv4 address the kernel removes later ones of its network."""
        chosen = dict.fromkeys(map(_canonical, wanted))
        for address in [a for a in self._addresses if a not in chosen]:
            netdev.remove_address(self._index, address)
            del self._addresses[address]
        there = {f"{a.address}/{a.prefixlen}" for a in rtnl.addresses() if a.index == self._index}
        problems = []
        for address in chosen:
            if address not in there:
                try:
                    netdev.add_address(self._index, address)
                except NetlinkError as error:
                    problems.append(f"address {address} not added to {self.name}: {self._why(address, error)}")
                    continue
            self._addresses[address] = None
        return problems

    def _route(self, wanted: Sequence[str]) -> list[str]:
        if not wanted and not self._routed:  # a client's router may have a million other routes to look through
            return []
        self._routed = True
        chosen = dict.fromkeys(str(ip_network(prefix, strict=False)) for prefix in wanted)
        there = netdev.routes(self._index)
        for prefix in there - chosen.keys():
            netdev.remove_route(self._index, prefix)
        problems = []
        for prefix in [p for p in chosen if p not in there]:
            try:
                if (other := _taken(prefix, self._index)) is not None:
                    problems.append(f"{prefix} is not routed to {self.name}: it is routed to {other} already")
                    continue
                netdev.add_route(self._index, prefix)
            except NetlinkError as error:
                problems.append(f"{prefix} is not routed to {self.name}: {self._why(prefix, error)}")
        return problems

    def _why(self, address: str, error: NetlinkError) -> str:
        if ":" in address and error.errno != errno.ENODEV and sysctl.ipv6_disabled(self.name):
            return f"IPv6 is switched off on it (net.ipv6.conf.{self.name}.disable_ipv6)"
        return str(error.strerror)


def _taken(prefix: str, index: int) -> str | None:
    """The device of another route in main to the very same prefix."""
    family = "ipv6" if ":" in prefix else "ipv4"
    for route in rtnl.routes(family, rtnl.MAIN_TABLE, only=lambda length, _: length == int(prefix.rpartition("/")[2])):
        if route.dst == prefix and route.oif not in (0, index):
            try:
                return socket.if_indextoname(route.oif)
            except OSError:  # gone meanwhile
                return None
    return None


def _canonical(address: str) -> str:
    return str(ip_interface(address))
