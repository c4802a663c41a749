# SPDX-License-Identifier: GPL-2.0-or-later
"""A server's settings for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netpath.bonding import BondMode, BondPeer, BondServer, Correction, Fec, Transport

TRANSPORT = Transport(BondMode.AGGREGATE, 2, 1.0, 1.0, Correction(Fec.OFF, 10, 3), False, ())


def peer(name: str, addresses: Sequence[str], networks: Sequence[str] = ()) -> BondPeer:
    return BondPeer(name, b"p" * 32, None, tuple(addresses), tuple(networks), 1, None)


def server(**choices: Any) -> BondServer:
    """One client without networks, both families, forwarding and masquerading, unless said otherwise."""
    defaults: dict[str, Any] = {
        "name": "home",
        "device": "tun-bond",
        "addresses": (),
        "port": 9001,
        "ports": 1,
        "private_key": b"s" * 32,
        "inner": ("203.0.113.1/24", "2001:db8:99::1/64"),
        "masquerade": True,
        "forward": True,
        "table": "netpath-bond",
        "clients": (peer("router", ("203.0.113.2/24", "2001:db8:99::2/64")),),
        "max_clients": 16,
        "mtu": None,
        "heartbeat": 0.1,
        "transport": TRANSPORT,
    }
    return BondServer(**(defaults | choices))
