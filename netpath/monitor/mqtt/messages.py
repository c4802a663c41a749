# SPDX-License-Identifier: GPL-2.0-or-later
"""What is published: topics and retained payloads out of the replies of tracker and monitor (docs/monitor.md). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netpath.monitor.mqtt.names import level, words

ONLINE, OFFLINE = "online", "offline"
"""Payloads of the topics of availability; Home Assistant's defaults."""
SPEEDS = ("direct_up", "direct_down", "proxy_up", "proxy_down", "wan_up", "wan_down")


@dataclass(frozen=True, slots=True)
class Site:
    """What the tracker says at one time: its replies to `status` (interfaces), `metrics`, `policies`."""

    interfaces: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    policies: tuple[Mapping[str, Any], ...]

    def limited(self) -> dict[str, Mapping[str, Any]]:
        """Members with a schedule or a quota, by name."""
        members = (member for policy in self.policies for member in policy["members"])
        return {member["name"]: member for member in members if member["window"] or member["quota"]}


@dataclass(frozen=True, slots=True)
class Topics:
    """Where everything of one router is."""

    base: str

    @property
    def availability(self) -> str:
        return f"{self.base}/availability"

    @property
    def tracker(self) -> str:
        return f"{self.base}/tracker"

    @property
    def monitor(self) -> str:
        return f"{self.base}/monitor"

    @property
    def event(self) -> str:
        return f"{self.base}/event"

    @property
    def marker(self) -> str:
        return f"{self.base}/marker"

    def interface(self, name: str, what: str) -> str:
        return f"{self.base}/interface/{level(name)}/{what}"

    def member(self, name: str, what: str) -> str:
        return f"{self.base}/member/{level(name)}/{what}"

    def policy(self, name: str, family: str) -> str:
        return f"{self.base}/policy/{level(name)}/{family}"


def of_site(topics: Topics, site: Site) -> Iterator[tuple[str, str]]:
    """Topics and payloads of what the tracker knows; states first."""
    for name, row in site.interfaces.items():
        yield topics.interface(name, "state"), row["status"]
    for name, member in site.limited().items():
        yield topics.member(name, "state"), "open" if member["open"] else "closed"
    for policy in site.policies:
        for family, active in policy["active"].items():
            yield topics.policy(policy["name"], family), _json(_policy(policy, family, active))
    for name, row in site.interfaces.items():
        yield topics.interface(name, "attributes"), _json(_interface(name, row, site.metrics.get(name, {})))
    for name, member in site.limited().items():
        yield topics.member(name, "attributes"), _json(_member(name, member))


def of_monitor(own: Mapping[str, Any]) -> str:
    """The payload of what the monitor knows: its speeds, and how its sources are."""
    sources = {
        level(row["name"]): {
            "name": row["name"],
            "type": row["type"],
            "status": row["status"],
            "reason": None if row["reason"] is None else words(row["reason"]),
            "uptime": round(row["uptime"]),
            "connections": row["connections"],
        }
        for row in own["sources"]
    }
    return _json({**{name: own["speeds"][name] for name in SPEEDS}, "sources": sources})


def of_event(event: Mapping[str, Any]) -> str:
    """The payload of an event of the tracker."""
    return _json({key: words(value) if isinstance(value, str) else value for key, value in event.items()})


def _interface(name: str, row: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "family": row["family"],
        "device": row["device"],
        "gateway": row["gateway"],
        "reason": words(row["reason"]),
        "since": round(row["since"]),
        "latency": _rounded(row["latency"], 1),
        "jitter": _rounded(row["jitter"], 1),
        "loss": _rounded(row["packetloss"], 1),
        "rx_rate": _rounded(metrics.get("rx_rate")),
        "tx_rate": _rounded(metrics.get("tx_rate")),
        "rx_bytes": metrics.get("rx_bytes"),
        "tx_bytes": metrics.get("tx_bytes"),
        "connections": metrics.get("connections"),
    }


def _member(name: str, member: Mapping[str, Any]) -> dict[str, Any]:
    quota = member["quota"] or {}
    used, limit = quota.get("used"), quota.get("limit")
    return {
        "name": name,
        "interface": member["interface"],
        "reason": words(member["reason"]),
        "until": member["until"],
        "window": member["window"],
        "used": used,
        "limit": limit,
        "percent": round(100 * used / limit, 1) if used is not None and limit else None,
        "resets": quota.get("resets"),
    }


def _policy(policy: Mapping[str, Any], family: str, active: list[str]) -> dict[str, Any]:
    """`active`: interfaces that get new connections; `shares`: their percentages."""
    shares: dict[str, int] = {}
    for member in policy["members"]:
        if member[family]:
            shares[member["interface"]] = shares.get(member["interface"], 0) + member[family]
    return {
        "name": policy["name"],
        "mode": policy["mode"],
        "last_resort": policy["last_resort"],
        "active": active,
        "shares": shares,
    }


def _rounded(value: float | None, digits: int = 0) -> float | None:
    if value is None:
        return None
    return round(value, digits) if digits else round(value)


def _json(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"))
