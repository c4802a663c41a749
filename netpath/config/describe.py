# SPDX-License-Identifier: GPL-2.0-or-later
"""A rule's criteria in the words of the configuration: "proto tcp dest_port 443"."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from netpath.config.values import PROTOCOLS
from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec, Rule

_PROTOCOL_NAMES = {number: name for name, number in reversed(PROTOCOLS.items())}


def describe(rule: Rule) -> str:
    """Option names and values, items separated by commas; each value reads back to its criterion. "any" if none."""
    criteria = (
        ("proto", _protocols(rule.proto)),
        ("src_ip", _addresses(rule.src_ip)),
        ("src_port", _ranges(rule.src_port)),
        ("src_iface", _names(rule.src_iface)),
        ("src_mac", _names(rule.src_mac)),
        ("dest_ip", _addresses(rule.dest_ip)),
        ("dest_port", _ranges(rule.dest_port)),
        ("dscp", _ranges(rule.dscp)),
        ("nft_set", rule.nft_set or ""),
        ("domain", ",".join(rule.domains)),
    )
    return " ".join(f"{option} {value}" for option, value in criteria if value) or "any"


def address_text(match: AddressMatch) -> str:
    """192.0.2.1, 192.0.2.0/24, or with the mask written out where it has gaps."""
    family, bits = (socket.AF_INET, 32) if match.family == "ipv4" else (socket.AF_INET6, 128)
    address = socket.inet_ntop(family, match.value.to_bytes(bits // 8, "big"))
    length = match.mask.bit_count()
    if match.mask >> (bits - length) != (1 << length) - 1:
        return f"{address}/{socket.inet_ntop(family, match.mask.to_bytes(bits // 8, 'big'))}"
    return address if length == bits else f"{address}/{length}"


def _addresses(spec: AddressSpec) -> str:
    return _join([address_text(match) for match in spec.any_of], [address_text(match) for match in spec.none_of])


def _names(spec: NameSpec) -> str:
    return _join(spec.any_of, spec.none_of)


def _ranges(spec: RangeSpec) -> str:
    return _join(_range_texts(spec.any_of), _range_texts(spec.none_of))


def _range_texts(ranges: Sequence[tuple[int, int]]) -> list[str]:
    return [str(low) if low == high else f"{low}-{high}" for low, high in ranges]


def _protocols(spec: RangeSpec) -> str:
    return _join(_protocol_names(spec.any_of), _protocol_names(spec.none_of))


def _protocol_names(ranges: Sequence[tuple[int, int]]) -> list[str]:
    # The configuration has no ranges of protocols; neighbours such as esp and ah come as one.
    return [_PROTOCOL_NAMES.get(n, str(n)) for low, high in ranges for n in range(low, high + 1)]


def _join(any_of: Sequence[str], none_of: Sequence[str]) -> str:
    return ",".join([*any_of, *(f"!{item}" for item in none_of)])
