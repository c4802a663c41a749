# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker itself."""

from __future__ import annotations

from netpath.monitor.metrics import process
from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, gauge, info

_NAMESPACE = "netpath_tracker"

UP = gauge("netpath_tracker_up", "1 when the tracker has answered.")
INFO = info("netpath_tracker_info", "Its versions.", "version", "python", "kernel", "nftables")
CONFIGURED = gauge("netpath_tracker_configured", "0 while it steers nothing: no interface, or switched off.")
_PROCESS = process.families(_NAMESPACE, "the tracker")

FAMILIES = (UP, INFO, CONFIGURED, *_PROCESS)


def fill(sheet: Sheet, facts: Facts) -> None:
    sheet.add(UP, facts.tracker_up)
    if facts.version is not None:
        sheet.tell(INFO, *(facts.version[name] for name in INFO.labels))
        sheet.add(CONFIGURED, facts.problem is None)
    if facts.pid is not None:
        process.fill(sheet, _PROCESS, _NAMESPACE, str(facts.pid))
