# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask every gateway once whether it is there (ARP, neighbour solicitation). The kernel's own neighbour table calls a
dead one reachable for a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from netpath.health.machine import GATEWAY
from netpath.model import Uplink
from netpath.probe.base import Context
from netpath.probe.neighbour import ArpProber, NeighbourProber, SolicitationProber

PATIENCE = 1.0
"""Seconds to wait for the slowest; a neighbour is one cable away."""
ATTEMPTS = 2


def silent(uplinks: Sequence[Uplink], mark: int) -> dict[str, str]:
    """Name -> reason of the uplinks whose gateway does not answer. `mark` is the one that no policy touches.

    Uplinks without a gateway, and devices that know no neighbours, are not asked.
    """
    asked = [u for u in uplinks if u.device and u.gateway]
    return asyncio.run(_ask(asked, mark)) if asked else {}


async def _ask(uplinks: Sequence[Uplink], mark: int) -> dict[str, str]:
    loop = asyncio.get_running_loop()
    waiting = {u.name for u in uplinks}
    reasons: dict[str, str] = {}
    done = asyncio.Event()

    def prober(uplink: Uplink) -> NeighbourProber:
        def settled(token: int, reason: str = "") -> None:
            del token
            waiting.discard(uplink.name)
            if reason and "no ARP" not in reason:
                reasons[uplink.name] = reason
            if not waiting:
                done.set()

        context = Context(loop, uplink, mark, settled, settled)
        return SolicitationProber(context) if context.is_ipv6 else ArpProber(context)

    probers = {u.name: prober(u) for u in uplinks}
    try:
        for attempt in range(ATTEMPTS):
            for name in list(waiting):
                probers[name].send(attempt, GATEWAY)
            try:
                await asyncio.wait_for(done.wait(), PATIENCE / ATTEMPTS)
            except TimeoutError:
                continue
            break
    finally:
        for each in probers.values():
            each.close()
    return {**dict.fromkeys(waiting, "no answer"), **reasons}
