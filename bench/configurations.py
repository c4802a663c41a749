# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations that the measurements load. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netpath.lab.uci import Value, section

UNTRACKED: Mapping[str, Value] = {"track_method": "none"}


def rules(count: int, last: str, policies: Sequence[str] = ()) -> str:
    """`count` rules in four blocks, each of another shape, as people write them; `policies` (else `last`) take turns.

    The last rule matches everything and uses policy `last`. It decides all traffic of the measurements: no packet has
    a longer way through the rules.
    """
    shapes = [_rule(i * 4 // (count - 1), i) for i in range(count - 1)]
    chosen = policies or (last,)
    texts = [
        section("rule", f"rule{i}", {**options, "policy": chosen[i % len(chosen)]}) for i, options in enumerate(shapes)
    ]
    return "\n".join([*texts, section("rule", "everything", {"policy": last})])


def _rule(shape: int, i: int) -> dict[str, Value]:
    """None of these matches what the measurements send: UDP from the LAN to the low ports of 203.0.113.201."""
    if shape == 0:
        return {"proto": "tcp", "dest_port": str(1000 + i)}
    if shape == 1:
        return {"family": "ipv4", "src_ip": f"198.51.100.{i % 250 + 1}", "proto": "tcp", "src_port": str(1000 + i)}
    if shape == 2:
        return {"family": "ipv6", "dest_ip": f"2001:db8:5::{i:x}"}
    ports = f"{10000 + 5 * i}-{10003 + 5 * i}"
    return {"family": "ipv4", "proto": "udp", "dest_ip": f"203.0.113.{i % 200 + 1}", "dest_port": ports}


def policies(names: Sequence[str], members: Sequence[str], mode: str = "balanced") -> str:
    """Policies that all have the same members."""
    return "\n".join(section("policy", name, {"members": members, "mode": mode}) for name in names)


def member(name: str, interface: str, metric: int = 1) -> str:
    """One member section."""
    return section("member", name, {"interface": interface, "metric": metric})
