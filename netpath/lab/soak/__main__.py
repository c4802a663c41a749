# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.lab.soak [--time 1h] [--seed N] [--every S] [--pace X] [--out FILE]`; see docs/testing.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netpath.lab.soak.run import Plan, soak
from netpath.lab.soak.schedule import seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m netpath.lab.soak", description="Run for long, with faults.")
    parser.add_argument("--time", type=_seconds, default=3600.0, metavar="TIME", help="such as 90s, 15m, 1h (default)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the faults; 1")
    parser.add_argument("--every", type=_seconds, default=5.0, metavar="TIME", help="between two samples; 5s")
    parser.add_argument("--pace", type=float, default=1.0, metavar="X", help="pauses and faults X times as long; 1")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write samples there, a JSON object a line")
    given = parser.parse_args()
    return soak(Plan(given.time, given.seed, given.every, given.pace, given.out))


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
