# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of the monitor that run side by side, and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*parts: Coroutine[Any, Any, None] | asyncio.Future[None]) -> None:
    """Run them side by side until the first one fails or ends; the others are cancelled. Raises what the first raised,
    when all have ended.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
