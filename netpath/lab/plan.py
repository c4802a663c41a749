# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has which address in the lab. Pure; documentation addresses only (RFC 5737, RFC 3849).

| what | IPv4 | IPv6 |
|---|---|---|
| LAN: router, clients | 192.0.2.1, 192.0.2.2 .. 192.0.2.126 (/25) | 2001:db8:1::1, 2001:db8:1::2 .. (/64) |
| guest LAN: router, clients | 192.0.2.129, 192.0.2.130 .. (/25) | 2001:db8:1:1::1, 2001:db8:1:1::2 .. (/64) |
| uplink n: provider's side | first and second address of the n-th subnet of 198.51.100.0/24 | fe80::1, fe80::2 |
| uplink n: router's side | last and last but one address of it | 2001:db8:2:n::2, 2001:db8:2:n::3 (/64) |
| the address that a server sees for uplink n | 203.0.113.n | 2001:db8:3::n |
| servers, all on one host | 203.0.113.201 .. 203.0.113.210 | 2001:db8:4::1 .. 2001:db8:4::a |

The uplinks' subnets are /28 for up to 15 uplinks, /29 for up to 30, /30 above (without a second address to change to).
In IPv6 addresses n is written with its decimal digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

MAX_UPLINKS = 60
MAX_CLIENTS = 125
SERVERS = {
    "ipv4": tuple(f"203.0.113.{200 + i}" for i in range(1, 11)),
    "ipv6": tuple(f"2001:db8:4::{i:x}" for i in range(1, 11)),
}
ECHO_PORT = 7
ECHO_PORTS = (ECHO_PORT, *range(5000, 5010))
"""Ports where the servers answer TCP and UDP with the client's address."""
HTTP_PORT, HTTPS_PORT, DNS_PORT = 80, 443, 53
LAN_MAC, GUEST_MAC = "02:00:00:00:01:02", "02:00:00:00:02:02"


@dataclass(frozen=True, slots=True)
class Lan:
    """A network behind the router: its device there, and the addresses of router and clients."""

    device: str
    mac: str
    prefix6: str
    first4: int
    """Last octet of the router; the first client has the next one."""

    def router(self, family: str) -> str:
        return f"192.0.2.{self.first4}" if family == "ipv4" else f"{self.prefix6.removesuffix('/64')}1"

    def client(self, number: int, family: str) -> str:
        """Address of client 1, 2, ..."""
        if family == "ipv4":
            return f"192.0.2.{self.first4 + number}"
        return f"{self.prefix6.removesuffix('/64')}{number + 1:x}"


LAN = Lan("lan", LAN_MAC, "2001:db8:1::/64", 1)
GUEST = Lan("guest", GUEST_MAC, "2001:db8:1:1::/64", 129)


@dataclass(frozen=True, slots=True)
class UplinkSpec:
    """What a caller may choose about an uplink."""

    name: str
    """The router's device (at most 15 bytes); interface sections are NAME and, for IPv6, NAME_6."""
    ipv4: bool = True
    ipv6: bool = True
    metric: int = 0
    """Of its default routes in the main table; 0 means 10 x number."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """One uplink as built. Gateways and addresses come in pairs: the first is in use, the second is for changes."""

    number: int
    name: str
    ipv4: bool
    ipv6: bool
    metric: int
    length4: int
    """Prefix length of its IPv4 subnet."""
    subnet4: str
    gateways4: tuple[str, ...]
    addresses4: tuple[str, ...]

    gateways6 = ("fe80::1", "fe80::2")

    @property
    def families(self) -> tuple[str, ...]:
        return (("ipv4",) if self.ipv4 else ()) + (("ipv6",) if self.ipv6 else ())

    @property
    def subnet6(self) -> str:
        return f"2001:db8:2:{self.number}::/64"

    @property
    def addresses6(self) -> tuple[str, ...]:
        return (f"2001:db8:2:{self.number}::2", f"2001:db8:2:{self.number}::3")

    def gateways(self, family: str) -> tuple[str, ...]:
        return self.gateways4 if family == "ipv4" else self.gateways6

    def addresses(self, family: str) -> tuple[str, ...]:
        """The router's addresses, without prefix length."""
        return self.addresses4 if family == "ipv4" else self.addresses6

    def length(self, family: str) -> int:
        return self.length4 if family == "ipv4" else 64

    def public(self, family: str) -> str:
        """The address that servers see for flows of this uplink."""
        return f"203.0.113.{self.number}" if family == "ipv4" else f"2001:db8:3::{self.number}"

    def interface(self, family: str) -> str:
        """Name of its section in the configuration."""
        return self.name if family == "ipv4" else f"{self.name}_6"


def default_name(number: int) -> str:
    return "wan" if number == 1 else f"wan{number}"


def uplinks(wanted: int | Sequence[str | UplinkSpec]) -> tuple[Uplink, ...]:
    """Number the uplinks and give them addresses. Raises ValueError for more than 60, doubled or too long names."""
    chosen = [default_name(i + 1) for i in range(wanted)] if isinstance(wanted, int) else list(wanted)
    specs = [UplinkSpec(item) if isinstance(item, str) else item for item in chosen]
    if len(specs) > MAX_UPLINKS:
        raise ValueError(f"{len(specs)} uplinks: the documentation addresses are enough for {MAX_UPLINKS}")
    names = [spec.name for spec in specs]
    if len(set(names)) != len(names):
        raise ValueError(f"uplink names must differ: {', '.join(names)}")
    for name in names:
        if not 0 < len(name.encode()) <= 15 or name in (LAN.device, GUEST.device, "lo"):
            raise ValueError(f"uplink name {name!r}: 1 to 15 bytes, and not lo, {LAN.device} or {GUEST.device}")
    length = 28 if len(specs) <= 15 else 29 if len(specs) <= 30 else 30
    return tuple(_uplink(number, spec, length) for number, spec in enumerate(specs, 1))


def _uplink(number: int, spec: UplinkSpec, length: int) -> Uplink:
    size = 1 << (32 - length)
    base = IPv4Address("198.51.100.0") + (number - 1) * size
    spares = 1 if length == 30 else 2
    return Uplink(
        number=number,
        name=spec.name,
        ipv4=spec.ipv4,
        ipv6=spec.ipv6,
        metric=spec.metric or 10 * number,
        length4=length,
        subnet4=f"{base}/{length}",
        gateways4=tuple(str(base + 1 + i) for i in range(spares)),
        addresses4=tuple(str(base + size - 2 - i) for i in range(spares)),
    )
