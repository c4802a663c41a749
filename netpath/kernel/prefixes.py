# SPDX-License-Identifier: GPL-2.0-or-later
"""Which IPv6 prefixes an uplink's provider routes to this router, which ones the LAN has, and which address may leave.

Addresses are compared as numbers: the tracker loads this module, and the standard library's address classes are heavy.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from dataclasses import replace

from netpath.kernel.rtnl import Address
from netpath.kernel.snapshot import Snapshot
from netpath.model import Interface, Nat6, Uplink

Prefix = tuple[int, int]
"""First address and length."""

_BITS = 128
_UNIQUE_LOCAL = (0xFC << 120, 7)
_WHOLE_LINKS = frozenset(("", "ppp", "wwan", "rmnet"))
"""Kinds of point-to-point devices whose prefix is ours alone: mobile and PPP lines. That of a tunnel is shared."""
_LONGEST_SUBNET = 64


def with_prefixes(uplink: Uplink, interface: Interface, snapshot: Snapshot, devices: Collection[str]) -> Uplink:
    """`uplink` with `prefixes`, `lan` and `source`, if it is an IPv6 one that is up; `devices`: of all uplinks.

    Prefixes that are there already (another program knows them) go after the configured ones, before those that the
    kernel shows: the source prefixes of default routes by the device, as programs for DHCPv6 prefix delegation set
    them, and the whole prefix of a mobile or PPP line.
    """
    if uplink.family != "ipv6" or uplink.device is None:
        return uplink
    prefixes = tuple(dict.fromkeys((*interface.nat6_prefix, *uplink.prefixes, *_routed_here(uplink, snapshot))))
    numbered = replace(uplink, prefixes=prefixes)
    return replace(
        numbered,
        lan=_lan(snapshot, devices) if interface.nat6 is Nat6.PREFIX else (),
        source=_source(numbered, snapshot),
    )


def own_prefixes(uplink: Uplink) -> frozenset[Prefix]:
    """Where packets that leave by this uplink may come from: what is routed here, and the networks of its addresses."""
    return frozenset(map(parse, (*uplink.prefixes, *uplink.addresses)))


def parse(text: str) -> Prefix:
    """The network of an address or prefix with length."""
    address, _, length = text.partition("/")
    number = int.from_bytes(socket.inet_pton(socket.AF_INET6, address), "big")
    host = _BITS - int(length or _BITS)
    return number >> host << host, _BITS - host


def inside(number: int, prefixes: Iterable[Prefix]) -> bool:
    """Whether an address is in one of these prefixes."""
    return any((number ^ first) >> (_BITS - length) == 0 for first, length in prefixes)


def _routed_here(uplink: Uplink, snapshot: Snapshot) -> list[str]:
    link = snapshot.links[uplink.device or ""]
    networks = {parse(a) for a in uplink.addresses}
    found = sorted({r.src for r in snapshot.defaults["ipv6"] if r.oif == link.index and r.src}, key=parse)
    # Such a route is also made for the network of the link; that one is not routed to us, each address is looked for.
    routed = [p for p in found if parse(p)[1] <= _LONGEST_SUBNET and not inside(parse(p)[0], networks)]
    if link.point_to_point and link.kind in _WHOLE_LINKS:
        routed += [_text(n) for n in sorted(networks) if n[1] <= _LONGEST_SUBNET and not _local(n[0])]
    return routed


def _lan(snapshot: Snapshot, devices: Collection[str]) -> tuple[str, ...]:
    indices = {link.index for name, link in snapshot.links.items() if name in devices}
    return tuple(sorted({r.dst for r in snapshot.networks["ipv6"] if r.oif not in indices}, key=parse))


def _source(uplink: Uplink, snapshot: Snapshot) -> str | None:
    """Masquerading takes the best address of the whole router if the device has none that is fit to leave: perhaps
    one of another provider. Then it has to be named: the router's own address out of this uplink's prefixes, where it
    has none the first one there is."""
    index = snapshot.links[uplink.device or ""].index
    here = [a for a in snapshot.addresses if a.family == "ipv6" and a.index == index]
    if any(not a.deprecated and not _local(parse(a.address)[0]) for a in here):
        return None
    own = own_prefixes(uplink)
    fit = [a for a in snapshot.addresses if a.family == "ipv6" and _fits(a, own)]
    if fit:
        return min(fit, key=lambda a: (a.deprecated, a.temporary, a.index != index, parse(a.address))).address
    routed = [p for p in map(parse, uplink.prefixes) if p[1] < _BITS]
    return _text((routed[0][0] + 1, _BITS)).partition("/")[0] if routed else None


def _fits(address: Address, own: Collection[Prefix]) -> bool:
    number = parse(address.address)[0]
    return not _local(number) and inside(number, own)


def _local(number: int) -> bool:
    return inside(number, (_UNIQUE_LOCAL,))


def _text(prefix: Prefix) -> str:
    return f"{socket.inet_ntop(socket.AF_INET6, prefix[0].to_bytes(16, 'big'))}/{prefix[1]}"
