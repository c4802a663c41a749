# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened since the monitor runs, counted from the tracker's events: a scrape sees only how things stand."""

from __future__ import annotations

from collections import Counter
from typing import Any

from netpath.monitor.tracker import Tracker

KINDS = ("clock", "config", "error", "interface", "member", "renumbered", "switch", "table")
"""Those of the tracker: they are there with 0, as Prometheus does not count the first value of a counter."""


class Counts:
    """Events by kind, and how often each interface entered each status."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.statuses: Counter[tuple[str, str]] = Counter()
        """By interface and status."""

    def add(self, event: dict[str, Any]) -> None:
        self.kinds[event["kind"]] += 1
        if event["kind"] == "interface":
            self.statuses[event["interface"], event["to"]] += 1

    async def follow(self, tracker: Tracker) -> None:
        """Count until cancelled."""
        async for event in tracker.events():
            self.add(event)
