# SPDX-License-Identifier: GPL-2.0-or-later
"""One reading of everything that could drift: our processes, the router's kernel state, our files."""

from __future__ import annotations

import contextlib
import json
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from netpath.lab.namespace import LabError, Process, cpu_seconds, pids_in
from netpath.lab.soak.drift import Judged, Quantity
from netpath.lab.soak.nftcount import count
from netpath.lab.soak.site import Site

WATCHED = ("tracker", "monitor", "bond", "bond server")
"""Their names in `Site.ours`."""
_OF_PROCESS: tuple[tuple[str, str, Judged, float], ...] = (
    ("RSS", "KiB", Judged.SLOPE, 64.0),
    ("PSS", "KiB", Judged.NOT, 0.0),  # it falls and rises with the other Python programs that share pages
    ("descriptors", "", Judged.NO_MORE, 0.0),
    ("threads", "", Judged.NOT, 0.0),  # pools grow to their limit
    ("CPU", "%", Judged.NOT, 0.0),
)
_OF_ROUTER: tuple[tuple[str, str, Judged, float], ...] = (
    ("processes", "", Judged.NO_MORE, 0.0),
    ("conntrack entries", "", Judged.SLOPE, 100.0),
    ("nft tables", "", Judged.EQUAL, 0.0),
    ("nft chains", "", Judged.EQUAL, 0.0),
    ("nft rules", "", Judged.EQUAL, 0.0),
    ("nft sets", "", Judged.EQUAL, 0.0),
    ("nft elements", "", Judged.EQUAL, 0.0),
    ("nft dynamic elements", "", Judged.SLOPE, 4.0),
    ("routes", "", Judged.EQUAL, 0.0),
    ("ip rules", "", Judged.EQUAL, 0.0),
    # One more or less by turns: a prepared policy switch is kept as a file until a load takes it away.
    ("state files", "", Judged.SLOPE, 1.0),
    ("state size", "KiB", Judged.SLOPE, 16.0),
)
QUANTITIES = (
    *(Quantity(f"{what} {name}", unit, judged, limit) for what in WATCHED for name, unit, judged, limit in _OF_PROCESS),
    *(Quantity(*each) for each in _OF_ROUTER),
)
COUNTED = frozenset(q.name for q in QUANTITIES if q.judged in (Judged.EQUAL, Judged.NO_MORE, 0.0))
"""What must be as before once everything is healed."""


class Reader:
    """Takes readings of a site; remembers the processor time of the one before."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._burnt: dict[str, tuple[float, float]] = {}

    def read(self) -> dict[str, float]:
        """Values by the names of QUANTITIES."""
        values: dict[str, float] = {}
        for what in WATCHED:
            values |= {f"{what} {name}": value for name, value in self._of_process(what).items()}
        return {**values, **self.counts()}

    def _of_process(self, what: str) -> dict[str, float]:
        process = self._site.ours[what]
        place = Path("/proc", str(process.pid))
        with _alive(what, process):
            rollup = dict(line.split()[:2] for line in (place / "smaps_rollup").read_text().splitlines()[1:])
            threads = len(list((place / "task").iterdir()))
            now, burnt = time.monotonic(), cpu_seconds(process.pid)
        then, before = self._burnt.get(what, (now, burnt))
        self._burnt[what] = now, burnt
        return {
            "RSS": float(rollup["Rss:"]),
            "PSS": float(rollup["Pss:"]),
            "threads": threads,
            "CPU": 100 * (burnt - before) / (now - then) if now > then else 0.0,
        }

    def counts(self) -> dict[str, float]:
        """Those of our processes' descriptors, of the router and of our files."""
        lab, ours = self._site.lab, self._site.ours
        router = lab.router
        nft = count(json.loads(router.run(["nft", "-j", "list", "ruleset"])))
        sizes = [*_sizes((*lab.state_dir.rglob("*"), lab.usage_file))]
        return {
            **{f"{what} descriptors": _descriptors(what, ours[what]) for what in WATCHED},
            **{f"nft {name}": float(number) for name, number in nft.items()},
            "processes": len({*pids_in([router.name]), *_children(ours[what] for what in WATCHED)}),
            "conntrack entries": int(router.inside(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text)),
            "routes": sum(_lines(router.run(["ip", f"-{v}", "route", "show", "table", "all"])) for v in (4, 6)),
            "ip rules": sum(_lines(router.run(["ip", f"-{v}", "rule"])) for v in (4, 6)),
            "state files": len(sizes),
            "state size": sum(sizes) / 1024,
        }


@contextlib.contextmanager
def _alive(what: str, process: Process) -> Iterator[None]:
    """Raises LabError when the process is gone."""
    try:
        yield
    except (FileNotFoundError, ProcessLookupError):
        raise LabError(f"the {what} has ended:\n{process.output()[-2000:]}") from None


def _descriptors(what: str, process: Process) -> int:
    with _alive(what, process):
        return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def _children(processes: Iterable[Process]) -> Iterator[int]:
    """Also those that have ended and that nobody has waited for, which are in no namespace any more."""
    for process in processes:
        for task in Path(f"/proc/{process.pid}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
                yield from map(int, task.read_text().split())


def _sizes(files: Iterable[Path]) -> Iterator[int]:
    """Of the regular ones, in bytes."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # it went meanwhile
            found = file.lstat()
            if stat.S_ISREG(found.st_mode):
                yield found.st_size


def _lines(text: str) -> int:
    return len(text.splitlines())
