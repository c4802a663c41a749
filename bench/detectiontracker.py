# SPDX-License-Identifier: GPL-2.0-or-later
"""NetPath's own scheduler and state machine, the code that runs on a router, on a clock that is only turned."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from unittest.mock import patch

from bench.detectionpeers import Change
from bench.detectionseries import Series
from netpath.config import loads
from netpath.health import InterfaceHealth, Transition
from netpath.lab.uci import section
from netpath.model import State, Tracking, Uplink
from netpath.probe import Scheduler, scheduler
from netpath.probe.base import Context

NAME = "wan"
_UPLINK = Uplink(NAME, 1, "ipv4", "eth0", "192.0.2.254", ("192.0.2.1/24",), True, ())


@dataclass(frozen=True, slots=True)
class NetPath:
    """The shipped defaults with this many targets, and `options` of an interface section (UCI) that differ."""

    targets: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    def tracking(self) -> Tracking:
        """As the configuration room reads it. Raises ValueError when it does not accept `options`."""
        addresses = [f"198.51.100.{number + 1}" for number in range(self.targets)]
        loaded = loads(section("interface", NAME, {"track_targets": addresses, **self.options}))
        if loaded.config is None:
            raise ValueError(f"{self.options}: {loaded.problems}")
        return loaded.config.interfaces[0].tracking

    @property
    def calm_probes_a_day(self) -> float:
        return self.targets * 86400 / self.tracking().interval

    def watch(self, series: Series, until: float) -> Iterator[Change]:
        """What it decides: (seconds, whether the uplink is in use from then on), which it is at the beginning."""
        loop, tracking, changes = Loop(), self.tracking(), list[Change]()
        places = {address: index for index, address in enumerate(tracking.targets)}

        def decided(_: str, transition: Transition) -> None:
            if transition.old.usable != transition.new.usable:
                changes.append((transition.at, transition.new.usable))

        def prober(_: Tracking, context: Context) -> _Prober:
            return _Prober(loop, context, series, places)

        with patch.object(scheduler, "make_prober", prober):
            probing = Scheduler(cast("Any", loop), decided)
            health = InterfaceHealth(tracking, now=0.0, initial=State.ONLINE, enabled=True)
            probing.set_interface(NAME, health, tracking, _UPLINK, 0x3F00)
            while loop.step(until):
                if changes:
                    yield from changes
                    changes.clear()
            probing.close()


class _Prober:
    """Sends nothing: the series knows when the answer would come."""

    def __init__(self, loop: Loop, context: Context, series: Series, places: Mapping[str, int]) -> None:
        self._loop = loop
        self._context = context
        self._series = series
        self._places = places

    def send(self, token: int, target: str) -> None:
        rtt = self._series.rtt(self._places[target], self._loop.now)
        if rtt is not None:
            self._loop.call_at(self._loop.now + rtt, self._context.on_reply, token)

    def cancel(self, token: int) -> None:
        """The health ignores answers that come after all."""

    def close(self) -> None:
        """There is nothing open."""


class Loop:
    """The part of an event loop that the scheduler uses, with a clock that leaps from one timer to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *arguments: object) -> Timer:
        timer = Timer(when, callback, arguments)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, timer))
        return timer

    def call_exception_handler(self, context: Mapping[str, Any]) -> None:
        raise RuntimeError(context["message"]) from context["exception"]

    def step(self, until: float = math.inf) -> bool:
        """Do what is next, unless that is later than `until`, or nothing is left: False."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers or self._timers[0][0] > until:
            return False
        when, _, timer = heapq.heappop(self._timers)
        self.now = max(self.now, when)
        assert timer.callback is not None
        timer.callback(*timer.arguments)
        return True


class Timer:
    """What `call_at` returns."""

    __slots__ = ("_when", "arguments", "callback")

    def __init__(self, when: float, callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._when = when
        self.callback: Callable[..., object] | None = callback
        self.arguments = arguments

    def cancel(self) -> None:
        self.callback = None

    def when(self) -> float:
        return self._when
