# SPDX-License-Identifier: GPL-2.0-or-later
"""Single questions to the kernel, for reports: a route, a neighbour, an element of a set."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from struct import Struct

from netpath.kernel import netlink, rtnl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket, attributes, nested, text

_RTA_MARK = 16
_ROUTE_LOCAL = 2

_RTM_GETNEIGH = 30
_NDMSG = Struct("=BxxxiHBB")
_NDA_DST = 1
_NUD_WORDS = {0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed"}

_NFT_GETSETELEM = 10 << 8 | 13
_NFPROTO_INET = 1
_NFGENMSG = Struct(">BBH")
_ELEM_LIST_TABLE, _ELEM_LIST_SET, _ELEM_LIST_ELEMENTS = 1, 2, 3
_LIST_ELEM, _SET_ELEM_KEY, _DATA_VALUE = 1, 1, 1


@dataclass(frozen=True, slots=True)
class Way:
    """What the kernel answers when asked for a route."""

    device: str | None
    gateway: str | None
    local: bool
    """The destination is an address of this machine."""


def route_get(dst: str, family: str, *, mark: int = 0) -> Way | None:
    """The route of a packet with this mark, by all ip rules; None where there is none (or only an unreachable one).

    Raises NetlinkError for any other refusal.
    """
    number = rtnl.FAMILIES[family]
    address = socket.inet_pton(number, dst)
    body = rtnl.RTMSG.pack(number, 8 * len(address), 0, 0, 0, 0, 0, 0, 0)
    body += netlink.attribute(rtnl.RTA_DST, address) + netlink.u32(_RTA_MARK, mark)
    try:
        with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
            answer = sock.ask(Message(rtnl.RTM_GETROUTE, 0, body), rtnl.decode_route)
    except NetlinkError as error:
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES):
            return None
        raise
    for route in answer:
        if route.type in (rtnl.ROUTE_UNICAST, _ROUTE_LOCAL):
            return Way(_name(route.oif), route.gateway, route.type == _ROUTE_LOCAL)
    return None


def neighbour(device: str, address: str) -> str | None:
    """State of an IP neighbour in the kernel's words (reachable, stale, failed ...); None when it is not known."""
    number = socket.AF_INET6 if ":" in address else socket.AF_INET
    wanted, index = socket.inet_pton(number, address), socket.if_nametoindex(device)

    def state(kind: int, body: memoryview) -> int | None:
        del kind
        _, device_index, found, _, _ = _NDMSG.unpack_from(body)
        known = attributes(body, _NDMSG.size).get(_NDA_DST)
        return found if device_index == index and known is not None and bytes(known) == wanted else None

    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        states = sock.dump(Message(_RTM_GETNEIGH, 0, _NDMSG.pack(number, 0, 0, 0, 0)), state)
    return _NUD_WORDS.get(states[0]) if states else None


def has_element(table: str, set_name: str, key: bytes) -> bool:
    """Whether a set of an inet table holds this one key (network order). False also without such a set."""
    value = netlink.attribute(_DATA_VALUE, key)
    element = nested(_LIST_ELEM, nested(_SET_ELEM_KEY, value))
    body = _NFGENMSG.pack(_NFPROTO_INET, 0, 0) + text(_ELEM_LIST_TABLE, table) + text(_ELEM_LIST_SET, set_name)
    try:
        with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
            sock.ask(Message(_NFT_GETSETELEM, 0, body + nested(_ELEM_LIST_ELEMENTS, element)), len)
    except NetlinkError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def _name(index: int) -> str | None:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None
