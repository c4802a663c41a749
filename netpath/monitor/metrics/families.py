# SPDX-License-Identifier: GPL-2.0-or-later
"""Metric families and the samples of one scrape. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

LONGEST_LABEL = 128
"""Characters of a label's value."""


class Kind(StrEnum):
    """Types of OpenMetrics that are used here."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    STATESET = "stateset"


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    """As samples are called: counters end in _total, infos in _info."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    """Of a state set, whose samples have one label more: the family's name."""


def gauge(name: str, help_: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, help_, labels)


def counter(name: str, help_: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, help_, labels)


def info(name: str, help_: str, *labels: str) -> Family:
    return Family(name, Kind.INFO, help_, labels)


def stateset(name: str, help_: str, states: Iterable[str], *labels: str) -> Family:
    return Family(name, Kind.STATESET, help_, labels, tuple(states))


class Sheet:
    """The samples of some families."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._metrics = {family.name: _empty(family) for family in families}

    def add(self, family: Family, value: float | None, *labels: str | None) -> None:
        """One sample of a gauge or counter; none where the value is not known."""
        if value is not None:
            metric = self._metrics[family.name]
            assert isinstance(metric, GaugeMetricFamily | CounterMetricFamily)
            metric.add_metric([safe(label) for label in labels], float(value))

    def tell(self, family: Family, *labels: str | None) -> None:
        """One sample of an info."""
        metric = self._metrics[family.name]
        assert isinstance(metric, InfoMetricFamily)
        metric.add_metric((), dict(zip(family.labels, map(safe, labels), strict=True)))

    def state(self, family: Family, present: str, *labels: str | None) -> None:
        """The samples of a state set: 1 for the present state, 0 for the others."""
        metric = self._metrics[family.name]
        assert isinstance(metric, StateSetMetricFamily)
        metric.add_metric([safe(label) for label in labels], {state: state == present for state in family.states})

    def metrics(self) -> list[Metric]:
        """Families that have samples."""
        return [metric for metric in self._metrics.values() if metric.samples]


def safe(text: str | None) -> str:
    """As a label's value: device names may hold bytes that are no UTF-8, and a peer's words may be long."""
    if text is None:
        return ""
    return text[:LONGEST_LABEL].encode(errors="replace").decode()


def _empty(family: Family) -> Metric:
    match family.kind:
        case Kind.GAUGE:
            return GaugeMetricFamily(family.name, family.help, labels=family.labels)
        case Kind.COUNTER:
            return CounterMetricFamily(family.name.removesuffix("_total"), family.help, labels=family.labels)
        case Kind.INFO:
            return InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=())
        case Kind.STATESET:
            return StateSetMetricFamily(family.name, family.help, labels=family.labels)
