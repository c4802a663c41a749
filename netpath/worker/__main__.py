# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.worker JOB [--config FILE] [--socket PATH] [--state-dir DIR]`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from netpath import paths
from netpath.kernel import process

JOBS: Mapping[str, str] = {
    "apply": "apply",
    "stop": "stop",
    "explain": "explain",
    "dnsmasq": "dnsmasq",
    "diag": "diag",
    "check": "reports",
    "config": "reports",
    "rules": "reports",
    "connected": "reports",
    "connections": "reports",
    "preview": "preview",
    "internal": "reports",
}
"""Job -> module of this package that has a function of the job's name."""

Job = Callable[[paths.Paths, Mapping[str, Any]], dict[str, Any]]


def job(name: str) -> Job:
    """The function of a job. Its module is imported only now: `apply` does not pay for the reports."""
    function: Job = getattr(import_module(f"netpath.worker.{JOBS[name]}"), name)
    return function


def main(argv: list[str]) -> int:
    """Run one job; 0 when a reply was written, also when the reply says that the job failed."""
    name = argv[0] if argv else ""
    if name not in JOBS:
        print(f"netpath.worker: unknown job {name!r}; one of {', '.join(JOBS)}", file=sys.stderr)
        return 2
    # An orphan could finish after the next tracker's load, and put an older state over it.
    tracker = os.environ.get("NETPATH_TRACKER")
    if tracker is not None and not process.die_with(int(tracker)):
        return 1
    where, _ = paths.resolve(argv[1:], os.environ)
    request = sys.stdin.read()
    reply = job(name)(where, json.loads(request) if request.strip() else {})
    json.dump(reply, sys.stdout, allow_nan=False)
    return 0


def _leave(code: int) -> NoReturn:
    """End at once: the interpreter would take apart what the kernel throws away as a whole, while the tracker waits."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
