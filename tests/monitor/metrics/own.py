# SPDX-License-Identifier: GPL-2.0-or-later
"""A reply of the monitor with everything in it that docs/monitor.md knows."""

from __future__ import annotations

from typing import Any

HEALTHY = {
    "status": "healthy",
    "uptime": 99.5,
    "attempts": 3,
    "successes": 2,
    "failures": 1,
    "consecutive_failures": 0,
    "last_success": 1700000000.5,
    "last_failure": 1699990000.0,
    "reason": "the connection was closed",
}
FAILING = {**HEALTHY, "status": "failing", "consecutive_failures": 4, "uptime": 12.0}
SPEEDS = {"direct_up": 1, "direct_down": 2, "proxy_up": 3, "proxy_down": 4, "wan_up": None, "wan_down": None}

OWN: dict[str, Any] = {
    "running": True,
    "since": 1699980000.0,
    "speeds": {**SPEEDS, "wan_up": 5, "wan_down": 6},
    "sources": [
        {
            "name": "home",
            "type": "clash",
            "target": "ws://192.0.2.1:9090/connections",
            **HEALTHY,
            "next_attempt": None,
            "speeds": SPEEDS,
            "connections": 17,
            "interfaces": {},
        },
        {
            "name": "office",
            "type": "openwrt",
            "target": "http://192.0.2.2/ubus",
            **FAILING,
            "next_attempt": 3.5,
            "speeds": {**dict.fromkeys(SPEEDS), "wan_up": 5, "wan_down": 6},
            "connections": None,
            "interfaces": {"wan": {"up": 5, "down": 6}},
        },
    ],
    "server": {
        "addresses": ["0.0.0.0"],
        "port": 17890,
        **HEALTHY,
        "limit": 64,
        "refused": 2,
        "clients": [{"address": "192.0.2.9", "port": 17891, "since": 1700000000, "last": 1700000010, "sent": 10}],
    },
    "metrics": {"addresses": ["127.0.0.1", "::1"], "port": 9478, **HEALTHY, "scrapes": 12},
    "broker": {"target": "192.0.2.3:1883", **HEALTHY, "published": 44},
    "notify": [
        {
            "name": "chat",
            "type": "webhook",
            "target": "https://192.0.2.4",
            **HEALTHY,
            "sent": 5,
            "held": 1,
            "dropped": 0,
        }
    ],
}
