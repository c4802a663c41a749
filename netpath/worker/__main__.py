# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.worker JOB [--config FILE] [--socket PATH] [--state-dir DIR]`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from netpath import paths


def _apply() -> Callable[[paths.Paths, dict[str, Any]], dict[str, Any]]:
    from netpath.worker.apply import apply

    return apply


def _stop() -> Callable[[paths.Paths, dict[str, Any]], dict[str, Any]]:
    from netpath.worker.stop import stop

    return stop


def _report(name: str) -> Callable[[], Callable[[paths.Paths, dict[str, Any]], dict[str, Any]]]:
    def load() -> Callable[[paths.Paths, dict[str, Any]], dict[str, Any]]:
        from netpath.worker import reports

        function: Callable[[paths.Paths, dict[str, Any]], dict[str, Any]] = getattr(reports, name)
        return function

    return load


JOBS = {"apply": _apply, "stop": _stop} | {
    name: _report(name) for name in ("check", "explain", "rules", "connected", "diag", "internal")
}
"""Job -> loader of its function; loaded late so that `apply` does not pay for the reports."""


def main(argv: list[str]) -> int:
    """Run one job; 0 when a reply was written, also when the reply says that the job failed."""
    job = argv[0] if argv else ""
    if job not in JOBS:
        print(f"netpath.worker: unknown job {job!r}; one of {', '.join(JOBS)}", file=sys.stderr)
        return 2
    where, _ = paths.resolve(argv[1:], os.environ)
    request = sys.stdin.read()
    reply = JOBS[job]()(where, json.loads(request) if request.strip() else {})
    json.dump(reply, sys.stdout, allow_nan=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
