# SPDX-License-Identifier: GPL-2.0-or-later
"""The service: follows the tracker's events and sends messages, one at a time."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from netpath.kernel.netlink import NetlinkError
from netpath.monitor.notify.dial import Dialer
from netpath.monitor.notify.outbox import Outbox
from netpath.monitor.notify.outcome import Connect, RefusedError, UndeliveredError
from netpath.monitor.notify.pile import Pile, restored
from netpath.monitor.notify.reach import Reach
from netpath.monitor.notify.text import Message, compose
from netpath.monitor.notify.transition import LONGEST_NAME, Filter, clean, transition
from netpath.monitor.notify.uplinks import Way
from netpath.monitor.readings import ServiceError
from netpath.monitor.retry import Backoff
from netpath.monitor.tasks import until_one_ends
from netpath.monitor.tracker import Position, Tracker, TrackerError
from netpath.monitoring import Channel, Notify
from netpath.statedir import StateDir
from netpath.tracker.journal import Log

LOOK = 15.0
"""Seconds after which it is looked again for an uplink that works, when no event has come."""
KEEP_PAUSE = 1.0
"""Seconds between two writings of the file."""

Row = Mapping[str, Any]


class Sender(Protocol):
    """A channel: knows how to hand over one message on a connection."""

    host: str

    @property
    def target(self) -> str: ...

    async def send(self, connect: Connect, message: Message) -> str | None: ...


def sender(settings: Notify) -> Sender:
    """Raises ValueError for settings that cannot be used. What the other channel needs is not imported."""
    if settings.type is Channel.EMAIL:
        from netpath.monitor.notify.mail import Mail

        return Mail(settings)
    from netpath.monitor.notify.webhook import Webhook

    return Webhook(settings)


def target(settings: Notify) -> str:
    """Where messages go, without secrets."""
    try:
        return sender(settings).target
    except ValueError:
        return "nowhere: the settings cannot be used"


class Notifier:
    """See docs/monitor.md, "Messages to people". What waits stays here between two calls of `run`.

    With `state` it is also kept in a file of that directory, from one process to the next.
    """

    def __init__(self, settings: Notify, tracker: Tracker, log: Log, state: StateDir | None = None) -> None:
        self._settings = settings
        self._tracker = tracker
        self._log = log
        self._state = state
        self._file = f"notify-{quote(settings.name, safe='')}.json"
        self._filter = Filter(settings)
        self._reach = Reach()
        self._outbox = Outbox(settings.gather, settings.limit, time.monotonic())
        self._backoff = Backoff(settings.retry, random.random)
        self._position = Position()
        self._changed = asyncio.Event()
        self._keeping: asyncio.TimerHandle | None = None
        self._waits_for_uplink = False
        self._dialer: Dialer | None = None
        self._restore()

    def row(self) -> dict[str, Any]:
        """As docs/monitor.md has it, without health."""
        return {
            "name": self._settings.name,
            "type": str(self._settings.type),
            "target": target(self._settings),
            "sent": self._outbox.sent,
            "held": self._outbox.held,
            "dropped": self._outbox.dropped,
        }

    async def run(self, working: Callable[[], None]) -> None:
        """Sends until a message cannot be delivered; that is tried again by the next call. Raises ServiceError."""
        try:
            channel = sender(self._settings)
        except ValueError as error:
            raise ServiceError(f"notify {self._settings.name}: {error}") from None
        try:
            await until_one_ends(self._follow(), self._deliver(channel, working))
        finally:
            self._keep()

    async def _follow(self) -> None:
        async for event in self._tracker.events(self._position):
            found = transition(event)
            if found is None:
                continue
            if not self._reach.knows(found.interface):
                self._known(await self._rows())
            self._reach.follow(found)
            wanted = self._filter.pick(found)
            if wanted is not None:
                self._outbox.add(wanted, time.monotonic())
            self._changed.set()
            self._keep_soon()

    async def _deliver(self, channel: Sender, working: Callable[[], None]) -> None:
        dialer = self._dialer = self._dialer or Dialer(channel.host, self._settings.timeout)
        while True:
            self._changed.clear()
            wait = self._outbox.wait(time.monotonic())
            if wait is None or wait > 0:
                await self._pause(wait)
                continue
            rows = await self._rows()
            try:
                ways = await dialer.ways(rows)
            except (NetlinkError, ValueError) as error:
                raise ServiceError(f"notify {self._settings.name}: the routes cannot be read: {error}") from None
            if ways:
                self._waits_for_uplink = False
                await self._tell(channel, dialer, ways, rows)
                working()
            else:
                self._tell_of_waiting()
                await self._pause(LOOK)

    async def _tell(self, channel: Sender, dialer: Dialer, ways: list[Way], rows: list[Row] | None) -> None:
        """One message. Raises ServiceError when it did not get there."""
        outage = self._reach.outage
        message = self._compose(self._outbox.take(time.monotonic()), outage, self._known(rows))
        try:
            await self._try(channel, dialer, ways, message)
        except RefusedError as error:
            self._backoff.succeeded()
            self._outbox.refused()
            reason = f"notify {self._settings.name}: {channel.target} refused a message, which is given up: {error}"
            self._log("error", reason)
            raise ServiceError(reason) from None
        except UndeliveredError as error:
            reason = f"notify {self._settings.name}: {channel.target} was not reached: {error}"
            self._undelivered(reason, error.pause)
            raise ServiceError(reason) from None
        except BaseException:  # cancelled: it waits for the next call
            self._outbox.failed(time.monotonic())
            raise
        self._outbox.delivered()
        self._backoff.succeeded()
        self._reach.told(outage)
        self._keep_soon()

    def _undelivered(self, reason: str, pause: float) -> None:
        """It is tried again as `retry` says, not before the receiver wants it; the last time it is given up."""
        delay = self._backoff.failed()
        if delay is None:
            self._backoff.succeeded()
            self._outbox.refused()
            self._log("error", f"{reason}; a message is given up after {self._settings.retry.attempts} attempts")
        else:
            self._outbox.failed(time.monotonic(), max(delay, pause))

    async def _try(self, channel: Sender, dialer: Dialer, ways: list[Way], message: Message) -> None:
        """By one way after another. Raises RefusedError when none led to anybody who would have it."""
        failed: list[UndeliveredError] = []
        for way in ways:
            try:
                trouble = await channel.send(partial(dialer.connect, way), message)
            except UndeliveredError as error:
                self._log("debug", f"notify {self._settings.name}: by {way}: {error}")
                failed.append(error)
                continue
            if trouble:
                self._log("warning", f"notify {self._settings.name}: {trouble}")
            self._log("info", f"notify {self._settings.name}: told {channel.target} by {way}")
            return
        by = [f"by {way}: " if way.uplink is not None else "" for way in ways]
        reasons = "; ".join(f"{way}{error}" for way, error in zip(by, failed, strict=True))
        if all(isinstance(error, RefusedError) for error in failed):
            raise RefusedError(reasons)
        raise UndeliveredError(reasons, max(error.pause for error in failed))

    def _compose(self, pile: Pile, outage: tuple[float, float] | None, states: Mapping[str, str]) -> Message:
        time.tzset()  # as the tracker does: somebody may have chosen another zone
        router = clean(socket.gethostname(), LONGEST_NAME) or "router"
        return compose(pile, states, router, time.time(), outage=outage)

    def _known(self, rows: list[Row] | None) -> Mapping[str, str]:
        """Interfaces and their states by the tracker's rows; none without."""
        names = {clean(row.get("name"), LONGEST_NAME): clean(row.get("status"), LONGEST_NAME) for row in rows or ()}
        if rows is not None:
            self._reach.known(names)
        return names

    async def _rows(self) -> list[Row] | None:
        """The tracker's interfaces; None when it does not answer."""
        try:
            rows = (await self._tracker.ask("interfaces")).get("interfaces")
        except TrackerError:
            return None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None

    async def _pause(self, seconds: float | None) -> None:
        """Until an event comes, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _tell_of_waiting(self) -> None:
        if not self._waits_for_uplink:
            self._waits_for_uplink = True
            self._log("info", f"notify {self._settings.name}: no uplink works; what is to be told waits for one")

    # -- the file ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        if self._state is None:
            return
        try:
            kept = self._state.read_json(self._file)
        except OSError as error:
            self._log("warning", f"{self._state.root / self._file} cannot be read: {error.strerror}")
            return
        self._outbox.restore(restored(kept.get("held")), time.monotonic())
        seq, at = kept.get("seq"), kept.get("time")
        if isinstance(seq, int) and isinstance(at, int | float):
            self._position = Position(seq, at)

    def _keep_soon(self) -> None:
        if self._state is not None and self._keeping is None:
            self._keeping = asyncio.get_running_loop().call_later(KEEP_PAUSE, self._keep)

    def _keep(self) -> None:
        """The directory is in memory on a router, and the file has at most some hundred KiB."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if self._state is None:
            return
        held = self._outbox.everything().row()
        try:
            self._state.write_json(self._file, {"held": held, "seq": self._position.seq, "time": self._position.time})
        except OSError as error:
            self._log("warning", f"{self._state.root / self._file} cannot be written: {error.strerror}")
