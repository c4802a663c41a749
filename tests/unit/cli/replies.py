# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies as a tracker with three uplinks would send them, and the local jobs' ones."""

from __future__ import annotations

from typing import Any

WAN: dict[str, Any] = {
    "age": 753,
    "online": 753,
    "offline": 0,
    "uptime": 781,
    "score": 8,
    "lost": 0,
    "turn": 42,
    "status": "online",
    "enabled": True,
    "running": True,
    "tracking": "active",
    "up": True,
    "track_ip": [
        {"ip": "198.51.100.1", "status": "up", "latency": 12, "packetloss": 0},
        {"ip": "198.51.100.2", "status": "down", "latency": 0, "packetloss": 100},
    ],
    "id": 1,
    "family": "ipv4",
    "device": "eth1",
    "gateway": "192.0.2.1",
    "addresses": ["192.0.2.10/24"],
    "latency": 12.345,
    "jitter": 0.4,
    "packetloss": 2.5,
    "reason": "",
    "since": 1700000000.0,
}
WAN2: dict[str, Any] = {
    **WAN,
    "status": "offline",
    "online": 0,
    "offline": 75,
    "uptime": 0,
    "up": False,
    "running": False,
    "track_ip": [],
    "id": 2,
    "device": "eth2",
    "gateway": None,
    "addresses": [],
    "latency": None,
    "jitter": None,
    "packetloss": None,
    "reason": "device eth2 has no carrier",
}
LTE: dict[str, Any] = {
    **WAN2,
    "status": "disabled",
    "tracking": "disabled",
    "offline": 0,
    "id": 3,
    "device": None,
    "reason": "disabled",
}

POLICIES: dict[str, Any] = {
    "policies": [
        {
            "name": "balanced",
            "mode": "balanced",
            "last_resort": "unreachable",
            "members": [
                {
                    "name": "wan_m1_w3",
                    "interface": "wan",
                    "metric": 1,
                    "weight": 3,
                    "status": "online",
                    "ipv4": 60,
                    "ipv6": 0,
                },
                {
                    "name": "wan2_m1_w2",
                    "interface": "wan2",
                    "metric": 1,
                    "weight": 2,
                    "status": "online",
                    "ipv4": 40,
                    "ipv6": 0,
                },
                {
                    "name": "lte_m2_w1",
                    "interface": "lte",
                    "metric": 2,
                    "weight": 1,
                    "status": "offline",
                    "ipv4": 0,
                    "ipv6": 0,
                },
            ],
            "active": {"ipv4": ["wan", "wan2"], "ipv6": []},
        },
        {
            "name": "lte_only",
            "mode": "failover",
            "last_resort": "default",
            "members": [
                {
                    "name": "lte_m2_w1",
                    "interface": "lte",
                    "metric": 2,
                    "weight": 1,
                    "status": "offline",
                    "ipv4": 0,
                    "ipv6": 0,
                }
            ],
            "active": {"ipv4": [], "ipv6": []},
        },
    ]
}
RULES: dict[str, Any] = {
    "rules": [
        {
            "name": "https",
            "family": "any",
            "match": "proto tcp dest_port 443",
            "policy": "balanced",
            "sticky": True,
            "packets": 12345,
            "bytes": 9876543,
        },
        {
            "name": "voice",
            "family": "ipv4",
            "match": "src_ip 192.0.2.0/24 proto udp",
            "policy": "lte_only",
            "sticky": False,
            "packets": 0,
            "bytes": 0,
        },
    ],
    "total": 2,
    "default": {"packets": 7, "bytes": 512},
}
CONNECTED: dict[str, Any] = {"ipv4": ["192.0.2.0/24", "203.0.113.0/24"], "ipv6": ["2001:db8::/64"]}
STATUS: dict[str, Any] = {
    "interfaces": {"wan": WAN, "wan2": WAN2, "lte": LTE},
    "connected": CONNECTED,
    "policies": {"ipv4": {"balanced": [{"interface": "wan", "percent": 60}]}, "ipv6": {}},
}
INTERFACES: dict[str, Any] = {"interfaces": [{"name": "wan", **WAN}, {"name": "wan2", **WAN2}, {"name": "lte", **LTE}]}
METRICS: dict[str, Any] = {
    "interfaces": {
        "wan": {
            "status": "online",
            "latency": 12.345,
            "jitter": 0.41,
            "loss": 2.5,
            "rx_bytes": 123456789012,
            "tx_bytes": 2345678,
            "rx_packets": 1000,
            "tx_packets": 900,
            "rx_rate": 1250000.0,
            "tx_rate": 1500.0,
            "connections": 321,
            "new_flows": 11,
            "new_bytes": 660,
            "targets": [
                {"target": "198.51.100.1", "latency": 12.3, "jitter": 0.4, "loss": 0, "sent": 99, "lost": 0},
                {"target": "198.51.100.2", "latency": None, "jitter": None, "loss": 100, "sent": 99, "lost": 99},
            ],
        },
        "wan2": {"status": "offline", "latency": None, "rx_rate": 0.0, "tx_rate": 0.0, "targets": []},
    },
    "time": 1700000000.25,
}
HISTORY: dict[str, Any] = {
    "columns": ["time", "rx_rate", "tx_rate", "latency", "loss"],
    "interval": 1.0,
    "interfaces": {
        "wan": [
            [1700000000.0, 0.0, 100.0, 10.0, 0.0],
            [1700000001.0, 500.0, 100.0, 20.0, 0.0],
            [1700000002.0, 1000.0, 100.0, None, 50.0],
        ],
        "wan2": [],
    },
}
EVENTS: list[dict[str, Any]] = [
    {
        "seq": 1,
        "time": 1700000000.1,
        "kind": "interface",
        "interface": "wan2",
        "from": "online",
        "to": "offline",
        "reason": "device eth2 has no carrier",
    },
    {
        "seq": 2,
        "time": 1700000000.2,
        "kind": "switch",
        "cause": "wan2 offline",
        "policies": ["balanced"],
        "milliseconds": 1.25,
    },
    {"seq": 3, "time": 1700000060.0, "kind": "config", "message": "/etc/config/netpath loaded"},
]
PROBLEMS: dict[str, Any] = {
    "problems": [
        {
            "severity": "error",
            "file": "/etc/config/netpath",
            "line": 12,
            "section": "rule https",
            "option": "use_policy",
            "value": "balancd",
            "message": "no such policy",
            "fix": "did you mean balanced?",
        },
        {
            "severity": "warning",
            "file": "/etc/config/netpath",
            "line": None,
            "section": "member lte_m2_w1",
            "option": None,
            "value": None,
            "message": "no policy uses it",
            "fix": "delete it or name it in a policy",
        },
    ]
}
EXPLAIN: dict[str, Any] = {
    "rule": "https",
    "policy": "balanced",
    "uplink": "wan",
    "device": "eth1",
    "gateway": "192.0.2.1",
    "why": ["rule https is the first that matches", "policy balanced spreads over wan and wan2"],
    "rejected": [{"rule": "voice", "criterion": "proto is udp"}],
    "shares": [{"interface": "wan", "percent": 60}, {"interface": "wan2", "percent": 40}],
}
DIAG: dict[str, Any] = {
    "checks": [
        {"topic": "gateway", "status": "ok", "message": "wan: 192.0.2.1 answers", "remedy": ""},
        {"topic": "tracking", "status": "warning", "message": "wan has one target", "remedy": "add a second one"},
        {"topic": "routes", "status": "error", "message": "wan2 has no default route", "remedy": "set option gateway"},
    ]
}
INTERNAL: dict[str, Any] = {
    "versions": {"netpath": "0.1.0", "kernel": "6.1.0"},
    "addresses": "2: eth1: <UP>\n\tinet 192.0.2.10/24",
    "ip rules": ["6000: from all lookup main", {"priority": 6101, "table": 1001}],
    "flows": 3,
}
VERSION: dict[str, Any] = {"version": "0.1.0", "python": "3.11.2", "kernel": "6.1.0", "nftables": "1.0.6"}

MEMBERS: dict[str, Any] = {
    "wan_m1_w3": {
        "interface": "wan",
        "open": True,
        "reason": "",
        "until": 1700006400,
        "window": "08:00-24:00 mon-fri",
        "quota": None,
    },
    "wan2_m1_w2": {
        "interface": "wan2",
        "open": False,
        "reason": "outside its window 22:00-06:00",
        "until": 1700086400,
        "window": "22:00-06:00",
        "quota": None,
    },
    "lte_m2_w1": {
        "interface": "lte",
        "open": True,
        "reason": "",
        "until": None,
        "window": None,
        "quota": {"used": 1234567890, "limit": 5000000000, "resets": 1701388800, "since": 1700000000},
    },
}
LIMITED_STATUS: dict[str, Any] = {**STATUS, "members": MEMBERS}
LIMITED_POLICIES: dict[str, Any] = {
    "policies": [
        {**policy, "members": [{**member, **MEMBERS[member["name"]]} for member in policy["members"]]}
        for policy in POLICIES["policies"]
    ]
}
MEMBER_EVENTS: list[dict[str, Any]] = [
    {
        "seq": 4,
        "time": 1700000100.0,
        "kind": "member",
        "member": "lte_m2_w1",
        "interface": "lte",
        "from": "open",
        "to": "closed",
        "reason": "its quota is used up",
        "until": 1701388800,
    },
    {
        "seq": 5,
        "time": 1701388800.0,
        "kind": "member",
        "member": "lte_m2_w1",
        "interface": "lte",
        "from": "closed",
        "to": "open",
        "reason": "",
        "until": None,
    },
]
