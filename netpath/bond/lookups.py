# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client asks others, in threads of their own: name servers, and the tracker which interfaces are online."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netpath.bond.process import Inbox
from netpath.bond.streams import Endpoint, Wanted
from netpath.bonding import BondClient

RETRY_TIMES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds after the first, second ... name that could not be resolved."""
AGAIN = 300.0
"""Seconds after which names are looked up again, as addresses change."""
SOON = 30.0
"""The same while the server does not answer."""
TRACKER_RETRY = 5.0
_PAGE = 50


class Interface(NamedTuple):
    """A NetPath interface."""

    name: str
    device: str | None
    online: bool


class Names:
    """The server's addresses, of both families, in the resolver's order."""

    def __init__(self, servers: Sequence[tuple[str, int]], inbox: Inbox, changed: Callable[[float], None]) -> None:
        """`changed` is called in the loop, when the endpoints are others, or a lookup has failed."""
        self._servers = servers
        self._inbox = inbox
        self._changed = changed
        self._busy = False
        self._failures = 0
        self._next = 0.0
        self.endpoints: list[Endpoint] = []
        self.problem: str | None = None

    def tick(self, connected: bool, now: float) -> None:
        """Look up when it is time."""
        literal = self.endpoints and all(_is_address(host) for host, _ in self._servers)
        due = self._next if connected or not self.endpoints else min(self._next, self._next - AGAIN + SOON)
        if not self._busy and now >= due and not literal:
            self._busy = True
            self._inbox.run(self._look_up, "netpath-names")

    def _look_up(self) -> None:
        found: list[Endpoint] = []
        problems = []
        for host, port in self._servers:
            try:
                answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError) as error:
                problems.append(f"{host} cannot be resolved ({getattr(error, 'strerror', None) or error})")
                continue
            for family, _, _, _, address in answers:
                if family in (socket.AF_INET, socket.AF_INET6):
                    found.append(Endpoint(family, str(address[0]), port))
        self._inbox.post(lambda now: self._found(list(dict.fromkeys(found)), "; ".join(problems), now))

    def _found(self, endpoints: list[Endpoint], problem: str, now: float) -> None:
        self._busy = False
        if problem:
            self._next = now + RETRY_TIMES[min(self._failures, len(RETRY_TIMES) - 1)]
            self._failures += 1
        else:
            self._next, self._failures = now + AGAIN, 0
        # Addresses that were right go on while their name servers cannot be reached: the bond may be the way to them.
        if endpoints and (not problem or not self.endpoints):
            self.endpoints = endpoints
        self.problem = problem or None
        self._changed(now)


class Tracker:
    """Follows the tracker's interfaces until the process ends."""

    def __init__(self, path: Path, inbox: Inbox, changed: Callable[[Sequence[Interface] | None, float], None]) -> None:
        """`changed` is called in the loop; None: the tracker does not answer."""
        self._path = path
        self._inbox = inbox
        self._changed = changed
        self._stopped = threading.Event()
        inbox.run(self._follow, "netpath-tracker")

    def stop(self) -> None:
        """No more calls."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._once()
            except (OSError, ValueError, KeyError, TypeError):
                self._tell(None)
            self._stopped.wait(TRACKER_RETRY)

    def _once(self) -> None:
        """Raises when the tracker is not there, ends, or answers something else."""
        with socket.socket(socket.AF_UNIX) as following:
            following.settimeout(10.0)
            following.connect(str(self._path))
            following.sendall(b'{"cmd":"events","follow":true,"limit":1}\n')
            with following.makefile("rb") as lines:
                if "error" in json.loads(lines.readline()):
                    raise OSError("the tracker does not tell events")
                self._tell(self._interfaces())
                following.settimeout(None)
                for line in lines:
                    if json.loads(line).get("kind") == "interface":
                        self._tell(self._interfaces())
        raise OSError("the tracker has ended")

    def _interfaces(self) -> list[Interface]:
        found: list[Interface] = []
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10.0)
            asking.connect(str(self._path))
            with asking.makefile("rwb") as lines:
                total = 1
                while len(found) < total:
                    request = {"cmd": "interfaces", "offset": len(found), "limit": _PAGE}
                    lines.write(json.dumps(request).encode() + b"\n")
                    lines.flush()
                    reply = json.loads(lines.readline())
                    total = reply["total"]
                    if not reply["interfaces"]:
                        break
                    found += [_interface(row) for row in reply["interfaces"]]
        return found

    def _tell(self, interfaces: list[Interface] | None) -> None:
        def call(now: float) -> None:
            if not self._stopped.is_set():
                self._changed(interfaces, now)

        self._inbox.post(call)


def wanted(settings: BondClient, interfaces: Sequence[Interface], most: int) -> list[Wanted]:
    """Configured links, then the interfaces that are online; no more than `most` streams in all."""
    known = {interface.name: interface for interface in interfaces}
    links = []
    for link in settings.links:
        found = known.get(link.interface) if link.interface is not None else None
        device = found.device if found is not None and found.device is not None else link.interface
        links.append(Wanted(link.name, device, link.source, link.streams, link.cap))
    if settings.automatic:
        taken = {link.device for link in links} | {settings.device}
        for interface in interfaces:
            if interface.online and interface.device is not None and interface.device not in taken:
                taken.add(interface.device)
                links.append(Wanted(interface.name, interface.device, None, settings.streams, None))
    while sum(link.streams for link in links) > most:
        at = max(range(len(links)), key=lambda n: links[n].streams)
        links[at] = links[at]._replace(streams=links[at].streams - 1)
    return [link for link in links if link.streams]


def _interface(row: dict[str, Any]) -> Interface:
    device = row["device"]
    return Interface(str(row["name"]), device if isinstance(device, str) else None, row["status"] == "online")


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
