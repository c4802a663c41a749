# SPDX-License-Identifier: GPL-2.0-or-later
"""This router's own uplinks as a source: what the tracker counts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from netpath.monitor.rates import one_each, together
from netpath.monitor.readings import Reading, ServiceError
from netpath.monitor.tracker import Tracker, TrackerError
from netpath.monitoring import Source

DEVICES_TIME = 10.0
"""Seconds after which the tracker is asked again which devices the uplinks have."""

Row = list[float | None]


class Local:
    """A feed (readings.py).

    The tracker's `history` is asked, not its `metrics`: a row is what one second's reading of the counters came to, so
    that the mean of the rows since the last time is exact for any interval, which neither the rate of the last second
    nor totals read at other moments than ours would be; and it does not make the tracker count connections.
    """

    def __init__(self, source: Source, tracker: Tracker) -> None:
        self._source = source
        self._tracker = tracker

    async def run(self, report: Callable[[Reading], None]) -> None:
        loop = asyncio.get_running_loop()
        devices: dict[str, str] = {}
        asked = -math.inf
        newest = 0.0
        due = loop.time()
        while True:
            if loop.time() >= asked + DEVICES_TIME:
                devices, asked = await self._devices(), loop.time()
            reply = await self._ask("history", since=newest, limit=len(devices) * self._most)
            with understood():
                rows = {name: rows for name, rows in reply["interfaces"].items() if name in devices and rows}
                newest, speeds = mean(rows, newest, self._most)
            if speeds or not devices:
                report(together({name: speeds[name] for name in one_each(devices) if name in speeds}))
            due = max(due + self._source.interval, loop.time())
            await asyncio.sleep(due - loop.time())

    @property
    def _most(self) -> int:
        """Rows of an uplink that one reading may stand for; more come when the clock has jumped."""
        return math.ceil(self._source.interval) + 1

    async def _devices(self) -> dict[str, str]:
        """Uplinks that are counted -> their devices. Raises ServiceError."""
        status = await self._ask("status")
        with understood():
            rows = {name: str(row["device"] or "") for name, row in status["interfaces"].items()}
        wanted = self._source.interfaces or tuple(rows)
        missing = [name for name in wanted if name not in rows]
        if missing:
            known = ", ".join(rows) or "none"
            raise ServiceError(f"there is no uplink {missing[0]}; there are: {known}")
        return {name: rows[name] for name in wanted}

    async def _ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._source.timeout):
                return await self._tracker.ask(command, **arguments)
        except TrackerError as error:
            raise ServiceError(str(error)) from None
        except TimeoutError:
            raise ServiceError(f"the tracker gave no answer in {self._source.timeout:g} s") from None


@contextmanager
def understood() -> Iterator[None]:
    """Raises ServiceError where an answer has not the shape of docs/socket.md."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise ServiceError("the tracker's answer is not understood: is it another version? netpath restart") from None


def mean(rows: dict[str, list[Row]], newest: float, most: int) -> tuple[float, dict[str, tuple[int, int]]]:
    """Rows of uplinks ([time, bytes/s received, bytes/s sent, ...], the newest last) -> the time of the newest row of
    all (`newest` if there is none), and the mean (up, down) of those later than `newest`, at most `most` of them.

    Without a later one (the clock was set back) that of the last row. Pure.
    """
    speeds = {}
    last = newest if not rows else 0.0
    for name, all_rows in rows.items():
        times = [row[0] or 0.0 for row in all_rows]
        count = min(most, sum(time > newest for time in times)) or 1
        chosen = all_rows[-count:]
        speeds[name] = (_mean(chosen, 2), _mean(chosen, 1))
        last = max(last, times[-1])
    return last, speeds


def _mean(rows: list[Row], column: int) -> int:
    return round(sum(row[column] or 0.0 for row in rows) / len(rows))
