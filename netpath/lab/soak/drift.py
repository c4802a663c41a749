# SPDX-License-Identifier: GPL-2.0-or-later
"""What samples of a soak say: a line for each quantity, and a verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

HOUR = 3600.0
JUDGED_FROM = HOUR
"""Seconds that a run must last before slopes say anything: caches, histories and pools fill up first."""
SLOPES_FROM = 300.0
"""Seconds between the first and the last sample below which no slope is shown."""
BLOCKS = 12
"""A slope goes through the least values of so many parts of the run: what is given back now and then shows what is
really held just after it was. And samples that follow each other resemble each other, so that a line through themselves
would look far more certain than it is."""
NOISE = 3.0
"""Standard errors that a slope must be above its limit."""


class Judged(Enum):
    """How a quantity is judged. Calm samples are those with all faults healed and everything settled."""

    EQUAL = "equal"
    """The last calm sample must be what the first one was: the kernel's objects."""
    NO_MORE = "no more"
    """The last calm sample must not be more than the first one: what a process holds open."""
    SLOPE = "slope"
    """It must not rise by more than its limit an hour, in runs that last JUDGED_FROM."""
    NOT = "not"
    """Shown only: it depends on more than NetPath."""


@dataclass(frozen=True, slots=True)
class Quantity:
    name: str
    unit: str
    judged: Judged
    limit: float = 0.0
    """By how much it may rise in an hour, where its slope is judged."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    """Seconds since the beginning."""
    calm: bool
    """Whether all faults were healed, and everything had settled."""
    values: Mapping[str, float]
    """By the quantities' names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity after the warm-up. `first` and `last` are of calm samples, all else of all."""

    quantity: Quantity
    first: float
    last: float
    least: float
    most: float
    slope: float | None
    """Per hour, least squares; None with less than SLOPES_FROM between the samples."""
    error: float | None
    """Standard error of the slope."""


@dataclass(frozen=True, slots=True)
class Verdict:
    drifts: tuple[str, ...]
    """Counted things that are not as they were, and states that stayed wrong."""
    warnings: tuple[str, ...]
    """What seems to rise by its slope, and what could not be told."""

    @property
    def text(self) -> str:
        line = f"DRIFT: {'; '.join(self.drifts)}" if self.drifts else "no drift"
        return f"{line} (but: {'; '.join(self.warnings)})" if self.warnings else line


def table(quantities: Sequence[Quantity], samples: Sequence[Sample], warm_up: float) -> list[Row]:
    """A row for each quantity that was sampled; samples of the first `warm_up` seconds are left out."""
    found = []
    for quantity in quantities:
        name = quantity.name
        everything = [s for s in samples if s.at >= warm_up and name in s.values]
        calm = [s for s in everything if s.calm]
        if not calm:
            continue
        values = [s.values[name] for s in everything]
        points = [(s.at / HOUR, s.values[name]) for s in everything]
        slope, error = trend(points) if everything[-1].at - everything[0].at >= SLOPES_FROM else (None, None)
        ends = calm[0].values[name], calm[-1].values[name]
        found.append(Row(quantity, *ends, min(values), max(values), slope, error))
    return found


def trend(points: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """(slope, its standard error) by least squares through the least y of up to BLOCKS parts; points in order of x.

    (None, None) where there are fewer than three parts, or all at one place.
    """
    size = max(1, math.ceil(len(points) / BLOCKS))
    # A part at the end that is not full is left out: the least of few is more than the least of many.
    parts = [points[i : i + size] for i in range(0, len(points) - size + 1, size)]
    lows = [min(part, key=lambda point: point[1]) for part in parts]
    xs, ys = ([low[axis] for low in lows] for axis in (0, 1))
    if len(parts) < 3:
        return None, None
    x_mean, y_mean = fmean(xs), fmean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    if not spread:
        return None, None
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    residual = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in zip(xs, ys, strict=True))
    return slope, math.sqrt(residual / (len(parts) - 2) / spread)


def verdict(rows: Sequence[Row], lasted: float, wrong: Sequence[str]) -> Verdict:
    """lasted: seconds of the whole run; wrong: states that were not right in time after a fault was healed."""
    drifts = [*wrong, *_counted(rows)]
    judged = lasted >= JUDGED_FROM
    warnings = list(_rising(rows)) if judged else ["slopes are judged only in runs of an hour or more"]
    if not rows:
        warnings.append("it ended before there were two calm samples to compare")
    return Verdict(tuple(drifts), tuple(warnings))


def _counted(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        judged = row.quantity.judged
        if (judged is Judged.EQUAL and row.last != row.first) or (judged is Judged.NO_MORE and row.last > row.first):
            yield f"{row.quantity.name}: {figure(row.last)}, {figure(row.first)} at the start"


def _rising(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.quantity.judged is not Judged.SLOPE or row.slope is None or row.error is None:
            continue
        if row.slope - NOISE * row.error > row.quantity.limit:
            rise = f"{row.slope:.0f} {row.quantity.unit} an hour".replace("  ", " ")
            rise += f", give or take {row.error:.0f}"
            yield f"{row.quantity.name} rises by {rise}"


def figure(value: float) -> str:
    return f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.2f}"


def rendered(rows: Sequence[Row]) -> Iterator[str]:
    """The table's lines."""
    heads = ("", "first", "last", "least", "most", "slope an hour", "judged")
    yield _line(heads)
    for row in rows:
        unit = f" {row.quantity.unit}" if row.quantity.unit else ""
        slope = "-" if row.slope is None or row.error is None else f"{row.slope:+.1f} ± {row.error:.1f}"
        cells = (figure(value) for value in (row.first, row.last, row.least, row.most))
        match row.quantity.judged:
            case Judged.NOT:
                judged = ""
            case Judged.SLOPE:
                judged = f"slope, up to {figure(row.quantity.limit)}"
            case Judged.EQUAL | Judged.NO_MORE as counted:
                judged = counted.value
        yield _line((f"{row.quantity.name}{unit and ',' + unit}", *cells, slope, judged))


def _line(cells: Sequence[str]) -> str:
    name, *figures, slope, judged = cells
    return f"{name:<30}{''.join(f'{each:>10}' for each in figures)}{slope:>20}   {judged}".rstrip()
