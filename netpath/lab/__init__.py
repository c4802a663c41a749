# SPDX-License-Identifier: GPL-2.0-or-later
"""A little internet out of network namespaces, for demo, tests and benchmarks. Needs root, `ip`, `nft`, `nsenter`.

    with Lab(2) as lab:
        lab.start_netpath(lab.config(mode="failover"))
        lab.cut("wan")
        assert lab.flows(100) == {"wan2": 100}

    LAN clients -- router (NetPath runs here) -- provider of each uplink (NAT) -- servers

Addresses are in `netpath.lab.plan`. Two families on one device are two sections: `wan` and `wan_6`, both of
device `wan`.
"""

from netpath.lab.daemon import Events
from netpath.lab.lab import Lab
from netpath.lab.namespace import LabError, Namespace, Process, Unavailable
from netpath.lab.plan import ECHO_PORT, ECHO_PORTS, SERVERS, Uplink, UplinkSpec
from netpath.lab.traffic import Capture, Packet, Record, Traffic

__all__ = [
    "ECHO_PORT",
    "ECHO_PORTS",
    "SERVERS",
    "Capture",
    "Events",
    "Lab",
    "LabError",
    "Namespace",
    "Packet",
    "Process",
    "Record",
    "Traffic",
    "Unavailable",
    "Uplink",
    "UplinkSpec",
]
