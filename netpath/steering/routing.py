# SPDX-License-Identifier: GPL-2.0-or-later
"""The ip rules and routes that turn marks into uplinks, as data (docs/architecture.md, "Marks and ids")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from netpath.model import Config, Uplink
from netpath.steering.marks import MarkSpace, first_of_device, sharing_a_device
from netpath.steering.policy import served

MAIN_TABLE = 254
"""RT_TABLE_MAIN (linux/rtnetlink.h)."""
FIRST_TABLE = 1000
"""Uplink id N has routing table 1000 + N."""
_FIRST_OF_ALL, _PAST_DEVICES, _BY_DEVICE, _PAST_MARKS, _BY_MARK, _OR_NOTHING, _BLACKHOLE = range(99, 106)
"""Offsets from `rule_priority`. Rules of one kind share a priority: at most one of them applies to a packet.

The unreachable mark comes first because the classifier looks a route up with it for every new connection; beside it
stand sockets that have a device and a mark, where the device alone would say too little. The jumps spare a packet what
cannot apply to it, however many uplinks there are: only the router's own packets are bound to a device, and what has no
mark of an uplink (also the kernel's reverse path checks) needs none of theirs. They pass over two priorities at most,
so that a foreign rule which stands between ours is still met.
"""
LOOPBACK = "lo"
"""What the kernel takes for the input device of packets that the router itself sends."""


@dataclass(frozen=True, slots=True)
class IpRule:
    """One `ip rule`. `mark` and `mask` 0: any mark; `table` is set for action "lookup" only."""

    family: str
    priority: int
    mark: int
    mask: int
    invert: bool
    """`not`: applies when the rest does not match."""
    oif: str | None
    table: int | None
    action: str
    """"lookup", "goto", "unreachable" or "blackhole"."""
    suppress_prefixlength: int | None
    """A route found with a prefix this long or shorter does not count: 0 hides default routes."""
    iif: str | None = None
    target: int | None = None
    """Priority to go on at, for action "goto"."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `dst` is "default" or a prefix."""

    family: str
    table: int
    dst: str
    device: str
    gateway: str | None
    """None: `scope link`."""
    onlink: bool
    """The gateway is outside of the device's own prefixes, the kernel must take it on faith."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Everything of ours. Within a table, routes that a later one's gateway needs come first."""

    rules: tuple[IpRule, ...]
    routes: tuple[Route, ...]


def desired(config: Config, uplinks: Sequence[Uplink]) -> Routing:
    """What has to stand in the kernel for `config` while its interfaces are as `uplinks` says.

    Raises ValueError for an id that does not fit the mask, or more than 98 tables in rt_table_lookup.
    """
    marks = MarkSpace(config.globals.mark_mask)
    enabled = {i.name for i in config.interfaces if i.enabled}
    there = [u for u in uplinks if u.name in enabled and u.device]
    rules = [rule for family in served(config) for rule in _rules(config, marks, family, uplinks, there)]
    return Routing(tuple(rules), tuple(route for u in there for route in _routes(u)))


def _rules(
    config: Config, marks: MarkSpace, family: str, uplinks: Sequence[Uplink], there: Sequence[Uplink]
) -> list[IpRule]:
    first, mask = config.globals.rule_priority, marks.mask

    def rule(offset: int, mark: int, table: int | None, action: str = "lookup", oif: str | None = None) -> IpRule:
        return IpRule(family, first + offset, mark, mask if mark else 0, False, oif, table, action, None)

    def jump(offset: int, target: int, mark: int | None = None) -> IpRule:
        """Past what is before `target`: packets with `mark`, or those that the router only forwards."""
        condition = (0, 0, True) if mark is None else (mark, mask, False)
        iif = LOOPBACK if mark is None else None
        return IpRule(family, first + offset, *condition, None, None, "goto", None, iif, first + target)

    def specific(offset: int, table: int) -> IpRule:
        return IpRule(family, first + offset, 0, mask, True, None, table, "lookup", 0)

    tables = dict.fromkeys((MAIN_TABLE, *config.globals.rt_table_lookup))
    if len(tables) > _FIRST_OF_ALL:
        raise ValueError(f"rt_table_lookup names {len(tables) - 1} tables; there is room for {_FIRST_OF_ALL - 1}")
    ours = [u for u in uplinks if u.family == family]
    return [
        *(specific(offset, table) for offset, table in enumerate(tables)),
        rule(_FIRST_OF_ALL, marks.unreachable, None, "unreachable"),
        *(
            rule(_FIRST_OF_ALL, marks.of(u.id), FIRST_TABLE + u.id, oif=u.device)
            for u in sharing_a_device(there)
            if u.family == family
        ),
        jump(_PAST_DEVICES, _PAST_MARKS),
        *(
            rule(_BY_DEVICE, 0, FIRST_TABLE + u.id, oif=u.device)
            for u in first_of_device([u for u in there if u.family == family])
        ),
        jump(_PAST_MARKS, _BLACKHOLE, 0),
        jump(_PAST_MARKS, _BLACKHOLE, marks.default),
        *(rule(_BY_MARK, marks.of(u.id), FIRST_TABLE + u.id) for u in ours),
        *(rule(_OR_NOTHING, marks.of(u.id), None, "unreachable") for u in ours),
        rule(_BLACKHOLE, marks.blackhole, None, "blackhole"),
    ]


def _routes(uplink: Uplink) -> list[Route]:
    table = FIRST_TABLE + uplink.id
    device = uplink.device or ""
    networks = [ip_interface(a).network for a in uplink.addresses]
    on_link = [str(n) for n in networks if n.prefixlen < n.max_prefixlen]
    if uplink.family == "ipv6":
        on_link.append("fe80::/64")
    gateway = ip_address(uplink.gateway) if uplink.gateway else None
    reachable = gateway is None or gateway.is_link_local or any(gateway in n for n in networks)
    return [
        *(Route(uplink.family, table, dst, device, None, False) for dst in dict.fromkeys(on_link)),
        Route(uplink.family, table, "default", device, uplink.gateway, not reachable),
    ]
