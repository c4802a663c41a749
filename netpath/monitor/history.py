# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten minutes of speeds by seconds."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from netpath.monitor.readings import Speeds
from netpath.tracker.clock import Clock

INTERVAL = 1
KEEP = 600
"""Rows; about 0.3 KiB each."""
COLUMNS = ("direct_up", "direct_down", "proxy_up", "proxy_down", "wan_up", "wan_down")

Row = tuple[int | None, ...]


def columns(speeds: Speeds) -> dict[str, int | None]:
    """The figures by name, bytes/s; None where no source has one."""
    proxy, wan = speeds.proxy, speeds.wan
    row: Row = (
        *((proxy.direct_up, proxy.direct_down, proxy.proxy_up, proxy.proxy_down) if proxy else (None,) * 4),
        *((wan.up, wan.down) if wan else (None,) * 2),
    )
    return dict(zip(COLUMNS, row, strict=True))


class History:
    """Dates follow the wall clock when that is set."""

    def __init__(self) -> None:
        self._rows: deque[tuple[float, Row]] = deque(maxlen=KEEP)
        self._clock = Clock()

    def add(self, speeds: Speeds) -> None:
        self._rows.append((time.monotonic(), tuple(columns(speeds).values())))

    def reply(self, since: float | None) -> dict[str, Any]:
        """As docs/monitor.md shows it: rows at or after `since` (epoch s), the newest last."""
        ahead = self._clock.ahead()
        dated = [(round(at + ahead, 3), row) for at, row in self._rows]
        return {
            "columns": ["time", *COLUMNS],
            "interval": INTERVAL,
            "rows": [[at, *row] for at, row in dated if since is None or at >= since],
        }
