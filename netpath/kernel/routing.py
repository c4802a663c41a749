# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes our ip rules and routes in the kernel equal to the wanted ones, and removes them again.

Ours is what carries protocol 78 and lies in our block of priorities or in our tables. Everything else is foreign: it
is never changed, not even where it stands in our place.
"""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netpath.kernel import netlink, rtnl, sysctl
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket
from netpath.kernel.rtnl import FAMILIES, PROTOCOL_OURS, RouteEntry, RuleEntry

if TYPE_CHECKING:  # the job `stop` needs none of what steering imports
    from netpath.steering.routing import IpRule, Route, Routing

BLOCK = 1000
"""Priorities from `rule_priority` on that are ours."""
TABLES = range(1001, 1253)
"""Routing tables of uplink ids 1..252."""
_METRIC = {"ipv4": 0, "ipv6": 1}
"""The best there is: 0 means 1024 in IPv6. A foreign route in our table then only collides when it is as good."""
_RTNH_F_ONLINK = 4
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
_GONE = (errno.ESRCH, errno.ENOENT, errno.ENODEV)


@dataclass(slots=True)
class Changes:
    """What `apply` did."""

    added: int = 0
    replaced: int = 0
    removed: int = 0
    warnings: list[str] = field(default_factory=list)
    """What could not be done, in words; each leaves one uplink without one route, or a family unserved."""


def apply(desired: Routing, *, phase: str = "both") -> Changes:
    """Bring our rules and routes to `desired`.

    Phase "add" adds what is missing (routes before the rules that lead to them) and replaces changed routes in place,
    so that no packet meets an empty table; "remove" deletes what is no longer wanted (rules first); "both" does one
    after the other. Doing it twice changes nothing. A route that the kernel refuses (device gone, next hop not
    reachable, IPv6 off) becomes a warning. Raises NetlinkError when a rule is refused, ValueError for another phase.
    """
    if phase not in ("add", "remove", "both"):
        raise ValueError(f"phase {phase!r} is none of add, remove, both")
    changes = Changes()
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        if phase != "remove":
            _add_routes(sock, desired.routes, changes)
            _add_rules(sock, desired.rules, changes)
        if phase != "add":
            _remove_rules(sock, _surplus_rules(desired.rules), changes)
            _remove_routes(sock, _surplus_routes(desired.routes), changes)
    return changes


def missing(desired: Routing) -> list[str]:
    """What of `desired` does not stand in the kernel, in words: rules as `ip rule` shows them."""
    rules, routes = set(_our_rules(_block_of(desired.rules))), set(_our_routes())
    lost = [f"{r.family} ip rule {_rule_words(r)}" for r in desired.rules if _rule_entry(r) not in rules]
    return lost + [
        f"{r.family} route {r.dst} dev {r.device} in table {r.table}"
        for r in desired.routes
        if _route_entry(r) not in routes
    ]


def purge(rule_priority: int, tables: range = TABLES) -> None:
    """Remove all that is ours: rules in the block from `rule_priority`, routes in `tables`. Raises NetlinkError."""
    purge_rules(rule_priority)
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        _remove_routes(sock, _our_routes(tables), Changes())


def purge_rules(rule_priority: int) -> None:
    """Remove our rules in the block from `rule_priority`. Raises NetlinkError."""
    with NetlinkSocket(netlink.NETLINK_ROUTE) as sock:
        _remove_rules(sock, _our_rules(range(rule_priority, rule_priority + BLOCK)), Changes())


# -- rules ------------------------------------------------------------------------------------------------------------


def _our_rules(block: range) -> list[RuleEntry]:
    return [r for family in FAMILIES for r in rtnl.rules(family) if r.priority in block and _made_by_us(r)]


def _made_by_us(entry: RuleEntry) -> bool:
    """Our number alone is not enough: we make no rules with these selectors."""
    return entry.protocol == PROTOCOL_OURS and entry.iif in (None, "lo") and entry.src is None and entry.dst is None


def _block_of(wanted: Sequence[IpRule]) -> range:
    """The first rule of all stands at the first priority of the block."""
    first = min((rule.priority for rule in wanted), default=0)
    return range(first, first + BLOCK)


def _add_rules(sock: NetlinkSocket, wanted: Sequence[IpRule], changes: Changes) -> None:
    standing = set(_our_rules(_block_of(wanted)))
    missing = [entry for entry in map(_rule_entry, wanted) if entry not in standing]
    # Without NLM_F_EXCL: a foreign rule that happens to be the same may vanish with its owner.
    messages = [Message(rtnl.RTM_NEWRULE, netlink.F_CREATE, _rule_body(entry)) for entry in missing]
    unserved = set()
    for entry, refused in zip(missing, sock.requests(messages), strict=True):
        if refused is None:
            changes.added += 1
        elif refused.errno in _NO_FAMILY:
            unserved.add(entry.family)
        else:
            raise NetlinkError(refused.errno, f"ip rule {entry.priority} ({entry.family}): {refused.strerror}")
    changes.warnings += [f"this kernel has no {family} rules: {family} is not steered" for family in sorted(unserved)]


def _surplus_rules(wanted: Sequence[IpRule]) -> list[RuleEntry]:
    """Rules that are not wanted, or stand more than once."""
    surplus = Counter(_our_rules(_block_of(wanted)))
    surplus.subtract(set(map(_rule_entry, wanted)))
    return [entry for entry, times in surplus.items() for _ in range(times)]


def _remove_rules(sock: NetlinkSocket, entries: Sequence[RuleEntry], changes: Changes) -> None:
    messages = [Message(rtnl.RTM_DELRULE, 0, _rule_body(entry)) for entry in entries]
    _count_removed(sock.requests(messages), changes)


def _rule_entry(rule: IpRule) -> RuleEntry:
    return RuleEntry(
        family=rule.family,
        priority=rule.priority,
        mark=rule.mark,
        mask=rule.mask,
        iif=rule.iif,
        oif=rule.oif,
        table=rule.table or 0,
        action=rule.action,
        suppress_prefixlength=rule.suppress_prefixlength,
        invert=rule.invert,
        protocol=PROTOCOL_OURS,
        src=None,
        dst=None,
        target=rule.target or 0,
    )


def _rule_words(rule: IpRule) -> str:
    """Many rules share a priority, so that alone says little."""
    target = "main" if rule.table == rtnl.MAIN_TABLE else rule.table or rule.target or ""
    parts = [
        f"{rule.priority}:",
        "not from all" if rule.invert else "from all",
        f"fwmark {hex(rule.mark) if rule.mark else 0}/{rule.mask:#x}" if rule.mask else "",
        f"iif {rule.iif}" if rule.iif else "",
        f"oif {rule.oif}" if rule.oif else "",
        f"{rule.action} {target}".rstrip(),
        f"suppress_prefixlength {rule.suppress_prefixlength}" if rule.suppress_prefixlength is not None else "",
    ]
    return " ".join(part for part in parts if part)


def _rule_body(entry: RuleEntry) -> bytes:
    """struct fib_rule_hdr and attributes; for a deletion the kernel compares all of them, the protocol included."""
    flags = rtnl.RULE_INVERT if entry.invert else 0
    action = rtnl.RULE_ACTIONS[entry.action]
    body = rtnl.RULEMSG.pack(FAMILIES[entry.family], 0, 0, 0, 0, 0, 0, action, flags)
    body += netlink.u32(rtnl.FRA_PRIORITY, entry.priority)
    body += netlink.attribute(rtnl.FRA_PROTOCOL, bytes([entry.protocol]))
    if entry.mask:
        # Mark 0 under a mask is a condition of its own: none of our bits are set.
        body += netlink.u32(rtnl.FRA_FWMARK, entry.mark) + netlink.u32(rtnl.FRA_FWMASK, entry.mask)
    if entry.iif is not None:
        body += netlink.text(rtnl.FRA_IIFNAME, entry.iif)
    if entry.oif is not None:
        body += netlink.text(rtnl.FRA_OIFNAME, entry.oif)
    if entry.target:
        body += netlink.u32(rtnl.FRA_GOTO, entry.target)
    if entry.table:
        body += netlink.u32(rtnl.FRA_TABLE, entry.table)
    if entry.suppress_prefixlength is not None:
        body += netlink.u32(rtnl.FRA_SUPPRESS_PREFIXLEN, entry.suppress_prefixlength)
    return body


# -- routes -----------------------------------------------------------------------------------------------------------


def _our_routes(tables: range = TABLES) -> list[RouteEntry]:
    found = [route for family in FAMILIES for route in rtnl.routes(family, protocol=PROTOCOL_OURS)]
    return [route for route in found if route.table in tables]


def _add_routes(sock: NetlinkSocket, wanted: Sequence[Route], changes: Changes) -> None:
    standing = set(_our_routes())
    places = {_place(entry) for entry in standing}
    messages, routes, replacing = [], [], []
    for route in wanted:
        entry = _route_entry(route)
        if entry is None:
            changes.warnings.append(f"{_words(route)}: device {route.device} does not exist")
        elif entry not in standing:
            replace = _place(entry) in places and not _is_shared(entry)
            flags = netlink.F_CREATE | (netlink.F_REPLACE if replace else netlink.F_EXCL)
            messages.append(Message(rtnl.RTM_NEWROUTE, flags, _route_body(entry, onlink=route.onlink)))
            routes.append(route)
            replacing.append(replace)
    for route, replace, refused in zip(routes, replacing, sock.requests(messages), strict=True):
        if refused is not None:
            changes.warnings.append(f"{_words(route)}: {_why_refused(route, refused)}")
        elif replace:
            changes.replaced += 1
        else:
            changes.added += 1


def _is_shared(entry: RouteEntry) -> bool:
    """Whether a foreign route stands in the same place: replacing could hit that one."""
    return any(
        _place(other) == _place(entry) and other.protocol != PROTOCOL_OURS
        for other in rtnl.routes(entry.family, entry.table)
    )


def _surplus_routes(wanted: Iterable[Route]) -> list[RouteEntry]:
    keep = set(map(_route_entry, wanted))
    return [entry for entry in _our_routes() if entry not in keep]


def _remove_routes(sock: NetlinkSocket, entries: Sequence[RouteEntry], changes: Changes) -> None:
    messages = [Message(rtnl.RTM_DELROUTE, 0, _route_body(entry, onlink=False)) for entry in entries]
    _count_removed(sock.requests(messages), changes)


def _count_removed(results: Iterable[NetlinkError | None], changes: Changes) -> None:
    for refused in results:
        if refused is None:
            changes.removed += 1
        elif refused.errno not in _GONE:
            raise refused


def _place(entry: RouteEntry) -> tuple[str, int, str, int]:
    """What the kernel keeps unique, apart from appended routes."""
    return entry.family, entry.table, entry.dst, entry.metric


def _route_entry(route: Route) -> RouteEntry | None:
    """The route as the kernel will show it; None while its device does not exist."""
    try:
        index = socket.if_nametoindex(route.device)
    except OSError:
        return None
    family = FAMILIES[route.family]
    return RouteEntry(
        family=route.family,
        table=route.table,
        dst=_canonical_prefix(family, route.dst),
        gateway=_canonical(family, route.gateway) if route.gateway else None,
        oif=index,
        metric=_METRIC[route.family],
        protocol=PROTOCOL_OURS,
        scope=rtnl.SCOPE_LINK if route.family == "ipv4" and not route.gateway else rtnl.SCOPE_GLOBAL,
        type=rtnl.ROUTE_UNICAST,
        prefsrc=None,
    )


def _route_body(entry: RouteEntry, *, onlink: bool) -> bytes:
    family = FAMILIES[entry.family]
    address, _, length = ("", "", "0") if entry.dst == "default" else entry.dst.partition("/")
    flags = _RTNH_F_ONLINK if onlink else 0
    body = rtnl.RTMSG.pack(family, int(length), 0, 0, 0, entry.protocol, entry.scope, entry.type, flags)
    body += netlink.u32(rtnl.RTA_TABLE, entry.table)
    if address:
        body += netlink.attribute(rtnl.RTA_DST, socket.inet_pton(family, address))
    if entry.gateway:
        body += netlink.attribute(rtnl.RTA_GATEWAY, socket.inet_pton(family, entry.gateway))
    if entry.oif:
        body += netlink.u32(rtnl.RTA_OIF, entry.oif)
    if entry.metric:
        body += netlink.u32(rtnl.RTA_PRIORITY, entry.metric)
    return body


def _canonical(family: int, address: str) -> str:
    return socket.inet_ntop(family, socket.inet_pton(family, address))


def _canonical_prefix(family: int, dst: str) -> str:
    address, _, length = dst.partition("/")
    return "default" if dst == "default" or length == "0" else f"{_canonical(family, address)}/{length}"


def _words(route: Route) -> str:
    via = f" via {route.gateway}" if route.gateway else ""
    return f"{route.family} route {route.dst}{via} dev {route.device} table {route.table} not added"


def _why_refused(route: Route, refused: NetlinkError) -> str:
    if refused.errno == errno.EEXIST:
        return "a foreign route stands in its place; remove that one or move it to another table"
    if route.family == "ipv6" and refused.errno not in _GONE and sysctl.ipv6_disabled(route.device):
        return f"IPv6 is switched off on {route.device} (net.ipv6.conf.{route.device}.disable_ipv6)"
    return str(refused.strerror)
