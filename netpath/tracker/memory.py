# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep the resident tracker as small as it is while nothing happens; the monitor, too."""

from __future__ import annotations

import asyncio

from netpath.memory import settle, tidy

PERIOD = 30.0
"""Seconds; it takes a millisecond, which must not fall into a failover."""


async def keep_small() -> None:
    """Give back now and then what transitions, loads and large replies have left, until cancelled."""
    settle()
    while True:
        await asyncio.sleep(PERIOD)
        tidy()
