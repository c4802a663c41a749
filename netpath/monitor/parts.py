# SPDX-License-Identifier: GPL-2.0-or-later
"""What a configuration asks for, part by part, and how each part is made.

Modules of parts are loaded when a part is first run: who has no MQTT broker needs no MQTT library, and who lacks one
library has all the other parts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from netpath.monitor.health import Status
from netpath.monitor.history import columns
from netpath.monitor.hub import Hub
from netpath.monitor.readings import Feed, Proxy, Reading, Service, Speeds, Wan
from netpath.monitor.supervisor import Supervised
from netpath.monitor.tracker import Tracker
from netpath.monitoring import PRESETS, Broker, Datagrams, Listener, Monitor, Notify, Retry, Source
from netpath.statedir import StateDir
from netpath.tracker.journal import Log

Settings = Source | Datagrams | tuple[Listener, str] | Broker | Notify
Key = tuple[str, str]
"""What it is ("source", "server", "metrics", "broker", "notify") and its name."""
_HANGS = 4
"""Times its time limit a source may say nothing: it may connect, log in two ways, and ask."""
_QUERY_VALUE = re.compile(r"[?&][^=&#]*=([^&#]+)")


@dataclass(frozen=True, slots=True)
class Tools:
    """What parts are made with."""

    hub: Hub
    tracker: Tracker
    own: Callable[[], dict[str, Any]]
    """The monitor's reply of docs/monitor.md."""
    log: Log
    state: StateDir
    """Where a notifier keeps what it has not delivered yet."""
    bonds: Path
    """Directory of bonds' sockets."""


def wanted(monitor: Monitor, nft_table: str) -> dict[Key, tuple[Settings, Retry]]:
    """Every part of a configuration, in the order in which they start."""
    found: dict[Key, tuple[Settings, Retry]] = {}
    if not monitor.enabled:
        return found
    # Exporters serve what the sources find, and have nobody else who would start them again.
    forever = PRESETS["infinite"]
    for source in monitor.sources:
        found["source", source.name] = source, source.retry
    if monitor.datagrams.port:
        found["server", ""] = monitor.datagrams, forever
    if monitor.metrics.port:
        found["metrics", ""] = (monitor.metrics, nft_table), forever
    if monitor.broker is not None:
        found["broker", ""] = monitor.broker, forever
    for notify in monitor.notify:
        found["notify", notify.name] = notify, forever
    return found


class Part:
    """A part that runs from `start` to `stop`."""

    def __init__(self, key: Key, settings: Settings, retry: Retry, tools: Tools) -> None:
        self.kind, self.name = key
        self.settings = settings
        self.retry = retry
        self._tools = tools
        self._runner: Feed | Service | None = None
        self._target = ""
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        source = isinstance(settings, Source)
        self.supervised = Supervised(
            " ".join(filter(None, key)),
            retry,
            tools.log,
            patience=_HANGS * settings.timeout + settings.interval if isinstance(settings, Source) else None,
            secrets=tuple(_secrets(settings)),
            failed=(lambda: tools.hub.drop(self.name)) if source else (lambda: None),
        )

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.supervised.keep(self._attempt))

    def stop(self) -> asyncio.Task[None] | None:
        """Begin to end it; the task that is then waited for."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        if self.kind == "source":
            self._tools.hub.drop(self.name)
        return self._task

    @property
    def given_up(self) -> bool:
        return self._task is not None and self._task.done()

    async def _attempt(self) -> None:
        if self._runner is None:
            self._runner = await self._made()
        await self._runner.run(self._report if self.kind == "source" else self.supervised.works)  # type: ignore[arg-type]

    async def _made(self) -> Feed | Service:
        """The part's object; its module is loaded in a thread, as that may take a second on a router."""
        settings, tools = self.settings, self._tools
        module = await asyncio.to_thread(import_module, f"netpath.monitor.{_MODULES[self.kind]}")
        made: Feed | Service
        if isinstance(settings, Source):
            self._target = str(module.target(settings))
            made = module.feed(settings, tools.tracker)
        elif isinstance(settings, Datagrams):
            made = module.UdpServer(settings, tools.hub.speeds, tools.log)
        elif isinstance(settings, Broker):
            made = module.Publisher(settings, tools.tracker, tools.own, tools.log)
        elif isinstance(settings, Notify):
            made = module.Notifier(settings, tools.tracker, tools.log, tools.state)
        else:
            listener, table = settings
            made = module.MetricsServer(listener, tools.tracker, tools.own, table, tools.log, bonds=tools.bonds)
        return made

    def _report(self, reading: Reading) -> None:
        """A source's figures: good until the next ones are overdue."""
        assert isinstance(self.settings, Source)
        if self._stopped:
            return  # it takes its time to end, and may have a successor of its name
        self._tools.hub.put(self.name, reading, self.settings.interval + self.settings.timeout)
        self.supervised.works()

    # -- replies ------------------------------------------------------------------------------------------------

    def row(self) -> dict[str, Any]:
        """As docs/monitor.md has it."""
        row = {**self._own_row(), **self.supervised.row(), **self._next()}
        if isinstance(self.settings, Notify) and row["status"] == Status.STARTING:
            row["status"] = str(Status.IDLE)
        return row

    def _next(self) -> dict[str, Any]:
        return {"next_attempt": self.supervised.next_attempt}

    def _own_row(self) -> dict[str, Any]:
        settings = self.settings
        if isinstance(settings, Source):
            return self._source_row(settings)
        row: dict[str, Any]
        if isinstance(settings, Datagrams):
            addresses = list(settings.addresses)
            row = {"addresses": addresses, "port": settings.port, "limit": settings.max_clients, "refused": 0}
            row["clients"] = []
        elif isinstance(settings, Broker):
            row = {"target": f"{settings.host}:{settings.port}", "published": 0}
        elif isinstance(settings, Notify):
            row = {"name": self.name, "type": str(settings.type), "target": "", "sent": 0, "held": 0, "dropped": 0}
        else:
            row = {"addresses": list(settings[0].addresses), "port": settings[0].port, "scrapes": 0}
        return row | self._runner_row()

    def _runner_row(self) -> dict[str, Any]:
        """What the part says itself, once it has been made."""
        row = getattr(self._runner, "row", None)
        if row is None:
            return {}
        try:
            found: dict[str, Any] = row()
        except Exception as error:  # noqa: BLE001  (whatever is wrong in one part, the others are still shown)
            self._tools.log.internal(error, f"{self.supervised.name} cannot tell how it is:")
            return {}
        return found

    def _source_row(self, settings: Source) -> dict[str, Any]:
        reading = self._tools.hub.latest(self.name)
        proxy = reading if isinstance(reading, Proxy) else None
        wan = reading if isinstance(reading, Wan) else None
        interfaces = wan.interfaces if wan else {}
        return {
            "name": self.name,
            "type": str(settings.type),
            "target": self._target,
            "speeds": columns(Speeds(proxy, wan)),
            "connections": proxy.connections if proxy else None,
            "interfaces": {name: {"up": up, "down": down} for name, (up, down) in interfaces.items()},
        }


_MODULES = {"source": "feeds", "server": "udp", "metrics": "metrics", "broker": "mqtt", "notify": "notify"}


def _secrets(settings: Settings) -> Iterator[str]:
    """What must never be seen of a part's settings."""
    if isinstance(settings, Source | Notify):
        yield settings.password
        yield settings.token
        yield from _QUERY_VALUE.findall(settings.url)
    if isinstance(settings, Notify):
        yield settings.url
    if isinstance(settings, Broker):
        yield settings.password
