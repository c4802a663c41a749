# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic figures of the monitor's sources: what UDP clients and the page Monitor see."""

from __future__ import annotations

from itertools import islice

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, gauge, info

MOST_INTERFACES = 64
"""Of one source: their names come from another machine."""
_PATHS = tuple((path, direction) for path in ("direct", "proxy", "wan") for direction in ("up", "down"))

SPEED = gauge(
    "netpath_speed_bytes_per_second", "All sources together; path is direct, proxy or wan.", "path", "direction"
)
INFO = info("netpath_source_info", "What a source is.", "source", "type", "target")
SOURCE = gauge("netpath_source_speed_bytes_per_second", "The same of one source.", *("source", "path", "direction"))
INTERFACE = gauge(
    "netpath_source_interface_speed_bytes_per_second",
    "Of an interface that a source counts as WAN.",
    *("source", "interface", "direction"),
)
CONNECTIONS = gauge("netpath_source_connections", "Connections of a proxy.", "source")

FAMILIES = (SPEED, INFO, SOURCE, INTERFACE, CONNECTIONS)


def fill(sheet: Sheet, facts: Facts) -> None:
    for path, direction in _PATHS:
        sheet.add(SPEED, facts.own["speeds"][f"{path}_{direction}"], path, direction)
    for row in facts.own["sources"]:
        name = row["name"]
        sheet.tell(INFO, name, row["type"], row["target"])
        sheet.add(CONNECTIONS, row["connections"], name)
        for path, direction in _PATHS:
            sheet.add(SOURCE, row["speeds"][f"{path}_{direction}"], name, path, direction)
        for interface, speeds in islice(row["interfaces"].items(), MOST_INTERFACES):
            for direction in ("up", "down"):
                sheet.add(INTERFACE, speeds[direction], name, interface, direction)
