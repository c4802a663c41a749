# SPDX-License-Identifier: GPL-2.0-or-later
"""From configured interfaces and what the kernel has to uplinks that steering can use, and why one is not up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netpath.kernel import rtnl
from netpath.kernel.prefixes import with_prefixes
from netpath.kernel.rtnl import FAMILIES, Address, Link, RouteEntry, RuleEntry
from netpath.model import Interface, Uplink

_ADMINISTRATIVE = frozenset((rtnl.PROTOCOL_KERNEL, rtnl.PROTOCOL_BOOT, rtnl.PROTOCOL_STATIC))
_ADVERTISED = frozenset((rtnl.PROTOCOL_RA, rtnl.PROTOCOL_DHCP))
_NETWORKS = _ADMINISTRATIVE | _ADVERTISED
"""Origins of routes that make a device's networks. What routing daemons add may be the whole internet, anywhere."""
_FAMILY_WORDS = {"ipv4": "IPv4", "ipv6": "IPv6"}
_MARK_OWNERS = (
    (range(29000, 30002), "pbr"),
    (range(5210, 5271), "Tailscale"),
    (range(1001, 4000), "mwan3"),
)


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


@dataclass(frozen=True, slots=True)
class Resolved:
    """An interface as the kernel has it."""

    uplink: Uplink
    up: bool
    """The kernel has all that it needs: device, carrier, address, gateway."""
    reason: str
    """Why it is up or not, for a person."""


def resolve(
    interfaces: Sequence[Interface],
    ids: Mapping[str, int],
    snapshot: Snapshot,
    logical: Mapping[str, str] | None = None,
) -> list[Resolved]:
    """One `Resolved` an interface, in their order.

    `logical` maps interface names to kernel devices where another program (netifd) knows better than the names do;
    a device in the configuration goes before it, a device called like the interface comes last. The gateway is the
    configured one, else that of the best default route by the device in main. `ids` must name every interface.
    """
    found = [_resolve(interface, ids[interface.name], snapshot, logical or {}) for interface in interfaces]
    devices = {r.uplink.device or i.device or i.name for r, i in zip(found, interfaces, strict=True)}
    return [
        replace(r, uplink=with_prefixes(r.uplink, i, snapshot, devices)) for r, i in zip(found, interfaces, strict=True)
    ]


def foreign_marks(snapshot: Snapshot) -> list[tuple[str, int, int, str]]:
    """(owner, mark, mask, where) of the ip rules of other programs that look at marks: they must not use our bits.

    The owner ("pbr", "Tailscale", "mwan3" or "unknown") is guessed from the priority; `where` is the rule in words.
    """
    return [
        (
            next((owner for block, owner in _MARK_OWNERS if rule.priority in block), "unknown"),
            rule.mark,
            rule.mask,
            f"ip rule {rule.priority} ({_FAMILY_WORDS[rule.family]}): fwmark {rule.mark:#x}/{rule.mask:#x}",
        )
        for rule in snapshot.rules
        if rule.mask and rule.protocol != rtnl.PROTOCOL_OURS
    ]


def _main_routes(family: str) -> list[RouteEntry]:
    def wanted(prefixlen: int, protocol: int) -> bool:
        return prefixlen == 0 or protocol in _NETWORKS

    found = rtnl.routes(family, rtnl.MAIN_TABLE, only=wanted)
    return [r for r in found if r.type == rtnl.ROUTE_UNICAST and r.oif and not r.dst.startswith("fe80:")]


def _resolve(interface: Interface, number: int, snapshot: Snapshot, logical: Mapping[str, str]) -> Resolved:
    family = interface.family
    device = interface.device or logical.get(interface.name) or interface.name
    link = snapshot.links.get(device)
    addresses = _addresses(snapshot, link, family) if link else ()
    obstacle = _obstacle(device, link, addresses, family, snapshot)
    if link is None or obstacle:
        return _down(interface, number, obstacle)
    gateway, obstacle = _gateway(interface, link, snapshot)
    if obstacle:
        return _down(interface, number, obstacle)
    uplink = Uplink(
        name=interface.name,
        id=number,
        family=family,
        device=device,
        gateway=gateway,
        addresses=addresses,
        main_default=link.index in _best_default_devices(snapshot, family),
        connected=tuple(sorted({r.dst for r in snapshot.networks[family] if r.oif == link.index})),
    )
    return Resolved(uplink, True, f"{device} is up, " + (f"gateway {gateway}" if gateway else "point-to-point"))


def _down(interface: Interface, number: int, reason: str) -> Resolved:
    return Resolved(Uplink(interface.name, number, interface.family, None, None, (), False, ()), False, reason)


def _obstacle(device: str, link: Link | None, addresses: Iterable[str], family: str, snapshot: Snapshot) -> str:
    """What the device lacks, in words; empty when nothing."""
    if link is None:
        return f"device {device} does not exist"
    if not link.up:
        return f"device {device} is switched off"
    if not link.carrier:
        return f"device {device} has no carrier"
    checked = (link.index, family) in snapshot.checking
    if family == "ipv6" and not checked and any(r.oif == link.index for r in snapshot.defaults[family]):
        return ""  # a delegated prefix is enough: the provider need not number the link itself (RFC 7084, WPD-5)
    if not addresses:
        lacking = "usable" if checked else "global"
        return f"device {device} has no {lacking} {_FAMILY_WORDS[family]} address"
    return ""


def _addresses(snapshot: Snapshot, link: Link, family: str) -> tuple[str, ...]:
    """Sorted, so that equal worlds compare equal whatever order the kernel lists them in."""
    return tuple(
        sorted(f"{a.address}/{a.prefixlen}" for a in snapshot.addresses if a.index == link.index and a.family == family)
    )


def _gateway(interface: Interface, link: Link, snapshot: Snapshot) -> tuple[str | None, str]:
    """(next hop or None for on-link, what is missing in words)."""
    if interface.gateway:
        return interface.gateway, ""
    for route in snapshot.defaults[interface.family]:
        if route.oif == link.index:
            return route.gateway, ""
    if link.point_to_point:
        return None, ""
    words = _FAMILY_WORDS[interface.family]
    return None, f"no gateway: main has no {words} default route by {link.name}; set `gateway` or bring one"


def _best_default_devices(snapshot: Snapshot, family: str) -> set[int]:
    """Devices of the default route that main uses: several when it is multipath, or when routes tie."""
    routes = snapshot.defaults[family]
    return {route.oif for route in routes if route.metric == routes[0].metric}
