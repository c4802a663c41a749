# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the kernel's state that decides about uplinks, read at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netpath.kernel import rtnl
from netpath.kernel.rtnl import FAMILIES, Address, Link, RouteEntry, RuleEntry

_ADMINISTRATIVE = frozenset((rtnl.PROTOCOL_KERNEL, rtnl.PROTOCOL_BOOT, rtnl.PROTOCOL_STATIC))
_ADVERTISED = frozenset((rtnl.PROTOCOL_RA, rtnl.PROTOCOL_DHCP))
_NETWORKS = _ADMINISTRATIVE | _ADVERTISED
"""Origins of routes that make a device's networks. What routing daemons add may be the whole internet, anywhere."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The part of the kernel's state that decides about uplinks, read at one time."""

    links: Mapping[str, Link]
    addresses: tuple[Address, ...]
    """Global addresses that can be used now."""
    checking: frozenset[tuple[int, str]]
    """(device index, family) with an address that is still checked for a duplicate, or is one."""
    defaults: Mapping[str, tuple[RouteEntry, ...]]
    """Family -> default routes of main, the best first."""
    networks: Mapping[str, tuple[RouteEntry, ...]]
    """Family -> other unicast routes of main with a device, without link-local ones and those of routing daemons."""
    rules: tuple[RuleEntry, ...]

    @classmethod
    def read(cls) -> Snapshot:
        """Ask the kernel. Some milliseconds, whatever the size of a BGP table. Raises NetlinkError."""
        routes = {family: _main_routes(family) for family in FAMILIES}
        addresses = [a for a in rtnl.addresses() if a.scope == rtnl.SCOPE_GLOBAL]
        return cls(
            links={link.name: link for link in rtnl.links()},
            addresses=tuple(a for a in addresses if not a.tentative),
            checking=frozenset((a.index, a.family) for a in addresses if a.tentative),
            defaults={
                family: tuple(sorted((r for r in found if r.dst == "default"), key=lambda route: route.metric))
                for family, found in routes.items()
            },
            networks={family: tuple(r for r in found if r.dst != "default") for family, found in routes.items()},
            rules=tuple(rule for family in FAMILIES for rule in rtnl.rules(family)),
        )


def _main_routes(family: str) -> list[RouteEntry]:
    def wanted(prefixlen: int, protocol: int) -> bool:
        return prefixlen == 0 or protocol in _NETWORKS

    found = rtnl.routes(family, rtnl.MAIN_TABLE, only=wanted)
    return [r for r in found if r.type == rtnl.ROUTE_UNICAST and r.oif and not r.dst.startswith("fe80:")]
