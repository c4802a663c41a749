# SPDX-License-Identifier: GPL-2.0-or-later
"""Speeds from counters of devices. Pure: the caller says when a counter was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netpath.monitor.readings import Wan

LEAST_SPAN = 0.05
"""Seconds. Readings that are closer together were held up on their way: their speed would be noise."""
WRAP = 2**32
"""Where counters of old drivers begin anew."""
MOST_OVER_WRAP = 2**28
"""Bytes between two readings up to which a counter that went back is taken for a wrapped one, not a new device's."""

Counters = tuple[int, int]
"""Bytes received, bytes sent."""


@dataclass(frozen=True, slots=True)
class _Known:
    counters: Counters
    at: float


class Rates:
    """Feed readings of all devices; what comes back are the speeds since the reading before.

    * A device that is new, or was away for a reading, has no speed until its next one.
    * A counter that went back by nearly 2^32 has wrapped. Any other that went back belongs to a device that was made
      anew (a PPP line that was dialled again): no speed, as nobody knows what the old one still carried.
    * A reading that comes after less than LEAST_SPAN, or before the last one by its clock, is passed over: the next one
      covers its bytes too. After a gap of any length the speed is the mean over the gap.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def update(self, readings: Mapping[str, Counters], at: float) -> dict[str, tuple[int, int]] | None:
        """Device -> (up, down) in bytes a second; `at` is monotonic. None: nothing is known of any device yet, or the
        reading was passed over.
        """
        if self._known and at < max(known.at for known in self._known.values()) + LEAST_SPAN:
            return None
        before, self._known = self._known, {device: _Known(counters, at) for device, counters in readings.items()}
        speeds = {}
        for device, now in self._known.items():
            grown = _grown(before[device], now) if device in before else None
            if grown is not None:
                speeds[device] = grown
        return speeds if speeds or not readings else None


def _grown(before: _Known, now: _Known) -> tuple[int, int] | None:
    received, sent = (_growth(*pair) for pair in zip(before.counters, now.counters, strict=True))
    if received is None or sent is None:
        return None
    span = now.at - before.at
    return round(sent / span), round(received / span)


def _growth(before: int, now: int) -> int | None:
    if now >= before:
        return now - before
    wrapped = now + WRAP - before
    return wrapped if before < WRAP and wrapped <= MOST_OVER_WRAP else None


def one_each(devices: Mapping[str, str]) -> list[str]:
    """Of interfaces -> devices those that are counted: where several share a device (IPv4 and IPv6 of one line do) the
    first of them. "" is no device that could be shared.
    """
    first: dict[str, str] = {}
    for name, device in devices.items():
        first.setdefault(device or f"/{name}", name)
    return list(first.values())


def together(speeds: Mapping[str, tuple[int, int]]) -> Wan:
    """`speeds`: interface -> (up, down)."""
    return Wan(sum(up for up, _ in speeds.values()), sum(down for _, down in speeds.values()), dict(speeds))
