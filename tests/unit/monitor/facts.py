# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scrape of a busy router reads: something of every family."""

from __future__ import annotations

import os
from typing import Any

from netpath.monitor.metrics.counts import Counts
from netpath.monitor.metrics.facts import Facts
from tests.monitor.metrics.own import OWN

TARGETS = [
    {
        "target": "203.0.113.1",
        "latency": 12.5,
        "jitter": 0.25,
        "loss": 2.0,
        "sent": 100,
        "lost": 2,
        "sent_total": 5000,
        "answered_total": 4990,
    },
    {
        "target": "203.0.113.2",
        "latency": None,
        "jitter": None,
        "loss": 0.0,
        "sent": 0,
        "lost": 0,
        "sent_total": 0,
        "answered_total": 0,
    },
]
METRICS = {
    "latency": 12.5,
    "jitter": 0.25,
    "loss": 2.0,
    "rx_bytes": 10**15,
    "tx_bytes": 2000,
    "rx_packets": 30,
    "tx_packets": 40,
    "connections": 12,
    "new_flows": 345,
    "new_bytes": 67890,
    "targets": TARGETS,
}


def interface(name: str, **more: Any) -> dict[str, Any]:
    row = {
        "name": name,
        "status": "online",
        "enabled": True,
        "up": True,
        "tracking": "active",
        "track_ip": [{"ip": "203.0.113.1", "status": "up"}, {"ip": "203.0.113.2", "status": "unknown"}],
        "family": "ipv4",
        "device": f"eth-{name}",
        "gateway": "192.0.2.1",
        "score": 10,
        "since": 1700000000.125,
    }
    return {**row, **more}


def member(interface: str, percent: int, status: str = "online", *, is_open: bool = True) -> dict[str, Any]:
    return {
        "name": f"{interface}_m",
        "interface": interface,
        "status": status,
        "ipv4": percent,
        "ipv6": 0,
        "open": is_open,
    }


def bond(**more: Any) -> dict[str, Any]:
    """A reply of docs/bond.md: one peer, two paths by one link and one by another that is down."""
    path = {"link": "dsl", "state": "up", "rtt": 20.0, "loss_out": 5.0, "loss_in": 0.0, "rate": 1e6}
    peer = {
        "name": "server",
        "state": "up",
        "rx_bytes": 1000,
        "tx_bytes": 2000,
        "recovered": 3,
        "repairs_sent": 4,
        "given_up": 5,
        "headless": 6,
        "faulty": 7,
        "paths": [path, {**path, "rtt": 30.0, "loss_out": 15.0}, {**path, "link": "lte", "state": "down", "rtt": None}],
    }
    return {"name": "vps", "unknown": 8, "refused": 9, "rejected": 10, "peers": [{**peer, **more}]}


def facts(**more: Any) -> Facts:
    counts = Counts()
    for to in ("offline", "connecting", "online", "offline"):
        counts.add({"seq": 1, "kind": "interface", "interface": "wan", "from": "online", "to": to, "reason": ""})
    known: dict[str, Any] = {
        "tracker_up": True,
        "pid": os.getpid(),
        "version": {"version": "1.2.3", "python": "3.11.7", "kernel": "6.1.0", "nftables": "1.0.6"},
        "interfaces": [
            interface("wan"),
            interface("lte", status="offline", gateway=None, device=None),
            interface("wan_6", family="ipv6", status="disconnecting", enabled=False),
        ],
        "metrics": {"wan": METRICS, "lte": {**METRICS, "latency": None, "connections": None, "targets": []}},
        "steered": ["ipv4", "ipv6"],
        "policies": [
            {
                "name": "all",
                "mode": "balanced",
                "last_resort": "unreachable",
                "members": [member("wan", 100), member("wan", 0, is_open=False), member("lte", 0, "offline")],
                "active": {"ipv4": ["wan"], "ipv6": []},
            }
        ],
        "members": {
            "lte_m": {
                "interface": "lte",
                "open": False,
                "until": 1800000000,
                "quota": {"used": 9 * 10**9, "limit": 10**10, "resets": 1800000000, "since": 1700000000},
            },
            "night": {"interface": "wan", "open": True, "until": None, "quota": None},
        },
        "rules": {"https": (12, 3456), "rest of it": (0, 0)},
        "unmatched": {"ipv4": (7, 420)},
        "bonds": [bond()],
    }
    return Facts(OWN, counts, **{**known, **more})
