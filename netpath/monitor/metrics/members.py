# SPDX-License-Identifier: GPL-2.0-or-later
"""Members with a schedule or a quota; all others are always open."""

from __future__ import annotations

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, gauge

_BY = ("member", "interface")

OPEN = gauge("netpath_member_open", "0 while its schedule or quota keeps it out.", *_BY)
CHANGE = gauge("netpath_member_next_change_timestamp_seconds", "The next opening or closing that is certain.", *_BY)
USED = gauge("netpath_member_quota_used_bytes", "Bytes both ways since the quota began anew.", *_BY)
LIMIT = gauge("netpath_member_quota_limit_bytes", "Bytes that may pass in a month.", *_BY)
RESET = gauge("netpath_member_quota_reset_timestamp_seconds", "When the quota begins anew.", *_BY)

FAMILIES = (OPEN, CHANGE, USED, LIMIT, RESET)


def fill(sheet: Sheet, facts: Facts) -> None:
    for name, row in facts.members.items():
        by = (name, row["interface"])
        sheet.add(OPEN, row["open"], *by)
        sheet.add(CHANGE, row["until"], *by)
        quota = row["quota"]
        if quota is not None:
            sheet.add(USED, quota["used"], *by)
            sheet.add(LIMIT, quota["limit"], *by)
            sheet.add(RESET, quota["resets"], *by)
