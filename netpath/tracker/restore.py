# SPDX-License-Identifier: GPL-2.0-or-later
"""Put a ruleset back at once, in a forked copy of the tracker.

A worker needs a quarter of a second before it has loaded anything, and until then nothing is steered. A fork has the
interpreter and libnftables already, and what a load of thousands of rules takes of memory ends with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from netpath.kernel.nft import Nft, NftError


async def restore(text: str) -> bool:
    """Load `text`, a whole ruleset, in one transaction. False when it was refused (why is on standard error)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _load(text)
        finally:  # whatever happened, this copy of the tracker ends here
            os._exit(code)
    try:
        await _ended(child)
    except asyncio.CancelledError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitpid(child, 0)[1] == 0


async def _ended(child: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(child)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _load(text: str) -> int:
    """In the child, which must neither return into the tracker's code nor pass its signals on to it."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        with Nft() as nft:  # its own context: the parent's socket must not hear our replies
            nft.run(text)
    except NftError as error:
        print(
            f"netpath error: the last ruleset cannot be loaded again: {str(error)[:500]}", file=sys.stderr, flush=True
        )
        return 1
    return 0
