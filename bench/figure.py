# SPDX-License-Identifier: GPL-2.0-or-later
"""One measured budget, and how it is told. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HEADINGS = ("what", "promised", "measured: median (least-most, runs)", "ratio", "budget")


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. `values` are the single runs, in `unit`; `note` says what else the reader should know."""

    what: str
    unit: str
    values: tuple[float, ...]
    budget: float | None = None
    """None: told for comparison, nothing was promised."""
    worst: bool = False
    """Judge the greatest value instead of the median."""
    note: str = ""
    at_least: bool = False
    """The more the better: the budget is the least that is promised, not the most."""

    @property
    def judged(self) -> float:
        if self.worst:
            return min(self.values) if self.at_least else max(self.values)
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """None without a budget."""
        if self.budget is None:
            return None
        return self.judged >= self.budget if self.at_least else self.judged <= self.budget

    def cells(self) -> tuple[str, ...]:
        """Texts for the columns of HEADINGS."""
        ratio = f"{self.judged / self.budget:.2f}" if self.budget else "-"
        verdict = {None: "-", True: "met", False: "missed"}[self.met]
        bound = "at least" if self.at_least else "at most"
        budget = "-" if self.budget is None else f"{bound} {short(self.budget)} {self.unit}".strip()
        return (self.what, budget, self._measured(), ratio, verdict)

    def _measured(self) -> str:
        middle = f"{short(statistics.median(self.values))} {self.unit}".strip()
        if len(self.values) == 1:
            return middle
        extent = f"{short(min(self.values))}-{short(max(self.values))}, {len(self.values)} runs"
        return f"{middle} ({extent})"


@dataclass(frozen=True, slots=True)
class Missing:
    """A budget without a value."""

    what: str
    budget: str
    reason: str

    def cells(self) -> tuple[str, ...]:
        """Texts for the columns of HEADINGS."""
        return (self.what, self.budget, f"not measured on this machine: {self.reason}", "-", "-")


Row = Figure | Missing


def short(value: float) -> str:
    """Three significant digits, and no digits after the point that say nothing."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def plain(rows: Sequence[Row]) -> str:
    """An aligned table for a terminal, notes below their lines."""
    table = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(HEADINGS))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in table]
    for row, at in zip(reversed(rows), range(len(rows), 0, -1), strict=True):
        if isinstance(row, Figure) and row.note:
            lines.insert(at + 1, f"    {row.note}")
    return "\n".join(lines) + "\n"


Told = tuple[Sequence[str], str]
"""Texts for the columns of HEADINGS, and a note or nothing."""


def told(row: Row) -> Told:
    """What is kept of a row."""
    return row.cells(), row.note if isinstance(row, Figure) else ""


def markdown(rows: Sequence[Told]) -> str:
    """A table of Markdown; notes are numbered and follow it."""
    lines = [markdown_line(HEADINGS), markdown_line(["---"] * len(HEADINGS))]
    notes: list[str] = []
    for texts, note in rows:
        cells = list(texts)
        if note:
            notes.append(note)
            cells[2] += f" [{len(notes)}]"
        lines.append(markdown_line(cells))
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]) + "\n"


def markdown_line(cells: Sequence[str]) -> str:
    """One row of a table."""
    return f"| {' | '.join(cells)} |"
