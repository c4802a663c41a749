# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of something: token buckets, and handshakes of each source network and in all. Pure.

All times are monotonic seconds of the caller.
"""

from __future__ import annotations

import socket

EACH = (20.0, 100.0)
"""Handshakes a second of one network (an IPv4 address, a /64 of IPv6), and how many at once: many clients may stand
behind one NAT, each with several uplinks."""
ALL = (200.0, 400.0)
"""Of all together: some 0.4 ms of work each."""
NETWORKS = 4096
"""That are known at most; then those that have been silent for the longest time are forgotten."""


class Bucket:
    """`rate` a second, `burst` at once. What is taken may exceed what is there: the debt is waited for."""

    __slots__ = ("_burst", "_level", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._then = burst, now

    def take(self, amount: float, now: float) -> bool:
        """Whether there was something left; only then `amount` is taken."""
        level = self._level + max(0.0, now - self._then) * self._rate
        self._then = now
        level = min(level, self._burst)
        if level <= 0.0:
            self._level = level
            return False
        self._level = level - amount
        return True

    def opens(self) -> float:
        """When there is something left again, which may be long ago."""
        return self._then - self._level / self._rate


class HandshakeLimits:
    """`allow` for each initiation that knows our public key, before any curve operation."""

    def __init__(
        self, now: float, *, each: tuple[float, float] = EACH, everyone: tuple[float, float] = ALL, most: int = NETWORKS
    ) -> None:
        self._each = each
        self._most = most
        self._all = Bucket(*everyone, now)
        self._networks: dict[bytes, Bucket] = {}
        """In the order of their last use."""
        self.refused = 0

    def allow(self, address: str, now: float) -> bool:
        """`address`: where it comes from."""
        network = network_of(address)
        bucket = self._networks.pop(network, None) or Bucket(*self._each, now)
        self._networks[network] = bucket
        if len(self._networks) > self._most:
            del self._networks[next(iter(self._networks))]
        # The network's own first: one that asks too often must use up nothing of the others.
        if bucket.take(1.0, now) and self._all.take(1.0, now):
            return True
        self.refused += 1
        return False


def network_of(address: str) -> bytes:
    """An IPv4 address, or the first 64 bits of an IPv6 address: what one customer has."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8]
    return socket.inet_aton(address)
