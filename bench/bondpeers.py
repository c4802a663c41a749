# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream over the same links through the bond, and through what others use for that."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench import stream
from bench.bondsite import INNER_SERVER, Site
from bench.figure import Figure, Missing, Row, short
from bench.links import Links
from bench.tunnels import TUNNELS, Tunnel
from netpath.lab.namespace import LabError, Unavailable


@dataclass(frozen=True, slots=True)
class Case:
    """Links to compare over: their rates in Mbit/s (0: unlimited), percent of loss, the sender's congestion control."""

    name: str
    rates: tuple[int, ...]
    loss: int = 0
    congestion: str = "cubic"


CASES = (
    Case("2x100", (100, 100)),
    Case("100+20", (100, 20)),
    Case("5x100", (100,) * 5),
    Case("2x1000", (1000, 1000)),
    Case("one unlimited link", (0,)),
    Case("2x100 with 5 % loss", (100, 100), 5),
    # It takes little notice of loss, so repairs gain less.
    Case("2x100 with 5 % loss, bbr", (100, 100), 5, "bbr"),
)


def measure(quick: bool) -> list[Row]:
    """NetPath's rows repeat those of `bond`, without budgets: only what was measured in turns can be compared."""
    seconds, runs = (5.0, 1) if quick else (8.0, 2)
    present: list[Tunnel] = []
    missing: list[Row] = []
    for tunnel in TUNNELS:
        try:
            tunnel.check()
            present.append(tunnel)
        except Unavailable as why:
            missing.append(Missing(f"{tunnel.name} beside the bond", "-", str(why)))
    return [*(row for case in CASES for row in _compare(case, present, seconds, runs)), *missing]


def _compare(case: Case, present: Sequence[Tunnel], seconds: float, runs: int) -> list[Row]:
    """A row of NetPath and one of each other; they take turns, so that all see the same machine."""
    if present and not stream.knows(case.congestion):
        return [Missing(f"the bond over {case.name}, beside others", "-", f"the kernel has no {case.congestion}")]
    tunnels = [tunnel for tunnel in present if len(case.rates) == 1 or not tunnel.single]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {tunnel.name: [] for tunnel in tunnels}
    failures: dict[str, str] = {}
    for _ in range(runs if tunnels else 0):
        ours.append(_bond(case, seconds))
        for tunnel in tunnels:
            try:
                theirs[tunnel.name].append(_tunnel(tunnel, case, seconds))
            except LabError as error:
                failures[tunnel.name] = str(error).splitlines()[0]
    what = f"over {case.name}: one TCP stream"
    note = f"{case.congestion}; payload, after {stream.WARM_UP:.0f} s; repairs {_repairs(case)}"
    rows: list[Row] = [Figure(f"bond {what}, beside others", "Mbit/s", tuple(ours), note=note)] if ours else []
    for tunnel in tunnels:
        title = f"{tunnel.name} {what}"
        if tunnel.name in failures:
            rows.append(Missing(title, "-", failures[tunnel.name]))
        else:
            rows.append(_figure(title, tunnel.note, theirs[tunnel.name], ours))
    return rows


def _figure(what: str, note: str, theirs: Sequence[float], ours: Sequence[float]) -> Figure:
    its, mine = statistics.median(theirs), statistics.median(ours)
    ratio = f"; the bond: {short(mine / its)} times that" if its else ""
    return Figure(what, "Mbit/s", tuple(theirs), note=note + ratio)


def _bond(case: Case, seconds: float) -> float:
    with Site(case.rates, {"fec": _repairs(case)}, loss=case.loss) as site:
        return stream.speed(site, INNER_SERVER, seconds, congestion=case.congestion)


def _repairs(case: Case) -> str:
    return "adaptive" if case.loss else "off"


def _tunnel(tunnel: Tunnel, case: Case, seconds: float) -> float:
    with Links(case.rates, loss=case.loss) as links:
        tunnel.start(links)
        return stream.speed(links, tunnel.address, seconds, mptcp=tunnel.mptcp, congestion=case.congestion)
