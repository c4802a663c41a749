# SPDX-License-Identifier: GPL-2.0-or-later
"""The resident tracker: `netpath run`."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable

from netpath.owners import make_private
from netpath.paths import Paths
from netpath.tracker.journal import Log


def main(
    where: Paths, *, use_syslog: bool = False, use_stderr: bool = True, clock: Callable[[], float] = time.time
) -> int:
    """Run until stopped. 0 after an ordinary stop, 1 when it cannot start (said on standard error).

    `clock` gives the epoch that schedules and quotas go by.
    """
    import netpath.lean  # noqa: F401, I001  (asyncio without OpenSSL; whoever imports it later gets that one)
    import asyncio

    try:
        make_private(where.state_dir)
        lock = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        print(f"netpath: state directory {where.state_dir} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"netpath: another tracker runs with state directory {where.state_dir}; stop it first", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_run(where, Log(use_syslog=use_syslog, use_stderr=use_stderr), clock))
    finally:
        os.close(lock)


async def _run(where: Paths, log: Log, clock: Callable[[], float]) -> int:
    from netpath.kernel.nft import NftError
    from netpath.tracker.daemon import Daemon
    from netpath.tracker.memory import keep_small
    from netpath.tracker.metrics import Metrics
    from netpath.tracker.server import Server
    from netpath.tracker.ubus import UbusEvents
    from netpath.tracker.verbs import Verbs

    try:
        daemon = Daemon(where, log, clock)
    except NftError as error:
        log("error", str(error))
        return 1
    metrics = Metrics(daemon)
    server = Server(where.socket, Verbs(daemon, metrics).answer, daemon.journal, log)
    ubus = UbusEvents(daemon)
    try:
        ubus.start()
        await daemon.start()
        await server.start()
        daemon.spawn(metrics.run())
        daemon.spawn(keep_small())
        log("notice", f"ready: {where.config}, socket {where.socket}")
        await daemon.stopping.wait()
    except OSError as error:
        log("error", f"cannot run: {error}")
        return 1
    finally:
        await ubus.close()
        await daemon.close()
        await server.close()
    return 0
