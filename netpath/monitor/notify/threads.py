# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocking libraries beside the event loop: threads that never outlive what they wait for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from netpath.monitor.notify.outcome import UndeliveredError

T = TypeVar("T")


def start(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run `work` in a thread of its own, which ends with the process: asyncio's own threads would be waited for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as failure:  # noqa: BLE001 - it is raised again where it is awaited
            error = failure
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="notify", daemon=True).start()
    return done


async def exchange(work: Callable[[socket.socket], T], sock: socket.socket, seconds: float) -> T:
    """What `work` returns, which talks by `sock` and closes it. When it takes longer, or when this is cancelled, the
    connection is shut down, which ends the thread in whatever it waits for.

    Raises UndeliveredError, and what `work` raises.
    """
    # TLS takes the descriptor over; a second one shuts the same connection down whatever has become of the first.
    guard = sock.dup()
    try:
        async with asyncio.timeout(seconds):  # `wait_for` of Python 3.11 may overlook that it is cancelled
            return await start(lambda: work(sock))
    except TimeoutError:
        raise UndeliveredError(f"it was not over after {seconds:.0f} s") from None
    finally:
        with suppress(OSError):  # the peer has closed it already
            guard.shutdown(socket.SHUT_RDWR)
        guard.close()
