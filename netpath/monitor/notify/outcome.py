# SPDX-License-Identifier: GPL-2.0-or-later
"""What may become of a message. Reasons are for people and carry no secrets. Pure."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from netpath.monitor.notify.transition import clean

Connect = Callable[[int], Awaitable[socket.socket]]
"""(port): a connection to the receiver's host."""

LONGEST_PAUSE = 3600.0
LONGEST_WORDS = 300


class UndeliveredError(Exception):
    """It did not arrive by this way now; it may by another one, or later."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        """`pause`: seconds for which the receiver wants to be left alone."""
        super().__init__(reason)
        self.pause = min(max(pause, 0.0), LONGEST_PAUSE)


class RefusedError(UndeliveredError):
    """The receiver was reached and does not want it; asking again would be of no use."""


def told(text: str, secrets: tuple[str, ...]) -> str:
    """What a peer or library said, fit for a log: one bounded line, none of `secrets` in it."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return clean(text, LONGEST_WORDS)
