# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's process: `netpath monitor run`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from netpath.config.monitor import Given
from netpath.monitor.daemon import METHODS, Daemon
from netpath.paths import Paths
from netpath.tracker.journal import LEVELS, Log
from netpath.tracker.server import Server

_RUST_LEVELS = {"error": "error", "warn": "warning", "info": "info", "debug": "debug", "trace": "debug"}


def main(where: Paths, given: Sequence[Given] = (), *, use_syslog: bool = False, use_stderr: bool = True) -> int:
    """Run until stopped. 0 after an ordinary stop, 1 when it cannot start (said on standard error)."""
    lock_file = Path(f"{where.monitor_socket}.lock")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        print(f"netpath monitor: {lock_file} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"netpath monitor: another monitor runs with socket {where.monitor_socket}; stop it", file=sys.stderr)
        return 1
    log = Log(use_syslog=use_syslog, use_stderr=use_stderr, name="netpath-monitor")
    try:
        return asyncio.run(_run(where, given, log, level(os.environ)))
    finally:
        os.close(lock)


def level(environ: Mapping[str, str]) -> str | None:
    """The log's level as RUST_LOG names it; None where that is not set, or is one of the forms that name modules."""
    word = environ.get("RUST_LOG", "").strip().lower()
    return _RUST_LEVELS.get(word, word if word in LEVELS else None)


async def _run(where: Paths, given: Sequence[Given], log: Log, level: str | None) -> int:
    if level is not None:
        log.set_level(level)
    daemon = Daemon(where, given, log, level)
    server = Server(where.monitor_socket, daemon.answer, None, log, METHODS)
    code = 0
    try:
        await server.start()
        await daemon.start()
        log("notice", f"ready: socket {where.monitor_socket}")
        await daemon.stopping.wait()
    except OSError as error:
        log("error", f"cannot run: {error}")
        code = 1
    finally:
        await daemon.close()
        await server.close()
    await _leave(code, log)
    return code


async def _leave(code: int, log: Log) -> None:
    """End the process where something of it will not: the event loop would wait for tasks without end, and Python for
    threads, of which one may be looking up a name that nobody answers for."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    stuck = (await asyncio.wait(left, timeout=1))[1] if left else set()
    if stuck:
        log("error", f"{len(stuck)} tasks do not end: {', '.join(sorted(str(t.get_coro()) for t in stuck))[:300]}")
    if stuck or threading.active_count() > 1:
        sys.stderr.flush()
        os._exit(1 if stuck else code)
