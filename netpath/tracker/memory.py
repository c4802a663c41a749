# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep the resident tracker as small as it is while nothing happens."""

from __future__ import annotations

import asyncio
import ctypes

PERIOD = 30.0
"""Seconds; giving back takes half a millisecond, which must not fall into a failover."""


async def keep_small() -> None:
    """Give back now and then what transitions, loads and large replies have left, until cancelled."""
    while True:
        await asyncio.sleep(PERIOD)
        give_back()


def give_back() -> None:
    """Return freed memory to the system. glibc keeps it for itself (malloc_trim(3)); musl does not, and has no such."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
