# SPDX-License-Identifier: GPL-2.0-or-later
"""The model's part that only the bond reads: its settings as frozen dataclasses. No I/O.

Durations are floats in seconds, rates bytes a second, keys 32 raw bytes, of which the secret ones are in no
`repr`. Default values live in `netpath.config.schema_bond`; these classes only carry values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from netpath.model import AddressSpec, RangeSpec


class BondMode(StrEnum):
    AGGREGATE = "aggregate"
    LOW_LATENCY = "low-latency"
    REDUNDANT = "redundant"


class Fec(StrEnum):
    OFF = "off"
    FIXED = "fixed"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class Correction:
    """Forward error correction."""

    mode: Fec
    group: int
    """Data datagrams of a group (k)."""
    repairs: int
    """fixed: repairs of each group; adaptive: at most so many (r)."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What both ends can be told about the way data goes."""

    mode: BondMode
    copies: int
    """Redundant mode: by how many paths each datagram goes."""
    rtt_weight: float
    loss_weight: float
    correction: Correction
    obfuscate: bool
    ciphers: tuple[str, ...]
    """In order of preference; empty: by what the processor does fast."""


@dataclass(frozen=True, slots=True)
class BondRule:
    """How chosen flows go, whatever the bond's own mode is. All given criteria must match, the first rule decides."""

    name: str
    mode: BondMode
    copies: int
    """redundant: by how many links each packet goes."""
    peers: tuple[str, ...] = ()
    """A server's: names of the clients that it is for; empty: all of them."""
    proto: RangeSpec = field(default_factory=RangeSpec)
    src_ip: AddressSpec = field(default_factory=AddressSpec)
    dest_ip: AddressSpec = field(default_factory=AddressSpec)
    src_port: RangeSpec = field(default_factory=RangeSpec)
    dest_port: RangeSpec = field(default_factory=RangeSpec)
    dscp: RangeSpec = field(default_factory=RangeSpec)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One uplink of a client."""

    name: str
    interface: str | None
    """A NetPath interface or a device; None: `source` says which."""
    source: str | None
    """A local address."""
    streams: int
    cap: float | None
    """Never more than that."""


@dataclass(frozen=True, slots=True)
class BondClient:
    """One bond, on the side of the router."""

    name: str
    device: str
    servers: tuple[tuple[str, int], ...]
    """Host name or address, and first port; the streams of a link take this port and the following ones."""
    ports: int
    """How many ports the server listens on, from the first on."""
    private_key: bytes = field(repr=False)
    server_key: bytes
    preshared_key: bytes | None = field(repr=False)
    automatic: bool
    """Every NetPath interface that is online is a link, beside `links`."""
    links: tuple[LinkSpec, ...]
    streams: int
    """Of automatic links."""
    addresses: tuple[str, ...]
    """Inner addresses with prefix length; empty: those that the server gives."""
    mtu: int | None
    """None: what fits."""
    heartbeat: float
    transport: Transport
    rules: tuple[BondRule, ...] = ()
    """For what it sends, in order."""
    table: str | None = None
    """nft table (family inet) that gives what leaves by the bond its inner address; None: whoever sends has one."""


@dataclass(frozen=True, slots=True)
class BondPeer:
    """One client, as its server knows it."""

    name: str
    public_key: bytes
    preshared_key: bytes | None = field(repr=False)
    addresses: tuple[str, ...]
    """Inner addresses that are its own, with prefix length."""
    networks: tuple[str, ...]
    """Prefixes behind it, which are routed to it beside its addresses."""
    streams: int
    rate: float | None
    """At most so much in each direction."""


@dataclass(frozen=True, slots=True)
class BondServer:
    """The far end."""

    name: str
    device: str
    addresses: tuple[str, ...]
    """Where it listens; empty: everywhere."""
    port: int
    ports: int
    private_key: bytes = field(repr=False)
    inner: tuple[str, ...]
    """Inner addresses of the server with prefix length."""
    masquerade: bool
    """Whether what clients send to the Internet gets the server's address."""
    forward: bool
    """Whether forwarding is switched on, and clients' traffic let through."""
    table: str
    """nft table (family inet) of this server."""
    clients: tuple[BondPeer, ...]
    max_clients: int
    mtu: int | None
    heartbeat: float
    transport: Transport
    rules: tuple[BondRule, ...] = ()
    """For what it sends to clients, in order."""


@dataclass(frozen=True, slots=True)
class Bonding:
    """All bonds of a configuration; enabled ones only."""

    clients: tuple[BondClient, ...]
    servers: tuple[BondServer, ...]
    loglevel: str
