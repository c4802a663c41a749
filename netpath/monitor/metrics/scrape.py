# SPDX-License-Identifier: GPL-2.0-or-later
"""Computes what `/metrics` answers: one scrape at a time, shared by all who ask meanwhile or shortly after.

The tracker is asked from the event loop. Reading the kernel's counters and making samples and text of everything takes
tens of milliseconds with a thousand rules: one thread does that.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from netpath.monitor.metrics import (
    bonds,
    events,
    interfaces,
    members,
    monitor,
    outputs,
    policies,
    probes,
    rules,
    sources,
    tracker,
)
from netpath.monitor.metrics.facts import Facts, Reader
from netpath.monitor.metrics.families import Family, Sheet, gauge
from netpath.tracker.journal import Log

FRESH = 0.25
"""Seconds for which an answer is given again: nobody can keep tracker and processor busy by asking."""
_COMPRESSION = 1
"""Level of gzip; 6 takes three times as long for a quarter fewer bytes."""


class Subject(Protocol):
    """A module that knows the families of one subject."""

    @property
    def FAMILIES(self) -> tuple[Family, ...]: ...  # noqa: N802 - a constant of the module

    def fill(self, sheet: Sheet, facts: Facts) -> None: ...


SUBJECTS: Mapping[str, Subject] = {
    "tracker": tracker,
    "interfaces": interfaces,
    "probes": probes,
    "policies": policies,
    "members": members,
    "rules": rules,
    "events": events,
    "sources": sources,
    "bonds": bonds,
    "outputs": outputs,
    "monitor": monitor,
}
"""In the order of the page. Another one only has to be named here."""

SUCCESS = gauge("netpath_scrape_success", "0 when something of the subject could not be read.", "subject")
DURATION = gauge("netpath_scrape_duration_seconds", "What it took to read and sort all this.")
FAMILIES = (SUCCESS, DURATION)


class Exposition:
    """What one scrape found: a collector of the library. Texts are made once each, when somebody wants them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)
        self._texts: dict[tuple[bool, bool], bytes] = {}

    def collect(self) -> Iterable[Metric]:
        return self._metrics

    def text(self, open_metrics: bool, compressed: bool) -> bytes:
        """As OpenMetrics, or as Prometheus' older text."""
        if (open_metrics, compressed) not in self._texts:
            if compressed:
                text = gzip.compress(self.text(open_metrics, False), _COMPRESSION)
            else:
                text = (openmetrics.generate_latest if open_metrics else generate_latest)(self)
            self._texts[open_metrics, compressed] = text
        return self._texts[open_metrics, compressed]


class Scraper:
    """Answers as many as ask."""

    def __init__(self, reader: Reader, log: Log) -> None:
        self._reader = reader
        self._log = log
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._current: asyncio.Task[Exposition] | None = None
        self._computed = 0.0
        self._told: set[str] = set()
        """Failures that the log has, as long as they last."""

    async def text(self, *, open_metrics: bool, compressed: bool) -> bytes:
        """A whole page."""
        exposition = await self._exposition()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, exposition.text, open_metrics, compressed)

    async def close(self) -> None:
        """End what is under way."""
        if self._current is not None:
            self._current.cancel()
            await asyncio.gather(self._current, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _exposition(self) -> Exposition:
        current = self._current
        if current is None or (current.done() and time.monotonic() - self._computed > FRESH):
            current = self._current = asyncio.create_task(self._compute())
        return await current

    async def _compute(self) -> Exposition:
        began = time.monotonic()
        try:
            facts = await self._reader.read()
            loop = asyncio.get_running_loop()
            exposition, broken = await loop.run_in_executor(self._thread, self._collect, facts, began)
        finally:
            self._computed = time.monotonic()
        for error in broken:
            self._log.internal(error, "metrics:")
        self._tell(set(facts.failed.values()))
        return exposition

    def _collect(self, facts: Facts, began: float) -> tuple[Exposition, list[Exception]]:
        """In the thread: all samples, and what went wrong in making them."""
        self._reader.read_counters(facts)
        metrics: list[Metric] = []
        broken: list[Exception] = []
        own = Sheet(FAMILIES)
        for name, subject in SUBJECTS.items():
            sheet = Sheet(subject.FAMILIES)
            try:
                subject.fill(sheet, facts)
            except Exception as error:  # noqa: BLE001 - of one subject, which must not take the others with it
                broken.append(error)
                own.add(SUCCESS, False, name)
            else:
                metrics += sheet.metrics()
                own.add(SUCCESS, name not in facts.failed, name)
        own.add(DURATION, time.monotonic() - began)
        return Exposition([*metrics, *own.metrics()]), broken

    def _tell(self, failures: set[str]) -> None:
        for failure in sorted(failures - self._told):
            self._log("warning", f"metrics: {failure}")
        self._told = failures
