# SPDX-License-Identifier: GPL-2.0-or-later
"""The field's words as frozen dataclasses. No I/O, no defaults that hide a decision.

Units: every duration is a float in seconds, every latency and jitter a float in
milliseconds, every loss a float in percent, every rate in bytes per second.
Default values live in `netpath.config.schema`; these classes only carry values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where an uplink stands; ONLINE and DISCONNECTING uplinks carry traffic."""

    ONLINE = "online"
    DISCONNECTING = "disconnecting"
    OFFLINE = "offline"
    CONNECTING = "connecting"
    DISABLED = "disabled"

    @property
    def usable(self) -> bool:
        """True when policies may send new connections there."""
        return self in (State.ONLINE, State.DISCONNECTING)


class Mode(StrEnum):
    """How a policy spreads new flows over the members of its lowest live metric."""

    BALANCED = "balanced"
    FAILOVER = "failover"
    ROUND_ROBIN = "round-robin"
    HASH = "hash"
    WEIGHTED = "weighted"
    RANDOM = "random"


class LastResort(StrEnum):
    """What happens to a new flow when no member of its policy is usable."""

    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"
    DEFAULT = "default"


class TrackMethod(StrEnum):
    PING = "ping"
    HTTPING = "httping"
    DNS = "dns"
    ARPING = "arping"
    TCP = "tcp"
    NONE = "none"


class Nat6(StrEnum):
    """What happens to IPv6 packets of the LAN that leave by an uplink with addresses which are not of that uplink."""

    OFF = "off"
    MASQUERADE = "masquerade"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True)
class Globals:
    enabled: bool
    nft_table: str
    mark_mask: int
    """Bits of packet and conntrack marks that are ours; one contiguous run of at least 3."""
    rule_priority: int
    """First of the 1000 ip rule priorities that are ours."""
    rt_table_lookup: tuple[int, ...]
    """Routing tables, beside main, whose specific routes win over every rule."""
    logging: bool
    loglevel: str
    dns_failover: bool
    """Whether the router asks the resolvers of an uplink by that uplink, and only while it is usable."""
    dnsmasq_dir: str
    """Directory of dnsmasq's configuration files that gets ours; "": found by looking where dnsmasq reads them."""
    dnsmasq_restart: str
    """How dnsmasq is restarted: "auto", "systemd", "init" or "none"."""


@dataclass(frozen=True, slots=True)
class Quality:
    """check_quality thresholds: latency and jitter in ms, loss in percent; None = not checked."""

    failure_latency: float
    recovery_latency: float
    failure_loss: float
    recovery_loss: float
    failure_jitter: float | None
    recovery_jitter: float | None


@dataclass(frozen=True, slots=True)
class Tracking:
    method: TrackMethod
    targets: tuple[str, ...]
    """IP addresses; for httping also URLs or host names, for tcp also ADDR:PORT."""
    reliability: int
    count: int
    size: int
    """ICMP payload bytes."""
    max_ttl: int
    timeout: float | None
    """None: derived from the measured round-trip times."""
    interval: float
    failure_interval: float
    recovery_interval: float
    keep_failure_interval: bool
    down: int
    up: int
    stable_time: float
    quality: Quality | None
    httping_ssl: bool
    dns_query: str
    """Name asked for by the dns method."""
    tcp_port: int
    """Port used by the tcp method where a target names none."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One uplink of one address family."""

    name: str
    enabled: bool
    device: str | None
    """Kernel device as configured; None: the logical name is looked up."""
    family: str
    """"ipv4" or "ipv6"."""
    gateway: str | None
    """Next hop as configured; None: taken from the main table."""
    initial_state: State
    """ONLINE or OFFLINE."""
    tracking: Tracking
    flush_conntrack: tuple[str, ...]
    """Events (mwan3's ifup, ifdown, connected, disconnected) that delete this uplink's conntrack entries."""
    metered: bool
    resolvers: tuple[str, ...] = ()
    """DNS servers of this uplink, of its family."""
    nat6: Nat6 = Nat6.OFF
    nat6_prefix: tuple[str, ...] = ()
    """IPv6 prefixes that the provider routes to this router; empty: those that are found."""
    nat6_from: tuple[str, ...] = ()
    """IPv6 prefixes of the LAN that are mapped one to one; empty: those that are found."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a member may be used, by the clock on the router's wall (its local time)."""

    windows: tuple[tuple[int, int], ...]
    """Begin (inclusive) and end (exclusive) in minutes of the day; an end before the begin is on the next day, an equal
    one never lets the window open. Empty: the whole day."""
    weekdays: tuple[int, ...]
    """Days on which windows begin, 0 = Monday. Empty: every day."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What may pass the member's device in a month, both directions."""

    limit: int
    """Bytes."""
    reset: int
    """Day of the month (1 to 31) on which it begins anew; the last one of a shorter month."""


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    interface: str
    metric: int
    weight: int
    schedule: Schedule | None = None
    """None: at any time."""
    quota: Quota | None = None
    """None: without limit."""
    closed: bool = False
    """Kept out by schedule or quota now (`netpath.steering.schedule`): its policy takes the interface for down. Members
    of a configuration are not closed."""


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    members: tuple[Member, ...]
    mode: Mode
    last_resort: LastResort


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """One address pattern: matches when (address & mask) == value. Masks need not be contiguous."""

    family: str
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class AddressSpec:
    """Any of `any_of` (empty: no restriction) and none of `none_of`."""

    any_of: tuple[AddressMatch, ...] = ()
    none_of: tuple[AddressMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """Inclusive integer ranges (ports, DSCP code points, protocol numbers), possibly negated."""

    any_of: tuple[tuple[int, int], ...] = ()
    none_of: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class NameSpec:
    """Device names or MAC addresses (lower case, colons), possibly negated."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """First match wins. All given criteria must match; an empty spec matches everything."""

    name: str
    family: str
    """"ipv4", "ipv6" or "any"."""
    policy: str
    """A policy's name, or "default", "unreachable", "blackhole"."""
    proto: RangeSpec = field(default_factory=RangeSpec)
    src_ip: AddressSpec = field(default_factory=AddressSpec)
    dest_ip: AddressSpec = field(default_factory=AddressSpec)
    src_port: RangeSpec = field(default_factory=RangeSpec)
    dest_port: RangeSpec = field(default_factory=RangeSpec)
    src_iface: NameSpec = field(default_factory=NameSpec)
    """Ingress devices."""
    src_mac: NameSpec = field(default_factory=NameSpec)
    dscp: RangeSpec = field(default_factory=RangeSpec)
    nft_set: str | None = None
    """A set of our own table (mwan3's `ipset`), created empty when missing; matches the destination."""
    domains: tuple[str, ...] = ()
    """Names in lower case ASCII, each with everything below it, that dnsmasq found the destination under."""
    sticky: bool = False
    timeout: int = 600
    """Seconds a sticky client keeps its uplink after its last new connection."""
    logging: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """A whole, valid configuration. Tuples keep file order; rule order is the match order."""

    globals: Globals
    interfaces: tuple[Interface, ...]
    policies: tuple[Policy, ...]
    rules: tuple[Rule, ...]
    """Enabled rules only."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """What the kernel says of an interface now; the part of the world that steering needs."""

    name: str
    id: int
    """1..capacity of the mask; see `netpath.steering.marks`."""
    family: str
    device: str | None
    """None while the device does not exist or the logical interface is not up."""
    gateway: str | None
    """None with a device: point-to-point, on-link default."""
    addresses: tuple[str, ...]
    """This family's global addresses of the device, with prefix length: "192.0.2.10/24"."""
    main_default: bool
    """True when the kernel's best default route of this family uses this device."""
    connected: tuple[str, ...]
    """Prefixes, other than default, that the main table routes through the device."""
    resolvers: tuple[str, ...] = ()
    """Its DNS servers: the configured ones, also while it is down, else those that netifd knows of."""
    port: str | None = None
    """The device that it is on, also while it is down or the device gone; None while nobody knows."""
    prefixes: tuple[str, ...] = ()
    """IPv6 prefixes that are routed to this router by this uplink, configured or found: the first one counts first."""
    lan: tuple[str, ...] = ()
    """Prefixes, other than default, that the main table routes through devices which are no uplinks: only where
    `nat6` is "prefix"."""
    source: str | None = None
    """IPv6 address for packets that must get one of this uplink; None: masquerading finds one on the device."""
