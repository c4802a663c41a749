# SPDX-License-Identifier: GPL-2.0-or-later
"""What each rule has decided. Rules decide connections, so these count first packets."""

from __future__ import annotations

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, counter

PACKETS = counter("netpath_rule_packets_total", "Packets that the rule decided: the first ones of connections.", "rule")
BYTES = counter("netpath_rule_bytes_total", "Bytes of those.", "rule")
REST_PACKETS = counter("netpath_unmatched_packets_total", "The same of what no rule matched.", "family")
REST_BYTES = counter("netpath_unmatched_bytes_total", "Bytes of those.", "family")

FAMILIES = (PACKETS, BYTES, REST_PACKETS, REST_BYTES)


def fill(sheet: Sheet, facts: Facts) -> None:
    for rule, (packets, volume) in facts.rules.items():
        sheet.add(PACKETS, packets, rule)
        sheet.add(BYTES, volume, rule)
    for family, (packets, volume) in facts.unmatched.items():
        sheet.add(REST_PACKETS, packets, family)
        sheet.add(REST_BYTES, volume, family)
