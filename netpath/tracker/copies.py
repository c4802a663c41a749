# SPDX-License-Identifier: GPL-2.0-or-later
"""Forked copies of the tracker, for work that must begin at once.

A fresh interpreter needs a tenth of a second to import what the tracker has in memory already. A copy of the tracker
begins within a millisecond, and what it takes of memory ends with it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from netpath.kernel import process


def start(work: Callable[[], int], stdout: int, stderr: int) -> int:
    """Have a copy do `work` and end with the code that it returns, 1 when it raises; the copy's pid.

    Of the tracker's descriptors it has these two, as its standard output and error. Raises OSError.
    """
    tracker = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if process.die_with(tracker):
            _part_from_tracker(stdout, stderr)
            code = work()
    except BaseException:  # noqa: BLE001  (nothing may pass on into the tracker's code; it is said before the end)
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:  # whatever happened, this copy of the tracker ends here
        os._exit(code)


async def ended(child: int) -> int:
    """Wait for the end of a copy; its exit code, negative for the signal that killed it.

    Whoever cannot wait that long kills it, and still waits: what comes next must not meet it inside the kernel.
    """
    try:
        await _gone(child)
    except BaseException:  # cancelled, or no descriptor to wait with
        os.kill(child, signal.SIGKILL)
        with suppress(OSError):
            await _gone(child)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def _gone(child: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    descriptor = os.pidfd_open(child)
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _part_from_tracker(stdout: int, stderr: int) -> None:
    """In the copy, before anything else: no signal, socket or lock of the tracker is its business."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # Objects of the tracker must not be collected here: they would close descriptors that are ours by then.
    gc.freeze()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2:
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)
