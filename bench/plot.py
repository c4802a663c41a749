# SPDX-License-Identifier: GPL-2.0-or-later
"""Curves as SVG files for the documents. The same figures make the same file, byte for byte.

Needs matplotlib (requirements-bench.txt), which is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""Told apart by colour-blind readers as well (Okabe and Ito, 2008, without their yellow, which is faint on white)."""
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
"""As many lines as there are colours look alike in grey, so the ninth and later ones change dashes too."""

SETTINGS: Any = {
    "svg.hashsalt": "netpath",  # else the ids in the file are random
    "svg.fonttype": "none",  # text stays text: it can be searched, and the file is a tenth of the size
    "font.family": "sans-serif",
    "font.size": 10,
}


def lines(
    path: Path,
    title: str,
    x: str,
    y: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    logx: bool = False,
    logy: bool = False,
    markers: bool = True,
) -> None:
    """Draw a line for each of `series`, name -> points (x, y), with a legend, on white, into `path`.

    `x` and `y` are the labels of the axes, with their units. Points are joined in the order given;
    a logarithmic axis leaves out those that are not above 0.
    Raises ModuleNotFoundError without matplotlib, OSError where `path` cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(8, 5), facecolor="white", layout="constrained")
        axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
        if logx:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        if logy:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        styles = zip(series.items(), cycle(COLOURS), cycle(MARKERS), strict=False)
        for number, ((name, points), colour, marker) in enumerate(styles):
            shown = [point for point in points if (not logx or point[0] > 0) and (not logy or point[1] > 0)]
            axes.plot(
                [point[0] for point in shown],
                [point[1] for point in shown],
                label=name,
                color=colour,
                linestyle=DASHES[number // len(COLOURS) % len(DASHES)],
                marker=marker if markers else "",
                markersize=5,
                linewidth=1.6,
            )
        if not logy:
            axes.set_ylim(bottom=0)
        axes.grid(True, which="major", color="#d0d0d0", linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
