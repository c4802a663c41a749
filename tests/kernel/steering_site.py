# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with three uplinks of both families, a LAN and a VPN, whose far ends the tests hold in their hands."""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from netpath.kernel.nft import Nft
from netpath.model import Config, Policy, Rule, Uplink
from netpath.steering.policy import SteeringView, swap
from netpath.steering.routing import desired
from netpath.steering.ruleset import cgroup_rules, ruleset
from tests.kernel.nsbox import Box, frame
from tests.unit.steering.steering_worlds import config, interface, policy, rule, uplink

WANS = ("wan1", "wan2", "wan3")
LAN_HOST = {"ipv4": "198.51.100.7", "ipv6": "2001:db8:100::7"}
GATEWAY_MAC = "02:00:00:00:ff:01"
HOST_MAC = "02:00:00:00:00:07"
PATIENCE = 3.0
"""Seconds until a frame that was waited for counts as lost."""
MARK = {("ipv4", 1): 0x100, ("ipv4", 2): 0x200, ("ipv4", 3): 0x300} | {
    ("ipv6", n): 0x300 + n * 0x100 for n in (1, 2, 3)
}
"""(family, uplink number) -> mark: ids 1 to 3 are IPv4, 4 to 6 IPv6."""


def own(family: str, number: int) -> str:
    """The router's address at uplink `number`."""
    return f"192.0.2.{number * 16 - 6}" if family == "ipv4" else f"2001:db8:{number}::10"


def gateway(family: str, number: int) -> str:
    return f"192.0.2.{number * 16 - 15}" if family == "ipv4" else f"2001:db8:{number}::1"


def internet(family: str, host: int = 1) -> str:
    """A far destination that only default routes lead to."""
    return f"203.0.113.{64 + host}" if family == "ipv4" else f"2001:db8:ffff::{host:x}"


def uplinks() -> list[Uplink]:
    """Six interfaces on three devices; wan1 has the main table's default route."""
    found = []
    for family, name, first in (("ipv4", "wan", 0), ("ipv6", "six", 3)):
        for n in (1, 2, 3):
            network = f"192.0.2.{n * 16 - 16}/28" if family == "ipv4" else f"2001:db8:{n}::/64"
            found.append(
                uplink(
                    f"{name}{n}",
                    first + n,
                    f"wan{n}",
                    family,
                    gateway=gateway(family, n),
                    addresses=[f"{own(family, n)}/{28 if family == 'ipv4' else 64}"],
                    main_default=n == 1,
                    connected=[network],
                )
            )
    return found


ALL = frozenset(u.name for u in uplinks())


def both(*members: str) -> list[str]:
    """Policy members "1 weight metric" for both families of uplink 1 and so on."""
    return [f"{kind}{m}" for m in members for kind in ("wan", "six")]


class Site:
    """The standing site. `load` first, then send."""

    def __init__(self, stack: ExitStack) -> None:
        self.router = stack.enter_context(Box())
        self.lan = stack.enter_context(Box("lan"))
        self.net = stack.enter_context(Box("net"))
        self.uplinks = uplinks()
        self.options: dict[str, dict[str, Any]] = {}
        """Fields of an interface, by its name, that differ from the plain one."""
        self.config: Config | None = None
        self._ports = itertools.count(20000)
        self._build()
        self.wires = {d: self.net.link_socket(d) for d in (*WANS, "vpn0")} | {"lan0": self.lan.link_socket("lan0")}
        for wire in self.wires.values():
            stack.enter_context(wire)
        self._macs = {d: self.router.mac(d) for d in self.wires}

    def _build(self) -> None:
        router = self.router
        for number, device in enumerate(WANS, 1):
            router.wire(device, self.net, device)
            router.up(device, f"{own('ipv4', number)}/28", f"{own('ipv6', number)}/64")
            for family in ("ipv4", "ipv6"):
                router.ip("neigh", "add", gateway(family, number), "lladdr", GATEWAY_MAC, "dev", device)
        router.wire("vpn0", self.net, "vpn0")
        router.up("vpn0", "203.0.113.1/30", "2001:db8:aa::1/64")
        for peer in ("203.0.113.2", "2001:db8:aa::2"):
            router.ip("neigh", "add", peer, "lladdr", GATEWAY_MAC, "dev", "vpn0")
        router.wire("lan0", self.lan, "lan0")
        router.up("lan0", "198.51.100.1/24", "2001:db8:100::1/64")
        for host in LAN_HOST.values():
            router.ip("neigh", "add", host, "lladdr", HOST_MAC, "dev", "lan0")
        for family in ("ipv4", "ipv6"):
            router.ip("route", "add", "default", "via", gateway(family, 1), "dev", "wan1")

    def load(
        self,
        policies: list[Policy],
        rules: list[Rule],
        usable: frozenset[str] = ALL,
        *,
        cgroups: Mapping[int, tuple[int, str]] | None = None,
        **settings: object,
    ) -> str:
        """Bring the router to this configuration, as `netpath` would; the text that was loaded."""
        first = self.config is None
        names = [(u.name, u.family) for u in self.uplinks]
        interfaces = [replace(interface(n, f), **self.options.get(n, {})) for n, f in names]
        self.config = config(interfaces, policies, rules, **settings)
        if first:
            self.router.route(desired(self.config, self.uplinks))
        text = ruleset(
            self.config,
            self.uplinks,
            usable,
            existing_chains=() if first else self.router.names("chain"),
            existing_sets=() if first else self.router.names("set"),
            existing_counters=() if first else self.router.names("counter"),
            load="1a2b",
        )
        text += cgroup_rules(self.config, {u.name: u.id for u in self.uplinks}, cgroups or {})
        self.router.nft(text)
        return text

    def swap(self, usable: frozenset[str]) -> None:
        """The failover path, for all policies."""
        assert self.config
        view = SteeringView.of(self.config, {u.name: u.id for u in self.uplinks}, self.uplinks)
        self.router.nft(swap(view, usable, [p.name for p in self.config.policies], blocks=Nft().fills_chains()))

    def send(
        self,
        src: str,
        dst: str,
        sport: int | None = None,
        dport: int = 443,
        *,
        via: str = "lan0",
        proto: int = 17,
        flags: int = 0x02,
    ) -> tuple[str, str, int, int, int]:
        """One packet into the router by device `via`; the connection's key, as in `Box.marks`."""
        sport = next(self._ports) if sport is None else sport
        mac = HOST_MAC if via == "lan0" else GATEWAY_MAC
        self.wires[via].send(frame(self._macs[via], src, dst, sport, dport, proto=proto, mac=mac, flags=flags))
        return src, dst, proto, sport, dport

    def leaves(self, device: str, dst: str, sport: int, dport: int = 443) -> bytes:
        """Wait for the packet to `dst` with these ports on `device`'s far end; its IP part."""
        packed = ip_address(dst).packed
        ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
        for packet in self.arriving(device):
            at, head = (16, 20) if packet[0] >> 4 == 4 else (24, 40)
            if packet[at : at + len(packed)] == packed and packet[head : head + 4] == ports:
                return packet
        raise AssertionError(f"nothing to {dst} port {dport} left by {device}")

    def arriving(self, device: str) -> Iterator[bytes]:
        """IP packets that the router sends out of `device`, until patience ends."""
        wire = self.wires[device]
        end = time.monotonic() + PATIENCE
        while select.select([wire], [], [], max(0.0, end - time.monotonic()))[0]:
            data, address = wire.recvfrom(2048)
            if address[2] != socket.PACKET_OUTGOING:
                yield data[14:]


@contextmanager
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack)


def everything(use: str = "bal", **options: object) -> Rule:
    return rule("everything", use, **options)


def one_policy(members: list[str], mode: str = "balanced", last_resort: str = "unreachable") -> list[Policy]:
    return [policy("bal", members, mode, last_resort)]
