# SPDX-License-Identifier: GPL-2.0-or-later
"""Single questions to the kernel, for reports: a route, an element of a set."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from struct import Struct

from netpath.kernel import netlink, rtnl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket, attributes, each_attribute, nested, text

_RTA_MARK = 16
_ROUTE_LOCAL = 2

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


def count_elements(table: str, set_name: str) -> int:
    """How many elements a set of an inet table holds; 0 also without such a set. Not for sets with intervals."""
    body = _NFGENMSG.pack(_NFPROTO_INET, 0, 0) + text(_ELEM_LIST_TABLE, table) + text(_ELEM_LIST_SET, set_name)

    def elements(kind: int, answer: memoryview) -> int:
        del kind
        found = attributes(answer, _NFGENMSG.size).get(_ELEM_LIST_ELEMENTS)
        return sum(1 for _ in each_attribute(found)) if found else 0

    try:
        with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
            return sum(sock.dump(Message(_NFT_GETSETELEM, 0, body), elements))
    except NetlinkError as error:
        if error.errno == errno.ENOENT:
            return 0
        raise


def _name(index: int) -> str | None:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None
