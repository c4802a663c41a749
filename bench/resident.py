# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tracker holds and burns while nothing happens: memory and CPU time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from bench.figure import Figure
from netpath.lab import SERVERS, Lab, Process, UplinkSpec
from netpath.lab.namespace import cpu_seconds
from netpath.tracker import memory

MANY = 60
SETTLE_SECONDS = 5.0
STEADY_SECONDS = 15.0
CPU_SECONDS = 30.0
TARGETS = 4
MEMORY = {2: 20.0, MANY: 30.0}
"""Uplinks -> MiB."""
CPU = 0.4
"""Seconds a minute."""


def measure(quick: bool) -> list[Figure]:
    """Memory with 2 and 60 uplinks, and CPU time with 2, each uplink with 4 targets pinged every second."""
    few, cpu, note = _run(2, 10.0 if quick else CPU_SECONDS)
    many, busy, note_many = _run(MANY, 5.0 if quick else STEADY_SECONDS)
    return [
        Figure("resident tracker, 2 uplinks", "MiB PSS", (few,), MEMORY[2], note=note),
        Figure(f"resident tracker, {MANY} uplinks", "MiB PSS", (many,), MEMORY[MANY], note=note_many),
        Figure("tracker CPU, 2 uplinks x 4 targets each second", "s a minute", (cpu,), CPU),
        Figure(f"tracker CPU, {MANY} uplinks x 4 targets each second", "s a minute", (busy,)),
    ]


def drift(quick: bool) -> list[Figure]:
    """What a busy life adds to the tracker's resident memory: an uplink that goes and comes, and reloads."""
    transitions, reloads = (200, 10) if quick else (1000, 100)
    with Lab(2) as lab:
        process = lab.start_netpath()
        lab.wait_states(dict.fromkeys((row.name for row in lab.uplinks), "online"), 30.0)
        time.sleep(SETTLE_SECONDS)
        before = _resident(process)
        for _ in range(transitions // 2):
            lab.call({"cmd": "disable", "interface": "wan"})
            lab.call({"cmd": "enable", "interface": "wan"})
        for _ in range(reloads):
            lab.call({"cmd": "reload"})
        time.sleep(memory.PERIOD + 1.0)
        after = _resident(process)
    what = f"tracker's memory after {transitions} transitions and {reloads} reloads, more than before"
    return [Figure(what, "MiB RSS", (after - before,), note=f"RSS {before:.1f} before, {after:.1f} MiB after")]


def _resident(process: Process) -> float:
    """RSS in MiB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _run(uplinks: int, seconds: float) -> tuple[float, float, str]:
    with Lab(specs(uplinks)) as lab:
        return steady(lab, None, seconds)


def specs(uplinks: int) -> list[UplinkSpec]:
    """So many uplinks without IPv6, of which as many fit into the mark as there are bits for."""
    return [UplinkSpec("wan" if number == 1 else f"wan{number}", ipv6=False) for number in range(1, uplinks + 1)]


def steady(lab: Lab, rules: str | None, seconds: float) -> tuple[float, float, str]:
    """(MiB, CPU seconds a minute, what to say of the memory) of a tracker that has been steady for `seconds`.

    `rules` as for `lab.config`. The daemon that this starts is left running.
    """
    options = {"track_targets": SERVERS["ipv4"][:TARGETS], "interval": "1s"}
    process = lab.start_netpath(lab.config(options=options, rules=rules))
    lab.wait_states(dict.fromkeys((uplink.name for uplink in lab.uplinks), "online"), 30.0)
    time.sleep(SETTLE_SECONDS)
    before, began = cpu_seconds(process.pid), time.monotonic()
    time.sleep(seconds)
    used, elapsed = cpu_seconds(process.pid) - before, time.monotonic() - began
    memory, note = _memory(process)
    return memory, used * 60 / elapsed, note


def _memory(process: Process) -> tuple[float, str]:
    """PSS in MiB as if no other Python program ran, and the raw values.

    The lab itself runs Python; pages that the tracker shares with it would count only in part, which no router would
    give. So files that only programs of the same interpreter map are counted in full.
    """
    everywhere = _files_of_others(Path(f"/proc/{process.pid}/exe").resolve())
    total, alone = 0, False
    for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        key, _, value = line.partition(":")
        if " " in key:
            alone = _file(line) != "" and _file(line) not in everywhere
        elif key == ("Rss" if alone else "Pss"):
            total += int(value.split()[0])
    raw = dict(line.split()[:2] for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:])
    note = (
        f"RSS {int(raw['Rss:']) / 1024:.1f}, PSS as the kernel counts it {int(raw['Pss:']) / 1024:.1f} MiB, which "
        "profits from the lab's own Python programs: files that only such map are counted in full here"
    )
    return total / 1024, note


def _files_of_others(interpreter: Path) -> set[str]:
    """Files that programs of another kind have mapped: the C library above all.

    Programs that end meanwhile, threads of the kernel and what we may not look at are passed over, which can only make
    the figure greater.
    """
    files: set[str] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (entry / "exe").readlink() != interpreter:
                files |= {_file(line) for line in (entry / "maps").read_text().splitlines()}
    return files


def _file(line: str) -> str:
    """The file of a line of /proc/PID/maps; "" for anonymous memory."""
    words = line.split(maxsplit=5)
    return words[5] if len(words) == 6 and words[5].startswith("/") else ""
