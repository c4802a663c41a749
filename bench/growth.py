# SPDX-License-Identifier: GPL-2.0-or-later
"""How NetPath's costs grow with the number of uplinks and of rules: a table and curves (docs/growth.md)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import configurations, datapath, document, failover, load, plot, resident, switch
from bench.figure import Figure, short
from netpath.lab import Lab
from netpath.lab.namespace import stop_all

DOCUMENT = document.DOCUMENT.with_name("growth.md")
BARE = "bare"


class Point(NamedTuple):
    """What is configured."""

    uplinks: int
    rules: int


UPLINKS, RULES = (2, 8, 30, 60), (10, 100, 1000, 10_000)
"""Uplinks grow beside the least number of rules, and rules beside the least number of uplinks."""
QUICK_UPLINKS, QUICK_RULES = (2, 30), (10, 1000)

START, RELOAD = "start to packets steered", "reload"
SWITCH, CARRIER = "policy switch, 10 policies", "carrier loss to new flows on another uplink"
MEMORY, CPU = "resident tracker", "tracker CPU, 4 targets an uplink each second"
NEW, ESTABLISHED = "NEW packet", "established packet"
UNITS = {
    START: "s",
    RELOAD: "s",
    SWITCH: "ms",
    CARRIER: "ms",
    MEMORY: "MiB PSS",
    CPU: "s a minute",
    NEW: "x bare",
    ESTABLISHED: "x bare",
}
"""What is measured -> its unit."""
CHARTS = {
    "load": ("Loading", "seconds", (START, RELOAD)),
    "failover": ("Failover", "milliseconds", (CARRIER, SWITCH)),
    "memory": ("Memory", "MiB PSS", (MEMORY,)),
    "cpu": ("Processor time at rest", "seconds a minute", (CPU,)),
    "packet": ("Cost of a packet", "times bare forwarding", (NEW, ESTABLISHED)),
}
"""Part of the file's name -> title, label of the axis, what is drawn."""
STEEP = ("load", "failover")
"""With a thousand times as many rules these grow so much that only a logarithmic axis shows both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Figure):
    """One figure of the table."""

    point: Point
    measured: str
    """A key of UNITS."""


def measure(quick: bool, write: bool) -> None:
    """Print the whole table; write it and the curves into docs/ when told to."""
    points = grid(QUICK_UPLINKS, QUICK_RULES) if quick else grid(UPLINKS, RULES)
    machine = document.machine()
    cells = [*(cell for point in points for cell in _lives(point, quick)), *_packets(points, quick)]
    print(table(cells))
    if write:
        draw(DOCUMENT.parent, cells)
        text = f"{document.bullets(machine)}\n{table(cells)}\n{pictures()}"
        document.replace(DOCUMENT, document.BEGIN, document.END, text)


def grid(uplinks: Sequence[int], rules: Sequence[int]) -> list[Point]:
    """One axis, then the other; the point that they share comes once."""
    return [*(Point(each, rules[0]) for each in uplinks), *(Point(uplinks[0], each) for each in rules[1:])]


def cell(point: Point, measured: str, values: Sequence[float]) -> Cell:
    what = f"{measured}, {point.uplinks} uplinks, {point.rules} rules"
    return Cell(what, UNITS[measured], tuple(values), point=point, measured=measured)


def _lives(point: Point, quick: bool) -> list[Cell]:
    """All that one lab is enough for: a daemon after another runs on its router."""
    with Lab(resident.specs(point.uplinks)) as lab:
        text = load.configuration(lab, point.rules)
        starts = [load.start(lab, text) for _ in range(2 if quick else 4)][1:]
        lab.start_netpath(text)
        reloads = [load.reload(lab) for _ in range(2 if quick else 6)]
        _stop(lab)
        switches = switch.switches(lab, point.rules, 2 if quick else 5)
        _stop(lab)
        rules = configurations.rules(point.rules, "all")
        pulled = failover.pulls(lab, lab.config(mode="failover", rules=rules), 2 if quick else 5)
        _stop(lab)
        memory, cpu, _ = resident.steady(lab, rules, 5.0 if quick else 15.0)
    found = {START: starts, RELOAD: reloads, SWITCH: switches, CARRIER: pulled, MEMORY: [memory], CPU: [cpu]}
    return [cell(point, measured, values) for measured, values in found.items()]


def _stop(lab: Lab) -> None:
    stop_all(process for process in lab.processes if process.name == "netpath")


def _packets(points: Sequence[Point], quick: bool) -> list[Cell]:
    """All routers at once, so that each ratio is that of two neighbours in time."""
    rounds = 4 if quick else 15
    with ExitStack() as stack:
        routers = {BARE: datapath.router(stack, Lab(2), datapath.as_it_is)}
        for point in points:
            prepare = partial(datapath.steered, rules=point.rules)
            routers[str(point)] = datapath.router(stack, Lab(resident.specs(point.uplinks)), prepare)
        new = datapath.new_packets(routers, rounds)
        established, _ = datapath.established_packets(routers, rounds)
    return [
        cell(point, measured, [mine / its for mine, its in zip(costs[str(point)], costs[BARE], strict=True)])
        for measured, costs in ((NEW, new), (ESTABLISHED, established))
        for point in points
    ]


def table(cells: Sequence[Cell]) -> str:
    """A row for each point, in Markdown: medians, and least and most where there is more than one value."""
    points = sorted({each.point for each in cells})
    found = {(each.point, each.measured): each.values for each in cells}
    rows = [
        ["uplinks", "rules", *(f"{measured}, {unit}" for measured, unit in UNITS.items())],
        ["---:"] * (2 + len(UNITS)),
        *([str(p.uplinks), f"{p.rules:,}", *(_told(found[p, measured]) for measured in UNITS)] for p in points),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _told(values: Sequence[float]) -> str:
    middle = short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({short(min(values))}-{short(max(values))})"


def pictures() -> str:
    """What `draw` writes, side by side, in Markdown."""
    axes = Point._fields
    lines = [[f"by {axis}" for axis in axes], ["---"] * len(axes)]
    for name, (title, *_) in CHARTS.items():
        lines.append([f"![{title} by {axis}]({_file(name, axis)})" for axis in axes])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _file(chart: str, axis: str) -> str:
    return f"growth-{chart}-{axis}.svg"


def draw(directory: Path, cells: Sequence[Cell]) -> list[Path]:
    """Two pictures of each chart, `growth-CHART-uplinks.svg` and `growth-CHART-rules.svg`; the files written."""
    files = []
    for name, (title, label, drawn) in CHARTS.items():
        for axis in Point._fields:
            file = directory / _file(name, axis)
            series = {measured: curve(cells, measured, axis) for measured in drawn}
            steep = axis == "rules" and name in STEEP
            plot.lines(file, f"{title} by {axis}", axis, label, series, logx=axis == "rules", logy=steep)
            files.append(file)
    return files


def curve(cells: Sequence[Cell], measured: str, axis: str) -> list[tuple[float, float]]:
    """Medians along one axis of the grid, where the other number is at its least."""
    (other,) = set(Point._fields) - {axis}
    least = min(getattr(each.point, other) for each in cells)
    return sorted(
        (float(getattr(each.point, axis)), statistics.median(each.values))
        for each in cells
        if each.measured == measured and getattr(each.point, other) == least
    )
