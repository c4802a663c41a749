# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a path's datagrams go: only to an address that has shown that it receives (docs/bond-protocol.md, "Addresses").

Pure; an address is whatever the caller's sockets give, compared by equality.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

NO_TOKEN = bytes(8)


class PeerAddress:
    """The peer's address on one path."""

    def __init__(self, random: Callable[[int], bytes], known: Hashable | None = None) -> None:
        """`known`: where the client sends to is configured, and needs no proof."""
        self._random = random
        self.proven: Hashable | None = known
        """Where data goes; None: nowhere yet."""
        self.candidate: Hashable | None = None
        self._token = NO_TOKEN
        self.allowance = 0
        """Heartbeats that may go to the candidate: one for each datagram that came from it."""
        self.changes = 0

    def arrived(self, address: Hashable, *, newest: bool) -> None:
        """An authentic datagram came from `address`; `newest`: none of a higher counter came before."""
        if address == self.proven:
            if newest:
                self.candidate = None
            return
        if address == self.candidate:
            self.allowance = min(self.allowance + 1, 3)
        elif newest:
            self.candidate, self._token, self.allowance = address, self._random(8), 1

    def returned(self, token: bytes, address: Hashable) -> bool:
        """A heartbeat from `address` returns `token`: True when that has proved the candidate."""
        if self.candidate is None or address != self.candidate or token != self._token or self._token == NO_TOKEN:
            return False
        self.proven, self.candidate = address, None
        self.changes += 1
        return True

    def targets(self) -> list[tuple[Hashable, bytes]]:
        """Where the next heartbeat goes, each with the token that it carries. Uses up the candidate's allowance."""
        found: list[tuple[Hashable, bytes]] = []
        if self.proven is not None:
            found.append((self.proven, NO_TOKEN))
        if self.candidate is not None and self.allowance:
            self.allowance -= 1
            found.append((self.candidate, self._token))
        return found
