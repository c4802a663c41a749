# SPDX-License-Identifier: GPL-2.0-or-later
"""Where raw frames of a lab start and end."""

from __future__ import annotations

import json

from bench.frames import Path
from netpath.lab import SERVERS, Lab, Namespace
from netpath.lab.layout import CUSTOMER

SERVER = SERVERS["ipv4"][0]


def outward(lab: Lab) -> Path:
    """From the LAN's first client by the router to a server."""
    return Path(_mac(lab.lan, "eth0"), _mac(lab.router, "lan"), lab.clients_of()[0], SERVER)


def homeward(lab: Lab) -> Path:
    """From a server to the address of the router's first uplink, which masquerades that client."""
    uplink = lab.uplinks[0]
    return Path(
        _mac(lab.isps[uplink.number], CUSTOMER), _mac(lab.router, uplink.name), SERVER, lab.address(uplink.name)
    )


def _mac(namespace: Namespace, device: str) -> bytes:
    (link,) = json.loads(namespace.run(["ip", "-j", "link", "show", "dev", device]))
    return bytes.fromhex(link["address"].replace(":", ""))
