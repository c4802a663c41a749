# SPDX-License-Identifier: GPL-2.0-or-later
"""The chains that no user rule changes: a packet's way in, the router's own traffic, and what a decision does.

The order of steps is for the packets of established connections: the first step finds that theirs has been decided, and
then they only get its mark, or nothing when they come from its uplink.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_address, ip_interface, ip_network

from netpath.model import Uplink
from netpath.steering.marks import MarkSpace, sharing_a_device
from netpath.steering.names import device, digit
from netpath.steering.policy import ADDRESS, FAMILIES
from netpath.steering.resolvers import CHAIN, QUESTIONS
from netpath.steering.translate import new_source

Chains = dict[str, list[str]]

HOOKS = {
    "prerouting": "type filter hook prerouting priority mangle; policy accept;",
    "output": "type route hook output priority mangle; policy accept;",
    "source": "type nat hook postrouting priority srcnat - 5; policy accept;",
}
"""Base chains. Our source NAT comes before fw4's, whose masquerading would otherwise be the first to decide."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What these chains are made from."""

    marks: MarkSpace
    uplinks: Sequence[Uplink]
    """All that are configured."""
    there: Sequence[Uplink]
    """Those that are enabled and have a device."""
    down: Sequence[Uplink]
    """Those that are enabled and have none, but are known to be on a `port`. The main table may go on sending the
    router's own packets to one without a carrier; and one that comes back gets packets before its load is done."""
    families: Sequence[str]
    """Families that NetPath steers; packets of others pass."""
    more_tables: bool
    """Whether routing tables beside main win over the rules."""
    resolvers: bool
    """Whether some uplink has DNS servers of its own."""

    @property
    def ports(self) -> list[str]:
        """Devices of enabled uplinks."""
        return [name for u in (*self.there, *self.down) if (name := u.device or u.port)]


_FEW = 5
"""Comparisons that are together no dearer than one lookup in a verdict map."""


def entry(standing: Standing) -> Chains:
    """Packets that come in, up to the user's rules."""
    marks, uplinks = standing.marks, standing.uplinks
    clear = f"meta mark set meta mark & {marks.keep:#x}"
    # With this mark a route is found only where one other than a default route leads there. When none does the mark
    # stays on: every way out of the rules writes another one. Tables beside main are looked up for marked packets only,
    # so that with such tables the packet needs a mark to be routed as the test found.
    no_default = [
        f"meta mark set {_with('meta', marks, marks.unreachable)}",
        f"fib daddr . mark oif exists {'goto w_def' if standing.more_tables else f'{clear} accept'}",
    ]
    return {
        # From an uplink: only the connection is marked, so that reverse path checks see the packet as the kernel does.
        "prerouting": [
            *_restore(standing),
            *_device_map("iifname", [*standing.there, *standing.down], "in"),  # of one device, who is there goes first
            f"meta mark & {marks.mask:#x} != 0 jump inherited",
            "goto classify",
        ],
        **{
            f"in_{u.id}": [f"ct mark & {marks.mask:#x} == 0 ct mark set {_with('ct', marks, marks.of(u.id))}"]
            for u in uplinks
        },
        **{
            f"set_{u.id}": [
                *_unless_from({u.device} if u in standing.there else ()),
                f"meta mark set {_with('meta', marks, marks.of(u.id))}",
            ]
            for u in uplinks
        },
        "set_def": [
            *_unless_from(u.device for u in standing.there),
            f"meta mark set {_with('meta', marks, marks.default)}",
        ],
        "inherited": [f"meta mark & {marks.mask:#x} == {marks.default:#x} goto opted_out", clear],
        "opted_out": [f"ct mark set {_with('ct', marks, marks.default)}", "accept"],
        "classify": [
            "ct state established,related accept",
            *_others(standing.families),
            *(["meta nfproto ipv6 goto classify_6"] if "ipv6" in standing.families else []),
            # Only the kernel's table of local addresses is asked: what is not in there is unicast.
            "fib daddr type != unicast accept",
            *no_default,
            "goto rules_4",
        ],
        "classify_6": ["jump direct", *no_default, "goto rules_6"],
        "direct": ["meta nfproto ipv6 jump direct_6", "fib daddr type { local, broadcast, multicast, anycast } accept"],
        "direct_6": [
            "ip6 saddr fe80::/10 accept",
            "ip6 daddr fe80::/10 accept",
            "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, "
            "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept",
        ],
    }


def own_traffic(standing: Standing) -> Chains:
    """Packets that the router itself sends, up to the user's rules, and the source address that they leave with."""
    marks, there = standing.marks, standing.there
    devices = _device_set(standing.ports)
    return {
        "output": [
            *_probes_of_shared_devices(standing),
            f"meta mark & {marks.mask:#x} != 0 jump inherited",
            # Before the connection's mark counts: also a question under way is not for a dead uplink's server.
            *([f"oifname {devices} {QUESTIONS} jump {CHAIN}"] if standing.resolvers and devices else []),
            # Before the next rule: a reply to what came in by an uplink leaves by it even if the main default does not.
            *_restore(standing),
            f"oifname != {devices} accept" if devices else "accept",
            "udp sport 68 udp dport 67 accept",
            "udp sport 546 udp dport 547 accept",
            "goto classify_out",
        ],
        "classify_out": ["ct state established,related accept", *_others(standing.families), "jump direct", "goto use"],
        "use": ["goto bound"],
        "bound": [
            *_prefix_accepts(there),
            *_source_maps(there),
            *_device_map("oifname", [u for u in there if not u.main_default], "w"),
            "goto by_family",
        ],
        **_source(there),
    }


def verdicts(standing: Standing) -> Chains:
    """What each possible decision does. The packet's mark comes first: without a connection the rest does not apply."""
    marks = standing.marks
    return {
        **{
            f"w_{u.id}": [
                f"counter name wan_{u.id} meta mark set {_with('meta', marks, marks.of(u.id))} "
                f"ct mark set {_with('ct', marks, marks.of(u.id))}"
            ]
            for u in standing.uplinks
        },
        "w_def": [
            f"meta mark set {_with('meta', marks, marks.default)} ct mark set {_with('ct', marks, marks.default)}"
        ],
        "w_rej": ["meta l4proto tcp reject with tcp reset", "reject with icmpx type no-route"],
        "w_drop": ["drop"],
    }


def _probes_of_shared_devices(standing: Standing) -> list[str]:
    """A mark on a socket means more than one on a packet: that may be a tunnel's, inherited from what it carries."""
    mask = f"& {standing.marks.mask:#x} =="
    return [
        f"meta mark {mask} {mark:#x} socket mark {mask} {mark:#x} oifname {device(u.device or '')} goto opted_out"
        for u in sharing_a_device(standing.there)
        for mark in (standing.marks.of(u.id),)
    ]


def _with(kind: str, marks: MarkSpace, value: int) -> str:
    return f"{kind} mark & {marks.keep:#x} | {value:#x}"


def _restore(standing: Standing) -> list[str]:
    """To what a decided connection's packets get: comparisons while they are few, as each costs a fifth of a lookup."""
    marks = standing.marks
    ways = [(marks.of(u.id), f"set_{u.id}") for u in standing.uplinks] + [(marks.default, "set_def")]
    if len(ways) <= _FEW:
        return [f"ct mark & {marks.mask:#x} == {mark:#x} goto {chain}" for mark, chain in ways]
    return [f"ct mark & {marks.mask:#x} vmap {{ {', '.join(f'{mark:#x} : goto {chain}' for mark, chain in ways)} }}"]


def _unless_from(devices: Iterable[str | None]) -> list[str]:
    names = _device_set(devices)
    return [f"iifname {names} accept"] if names else []


def _others(families: Sequence[str]) -> list[str]:
    """Packets of families that are not ours to steer go their way."""
    return [f"meta nfproto {family} accept" for family in FAMILIES if family not in families]


def _device_map(key: str, uplinks: Sequence[Uplink], chain: str) -> list[str]:
    """To the chain of the uplink of a family and device; of several uplinks on one device, the first."""
    ways: dict[str, int] = {}
    for u in uplinks:
        ways.setdefault(f"{u.family} . {device(u.device or u.port or '')}", u.id)
    if not ways:
        return []
    return [f"meta nfproto . {key} vmap {{ {', '.join(f'{k} : goto {chain}_{n}' for k, n in ways.items())} }}"]


def _device_set(devices: Iterable[str | None]) -> str:
    names = [device(d) for d in dict.fromkeys(devices) if d]
    return names[0] if len(names) == 1 else f"{{ {', '.join(names)} }}" if names else ""


def _prefix_accepts(there: Sequence[Uplink]) -> list[str]:
    """Destinations on an uplink's own links and static routes: marking them would change nothing."""
    lines = []
    for family in FAMILIES:
        prefixes = [ip_network(p) for u in there if u.family == family for p in u.connected]
        if prefixes:
            # collapse_addresses wants one version, which the family has seen to.
            collapsed = collapse_addresses(prefixes)  # type: ignore[type-var]
            key = "ip daddr" if family == "ipv4" else "ip6 daddr"
            lines.append(f"{key} {{ {', '.join(map(str, collapsed))} }} accept")
    return lines


def _source_maps(there: Sequence[Uplink]) -> list[str]:
    """A program that bound the address of an uplink means that uplink.

    Not so the main default's: it may just have been the kernel's choice for a socket that bound nothing.
    """
    lines = []
    for family in FAMILIES:
        ways: dict[str, int] = {}
        for u in there:
            if u.family == family and not u.main_default:
                for a in _addresses(u):
                    ways.setdefault(a, u.id)
        if ways:
            lines.append(f"{ADDRESS[family]} vmap {{ {', '.join(f'{a} : goto w_{n}' for a, n in ways.items())} }}")
    return lines


def _source(there: Sequence[Uplink]) -> Chains:
    """An address of one uplink must not leave by another. These addresses are the router's own: it sent the packet."""
    wanted: Chains = {"source": []}
    for family in FAMILIES:
        ours = [u for u in there if u.family == family]
        everywhere = list(dict.fromkeys(a for u in ours for a in _addresses(u)))
        chain = f"source_{digit(family)}"
        lines = []
        for name in dict.fromkeys(u.device for u in ours):
            here = {a for u in ours if u.device == name for a in _addresses(u)}
            foreign = [a for a in everywhere if a not in here]
            if foreign:
                way = new_source(next(u for u in ours if u.device == name))
                lines.append(f"oifname {device(name or '')} {ADDRESS[family]} {{ {', '.join(foreign)} }} {way}")
        if lines:
            # Every new connection comes by here: one look at its address is all that most of them get.
            wanted["source"].append(f"{ADDRESS[family]} {{ {', '.join(everywhere)} }} goto {chain}")
            wanted[chain] = lines
    return wanted


def _addresses(uplink: Uplink) -> list[str]:
    return [str(ip_interface(a).ip) for a in uplink.addresses if not ip_address(a.partition("/")[0]).is_link_local]
