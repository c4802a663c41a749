# SPDX-License-Identifier: GPL-2.0-or-later
"""What rules mean, in plain words: the first one whose every criterion holds. The compiled form is held to this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec, Rule
from netpath.steering.names import domain_key

PORT_PROTOCOLS = frozenset((6, 17, 33, 132, 136))
"""tcp, udp, dccp, sctp, udplite: the protocols that have ports where nft's `th sport` looks for them."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A new connection's first packet, as it arrives."""

    family: str
    src: int
    dst: int
    proto: int
    """IANA protocol number."""
    sport: int
    """0 for protocols without ports."""
    dport: int
    iface: str | None
    """Ingress device; None for the router's own traffic, which no src_iface criterion matches, negated or not."""
    mac: str | None
    """Source MAC address, lower case; None for the router's own traffic and devices without such addresses."""
    dscp: int
    sets: frozenset[str]
    """Names of the rules' nft sets, and the `names.domain_key` of rules with domains, that hold the destination."""


def decide(rules: Sequence[Rule], flow: Flow) -> tuple[Rule | None, list[tuple[str, str]]]:
    """The rule that `flow` falls under, and for each rule before it its name and the first criterion that failed.

    Criteria have the names of the configuration's options. None when no rule matches.
    """
    rejected: list[tuple[str, str]] = []
    for rule in rules:
        failed = _first_failure(rule, flow)
        if failed is None:
            return rule, rejected
        rejected.append((rule.name, failed))
    return None, rejected


def _first_failure(rule: Rule, flow: Flow) -> str | None:
    return next((name for name, holds in _CRITERIA if not holds(rule, flow)), None)


def _family(rule: Rule, flow: Flow) -> bool:
    return rule.family in (flow.family, "any")


def _proto(rule: Rule, flow: Flow) -> bool:
    asks_for_ports = rule.src_port != RangeSpec() or rule.dest_port != RangeSpec()
    return in_range(rule.proto, flow.proto) and not (asks_for_ports and flow.proto not in PORT_PROTOCOLS)


def in_range(spec: RangeSpec, value: int) -> bool:
    """Whether a number is one that is wanted, and none that is not."""
    wanted = not spec.any_of or any(first <= value <= last for first, last in spec.any_of)
    return wanted and not any(first <= value <= last for first, last in spec.none_of)


def has_address(spec: AddressSpec, family: str, address: int) -> bool:
    """The same of an address."""

    def matches(pattern: AddressMatch) -> bool:
        return pattern.family == family and address & pattern.mask == pattern.value

    return (not spec.any_of or any(map(matches, spec.any_of))) and not any(map(matches, spec.none_of))


def _has_name(spec: NameSpec, name: str | None) -> bool:
    if spec == NameSpec():
        return True
    return name is not None and (not spec.any_of or name in spec.any_of) and name not in spec.none_of


_CRITERIA: tuple[tuple[str, Callable[[Rule, Flow], bool]], ...] = (
    ("family", _family),
    ("proto", _proto),
    ("src_ip", lambda rule, flow: has_address(rule.src_ip, flow.family, flow.src)),
    ("dest_ip", lambda rule, flow: has_address(rule.dest_ip, flow.family, flow.dst)),
    ("src_port", lambda rule, flow: in_range(rule.src_port, flow.sport)),
    ("dest_port", lambda rule, flow: in_range(rule.dest_port, flow.dport)),
    ("src_iface", lambda rule, flow: _has_name(rule.src_iface, flow.iface)),
    ("src_mac", lambda rule, flow: _has_name(rule.src_mac, flow.mac)),
    ("dscp", lambda rule, flow: in_range(rule.dscp, flow.dscp)),
    ("nft_set", lambda rule, flow: rule.nft_set is None or rule.nft_set in flow.sets),
    ("domain", lambda rule, flow: not rule.domains or domain_key(rule.name, rule.domains) in flow.sets),
)
