# SPDX-License-Identifier: GPL-2.0-or-later
"""What people bring along from mwan3: their file, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from netpath.lab import SERVERS, Lab

pytestmark = pytest.mark.lab

WIKI = Path(__file__).parents[1] / "unit/config/data/mwan3-wiki.uci"
HTTPS = 443


def outcome_of_tcp(lab: Lab, client: str) -> str:
    """The uplink that carried a client's connection to port 443, where nothing listens."""
    captures = {name: lab.capture(name) for name in ("wan", "wan2")}
    lab.flows(1, "ipv4", "tcp", src=client, dport=HTTPS, timeout=1)
    used = [n for n, c in captures.items() if any(p.outgoing and p.dport == HTTPS for p in c.packets())]
    for capture in captures.values():
        capture.close()
    assert len(used) == 1, used
    return used[0]


def test_the_wikis_whole_example_works_unchanged() -> None:
    """The lab's uplinks are called wan and wan2, as there; its four targets do not exist here, so two are lent."""
    with Lab(2, clients=6) as lab:
        text = WIKI.read_text()
        for number, target in enumerate(("8.8.4.4", "8.8.8.8", "208.67.222.222", "208.67.220.220")):
            text = text.replace(target, SERVERS["ipv4"][number])
        lab.start_netpath(text)
        lab.wait_status(wan="online", wan2="online")
        even, odd = lab.clients_of()[0], lab.clients_of()[1]
        assert even.endswith(".2")
        assert odd.endswith(".3")
        assert outcome_of_tcp(lab, even) == "wan"
        assert outcome_of_tcp(lab, odd) == "wan2"
        taken = lab.flows(50, proto="tcp")
        assert (taken["wan"], taken["wan2"]) == (30, 20), "balanced: 3 to 2"
        assert lab.flows(4, "ipv6") == {"wan": 4}, "the example has no IPv6 uplinks: IPv6 is left alone"
        assert "wan_wan2" in lab.netpath("status")
        lab.netpath("stop")
