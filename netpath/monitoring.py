# SPDX-License-Identifier: GPL-2.0-or-later
"""The model's part that only the monitor reads: its settings as frozen dataclasses. No I/O.

Durations are floats in seconds. Default values live in `netpath.config.schema`; these classes only carry values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SourceType(StrEnum):
    """Where traffic figures come from."""

    CLASH = "clash"
    """Clash or mihomo: WebSocket `/connections`."""
    OPENWRT = "openwrt"
    """Another router: JSON-RPC at `/ubus`, or the classic LuCI login."""
    LOCAL = "local"
    """This router's own uplinks, from the tracker."""


class Format(StrEnum):
    """Datagrams of the UDP server."""

    COMBINED = "combined"
    """48 bytes (proxy speeds, then WAN), or 32 where no source counts a WAN."""
    PAIR = "pair"
    """32 bytes of the proxy, then 16 of the WAN."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with jitter."""

    attempts: int | None
    """So many failures in a row, and it is given up until the next reload; None: never."""
    first: float
    """Delay after the first failure."""
    most: float
    """No delay is longer."""
    factor: float
    jitter: float
    """0.2: each delay is made up to 20 % longer or shorter by chance."""


PRESETS = {
    "fast": Retry(attempts=5, first=0.1, most=5.0, factor=2.0, jitter=0.2),
    "default": Retry(attempts=10, first=0.5, most=30.0, factor=2.0, jitter=0.2),
    "slow": Retry(attempts=15, first=1.0, most=60.0, factor=2.0, jitter=0.2),
    "infinite": Retry(attempts=None, first=0.5, most=30.0, factor=2.0, jitter=0.2),
}
"""Those of the Network Monitor that this takes the place of; see docs/monitor.md."""


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    type: SourceType
    url: str
    """"" for local."""
    token: str
    username: str
    password: str
    interfaces: tuple[str, ...]
    """openwrt: logical interfaces or devices that are counted as its WAN; empty: those with a default route. local:
    uplinks; empty: all."""
    interval: float
    """Between two readings."""
    timeout: float
    """For each exchange; also the longest silence of a source that sends by itself."""
    verify: bool
    """Whether the certificate of an https or wss address is checked."""
    retry: Retry


@dataclass(frozen=True, slots=True)
class Datagrams:
    """The UDP server."""

    addresses: tuple[str, ...]
    port: int
    """0: no server."""
    networks: tuple[str, ...]
    """Prefixes whose hosts may register."""
    format: Format
    interval: float
    """Between two datagrams to one client."""
    client_timeout: float
    """A client that was silent for this long is forgotten."""
    max_clients: int


@dataclass(frozen=True, slots=True)
class Listener:
    """/metrics over HTTP."""

    addresses: tuple[str, ...]
    port: int
    """0: none."""


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker."""

    host: str
    port: int
    username: str
    password: str
    tls: bool
    ca: str
    """File of certificates that are trusted; "": the system's."""
    verify: bool
    topic: str
    """First part of every topic."""
    discovery: str
    """First part of Home Assistant's discovery topics; "": none."""
    interval: float
    """Between two publications of figures; states and events go at once."""


class Channel(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"


class Shape(StrEnum):
    """What a webhook is sent."""

    JSON = "json"
    """Everything, with `text` in words: for programs, and for Mattermost."""
    SLACK = "slack"
    """`{"text"}`."""
    DISCORD = "discord"
    """`{"content"}`."""
    NTFY = "ntfy"
    """Plain text with a `Title` header."""
    GOTIFY = "gotify"
    """`{"title", "message", "priority"}`."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of transitions."""

    name: str
    type: Channel
    events: tuple[str, ...]
    """What is told: new states of interfaces ("online", "offline", ...), of members ("open", "closed")."""
    interfaces: tuple[str, ...]
    """Empty: all."""
    url: str
    """webhook: http or https."""
    token: str
    """webhook: sent as `Authorization: Bearer`; without one, `username` and `password` as `Basic`."""
    server: str
    """email: host name or address of the SMTP server."""
    port: int
    security: str
    """email: "starttls", "tls" or "none"."""
    username: str
    password: str
    sender: str
    recipients: tuple[str, ...]
    verify: bool
    timeout: float
    limit: int
    """Messages an hour; what comes beyond is gathered into the next one."""
    gather: float
    """Events within this time go in one message."""
    retry: Retry
    format: Shape = Shape.JSON
    """webhook."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """A whole, valid configuration of the monitor."""

    enabled: bool
    loglevel: str
    sources: tuple[Source, ...]
    """Enabled ones only."""
    wan: tuple[str, ...]
    """Sources whose sum is the WAN's traffic."""
    datagrams: Datagrams
    metrics: Listener
    broker: Broker | None
    notify: tuple[Notify, ...]
    """Enabled ones only."""
