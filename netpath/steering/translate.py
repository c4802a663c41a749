# SPDX-License-Identifier: GPL-2.0-or-later
"""Source addresses of IPv6 packets that leave by an uplink which does not know them (`nat6`, RFC 6296).

A provider drops what comes from addresses that it did not give out. With `nat6` prefix, prefixes of the LAN are mapped
one to one to prefixes of the same length out of what the provider routes here; whatever has no room, and everything
with `nat6` masquerade, gets an address of the router. Nothing leaves as it is, but what has an address of the uplink.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Interface, IPv6Network, collapse_addresses

from netpath.model import Interface, Nat6, Uplink
from netpath.steering.names import device

_LINK_LOCAL = IPv6Network("fe80::/10")
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
_SHORTEST, _LONGEST = 48, 64
"""Lengths of LAN prefixes that are mapped unasked: one site at most, and no single hosts of a VPN."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the LAN's packets leave by one uplink."""

    own: tuple[IPv6Network, ...]
    """Sources that leave as they are; none contains another one."""
    targets: tuple[IPv6Network, ...]
    """What LAN prefixes may be mapped into."""
    pairs: tuple[tuple[IPv6Network, IPv6Network], ...]
    """Prefix of the LAN -> prefix of the uplink, of one length; no two overlap on either side."""
    left: tuple[IPv6Network, ...]
    """Prefixes of the LAN that should be mapped and have no room: they are masqueraded."""

    def seen_as(self, address: IPv6Address) -> IPv6Address | None:
        """What a source address of a LAN host leaves as; None: that of the router, as it is masqueraded."""
        if any(address in network for network in self.own):
            return address
        for inner, outer in self.pairs:
            if address in inner:
                return outer.network_address + (int(address) - int(inner.network_address))
        return None


def plan(interface: Interface, uplink: Uplink) -> Plan:
    """The mapping for `uplink`, the same for the same prefixes whatever their order.

    Subnets keep their number where that is free (2001:db8:a:7::/64 becomes subnet 7 of a /56), else they get the next
    free one. What the LAN uses of the uplink's own prefixes is never mapped into. Unique local prefixes choose first:
    they stay while those of providers come and go.
    """
    links = [IPv6Interface(a).network for a in uplink.addresses]
    routed = [IPv6Network(p) for p in uplink.prefixes]
    own = (*routed, *links)
    lan = [IPv6Network(p) for p in uplink.lan]
    targets = [IPv6Network(p) for p in interface.nat6_prefix] or routed
    # What contains a prefix does not use it: routes of a VPN may cover half the internet. A mobile line's network may
    # be a target; on any other link, the provider looks for each address by itself.
    used = [n for n in lan if any(n.subnet_of(o) for o in own)] + [n for n in links if n not in routed]
    pairs: list[tuple[IPv6Network, IPv6Network]] = []
    left = []
    for inner in _mapped(interface, lan, own) if interface.nat6 is Nat6.PREFIX else ():
        taken = [*used, *(outer for _, outer in pairs)]
        outer = next((found for t in targets if (found := _room(inner, t, taken))), None)
        if outer is None:
            left.append(inner)
        else:
            pairs.append((inner, outer))
    return Plan(tuple(collapse_addresses(own)), tuple(targets), tuple(pairs), tuple(left))


def leaving(interfaces: Iterable[Interface], there: Sequence[Uplink]) -> tuple[list[str], dict[str, list[str]]]:
    """(lines for chain `source`, the chains that they lead to), one chain for each IPv6 uplink that needs any."""
    wanted = {i.name: i for i in interfaces}
    chains: dict[str, list[str]] = {}
    ways: dict[str, str] = {}
    for uplink in there:
        if uplink.family == "ipv6" and uplink.device and device(uplink.device) not in ways:
            lines = _lines(wanted[uplink.name], uplink, there)
            if lines:
                ways[device(uplink.device)] = f"goto nat6_{uplink.id}"
                chains[f"nat6_{uplink.id}"] = lines
    entry = ", ".join(f"{name} : {verdict}" for name, verdict in ways.items())
    return ([f"meta nfproto ipv6 oifname vmap {{ {entry} }}"] if ways else []), chains


def new_source(uplink: Uplink) -> str:
    """The statement that gives a packet an address of `uplink`."""
    return "masquerade" if uplink.source is None else f"snat ip6 to {uplink.source}"


def _lines(interface: Interface, uplink: Uplink, there: Sequence[Uplink]) -> list[str]:
    how = plan(interface, uplink)
    keep = f"ip6 saddr {_set((_LINK_LOCAL, *how.own))} accept"
    if interface.nat6 is Nat6.OFF:
        others = [IPv6Network(p) for u in there if u.name != uplink.name for p in u.prefixes]
        # LAN hosts may have these too: only what the router sends itself is its own to put right.
        return [keep, f"ip6 saddr {_set(others)} fib saddr type local {new_source(uplink)}"] if others else []
    lines = [keep]
    if how.pairs:
        lines.append(f"fib saddr type local {new_source(uplink)}")
        table = ", ".join(f"{inner} : {outer}" for inner, outer in how.pairs)
        lines.append(f"snat ip6 prefix to ip6 saddr map {{ {table} }}")
    return [*lines, new_source(uplink)]


def _mapped(interface: Interface, lan: Sequence[IPv6Network], own: Sequence[IPv6Network]) -> list[IPv6Network]:
    """The LAN prefixes to map, in the order in which they choose."""
    wanted = [IPv6Network(p) for p in interface.nat6_from]
    wanted = wanted or [n for n in lan if _SHORTEST <= n.prefixlen <= _LONGEST]
    wanted = [n for n in dict.fromkeys(wanted) if not any(n.overlaps(o) for o in own)]
    outermost = [n for n in wanted if not any(n != o and n.subnet_of(o) for o in wanted)]
    return sorted(outermost, key=lambda n: (not n.subnet_of(_UNIQUE_LOCAL), n))


def _room(inner: IPv6Network, target: IPv6Network, taken: Sequence[IPv6Network]) -> IPv6Network | None:
    """A prefix of `inner`'s length inside `target` that touches nothing that is taken."""
    if target.prefixlen > inner.prefixlen:
        return None
    first, last = int(target.network_address), int(target.broadcast_address)
    own_number = int(inner.network_address) & int(target.hostmask)
    for start in (first + own_number, first):
        at = start
        while at <= last:
            candidate = IPv6Network((at, inner.prefixlen))
            block = next((t for t in taken if t.overlaps(candidate)), None)
            if block is None:
                return candidate
            at = max(int(block.broadcast_address), int(candidate.broadcast_address)) + 1
    return None


def _set(networks: Iterable[IPv6Network]) -> str:
    collapsed = [str(n) for n in collapse_addresses(networks)]
    return collapsed[0] if len(collapsed) == 1 else f"{{ {', '.join(collapsed)} }}"
