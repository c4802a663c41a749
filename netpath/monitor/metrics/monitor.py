# SPDX-License-Identifier: GPL-2.0-or-later
"""How the monitor's own parts are doing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from netpath import __version__
from netpath.monitor.health import Status
from netpath.monitor.metrics import process
from netpath.monitor.metrics.facts import Facts, Row
from netpath.monitor.metrics.families import Sheet, counter, gauge, info
from netpath.monitor.metrics.interfaces import ratio

_BY = ("part", "name")

INFO = info("netpath_monitor_info", "Versions of the monitor.", "version", "python")
UP = gauge("netpath_monitor_up", "1 while the part works: source, udp, metrics, mqtt or notify.", *_BY)
ATTEMPTS = counter("netpath_monitor_attempts_total", "Attempts of the part.", *_BY)
SUCCESSES = counter("netpath_monitor_successes_total", "Attempts that began to work.", *_BY)
FAILURES = counter("netpath_monitor_failures_total", "Attempts that failed, at once or later.", *_BY)
CONSECUTIVE = gauge("netpath_monitor_consecutive_failures", "Failures since it worked last.", *_BY)
UPTIME = gauge("netpath_monitor_uptime_ratio", "Part of its life in which it worked, 0 to 1.", *_BY)
SUCCESS = gauge("netpath_monitor_last_success_timestamp_seconds", "When it was last known to work.", *_BY)
FAILURE = gauge("netpath_monitor_last_failure_timestamp_seconds", "When it failed last.", *_BY)
_PROCESS = process.families("", "the monitor")

FAMILIES = (INFO, UP, ATTEMPTS, SUCCESSES, FAILURES, CONSECUTIVE, UPTIME, SUCCESS, FAILURE, *_PROCESS)


def fill(sheet: Sheet, facts: Facts) -> None:
    sheet.tell(INFO, __version__, sys.version.split()[0])
    for part, name, row in _parts(facts.own):
        sheet.add(UP, row["status"] == Status.HEALTHY, part, name)
        sheet.add(ATTEMPTS, row["attempts"], part, name)
        sheet.add(SUCCESSES, row["successes"], part, name)
        sheet.add(FAILURES, row["failures"], part, name)
        sheet.add(CONSECUTIVE, row["consecutive_failures"], part, name)
        sheet.add(UPTIME, ratio(row["uptime"]), part, name)
        sheet.add(SUCCESS, row["last_success"], part, name)
        sheet.add(FAILURE, row["last_failure"], part, name)
    process.fill(sheet, _PROCESS, "", "self")


def _parts(own: Row) -> Iterator[tuple[str, str, Row]]:
    """Part, name and row of docs/monitor.md of everything that has a health."""
    for row in own["sources"]:
        yield "source", row["name"], row
    for part, key in (("udp", "server"), ("metrics", "metrics"), ("mqtt", "broker")):
        if own[key] is not None:
            yield part, "", own[key]
    for row in own["notify"]:
        yield "notify", row["name"], row
