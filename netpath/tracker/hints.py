# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGURG to the tracker, from a hotplug script: some interface may have changed. A heap of them is one.

asyncio's own handlers queue each signal, in a pipe of a few hundred: somebody who sends them by thousands would keep
the loop from everything else, and SIGTERM may find the pipe full and be lost.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
from collections.abc import Callable

HINT = signal.SIGURG
"""The default action of this signal is none: one that comes before the tracker listens does not end it."""

_set_action = ctypes.CDLL(None).signal
"""signal(3): Python's own would report what came just before as lost."""
_set_action.argtypes, _set_action.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p


class Hints:
    """Calls `changed` on the loop at the first hint; those after it cost nothing and go unheard until `listen`.

    Main thread only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        self._loop = loop
        self._changed = changed
        self._handler: int | None = None
        """Python's handler in C, while the default action stands in its place."""

    def start(self) -> None:
        signal.signal(HINT, self._come)
        signal.siginterrupt(HINT, False)  # calls of libnftables must not fail for it

    def listen(self) -> None:
        """Hear the next one. To be called before what may have changed is read, so that no later change is missed."""
        if self._handler is not None:
            handler, self._handler = self._handler, None
            _set_action(HINT, handler)

    def close(self) -> None:
        """Hear no more; to be called while the loop is open."""
        if self._handler is None:
            self._handler = _set_action(HINT, int(signal.SIG_DFL))

    def _come(self, *_: object) -> None:
        """Between two instructions of whatever runs, as it may be long until the loop has its turn."""
        self.close()
        self._loop.call_soon_threadsafe(self._changed)
