# SPDX-License-Identifier: GPL-2.0-or-later
"""The largest datagram that a path carries whole, found by probing (RFC 8899, DPLPMTUD). Pure.

Sizes are bytes of UDP payload. Probes go with "don't fragment"; what arrived is told in heartbeats. ICMP messages are
not believed: they need not be authentic, and many networks send none.
"""

from __future__ import annotations

BASE = 1200
"""Every network of today carries it (RFC 8899, 5.1.2, the same as QUIC's)."""
TRIES = 3
WAIT = 0.3
"""Seconds for a probe to be confirmed, beyond a round trip."""
AGAIN = 600.0
"""Seconds until it is tried again whether more goes through."""
LOST = 6
"""Reports in a row in which nothing of full size arrived although it was sent: smaller ones must do."""


class MtuSearch:
    """One path. `size` is what may be sent; `probe` asks for a probe, `confirmed` and `vanished` say what came."""

    def __init__(self, largest: int) -> None:
        """`largest`: what the device takes, less IP and UDP header."""
        self._largest = max(largest, BASE)
        self.size = BASE
        self.known = False
        """Whether a first probe was answered or given up: until then `size` says nothing of the path."""
        self._bad = self._largest + 1
        """The smallest size that did not go through."""
        self._trying = 0
        self._tries = 0
        self._until = 0.0
        self._holes = 0

    def probe(self, now: float, round_trip: float) -> int | None:
        """The size of a probe to send now, None: none."""
        if now < self._until:
            return None
        if self._trying and self._tries >= TRIES:
            self._bad, self._trying, self.known = self._trying, 0, True
        if not self._trying:
            self._trying, self._tries = self._next(), 0
        if not self._trying:
            self._until, self._bad, self.known = now + AGAIN, self._largest + 1, True
            return None
        self._tries += 1
        self._until = now + WAIT + round_trip
        return self._trying

    def confirmed(self, size: int) -> None:
        """The peer has got a probe of that many bytes."""
        if self.size < size <= self._largest:
            self.size, self.known = size, True
        if self._trying and size >= self._trying:
            self._trying, self._until = 0, 0.0

    def vanished(self, all_of_them: bool) -> bool:
        """A report: whether all large datagrams of its time were lost. True when the size was reduced to BASE."""
        self._holes = self._holes + 1 if all_of_them else 0
        if self._holes < LOST or self.size == BASE:
            return False
        self._bad, self.size = self.size, BASE
        self._trying, self._until, self._holes = 0, 0.0, 0
        return True

    def _next(self) -> int:
        """The next size to try: the largest first, which is right nearly always, then halving; 0: found."""
        if self._bad > self._largest:
            return self._largest if self.size < self._largest else 0
        middle = (self.size + self._bad) // 2
        return middle if middle > self.size + 7 else 0
