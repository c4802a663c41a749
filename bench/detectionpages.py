# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/detection.md and its drawings: what bench/detection.py found, as tables and curves."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from bench import detection, document
from bench.detection import BURSTS, CHOICES, DELAYS, RANDOM, SETTINGS, VARIANTS, Calm, Cell, Outages
from bench.figure import markdown_line, short

DOCUMENT = document.DOCUMENT.with_name("detection.md")
BEGIN, END = "<!-- figures: written by `python -m bench detection --write` -->", "<!-- end of figures -->"

DRAWN = {
    "NetPath as shipped, 1 target": "NetPath, 1 target",
    "NetPath as shipped, 2 targets": "NetPath, 2 targets",
    "NetPath as shipped, 4 targets, reliability 2": "NetPath, 4 targets, reliability 2",
    "NetPath, interval 100ms, 2 targets": "NetPath, interval 100ms, 2 targets",
    "mwan3 as shipped, 4 targets, reliability 2": "mwan3, 4 targets, reliability 2",
    "mwan3, interval 1, timeout 1, down 3, 4 targets": "mwan3, 1 s, 1 s, down 3, 4 targets",
    "mwan3, interval 1, timeout 1, down 3, 1 target": "mwan3, 1 s, 1 s, down 3, 1 target",
    "dpinger as in pfSense": "dpinger (pfSense)",
}
"""What the drawings show: more lines than colours can't be told apart."""


def measure(quick: bool, write: bool) -> None:
    """Run everything, print the tables, and write them and the drawings into docs/ when told to."""
    print("detection: links by loss ...", file=sys.stderr, flush=True)
    calms, cuts = detection.survey(SETTINGS, RANDOM | BURSTS_NAMED | DELAYS, quick)
    print("detection: other defaults ...", file=sys.stderr, flush=True)
    other_calms, other_cuts = detection.survey(VARIANTS, {"0%": RANDOM["0%"]} | CHOICES, quick)
    text = "\n".join(
        [
            *_overview(calms, cuts, quick),
            *_alarms("### False alarms a day, losses independent of each other", RANDOM, calms),
            *_alarms("### False alarms a day, the same losses in bursts", BURSTS_NAMED, calms),
            *_alarms("### False alarms a day, delays that vary", DELAYS, calms),
            *_detecting("### Seconds to detect a cut, losses independent of each other", RANDOM, cuts),
            *_variants(other_calms, other_cuts),
        ]
    )
    print(text)
    if write:
        document.replace(DOCUMENT, BEGIN, END, text)
        _draw(calms, cuts)


BURSTS_NAMED = {f"{name} in bursts": link for name, link in BURSTS.items()}


def _overview(calms: Mapping[Cell, Calm], cuts: Mapping[Cell, Outages], quick: bool) -> list[str]:
    heading = (
        "setting",
        "probes a day",
        "seconds to detect a cut: median (95 % within, worst)",
        "seconds to return: median",
        "watched for",
    )
    rows = []
    for name in SETTINGS:
        seen, cut = calms[name, "0%"], cuts[name, "0%"]
        back = short(median(cut.returned))
        rows.append((name, f"{seen.probes_a_day:,.0f}", _times(cut.detected), back, f"{short(seen.days)} days"))
    how = f"{cut.cuts} cuts for each figure{' (--quick: a look, no verdict)' if quick else ''}."
    return [how, "", "### On a line that loses nothing (30 ms, 5 ms of jitter)", "", *_table(heading, rows), ""]


def _alarms(title: str, links: Iterable[str], calms: Mapping[Cell, Calm]) -> list[str]:
    def cell(name: str, link: str) -> str:
        seen = calms[name, link]
        unused = f" ({100 * seen.unused:.1f} %)" if seen.unused >= 0.0005 else ""
        return f"{short(seen.alarms_a_day)}{unused}"

    return _grid(title, SETTINGS, links, cell)


def _detecting(title: str, links: Iterable[str], cuts: Mapping[Cell, Outages]) -> list[str]:
    return _grid(title, SETTINGS, links, lambda name, link: _times(cuts[name, link].detected))


def _variants(calms: Mapping[Cell, Calm], cuts: Mapping[Cell, Outages]) -> list[str]:
    heading = ("setting", "probes a day", "seconds to detect", *(f"alarms a day: {link}" for link in CHOICES))
    rows = [
        (
            name,
            f"{calms[name, '0%'].probes_a_day:,.0f}",
            _times(cuts[name, "0%"].detected),
            *(short(calms[name, link].alarms_a_day) for link in CHOICES),
        )
        for name in VARIANTS
    ]
    return ["### What else could have been shipped (one target unless said)", "", *_table(heading, rows), ""]


def _times(values: Sequence[float]) -> str:
    if not values:
        return "out of use before"
    ordered = sorted(values)
    if ordered[-1] == math.inf:
        return f"{short_or_never(median(ordered))} (not always)"
    return f"{short(median(ordered))} ({short(quantile(ordered, 0.95))}, {short(ordered[-1])})"


def short_or_never(value: float) -> str:
    """A figure; "never" for inf."""
    return "never" if value == math.inf else short(value)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that `share` of the values do not exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _grid(title: str, names: Iterable[str], links: Iterable[str], cell: Callable[[str, str], str]) -> list[str]:
    links = list(links)
    rows = [(name, *(cell(name, link) for link in links)) for name in names]
    return [title, "", *_table(("setting", *(link.removesuffix(" in bursts") for link in links)), rows), ""]


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [markdown_line(heading), markdown_line(["---"] * len(heading)), *map(markdown_line, rows)]


def _draw(calms: Mapping[Cell, Calm], cuts: Mapping[Cell, Outages]) -> None:
    """The drawings beside the document."""
    from bench import plot

    def by_loss(links: Mapping[str, object]) -> dict[str, list[tuple[float, float]]]:
        return {
            label: [(_percent(link), calms[name, link].alarms_a_day) for link in links] for name, label in DRAWN.items()
        }

    def slow(cell: Cell) -> float | None:
        detected = sorted(cuts[cell].detected)
        enough = len(detected) > cuts[cell].cuts // 2 and detected[-1] < math.inf
        return quantile(detected, 0.95) if enough else None

    plot.lines(
        DOCUMENT.with_name("detection-alarms.svg"),
        "False alarms under random loss (a line that ends has none below)",
        "lost, %",
        "false alarms a day",
        by_loss(RANDOM),
        logy=True,
    )
    plot.lines(
        DOCUMENT.with_name("detection-bursts.svg"),
        f"False alarms when the losses come in bursts of {detection.BURST:g} s on average",
        "lost, %",
        "false alarms a day",
        by_loss(BURSTS_NAMED),
        logy=True,
    )
    times = {
        label: [(_percent(link), at) for link in RANDOM if (at := slow((name, link))) is not None]
        for name, label in DRAWN.items()
    }
    plot.lines(
        DOCUMENT.with_name("detection-times.svg"),
        "Time in which 95 % of cuts are detected",
        "lost before the cut, %",
        "seconds",
        times,
        logy=True,
    )
    least = 0.5 / detection.MOST_DAYS
    trade = {
        label: [
            (at, max(calms[name, link].alarms_a_day, least))
            for link in RANDOM
            if (at := slow((name, link))) is not None
        ]
        for name, label in DRAWN.items()
    }
    plot.lines(
        DOCUMENT.with_name("detection-trade.svg"),
        "Detection against false alarms, 0 to 20 % lost along each line",
        "seconds in which 95 % of cuts are detected",
        f"false alarms a day ({least:g}: none)",
        trade,
        logx=True,
        logy=True,
    )


def _percent(link: str) -> float:
    return float(link.partition("%")[0])
