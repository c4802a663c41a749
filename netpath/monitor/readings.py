# SPDX-License-Identifier: GPL-2.0-or-later
"""What sources report and what all of them together come to. Speeds are bytes a second. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Proxy:
    """What a proxy carries."""

    direct_up: int
    direct_down: int
    proxy_up: int
    proxy_down: int
    connections: int


@dataclass(frozen=True, slots=True)
class Wan:
    """What uplinks carry: together and, by name, (up, down)."""

    up: int
    down: int
    interfaces: Mapping[str, tuple[int, int]] = field(default_factory=dict)


Reading = Proxy | Wan


@dataclass(frozen=True, slots=True)
class Speeds:
    """All sources together; None where no source has a figure now."""

    proxy: Proxy | None
    wan: Wan | None


class ServiceError(Exception):
    """A part of the monitor failed: `str()` says what and what to do about it, without passwords and tokens."""


class Feed(Protocol):
    """One source. `run` makes one attempt: it connects and reports each reading until it fails.

    Raises ServiceError; anything else is a fault of ours. It may be cancelled at any time and leaves nothing open.
    """

    async def run(self, report: Callable[[Reading], None]) -> None: ...


class Service(Protocol):
    """Any other part: UDP server, exporter, publisher, notifier. `run` makes one attempt, as a feed's does; it calls
    `working` each time that it knows itself to work. `row` is its part of docs/monitor.md's reply, without health.
    """

    async def run(self, working: Callable[[], None]) -> None: ...

    def row(self) -> dict[str, Any]: ...
