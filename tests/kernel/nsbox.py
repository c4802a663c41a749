# SPDX-License-Identifier: GPL-2.0-or-later
"""A router in a network namespace of its own: nft text loaded for real, packets sent by hand, conntrack read back."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from netpath.steering.routing import Routing

_libc = ctypes.CDLL(None, use_errno=True)
_counter = itertools.count()
_CLONE_NEWNET = 0x40000000
_MAC_OF_NOBODY = "02:00:00:00:00:01"
QUIET = (
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.default.accept_ra=0",
)


def run(*argv: str, text: str = "") -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}\n{text[:4000]}"
    return done.stdout


@dataclass(frozen=True)
class Tracked:
    """A conntrack entry: original direction and mark."""

    src: str
    dst: str
    proto: int
    sport: int
    dport: int
    mark: int


class Box:
    """One namespace; `with Box() as box:` makes and removes it."""

    def __init__(self, role: str = "r") -> None:
        self.name = f"npst-{os.getpid()}-{next(_counter)}-{role}"

    def __enter__(self) -> Box:
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        self.run("sysctl", "-qw", *QUIET)
        return self

    def __exit__(self, *exc: object) -> None:
        run("ip", "netns", "del", self.name)

    def run(self, *argv: str, text: str = "") -> str:
        # Not `ip netns exec`, which hides /sys/fs/cgroup.
        return run("nsenter", f"--net=/run/netns/{self.name}", *argv, text=text)

    def ip(self, *argv: str) -> str:
        return run("ip", "-n", self.name, *argv)

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", text=text)

    def check(self, text: str) -> None:
        """Have nft and the kernel accept `text` without doing it."""
        self.run("nft", "-c", "-f", "-", text=text)

    def listing(self, table: str = "netpath") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.run("nft", "-j", "list", "table", "inet", table))["nftables"]
        return items

    def names(self, kind: str) -> list[str]:
        """Names of the table's chains, sets or counters."""
        return [item[kind]["name"] for item in self.listing() if kind in item]

    def tables(self) -> str:
        """Tables that stand, one a line; empty when there is none."""
        return self.run("nft", "list", "tables")

    def counted(self) -> dict[str, int]:
        """Named counter -> packets: of uplinks (`wan_ID`), and of rules by their chains."""
        return {i["counter"]["name"]: i["counter"]["packets"] for i in self.listing() if "counter" in i}

    def connections(self, family: str = "ipv4") -> list[Tracked]:
        text = self.run("conntrack", "-L", "-f", family, "-o", "extended")
        return [t for line in text.splitlines() if (t := _tracked(line))]

    def marks(self, family: str = "ipv4") -> dict[tuple[str, str, int, int, int], int]:
        """(source, destination, protocol, source port, destination port) -> connection mark."""
        return {(t.src, t.dst, t.proto, t.sport, t.dport): t.mark for t in self.connections(family)}

    def forget_connections(self) -> None:
        self.run("conntrack", "-F")

    def up(self, device: str, *addresses: str) -> None:
        self.ip("link", "set", device, "up")
        for address in addresses:
            self.ip("address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))

    def wire(self, device: str, other: Box, there: str) -> None:
        """A cable from `device` here to device `there` in another box; both up."""
        self.ip("link", "add", device, "type", "veth", "peer", "name", there, "netns", other.name)
        self.up(device)
        other.up(there)

    def route(self, routing: Routing) -> None:
        """Install ip rules and routes as `netpath.steering.routing` wants them."""
        for rule in routing.rules:
            words = ["-4" if rule.family == "ipv4" else "-6", "rule", "add", "priority", str(rule.priority)]
            words += ["not"] if rule.invert else []
            words += ["fwmark", f"{rule.mark:#x}/{rule.mask:#x}"] if rule.mask else []
            words += ["iif", rule.iif] if rule.iif else []
            words += ["oif", rule.oif] if rule.oif else []
            words += ["lookup", str(rule.table)] if rule.table is not None else [rule.action]
            words += [str(rule.target)] if rule.target is not None else []
            if rule.suppress_prefixlength is not None:
                words += ["suppress_prefixlength", str(rule.suppress_prefixlength)]
            self.ip(*words)
        for route in routing.routes:
            words = ["-4" if route.family == "ipv4" else "-6", "route", "add", route.dst, "table", str(route.table)]
            words += ["via", route.gateway] if route.gateway else []
            self.ip(*words, "dev", route.device, *(["onlink"] if route.onlink else []))

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread in the namespace: sockets opened meanwhile belong to it for good."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{self.name}").open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def link_socket(self, device: str) -> socket.socket:
        """Raw frames in and out of `device`."""
        with self.inside():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            raw.bind((device, 0))
        return raw

    def udp(self, family: str = "ipv4", **options: Any) -> socket.socket:
        """A UDP socket: `mark`, `device` and `address` to bind it to."""
        with self.inside():
            kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
            made = socket.socket(kind, socket.SOCK_DGRAM)
            if "mark" in options:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, options["mark"])
            if "device" in options:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options["device"].encode())
            if "address" in options:
                made.bind((options["address"], 0))
        return made

    def mac(self, device: str) -> str:
        links = json.loads(self.ip("-j", "link", "show", "dev", device))
        return str(links[0]["address"])


def frame(
    to: str,
    src: str,
    dst: str,
    sport: int = 0,
    dport: int = 0,
    *,
    proto: int = 17,
    mac: str = _MAC_OF_NOBODY,
    dscp: int = 0,
    flags: int = 0x02,
) -> bytes:
    """An Ethernet frame to `to` with a minimal packet: UDP, TCP (`flags`: SYN), ICMP echo request or bare header.

    The checksums that routers look at are right.
    """
    source, target = ip_address(src), ip_address(dst)
    pseudo = source.packed + target.packed
    body = _body(proto, sport, dport, flags, pseudo)
    link = bytes.fromhex(f"{to}{mac}".replace(":", ""))
    if source.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, dscp << 2, 20 + len(body), 1, 0, 64, proto, 0) + pseudo
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        return link + b"\x08\x00" + head + body
    head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(body), proto, 64) + pseudo
    return link + b"\x86\xdd" + head + body


def _body(proto: int, sport: int, dport: int, flags: int, pseudo: bytes) -> bytes:
    match proto:
        case 6:
            body, at = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, flags, 1024, 0, 0), 16
        case 17:
            body, at = struct.pack("!HHHH", sport, dport, 12, 0) + b"test", 6
        case 1 | 58:
            body, at = struct.pack("!BBHHH", 8 if proto == 1 else 128, 0, 0, sport or 7, 1), 2
        case 132:  # an INIT chunk; its CRC32c is filled in as SCTP wants it
            chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)
            body = struct.pack("!HHII", sport, dport, 0, 0) + chunk
            return body[:8] + struct.pack("<I", _crc32c(body)) + body[12:]
        case _:
            return b"\x00" * 8
    over = body if proto == 1 else pseudo + struct.pack("!II", len(body), proto) + body
    return body[:at] + struct.pack("!H", _checksum(over) or 0xFFFF) + body[at + 2 :]


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _tracked(line: str) -> Tracked | None:
    fields: dict[str, str] = {}
    for key, value in re.findall(r"(\w+)=(\S+)", line):
        fields.setdefault(key, value)
    words = line.split()
    if "src" not in fields or "mark" not in fields:
        return None
    return Tracked(
        src=fields["src"],
        dst=fields["dst"],
        proto=int(words[3]),
        sport=int(fields.get("sport", 0)),
        dport=int(fields.get("dport", 0)),
        mark=int(fields["mark"]),
    )


def counts(marks: Sequence[int] | Mapping[Any, int]) -> dict[int, int]:
    """How often each mark occurs."""
    values = marks.values() if isinstance(marks, Mapping) else marks
    result: dict[int, int] = {}
    for mark in values:
        result[mark] = result.get(mark, 0) + 1
    return result
