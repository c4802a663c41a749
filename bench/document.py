# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures in docs/benchmarks.md, and on what machine they were measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figure import Row, markdown, told

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
RESULTS = DOCUMENT.with_suffix(".json")
BEGIN, END = "<!-- figures: written by `python -m bench --write` -->", "<!-- end of figures -->"


def write(order: Sequence[str], machine: Sequence[str], measured: Mapping[str, Sequence[Row]]) -> None:
    """Put the rows of these measurements in the place of their old ones: in benchmarks.json, which keeps what was
    measured when, and in the document, in the given order. Raises ValueError as `replace` does.
    """
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name, rows in measured.items():
        kept[name] = {"machine": list(machine), "rows": [told(row) for row in rows]}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    replace(DOCUMENT, BEGIN, END, rendered({name: kept[name] for name in order if name in kept}))


def rendered(kept: Mapping[str, Any]) -> str:
    """Who was measured where and when, a line for each occasion, then the table."""
    occasions: dict[tuple[str, ...], list[str]] = {}
    for name, entry in kept.items():
        occasions.setdefault(tuple(entry["machine"]), []).append(name)
    lines = [f"{', '.join(names)}: {'; '.join(machine)}" for machine, names in occasions.items()]
    return f"{bullets(lines)}\n{markdown([row for entry in kept.values() for row in entry['rows']])}"


def bullets(machine: Sequence[str]) -> str:
    """`machine` as a list in Markdown."""
    return "".join(f"- {line}\n" for line in machine)


def replace(path: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two marks in a document. Raises ValueError when they are not there."""
    head, begun, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, tail = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{path}: the lines {begin!r} and {end!r} are missing")
    path.write_text(f"{head}{begin}\n{text}{end}{tail}", encoding="utf-8")


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
