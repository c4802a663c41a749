# SPDX-License-Identifier: GPL-2.0-or-later
"""The latest reading of every source, and what they come to together. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from netpath.monitor.readings import Proxy, Reading, Speeds, Wan


class Hub:
    """A reading counts until the next one, or until it is too old: it would pass for what is going on now."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.wan: Sequence[str] = ()
        """Sources whose sum is the WAN's traffic."""
        self._monotonic = monotonic
        self._readings: dict[str, tuple[Reading, float]] = {}
        """Name -> reading and when it expires."""

    def put(self, name: str, reading: Reading, lifetime: float) -> None:
        """`lifetime` s from now it is forgotten."""
        self._readings[name] = reading, self._monotonic() + lifetime

    def drop(self, name: str) -> None:
        """The source failed, or is none any more."""
        self._readings.pop(name, None)

    def latest(self, name: str) -> Reading | None:
        found = self._readings.get(name)
        if found is None or self._monotonic() >= found[1]:
            self._readings.pop(name, None)
            return None
        return found[0]

    def speeds(self) -> Speeds:
        """All proxies together, and the WAN."""
        proxies = [each for name in list(self._readings) if isinstance(each := self.latest(name), Proxy)]
        wans = [each for name in self.wan if isinstance(each := self.latest(name), Wan)]
        return Speeds(_proxies(proxies) if proxies else None, _wans(wans) if wans else None)


def _proxies(found: Sequence[Proxy]) -> Proxy:
    return Proxy(
        direct_up=sum(each.direct_up for each in found),
        direct_down=sum(each.direct_down for each in found),
        proxy_up=sum(each.proxy_up for each in found),
        proxy_down=sum(each.proxy_down for each in found),
        connections=sum(each.connections for each in found),
    )


def _wans(found: Sequence[Wan]) -> Wan:
    """Interfaces are those of a source: names of two routers do not mix."""
    return Wan(up=sum(each.up for each in found), down=sum(each.down for each in found))
