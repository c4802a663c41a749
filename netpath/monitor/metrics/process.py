# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process uses, by the library's own collector."""

from __future__ import annotations

from prometheus_client import ProcessCollector

from netpath.monitor.metrics.families import Family, Sheet, counter, gauge


def families(namespace: str, whose: str) -> tuple[Family, ...]:
    """The collector has more, which help nobody here. `namespace` "": the names that every exporter has."""
    prefix = f"{namespace}_process" if namespace else "process"
    return (
        counter(f"{prefix}_cpu_seconds_total", f"Processor time of {whose}."),
        gauge(f"{prefix}_resident_memory_bytes", f"Resident memory of {whose}."),
        gauge(f"{prefix}_start_time_seconds", f"When {whose} was started."),
        gauge(f"{prefix}_open_fds", f"Open files of {whose}."),
    )


def fill(sheet: Sheet, families_: tuple[Family, ...], namespace: str, pid: str) -> None:
    """Samples of process `pid` ("self": this one); nothing when it has gone."""
    known = {family.name: family for family in families_}
    for metric in ProcessCollector(namespace, lambda: pid, registry=None).collect():
        for sample in metric.samples:
            if sample.name in known:
                sheet.add(known[sample.name], sample.value)
