# SPDX-License-Identifier: GPL-2.0-or-later
"""Time to detect against false alarms: NetPath's own code, mwan3's and dpinger's ways, all on the same probe series.

Nothing here is measured by a clock: the same seeds give the same figures on every machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bench.detectionpeers import Change, Dpinger, Mwan3
from bench.detectionseries import Link, Series, Shape
from bench.detectiontracker import NetPath

DAY = 86400.0
PROBES = 60_000
"""Calm probes that a healthy link is watched with: who probes less is watched for more days, MOST_DAYS at most."""
MOST_DAYS = 10.0
SEED = 1
CUTS = 60
QUICKER = 10
"""--quick takes a tenth of both."""

WARM = 65.0
"""Seconds before a cut: dpinger's average needs 60."""
PHASES = 20.0
"""Cuts are spread over this, two of the longest intervals."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples fill an interval evenly and keep step with nothing."""
PATIENCE = 300.0
"""Seconds in which a cut must have been noticed, and after its end the uplink be used again."""
OUTAGE = 60.0
"""The cut goes on for this long once it was noticed."""


class Watcher(Protocol):
    """One algorithm with its settings."""

    @property
    def calm_probes_a_day(self) -> float:
        """Probes of an uplink that always answers."""

    def watch(self, series: Series, until: float) -> Iterator[Change]:
        """Yields (seconds, whether the uplink is in use from then on), which it is at the beginning."""


SHIPPED, SHIPPED2 = "NetPath as shipped, 1 target", "NetPath as shipped, 2 targets"
SETTINGS: Mapping[str, Watcher] = {
    SHIPPED: NetPath(1),
    SHIPPED2: NetPath(2),
    "NetPath as shipped, 4 targets, reliability 2": NetPath(4, {"reliability": "2"}),
    "NetPath, interval 1s, 2 targets": NetPath(2, {"interval": "1s"}),
    "NetPath, interval 100ms, 2 targets": NetPath(2, {"interval": "100ms"}),
    "mwan3 as shipped, 4 targets, reliability 2": Mwan3(4, 2),
    "mwan3, interval 1, timeout 1, down 3, 4 targets": Mwan3(4, 1, 1.0, 1.0, 3),
    "mwan3, interval 1, timeout 1, down 3, 1 target": Mwan3(1, 1, 1.0, 1.0, 3),
    "dpinger as in pfSense": Dpinger(),
    "dpinger as in OPNsense": Dpinger(interval=1.0, loss_interval=4.0, hold=0.0),
}

VARIANTS: Mapping[str, Watcher] = {
    "down 2": NetPath(1, {"down": "2"}),
    "as shipped": NetPath(1),
    "down 4": NetPath(1, {"down": "4"}),
    "down 5": NetPath(1, {"down": "5"}),
    "failure_interval 200ms": NetPath(1, {"failure_interval": "200ms"}),
    "failure_interval 500ms": NetPath(1, {"failure_interval": "500ms"}),
    "failure_interval 1s": NetPath(1, {"failure_interval": "1s"}),
    "timeout 1s": NetPath(1, {"timeout": "1s"}),
    "interval 2s": NetPath(1, {"interval": "2s"}),
    "interval 10s": NetPath(1, {"interval": "10s"}),
    "as shipped, 2 targets": NetPath(2),
    "2 targets, failure_interval 100ms": NetPath(2, {"failure_interval": "100ms"}),
    "2 targets, failure_interval 500ms": NetPath(2, {"failure_interval": "500ms"}),
    "2 targets, failure_interval 1s": NetPath(2, {"failure_interval": "1s"}),
    "2 targets, down 5": NetPath(2, {"down": "5"}),
    "2 targets, reliability 2": NetPath(2, {"reliability": "2"}),
}
"""What else could have been shipped."""

LOSSES = (0.0, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20)
BURST = 0.25
QUIET = Link()
RANDOM = {f"{loss:.0%}": Link(loss=loss) for loss in LOSSES}
BURSTS = {name: link.bursty(BURST) for name, link in RANDOM.items() if link.loss}
DELAYS = {
    "radio: 50 ms and 30 ms lognormal, 2 % loss": Link(0.05, 0.03, Shape.LOGNORMAL, 0.02),
    "bad radio: 50 ms and 100 ms lognormal, 5 % loss": Link(0.05, 0.1, Shape.LOGNORMAL, 0.05),
    "satellite: 600 ms and 30 ms, 1 % loss": Link(0.6, 0.03, loss=0.01),
    "full buffer: 500 ms more at times": Link(swell=0.5),
    "full buffer: 1 s more at times": Link(swell=1.0),
}
CHOICES = {
    "10 % lost": RANDOM["10%"],
    "20 % lost": RANDOM["20%"],
    "1 % in bursts": BURSTS["1%"],
    "5 % in bursts": BURSTS["5%"],
    "full buffer, 1 s": DELAYS["full buffer: 1 s more at times"],
}


@dataclass(frozen=True, slots=True)
class Calm:
    """What an algorithm made of a link that works."""

    days: float
    alarms: int
    unused: float
    """Share of the time that the uplink was out of use, 0 to 1."""
    probes: int

    @property
    def alarms_a_day(self) -> float:
        return self.alarms / self.days

    @property
    def probes_a_day(self) -> float:
        return self.probes / self.days


@dataclass(frozen=True, slots=True)
class Outages:
    """Seconds from each cut until the uplink was out of use, and from its end until it was used again."""

    detected: tuple[float, ...]
    """Only cuts of an uplink that was in use; inf: never noticed."""
    returned: tuple[float, ...]
    cuts: int


def calm(watcher: Watcher, link: Link, seed: int, days: float) -> Calm:
    """Watch a link that nobody cuts."""
    series = Series(link, seed)
    alarms, unused, since = 0, 0.0, None
    for at, usable in watcher.watch(series, days * DAY):
        if usable:
            unused += at - (since or 0.0)
            since = None
        else:
            alarms += 1
            since = at
    if since is not None:
        unused += days * DAY - since
    return Calm(days, alarms, unused / (days * DAY), series.asked)


def outage(watcher: Watcher, link: Link, seed: int, cut: float) -> tuple[float, float] | None:
    """(seconds to notice, seconds to return), inf for never; None when the uplink was out of use before it was cut."""
    series = Series(link, seed)
    series.cut = cut
    in_use, noticed = True, math.inf
    for at, usable in watcher.watch(series, cut + 2 * PATIENCE + OUTAGE):
        if at < cut:
            in_use = usable
        elif not in_use:
            return None
        elif noticed == math.inf:
            noticed = at
            series.mend = at + OUTAGE
        elif usable and at >= series.mend:
            return noticed - cut, at - series.mend
    return (noticed - cut, math.inf) if in_use else None


def outages(watcher: Watcher, link: Link, cuts: int) -> Outages:
    """Cut it again and again, each time in another phase of its probing."""
    phases = [number * GOLDEN % 1 for number in range(cuts)]
    found = [outage(watcher, link, 1000 + number, WARM + PHASES * phase) for number, phase in enumerate(phases)]
    seen = [times for times in found if times is not None]
    return Outages(tuple(noticed for noticed, _ in seen), tuple(back for _, back in seen), cuts)


Cell = tuple[str, str]
"""A setting and a link, by name."""


def survey(
    settings: Mapping[str, Watcher], links: Mapping[str, Link], quick: bool
) -> tuple[dict[Cell, Calm], dict[Cell, Outages]]:
    """Every setting on every link, on all processors."""
    calms: dict[Cell, Future[Calm]] = {}
    cuts: dict[Cell, Future[Outages]] = {}
    share = QUICKER if quick else 1
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, watcher in settings.items():
            for place, link in links.items():
                days = min(PROBES / watcher.calm_probes_a_day, MOST_DAYS) / share
                calms[name, place] = pool.submit(calm, watcher, link, SEED, days)
                cuts[name, place] = pool.submit(outages, watcher, link, CUTS // share)
        return (
            {cell: future.result() for cell, future in calms.items()},
            {cell: future.result() for cell, future in cuts.items()},
        )
