# SPDX-License-Identifier: GPL-2.0-or-later
"""The event loop of the data plane: epoll and one timer. asyncio would cost each datagram as much as its encryption."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Protocol

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Loop:
    """`run` until `stop`. Callbacks get the monotonic time at which they were woken."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[float], None]] = {}
        self._masks: dict[int, int] = {}
        self._running = False

    def add(self, source: _HasFileno, callback: Callable[[float], None]) -> None:
        """Call when there is something to read."""
        fd = source.fileno()
        self._callbacks[fd] = callback
        self._masks[fd] = IN
        self._epoll.register(fd, IN)

    def remove(self, source: _HasFileno) -> None:
        """Before it is closed."""
        fd = source.fileno()
        del self._callbacks[fd], self._masks[fd]
        self._epoll.unregister(fd)

    def listen(self, source: _HasFileno, on: bool, *, writing: bool = False) -> None:
        """Whether its callback is wanted at the moment, for reading, and for room to write."""
        fd, mask = source.fileno(), (IN if on else 0) | (OUT if writing else 0)
        if self._masks[fd] != mask:
            self._masks[fd] = mask
            self._epoll.modify(fd, mask)

    def stop(self) -> None:
        """Return from `run` after the present callback."""
        self._running = False

    def run(self, tick: Callable[[float], float]) -> None:
        """`tick` is called whenever its time has come; it returns when it wants to be called next."""
        self._running = True
        due = tick(time.monotonic())
        while self._running:
            ready = self._epoll.poll(max(0.0, due - time.monotonic()))
            # Looked at anew each time: what one callback takes must not look like delay of a path to the next.
            for fd, _ in ready:
                if (callback := self._callbacks.get(fd)) is not None:
                    callback(time.monotonic())
            due = tick(time.monotonic())

    def close(self) -> None:
        self._epoll.close()
