# SPDX-License-Identifier: GPL-2.0-or-later
"""Each target of each uplink."""

from __future__ import annotations

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, counter, gauge
from netpath.monitor.metrics.interfaces import ratio, seconds

_BY = ("interface", "target")

UP = gauge("netpath_probe_up", "1 when the last probe was answered; missing before the first one.", *_BY)
LATENCY = gauge("netpath_probe_latency_seconds", "Mean round-trip time in the window.", *_BY)
JITTER = gauge("netpath_probe_jitter_seconds", "Mean difference of neighbouring round-trip times.", *_BY)
LOSS = gauge("netpath_probe_loss_ratio", "Lost probes of those in the window, 0 to 1.", *_BY)
SENT = counter("netpath_probe_sent_total", "Probes sent since the target is tracked.", *_BY)
ANSWERED = counter("netpath_probe_answered_total", "Probes answered, however late.", *_BY)

FAMILIES = (UP, LATENCY, JITTER, LOSS, SENT, ANSWERED)


def fill(sheet: Sheet, facts: Facts) -> None:
    for row in facts.interfaces:
        for target in row["track_ip"]:
            if target["status"] != "unknown":
                sheet.add(UP, target["status"] == "up", row["name"], target["ip"])
    for interface, measured in facts.metrics.items():
        for target in measured["targets"]:
            by = (interface, target["target"])
            sheet.add(LATENCY, seconds(target["latency"]), *by)
            sheet.add(JITTER, seconds(target["jitter"]), *by)
            if target["sent"]:
                sheet.add(LOSS, ratio(target["loss"]), *by)
            sheet.add(SENT, target["sent_total"], *by)
            sheet.add(ANSWERED, target["answered_total"], *by)
