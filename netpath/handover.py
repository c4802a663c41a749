# SPDX-License-Identifier: GPL-2.0-or-later
"""What an `apply` worker hands back to the tracker: plain JSON, so that the tracker never parses a configuration.

Rules stay behind: the tracker only needs their number, and the sticky ones (in the steering view).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from netpath.model import Globals, Interface, Nat6, Quality, State, Tracking, TrackMethod, Uplink
from netpath.steering.policy import SteeringView


@dataclass(frozen=True, slots=True)
class Applied:
    """The configuration and the world as they stand in the kernel now."""

    globals: Globals
    interfaces: tuple[Interface, ...]
    view: SteeringView
    families: tuple[str, ...]
    """Families that are steered; any other is left to the main table."""
    uplinks: tuple[Uplink, ...]
    up: Mapping[str, bool]
    """Interface -> whether the kernel has all that it needs (device, carrier, address, gateway)."""
    reasons: Mapping[str, str]
    """Interface -> why it is (not) up, in words."""
    usable: frozenset[str]
    """The interfaces that the loaded policies use."""
    rules: int
    removed: int
    """Routes and ip rules of ours that this load took away."""
    warnings: tuple[Mapping[str, Any], ...]
    sources: Mapping[str, str | None]
    """Logical interface that rules name in `src_iface` -> its device, as loaded."""
    load: str
    """The loaded text's name, the comment in chain `loaded`; empty when nothing is to stand."""
    settle: bool
    """Whether the job `dnsmasq` has something to do now."""


def encode(applied: Applied) -> dict[str, Any]:
    """JSON-ready form of `applied`."""
    return {
        "globals": asdict(applied.globals),
        "interfaces": [asdict(i) for i in applied.interfaces],
        "view": applied.view.to_json(),
        "families": list(applied.families),
        "uplinks": [asdict(u) for u in applied.uplinks],
        "up": dict(applied.up),
        "reasons": dict(applied.reasons),
        "usable": sorted(applied.usable),
        "rules": applied.rules,
        "removed": applied.removed,
        "warnings": [dict(w) for w in applied.warnings],
        "sources": dict(applied.sources),
        "load": applied.load,
        "settle": applied.settle,
    }


def decode(data: Mapping[str, Any]) -> Applied:
    """Inverse of `encode`. Raises KeyError or TypeError when the worker was of another version."""
    return Applied(
        globals=Globals(**_tuples(data["globals"])),
        interfaces=tuple(_interface(i) for i in data["interfaces"]),
        view=SteeringView.from_json(data["view"]),
        families=tuple(data["families"]),
        uplinks=tuple(Uplink(**_tuples(u)) for u in data["uplinks"]),
        up=data["up"],
        reasons=data["reasons"],
        usable=frozenset(data["usable"]),
        rules=data["rules"],
        removed=data["removed"],
        warnings=tuple(data["warnings"]),
        sources=data["sources"],
        load=data["load"],
        settle=data["settle"],
    )


def _interface(data: Mapping[str, Any]) -> Interface:
    tracking = _tuples(data["tracking"])
    tracking["method"] = TrackMethod(tracking["method"])
    tracking["quality"] = Quality(**tracking["quality"]) if tracking["quality"] else None
    fields = _tuples(data)
    fields["tracking"] = Tracking(**tracking)
    fields["initial_state"] = State(fields["initial_state"])
    fields["nat6"] = Nat6(fields["nat6"])
    return Interface(**fields)


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; the model has tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
