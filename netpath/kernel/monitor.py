# SPDX-License-Identifier: GPL-2.0-or-later
"""Link, address, route and rule changes as they happen, for the resident tracker.

Events are hints: who gets one reads the kernel again. So subscribe first, read then, and nothing is missed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from netpath.kernel import bpf, netlink, rtnl
from netpath.kernel.rtnl import MAIN_TABLE, PROTOCOL_OURS
from netpath.kernel.subscription import Subscription

_RTNLGRP_LINK, _RTNLGRP_IPV4_IFADDR, _RTNLGRP_IPV4_ROUTE, _RTNLGRP_IPV4_RULE = 1, 5, 7, 8
_RTNLGRP_IPV6_IFADDR, _RTNLGRP_IPV6_ROUTE, _RTNLGRP_IPV6_RULE = 9, 11, 19
_GROUPS = sum(
    1 << (group - 1)
    for group in (
        _RTNLGRP_LINK,
        _RTNLGRP_IPV4_IFADDR,
        _RTNLGRP_IPV6_IFADDR,
        _RTNLGRP_IPV4_ROUTE,
        _RTNLGRP_IPV6_ROUTE,
        _RTNLGRP_IPV4_RULE,
        _RTNLGRP_IPV6_RULE,
    )
)

_TYPE = 4
_ROUTE_LENGTH, _ROUTE_TABLE, _ROUTE_PROTOCOL = 17, 20, 21
_FILTER = b"".join(
    (
        # Offsets from the netlink header. A full BGP table being loaded must not even wake the tracker: of routes only
        # default ones of main get through, and removals of ours.
        bpf.load_half(_TYPE),
        bpf.if_equal(socket.htons(rtnl.RTM_NEWROUTE), 4, 0),
        bpf.if_equal(socket.htons(rtnl.RTM_DELROUTE), 1, 0),
        bpf.ACCEPT,
        bpf.load_byte(_ROUTE_PROTOCOL),
        bpf.if_equal(PROTOCOL_OURS, 4, 0),
        bpf.load_byte(_ROUTE_LENGTH),
        bpf.if_equal(0, 0, 3),
        bpf.load_byte(_ROUTE_TABLE),
        bpf.if_equal(MAIN_TABLE, 0, 1),
        bpf.ACCEPT,
        bpf.DROP,
    )
)


@dataclass(frozen=True, slots=True)
class LinkEvent:
    kind: str
    """"link", "address", "route" (a default route of main, or one of ours), "rule", or "overrun": events were lost."""
    index: int = 0
    """Device; 0 where none is concerned."""
    ifname: str = ""
    """Its name; empty for addresses and routes of a device that is gone."""
    up: bool = False
    """Links only: switched on."""
    carrier: bool = False
    """Links only: see `rtnl.Link.carrier`."""
    removed: bool = False
    ours: bool = False
    """Something of ours was removed: by ourselves, or by somebody who flushes what is not his."""


class LinkMonitor(Subscription):
    """Calls `callback(event)` from the event loop for each change, but not for routes and rules that we add."""

    def __init__(self, callback: Callable[[LinkEvent], None]) -> None:
        super().__init__(netlink.NETLINK_ROUTE, _GROUPS, _FILTER)
        self._callback = callback
        self._events: list[LinkEvent] = []

    def _take(self, kind: int, body: memoryview) -> None:
        event = _decode(kind, body)
        if event is not None:
            self._events.append(event)

    def _report(self, lost: bool) -> None:
        events, self._events = self._events, []
        for event in [*events, LinkEvent("overrun")] if lost else events:
            self._callback(event)


def _decode(kind: int, body: memoryview) -> LinkEvent | None:
    if kind in (rtnl.RTM_NEWLINK, rtnl.RTM_DELLINK):
        link = rtnl.decode_link(kind, body)
        if link is None:
            return None
        return LinkEvent("link", link.index, link.name, link.up, link.carrier, removed=kind == rtnl.RTM_DELLINK)
    if kind in (rtnl.RTM_NEWADDR, rtnl.RTM_DELADDR):
        index = rtnl.IFADDR.unpack_from(body)[4]
        return LinkEvent("address", index, _name(index), removed=kind == rtnl.RTM_DELADDR)
    if kind in (rtnl.RTM_NEWROUTE, rtnl.RTM_DELROUTE):
        return _decode_route(kind, body)
    if kind in (rtnl.RTM_NEWRULE, rtnl.RTM_DELRULE):
        return _decode_rule(kind, body)
    return None


def _decode_route(kind: int, body: memoryview) -> LinkEvent:
    route = rtnl.decode_route(body)[0]
    return LinkEvent(
        "route",
        route.oif,
        _name(route.oif),
        removed=kind == rtnl.RTM_DELROUTE,
        ours=route.protocol == PROTOCOL_OURS,
    )


def _decode_rule(kind: int, body: memoryview) -> LinkEvent | None:
    if body[0] not in rtnl.FAMILY_NAMES:
        return None
    removed = kind == rtnl.RTM_DELRULE
    ours = rtnl.decode_rule(kind, body).protocol == PROTOCOL_OURS
    return None if ours and not removed else LinkEvent("rule", removed=removed, ours=ours)


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
