# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration texts for a lab's uplinks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netpath.lab.plan import SERVERS, Uplink

Value = str | int | float | Sequence[str]

FAST: Mapping[str, Value] = {
    "track_method": "ping",
    "interval": "100ms",
    "failure_interval": "100ms",
    "recovery_interval": "100ms",
    "down": 3,
    "up": 3,
}
"""Tracking that notices a silent failure in about 0.4 s."""


def section(kind: str, name: str, options: Mapping[str, Value]) -> str:
    """One UCI section; a sequence becomes a list."""
    lines = [f"config {kind} '{name}'"]
    for key, value in options.items():
        if isinstance(value, str | int | float):
            lines.append(f"\toption {key} '{value}'")
        else:
            lines += [f"\tlist {key} '{item}'" for item in value]
    return "\n".join(lines) + "\n"


def config(
    uplinks: Iterable[Uplink],
    *,
    mode: str = "balanced",
    last_resort: str = "unreachable",
    weights: Mapping[str, int] | None = None,
    metrics: Mapping[str, int] | None = None,
    options: Mapping[str, Value] | None = None,
    per_interface: Mapping[str, Mapping[str, Value]] | None = None,
    globals_: Mapping[str, Value] | None = None,
    rules: str | None = None,
    extra: str = "",
) -> str:
    """UCI text: an interface and a member section per uplink and family, policy `all` of them, rule `everything`.

    weights, metrics  by uplink (device) name; 1 unless given
    options           of every interface section, over `FAST`; two servers are tracked unless they say otherwise
    per_interface     by section name, over those
    rules             replaces the rule section; extra is appended
    """
    parts = [section("globals", "globals", {"enabled": 1, **(globals_ or {})})]
    members = []
    for uplink in uplinks:
        metric, weight = (metrics or {}).get(uplink.name, 1), (weights or {}).get(uplink.name, 1)
        for family in uplink.families:
            name = uplink.interface(family)
            track: dict[str, Value] = {"track_targets": SERVERS[family][:2], **FAST, **(options or {})}
            own: dict[str, Value] = {"enabled": 1, "ifname": uplink.name, "family": family}
            parts.append(section("interface", name, {**own, **track, **(per_interface or {}).get(name, {})}))
            members.append(f"{name}_m{metric}_w{weight}")
            parts.append(section("member", members[-1], {"interface": name, "metric": metric, "weight": weight}))
    parts.append(section("policy", "all", {"members": members, "mode": mode, "last_resort": last_resort}))
    parts.append(section("rule", "everything", {"policy": "all"}) if rules is None else rules)
    return "\n".join([*parts, extra] if extra else parts)
