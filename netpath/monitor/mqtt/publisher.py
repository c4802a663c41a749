# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the broker up to date as long as one connection lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from netpath.monitor.mqtt import discovery, messages, names
from netpath.monitor.mqtt.lookup import Lookup
from netpath.monitor.mqtt.messages import OFFLINE, ONLINE, Site, Topics
from netpath.monitor.mqtt.outbox import Outbox
from netpath.monitor.readings import ServiceError
from netpath.monitor.tasks import until_one_ends
from netpath.monitor.tracker import Position, Tracker, TrackerError
from netpath.monitoring import Broker
from netpath.tracker.journal import Log

if TYPE_CHECKING:
    from netpath.monitor.mqtt.session import Session

ANSWER_TIME = 5.0
"""Seconds for the acknowledgement of a message. A transition is a message: when it was that of the uplink that carries
this connection, nothing acknowledges it, and the next connection takes an uplink that works."""
TICK = 0.5
SWEEP_TIME = 3.0
"""Seconds for the broker to tell what it still has from before our start."""
MOST_FOUND = 5000
MOST_CONNECTIONS = 6
CONNECTIONS_TIME = 60.0
"""Seconds in which there may be so many, and seconds to wait when there were."""
GRACE = 30.0
"""Seconds for which something must be missing before it is removed: a tracker that starts has nothing for a moment, and
what Home Assistant loses it forgets."""
GAP = 0.1
"""Seconds between two readings of the tracker, however many events come."""
ANNOUNCE_GAP = 10.0
"""Seconds between two announcements, however often Home Assistant says that it has started."""
DEFAULT_DISCOVERY = "homeassistant"
"""Where announcements of before are looked for when there are none any more."""


class Publisher:
    """A Service (netpath/monitor/readings.py). What it knows outlives connections: events that found no broker go out
    with the next one.
    """

    def __init__(self, settings: Broker, tracker: Tracker, own: Callable[[], dict[str, Any]], log: Log) -> None:
        """`own` gives the monitor's reply of docs/monitor.md."""
        self._settings = settings
        self._tracker = tracker
        self._own = own
        self._log = log
        self._host = host = os.uname().nodename or "router"
        self._topics = Topics(f"{settings.topic}/{names.level(host)}")
        self._prefix = settings.discovery or DEFAULT_DISCOVERY
        self._announcer = discovery.Announcer(self._prefix, self._topics, host) if settings.discovery else None
        self._lookup = Lookup()
        self._session: Session | None = None
        self._working: Callable[[], None] = lambda: None
        self._connections: deque[float] = deque(maxlen=MOST_CONNECTIONS)
        """When the last ones were made (monotonic)."""
        self._outbox = Outbox()
        self._published = 0
        self._position = Position()
        """Of the last event that went into the outbox."""
        self._reported = 0
        """Dropped events that the log knows of."""
        self._swept = False
        self._found: set[str] = set()
        """Retained topics of ours that the broker had before our start."""
        self._missing: dict[str, float] = {}
        """Topics that nothing stands behind any more, and since when (monotonic)."""
        self._announced: set[str] = set()
        self._announce_at: float | None = None
        """When to announce once more."""
        self._last_announced = float("-inf")
        self._answers = True
        """Whether the tracker did the last time."""
        self._marked = asyncio.Event()
        self._due = asyncio.Event()

    def row(self) -> dict[str, Any]:
        """`broker` of docs/monitor.md, without health."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        scheme = "mqtts" if self._settings.tls else "mqtt"
        return {"target": f"{scheme}://{host}:{self._settings.port}", "published": self._published}

    async def run(self, working: Callable[[], None]) -> None:
        """One connection from its beginning to its end. Raises ServiceError."""
        try:
            # 5 MiB, for those only who publish.
            from netpath.monitor.mqtt.session import Session, open_session
        except ImportError as error:
            raise ServiceError(f"paho-mqtt is missing ({error}); install python3-paho-mqtt") from None

        def make() -> Session:
            return Session(self._settings, names.client_id(self._topics.base), self._topics.availability, self)

        await self._hold_back()
        self._working = working
        self._outbox.restart()
        self._session = session = await open_session(make, self._settings, self._lookup)
        self._connections.append(time.monotonic())
        try:
            await until_one_ends(session.ended, self._watch(session), self._serve(session))
        finally:
            self._session = None
            session.close()

    async def _hold_back(self) -> None:
        """Where two routers have the same name, the broker ends the connection of one whenever the other one comes, and
        each time all is published anew.
        """
        if len(self._connections) == MOST_CONNECTIONS and time.monotonic() - self._connections[0] < CONNECTIONS_TIME:
            self._log(
                "warning",
                f"mqtt: {MOST_CONNECTIONS} connections in a minute; has another router the host name {self._host} and "
                f"the same mqtt_topic? The next one in {CONNECTIONS_TIME:.0f} s",
            )
            await asyncio.sleep(CONNECTIONS_TIME)

    async def _serve(self, session: Session) -> None:
        if not self._swept:
            await self._sweep(session)
        if self._announcer is not None:
            session.subscribe([f"{self._prefix}/status"])
        self._outbox.put(self._topics.availability, ONLINE)
        await until_one_ends(self._follow(), self._refresh())

    async def _watch(self, session: Session) -> None:
        """Ends when the broker does not answer any more."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            session.tick(now)
            oldest = self._outbox.oldest()
            if oldest is not None and now - oldest > ANSWER_TIME:
                raise ServiceError(f"the broker acknowledged nothing for {ANSWER_TIME:.0f} s")

    async def _sweep(self, session: Session) -> None:
        """Learn what the broker still has of us. It sends that when we subscribe, and then, as it keeps the order, the
        message that we send ourselves.
        """
        filters = [f"{self._topics.base}/#", discovery.own_filter(self._prefix, self._topics.base)]
        self._marked.clear()
        session.subscribe(filters)
        session.publish(self._topics.marker, "", qos=0, retain=False)
        try:
            async with asyncio.timeout(SWEEP_TIME):
                await self._marked.wait()
        except TimeoutError:
            self._log("info", "mqtt: the broker does not let us read our own topics; old ones stay there")
        session.unsubscribe(filters)
        self._swept = True

    async def _follow(self) -> None:
        async for event in self._tracker.events(self._position):
            self._outbox.event(self._topics.event, messages.of_event(event))
            if event["kind"] == "interface":
                self._outbox.put(self._topics.interface(event["interface"], "state"), event["to"])
            self._pump()
            self._due.set()

    async def _refresh(self) -> None:
        """Figures each interval, and after each event what it has changed."""
        while True:
            self._due.clear()
            await self._gather()
            self._pump()
            self._report()
            await asyncio.sleep(GAP)
            wait = self._settings.interval - GAP
            if self._announce_at is not None:
                wait = min(wait, self._announce_at - time.monotonic())
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._due.wait()

    async def _gather(self) -> None:
        """Put everything as it is now into the outbox."""
        present: set[str] = {self._topics.availability, self._topics.tracker, self._topics.monitor}
        site = await self._site()
        if site is not None:
            present.update(self._put(messages.of_site(self._topics, site)))
        self._outbox.put(self._topics.tracker, OFFLINE if site is None else ONLINE)
        own = self._own()
        self._outbox.put(self._topics.monitor, messages.of_monitor(own))
        now = time.monotonic()
        if self._announcer is not None:
            entities = [*self._announcer.of_monitor(own), *(self._announcer.of_site(site) if site is not None else ())]
            self._announced = self._put(entities, later=True)
            present |= self._announced
            if self._announce_at is not None and now >= self._announce_at:
                self._announce_at, self._last_announced = None, now
                self._outbox.again(self._announced)
        if site is not None:
            self._remove(present, now)

    async def _site(self) -> Site | None:
        """None: the tracker has nothing to say, or is not there."""
        try:
            status = await self._tracker.ask("status", section="interfaces")
            if "problem" in status:
                raise TrackerError(str(status["problem"]))
            metrics = await self._tracker.ask("metrics")
            policies = await self._tracker.ask("policies")
        except TrackerError as error:
            if self._answers:
                self._log("warning", f"mqtt: states are published as not available: {error}")
            self._answers = False
            return None
        self._answers = True
        return Site(status["interfaces"], metrics["interfaces"], tuple(policies["policies"]))

    def _put(self, topics: Iterable[tuple[str, str]], *, later: bool = False) -> set[str]:
        done = set()
        for topic, payload in topics:
            self._outbox.put(topic, payload, later=later)
            done.add(topic)
        return done

    def _remove(self, present: set[str], now: float) -> None:
        """What is on the broker and nowhere else."""
        known = {*self._outbox.topics, *self._found}
        self._missing = {topic: self._missing.get(topic, now) for topic in known - present}
        for topic, since in self._missing.items():
            if now - since >= GRACE:
                self._outbox.put(topic, "", later=True)
                self._found.discard(topic)

    def _pump(self) -> None:
        """Send what may be sent now."""
        session = self._session
        while session is not None and not session.ended.done() and (message := self._outbox.take()) is not None:
            number = session.publish(message.topic, message.payload, qos=1, retain=message.retain)
            self._outbox.sent(number, message, time.monotonic())

    # -- what the session tells ---------------------------------------------------------------------------------

    def acknowledged(self, number: int) -> None:
        if self._outbox.acknowledged(number):
            self._published += 1
            self._working()

    def room(self) -> None:
        self._pump()

    def message(self, topic: str, payload: bytes, retained: bool) -> None:
        """Nothing that comes is acted on but Home Assistant's birth message: it gets the announcements again."""
        if topic == self._topics.marker and not retained:
            self._marked.set()
        elif retained and not self._swept and payload and len(self._found) < MOST_FOUND:
            if topic.startswith(f"{self._topics.base}/") or discovery.is_own(self._prefix, self._topics.base, topic):
                self._found.add(topic)
        elif topic == f"{self._prefix}/status" and payload == b"online" and not retained and self._announce_at is None:
            self._announce_at = max(time.monotonic(), self._last_announced + ANNOUNCE_GAP)
            self._due.set()

    def _report(self) -> None:
        if dropped := self._outbox.dropped - self._reported:
            self._log("warning", f"mqtt: {dropped} events found no broker and were dropped")
            self._reported = self._outbox.dropped
