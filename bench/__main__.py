# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m bench [NAME ...] [--quick] [--write]`: measure NetPath's budgets; under half an hour for all of them.

A missed budget is printed and is no failure. Exit code 1: something could not be measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from bench import (
    bond,
    bondpeers,
    datapath,
    detectionpages,
    displays,
    document,
    failover,
    fuzz,
    growth,
    load,
    mwan3,
    repairs,
    resident,
    scrape,
    switch,
    ubus,
)
from bench.figure import Missing, Row, plain
from netpath.lab import LabError

MEASUREMENTS: Mapping[str, tuple[str, Callable[[bool], Sequence[Row]]]] = {
    "resident": ("memory and CPU time of the tracker", resident.measure),
    "drift": ("memory of the tracker after a busy life", resident.drift),
    "load": ("full load and reload", load.measure),
    "switch": ("policy switch", switch.measure),
    "carrier": ("failover after carrier loss", failover.carrier),
    "silent": ("failover after silent loss", failover.silent),
    "defaults": ("failover after silent loss, shipped defaults", failover.defaults),
    "datapath": ("cost of a packet", datapath.measure),
    "repairs": ("the bond's repairs of lost datagrams", repairs.measure),
    "fuzz": ("datagrams that nobody should send", fuzz.measure),
    "bond": ("the bond", bond.measure),
    "bondpeers": ("the bond beside others", bondpeers.measure),
    "displays": ("UDP server of the monitor", displays.measure),
    "ubus": ("status through rpcd", ubus.measure),
    "scrape": ("cost of a scrape of /metrics", scrape.measure),
    "mwan3": ("mwan3 beside NetPath, when its path is given", mwan3.measure),
}

STUDIES: Mapping[str, tuple[str, Callable[[bool, bool], None]]] = {
    "growth": ("growth with uplinks and rules (docs/growth.md)", growth.measure),
    "detection": ("time to detect against false alarms (docs/detection.md)", detectionpages.measure),
}
"""What has a document of its own: (quick, write) -> printed, and written when told to."""
TITLES = {name: title for name, (title, _) in [*MEASUREMENTS.items(), *STUDIES.items()]}


def main() -> int:
    """Measure what was asked for, print it, and write it into docs/ when told to."""
    options = _arguments()
    names = options.names or [*MEASUREMENTS, *STUDIES]
    machine = document.machine()
    measured: dict[str, Sequence[Row]] = {}
    failed = False
    for name in names:
        began = time.monotonic()
        print(f"{name}: {TITLES[name]} ...", file=sys.stderr, flush=True)
        try:
            if name in STUDIES:
                STUDIES[name][1](options.quick, options.write)
            else:
                measured[name] = MEASUREMENTS[name][1](options.quick)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            failed = True
            measured[name] = [Missing(TITLES[name], "-", str(error).splitlines()[0])]
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        print(f"{name}: took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    machine[-1] += f", after: {os.getloadavg()[0]:.1f}"
    if measured:
        print("\n".join(machine), plain([row for rows in measured.values() for row in rows]), sep="\n\n", end="")
    if options.write and measured and not failed:
        document.write(list(MEASUREMENTS), machine, measured)
    return int(failed)


def _arguments() -> argparse.Namespace:
    names = "".join(f"\n  {name:10} {title}" for name, title in TITLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measure NetPath's budgets.\n\nmeasurements:{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*TITLES, []], help="only these measurements")
    parser.add_argument("--quick", action="store_true", help="fewer runs: a look, no verdict")
    parser.add_argument("--write", action="store_true", help="replace the figures of what is measured in docs/")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write needs measurements in full")
    return options


if __name__ == "__main__":
    sys.exit(main())
