# SPDX-License-Identifier: GPL-2.0-or-later
"""A network device of our own: its settings, addresses, queueing discipline and routes (rtnetlink, man 7 rtnetlink).

Every function works in the current network namespace and raises NetlinkError.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from struct import Struct

from netpath.kernel import netlink, rtnl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket, attributes, nested, to_text, to_u32, u32

_RTM_SETLINK = 19
_RTM_NEWQDISC, _RTM_GETQDISC = 36, 38
_IFLA_MTU, _IFLA_TXQLEN, _IFLA_AF_SPEC = 4, 13, 26
_IFLA_GSO_MAX_SEGS, _IFLA_GSO_MAX_SIZE = 40, 41
_IFLA_INET6_ADDR_GEN_MODE, _GENERATE_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 0x02
_TCMSG = Struct("=BxxxiIII")
"""family, device index, handle, parent, info."""
_TCA_KIND = 1
_TC_H_ROOT = 0xFFFFFFFF
_NO_QDISC = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)
_IPV6_METRIC = 1024
"""What the kernel gives an IPv6 route without a metric (IP6_RT_PRIO_USER)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen about a device."""

    mtu: int
    queue: int
    """Packets of its queue (txqueuelen); of a TUN device: of the ring that the program reads from."""
    gso_size: int
    """Bytes of the largest packet that is handed to it unsegmented."""
    gso_segments: int
    up: bool = True


def settings(index: int) -> Settings:
    """As they are."""

    def decode(body: memoryview) -> Settings:
        _, _, _, flags, _ = rtnl.IFINFO.unpack_from(body)
        found = attributes(body, rtnl.IFINFO.size)
        return Settings(
            mtu=to_u32(found[_IFLA_MTU]),
            queue=to_u32(found[_IFLA_TXQLEN]),
            gso_size=to_u32(found[_IFLA_GSO_MAX_SIZE]),
            gso_segments=to_u32(found[_IFLA_GSO_MAX_SEGS]),
            up=bool(flags & rtnl.IFF_UP),
        )

    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        return sock.ask(Message(rtnl.RTM_GETLINK, 0, rtnl.IFINFO.pack(0, 0, index, 0, 0)), decode)


def change(index: int, wanted: Settings) -> bool:
    """Set what differs; whether anything did. In one request, so that the kernel takes all of it or nothing."""
    now = settings(index)
    if now == wanted:
        return False
    kinds = (
        (_IFLA_MTU, now.mtu, wanted.mtu),
        (_IFLA_TXQLEN, now.queue, wanted.queue),
        (_IFLA_GSO_MAX_SIZE, now.gso_size, wanted.gso_size),
        (_IFLA_GSO_MAX_SEGS, now.gso_segments, wanted.gso_segments),
    )
    up = rtnl.IFF_UP if wanted.up else 0
    mask = rtnl.IFF_UP if now.up != wanted.up else 0
    body = rtnl.IFINFO.pack(0, 0, index, up & mask, mask)
    _request(_RTM_SETLINK, 0, body + b"".join(u32(kind, value) for kind, old, value in kinds if value != old))
    return True


def no_link_local(index: int) -> None:
    """The kernel makes no link-local IPv6 address (addr_gen_mode none). Nothing to do in a kernel without IPv6."""
    family = nested(socket.AF_INET6, netlink.attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_GENERATE_NONE])))
    body = rtnl.IFINFO.pack(0, 0, index, 0, 0) + nested(_IFLA_AF_SPEC, family)
    try:
        _request(_RTM_SETLINK, 0, body)
    except NetlinkError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
            raise


def add_address(index: int, address: str) -> None:
    """`address` with prefix length; no test for duplicates (a tunnel has no neighbours)."""
    _request(rtnl.RTM_NEWADDR, netlink.F_CREATE | netlink.F_EXCL, _address(index, address))


def remove_address(index: int, address: str) -> None:
    """An address that is not there (any more) is fine."""
    try:
        _request(rtnl.RTM_DELADDR, 0, _address(index, address))
    except NetlinkError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise


def queueing(index: int) -> str:
    """Kind of the root queueing discipline, such as "fq_codel"; empty without one."""

    def root(kind: int, body: memoryview) -> str | None:
        del kind
        _, device, _, parent, _ = _TCMSG.unpack_from(body)
        found = attributes(body, _TCMSG.size)
        return to_text(found[_TCA_KIND]) if (device, parent) == (index, _TC_H_ROOT) else None

    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        return next(iter(sock.dump(Message(_RTM_GETQDISC, 0, _TCMSG.pack(0, index, 0, 0, 0)), root)), "")


def set_queueing(index: int, kind: str) -> bool:
    """Make `kind`, with its default parameters, the root queueing discipline. False when the kernel has no such one."""
    body = _TCMSG.pack(0, index, 0, _TC_H_ROOT, 0) + netlink.text(_TCA_KIND, kind)
    try:
        _request(_RTM_NEWQDISC, netlink.F_CREATE | netlink.F_REPLACE, body)
    except NetlinkError as error:
        if error.errno in _NO_QDISC:
            return False
        raise
    return True


def routes(index: int) -> set[str]:
    """Destinations of our routes (protocol 78) by the device in main."""
    return {
        route.dst
        for family in rtnl.FAMILIES
        for route in rtnl.routes(family, rtnl.MAIN_TABLE, protocol=rtnl.PROTOCOL_OURS)
        if route.oif == index
    }


def add_route(index: int, prefix: str) -> None:
    """Route `prefix` to the device in main, beside no other route to the same prefix (EEXIST)."""
    _request(rtnl.RTM_NEWROUTE, netlink.F_CREATE | netlink.F_EXCL, _route(index, prefix))


def remove_route(index: int, prefix: str) -> None:
    """A route that is not there (any more) is fine."""
    try:
        _request(rtnl.RTM_DELROUTE, 0, _route(index, prefix))
    except NetlinkError as error:
        if error.errno != errno.ESRCH:
            raise


def _address(index: int, address: str) -> bytes:
    host, _, length = address.partition("/")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    body = rtnl.IFADDR.pack(family, int(length), _IFA_F_NODAD, rtnl.SCOPE_GLOBAL, index)
    return body + netlink.attribute(_IFA_LOCAL, packed) + netlink.attribute(_IFA_ADDRESS, packed)


def _route(index: int, prefix: str) -> bytes:
    host, _, length = prefix.partition("/")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    scope = rtnl.SCOPE_GLOBAL if family == socket.AF_INET6 else rtnl.SCOPE_LINK
    kind, protocol = rtnl.ROUTE_UNICAST, rtnl.PROTOCOL_OURS
    body = rtnl.RTMSG.pack(family, int(length), 0, 0, rtnl.MAIN_TABLE, protocol, scope, kind, 0)
    body += netlink.attribute(rtnl.RTA_DST, socket.inet_pton(family, host)) + u32(rtnl.RTA_OIF, index)
    return body + (u32(rtnl.RTA_PRIORITY, _IPV6_METRIC) if family == socket.AF_INET6 else b"")


def _request(kind: int, flags: int, body: bytes) -> None:
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        sock.request(Message(kind, flags, body))
