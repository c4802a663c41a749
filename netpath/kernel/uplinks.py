# SPDX-License-Identifier: GPL-2.0-or-later
"""From configured interfaces and what the kernel has to uplinks that steering can use, and why one is not up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netpath.kernel import netifd, rtnl
from netpath.kernel.netifd import Dump, Logical
from netpath.kernel.prefixes import with_prefixes
from netpath.kernel.rtnl import Link
from netpath.kernel.snapshot import Snapshot
from netpath.model import Interface, Uplink
from netpath.steering.resolvers import may_be_elsewhere

_FAMILY_WORDS = {"ipv4": "IPv4", "ipv6": "IPv6"}
_MARK_OWNERS = (
    (range(29000, 30002), "pbr"),
    (range(5210, 5271), "Tailscale"),
    (range(1001, 4000), "mwan3"),
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
    logical: Dump,
) -> list[Resolved]:
    """One `Resolved` an interface, in their order.

    `logical` is what netifd knows, empty where there is none. The device is the configured one, else that of the
    logical interface with the section's name, else one called like the section; `ifname` may name a logical interface
    as well. The gateway is the configured one, else the logical interface's, else that of the best default route by
    the device in main. `ids` must name every interface.
    """
    found = [_resolve(interface, ids[interface.name], snapshot, logical) for interface in interfaces]
    devices = {r.uplink.port or i.device or i.name for r, i in zip(found, interfaces, strict=True)}
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


def _resolve(interface: Interface, number: int, snapshot: Snapshot, logical: Dump) -> Resolved:
    family = interface.family
    known = _known(interface, snapshot, logical)
    device = (known.device if known else None) or interface.device or interface.name
    link = snapshot.links.get(device)
    if known is not None and not known.up:
        return _down(interface, number, f"netifd has not brought interface {known.name} up", device)
    obstacle = _obstacle(device, link)
    if link is None or obstacle:
        return _down(interface, number, obstacle, device)
    addresses = _addresses(snapshot, link, family)
    obstacle = "" if addresses else _numberless(link, family, snapshot, known)
    if obstacle:
        return _down(interface, number, obstacle, device)
    gateway, obstacle = _gateway(interface, link, snapshot, known)
    if obstacle:
        return _down(interface, number, obstacle, device)
    uplink = Uplink(
        name=interface.name,
        id=number,
        family=family,
        device=device,
        gateway=gateway,
        addresses=_own(addresses, known, logical),
        main_default=link.index in _best_default_devices(snapshot, family),
        connected=tuple(sorted({r.dst for r in snapshot.networks[family] if r.oif == link.index})),
        port=device,
        prefixes=known.prefixes if known and family == "ipv6" else (),
        resolvers=interface.resolvers or _resolvers(known, family),
    )
    return Resolved(uplink, True, f"{device} is up, " + (f"gateway {gateway}" if gateway else "point-to-point"))


def _known(interface: Interface, snapshot: Snapshot, logical: Dump) -> Logical | None:
    """What netifd has to say of an interface: the logical one of its name, or the one that `ifname` names.

    A device of the kernel that the configuration names goes before both; what netifd knows counts if it is on it.
    """
    found = netifd.find(logical, interface.name, interface.family)
    if interface.device is None:
        return found
    if interface.device not in snapshot.links:
        return netifd.find(logical, interface.device, interface.family)
    return found if found is not None and found.device == interface.device else None


def _own(addresses: tuple[str, ...], known: Logical | None, logical: Dump) -> tuple[str, ...]:
    """Of a device that several logical interfaces of netifd share, each has some of the addresses."""
    if known is None:
        return addresses
    others = {
        a for each in logical.values() if each is not known for a in each.addresses if each.device == known.device
    }
    own = tuple(a for a in addresses if a in known.addresses or a not in others)
    return own or addresses


def _resolvers(known: Logical | None, family: str) -> tuple[str, ...]:
    """Name servers of the family that netifd has for an interface, without those that a LAN or this machine has."""
    found = known.resolvers if known else ()
    return tuple(a for a in found if (":" in a) == (family == "ipv6") and may_be_elsewhere(a))


def _down(interface: Interface, number: int, reason: str, port: str) -> Resolved:
    """`port` is where it will be again, whether there is such a device now or not."""
    name, family = interface.name, interface.family
    down = Uplink(name, number, family, None, None, (), False, (), interface.resolvers, port)
    return Resolved(down, False, reason)


def _obstacle(device: str, link: Link | None) -> str:
    """What is wrong with the device, in words; empty when nothing."""
    if link is None:
        return f"device {device} does not exist"
    if not link.up:
        return f"device {device} is switched off"
    return "" if link.carrier else f"device {device} has no carrier"


def _numberless(link: Link, family: str, snapshot: Snapshot, known: Logical | None) -> str:
    """Why a device without an address of `family` cannot be used, in words; empty when it can.

    A delegated prefix is enough: an IPv6 provider need not number the link itself (RFC 7084, WPD-5).
    """
    checked = (link.index, family) in snapshot.checking
    routed = any(r.oif == link.index for r in snapshot.defaults[family]) or (known is not None and known.routes(family))
    if family == "ipv6" and routed and not checked:
        return ""
    return f"device {link.name} has no {'usable' if checked else 'global'} {_FAMILY_WORDS[family]} address"


def _addresses(snapshot: Snapshot, link: Link, family: str) -> tuple[str, ...]:
    """Sorted, so that equal worlds compare equal whatever order the kernel lists them in."""
    return tuple(
        sorted(f"{a.address}/{a.prefixlen}" for a in snapshot.addresses if a.index == link.index and a.family == family)
    )


def _gateway(interface: Interface, link: Link, snapshot: Snapshot, known: Logical | None) -> tuple[str | None, str]:
    """(next hop or None for on-link, what is missing in words)."""
    if interface.gateway:
        return interface.gateway, ""
    if known is not None:
        for family, gateway in known.defaults:
            if family == interface.family:
                return gateway, ""
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
