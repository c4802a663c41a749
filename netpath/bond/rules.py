# SPDX-License-Identifier: GPL-2.0-or-later
"""Bond rules: which way the packets of a flow go (docs/bond.md, "Rules"). Pure; nothing of it is on the wire.

What a packet is, is found out once for each flow, and then remembered with it. Later fragments have no ports: they go
the way of the first one of their packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from netpath.bond.schedule import Way
from netpath.bonding import BondRule
from netpath.model import AddressSpec, RangeSpec
from netpath.steering.interpret import PORT_PROTOCOLS, has_address, in_range

REMEMBERED = 8192
"""Flows whose way is known; then all of it is found out again."""
_SHORTEST = 20
_ICMP6 = 58
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS = 0, 43, 44, 60
_MORE, _OFFSET = 0x2000, 0x1FFF

Key = tuple[int, int, bytes]


class Facts(NamedTuple):
    """What rules look at."""

    family: str
    proto: int
    source: int
    dest: int
    ports: tuple[int, int] | None
    """Of source and destination; None: it has none, or they are in another fragment."""
    dscp: int
    fragment: Key | None
    """What all fragments of its packet have in common; None: it is whole."""


class Rules:
    """Of one sender."""

    def __init__(self, rules: Sequence[BondRule]) -> None:
        self._rules = [(rule, Way(rule.mode, rule.copies)) for rule in rules]
        self._known: dict[Key, Way | None] = {}

    def way(self, packet: bytes) -> Way | None:
        """Of the first rule that matches; None: as the bond goes."""
        if len(packet) < _SHORTEST:
            return None
        key = _key(packet)
        known = self._known
        try:
            return known[key] if key is not None else self._odd(packet)
        except KeyError:
            pass
        facts = read(packet)
        way = self._decided(facts) if facts is not None else None
        assert key is not None
        self._remember(key, way)
        return way

    def _odd(self, packet: bytes) -> Way | None:
        """What has options, extension headers or is a fragment."""
        facts = read(packet)
        if facts is None:
            return None
        if facts.fragment is not None and facts.ports is None and facts.fragment in self._known:
            return self._known[facts.fragment]
        way = self._decided(facts)
        if facts.fragment is not None and facts.ports is not None:
            self._remember(facts.fragment, way)
        return way

    def _remember(self, key: Key, way: Way | None) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = way

    def _decided(self, facts: Facts) -> Way | None:
        return next((way for rule, way in self._rules if matches(rule, facts)), None)


def matches(rule: BondRule, facts: Facts) -> bool:
    """Whether all criteria of a rule do."""
    return (
        in_range(rule.proto, facts.proto)
        and in_range(rule.dscp, facts.dscp)
        and _is_port(rule.src_port, facts.ports and facts.ports[0])
        and _is_port(rule.dest_port, facts.ports and facts.ports[1])
        and _is_address(rule.src_ip, facts.family, facts.source)
        and _is_address(rule.dest_ip, facts.family, facts.dest)
    )


def read(packet: bytes) -> Facts | None:
    """What a packet is; None: no IP, or cut off."""
    version = packet[0] >> 4
    if version == 4:
        return _read4(packet)
    return _read6(packet) if version == 6 and len(packet) >= 40 else None


def _key(packet: bytes) -> Key | None:
    """Flow and code point of ordinary packets."""
    first = packet[0]
    if first == 0x45 and not (packet[6] & 0x3F or packet[7]):
        proto = packet[9]
        return proto, packet[1] >> 2, packet[12 : 24 if proto in PORT_PROTOCOLS else 20]
    if first >> 4 == 6 and len(packet) >= 44:
        proto = packet[6]
        if proto in PORT_PROTOCOLS or proto == _ICMP6:
            dscp = (first & 0xF) << 2 | packet[1] >> 6
            return proto, dscp, packet[8 : 44 if proto != _ICMP6 else 40]
    return None


def _read4(packet: bytes) -> Facts | None:
    at = (packet[0] & 0xF) * 4
    if not 20 <= at <= len(packet):
        return None
    proto, place = packet[9], int.from_bytes(packet[6:8], "big")
    fragment = (proto, 0x100, packet[12:20] + packet[4:6]) if place & (_MORE | _OFFSET) else None
    ports = _ports(proto, packet, at) if not place & _OFFSET else None
    source, dest = int.from_bytes(packet[12:16], "big"), int.from_bytes(packet[16:20], "big")
    return Facts("ipv4", proto, source, dest, ports, packet[1] >> 2, fragment)


def _read6(packet: bytes) -> Facts | None:
    proto, at = packet[6], 40
    fragment = None
    first = True
    while proto in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _OPTIONS):
        if at + 8 > len(packet):
            return None
        following = packet[at]
        if proto == _FRAGMENT:
            fragment = (_FRAGMENT, 0x100, packet[8:40] + packet[at + 4 : at + 8])
            first = not int.from_bytes(packet[at + 2 : at + 4], "big") >> 3
            at += 8
        else:
            at += (packet[at + 1] + 1) * 8
        proto = following
        if not first:
            break
    ports = _ports(proto, packet, at) if first else None
    source, dest = int.from_bytes(packet[8:24], "big"), int.from_bytes(packet[24:40], "big")
    return Facts("ipv6", proto, source, dest, ports, (packet[0] & 0xF) << 2 | packet[1] >> 6, fragment)


def _ports(proto: int, packet: bytes, at: int) -> tuple[int, int] | None:
    if proto not in PORT_PROTOCOLS or len(packet) < at + 4:
        return None
    return int.from_bytes(packet[at : at + 2], "big"), int.from_bytes(packet[at + 2 : at + 4], "big")


def _is_port(spec: RangeSpec, port: int | None) -> bool:
    if not spec.any_of and not spec.none_of:
        return True
    return port is not None and in_range(spec, port)


def _is_address(spec: AddressSpec, family: str, address: int) -> bool:
    if not spec.any_of and not spec.none_of:
        return True
    # One that is only about the other family is of that family, as a `rule` with such addresses.
    of_family = any(match.family == family for match in spec.any_of or spec.none_of)
    return of_family and has_address(spec, family, address)


def for_peer(rules: Sequence[BondRule], name: str) -> tuple[BondRule, ...]:
    """Those of a server's rules that are for the client `name`."""
    return tuple(rule for rule in rules if not rule.peers or name in rule.peers)
