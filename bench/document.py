# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures in docs/benchmarks.md, and on what machine they were measured."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figure import Row, markdown

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: written by `python -m bench --write` -->", "<!-- end of figures -->"


def write(machine: Sequence[str], rows: Sequence[Row]) -> None:
    """Replace the figures in docs/benchmarks.md; see `replace`."""
    replace(DOCUMENT, machine, markdown(rows))


def replace(document: Path, machine: Sequence[str], figures: str) -> None:
    """Replace what stands between the two marks of a document. Raises ValueError when they are not there."""
    text = document.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document}: the lines {BEGIN!r} and {END!r} are missing")
    lines = "".join(f"- {line}\n" for line in machine)
    document.write_text(f"{head}{begin}\n{lines}\n{figures}{end}{tail}", encoding="utf-8")


def machine() -> list[str]:
    """Machine, kernel, programs, date and how busy the machine is now, a line each."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    nft = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return [
        f"machine: {len(cpus) or os.cpu_count()} x {cpus[0] if cpus else platform.machine()}, {total >> 20} GiB",
        f"kernel: {platform.release()}; Python {platform.python_version()}; nft {nft.removeprefix('v')}",
        f"date: {time.strftime('%Y-%m-%d')}; load average before: {os.getloadavg()[0]:.1f}",
    ]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
