# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker's events."""

from __future__ import annotations

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, counter

EVENTS = counter("netpath_events_total", "Events of the tracker since the monitor runs.", "kind")

FAMILIES = (EVENTS,)


def fill(sheet: Sheet, facts: Facts) -> None:
    for kind, number in facts.counts.kinds.items():
        sheet.add(EVENTS, number, kind)
