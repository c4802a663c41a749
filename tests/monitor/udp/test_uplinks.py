# SPDX-License-Identifier: GPL-2.0-or-later
"""On a router that NetPath steers: the server sets no mark, and each answer leaves by the way that its display came."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from netpath.lab import Lab
from netpath.lab.namespace import Namespace, Process
from netpath.lab.plan import LAN
from tests.monitor.udp.site import PORT, Running, serving
from tests.monitor.udp.test_displays import EXAMPLE

FAMILIES = ("ipv4", "ipv6")


def test_answers_leave_by_the_uplink_or_lan_that_their_display_came_by() -> None:
    """Every new connection goes to `wan`; displays come by both uplinks and from the LAN."""
    with Lab(2) as lab:
        lab.start_netpath(lab.config(mode="failover"))
        lab.wait_status(wan="online", wan_6="online", wan2="online", wan2_6="online")

        async def test() -> None:
            async with serving(networks=("0.0.0.0/0", "::/0")) as running:
                for name in ("wan", "wan2"):
                    with lab.capture("wan2" if name == "wan" else "wan") as other:
                        asked = [lab.address(name, family) for family in FAMILIES]
                        await _ended(running, [_show(lab.internet, address) for address in asked])
                        assert not [p for p in other.packets() if p.src in asked and p.sport == PORT]
                with lab.capture("wan") as wan, lab.capture("wan2") as wan2:
                    # From the LAN, that address of the router which is an uplink's answers too.
                    asked = [LAN.router("ipv4"), LAN.router("ipv6"), lab.address("wan2", "ipv4")]
                    await _ended(running, [_show(lab.lan, address) for address in asked])
                    clients = {address for family in FAMILIES for address in lab.clients_of(family)}
                    seen = [p for c in (wan, wan2) for p in c.packets() if p.sport == PORT]
                    assert not [p for p in seen if p.dst in clients]
                assert running.row()["failed"] == 0

        lab.router.inside(lambda: asyncio.run(test()))


def _show(where: Namespace, address: str) -> Process:
    return where.popen([sys.executable, "-I", str(EXAMPLE), address, "--count", "1"], name="display")


async def _ended(running: Running, displays: list[Process]) -> None:
    for display in displays:
        await running.until(partial(_has_ended, display), "the display to have its datagram")
        assert display.output().count("WAN up 6 B/s") == 1, display.output()


def _has_ended(display: Process) -> bool:
    return not display.running
