# SPDX-License-Identifier: GPL-2.0-or-later
"""By which device of this machine a peer's address is reached, for the status of a server."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from netpath.bond.engine import Place
from netpath.bond.links import Address
from netpath.bond.paths import Path
from netpath.kernel.lookup import route_get
from netpath.kernel.netlink import NetlinkError

FRESH = 5.0
"""Seconds for which an answer of the kernel's counts: routes hardly change, and a status may be asked for often."""
KEPT = 1024


class Sides:
    """Asks the kernel, and remembers."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str | None]] = {}

    def names(self, paths: Iterable[Path], now: float) -> dict[int, tuple[str, str | None]]:
        """Path -> (what stands for the client's link: the address that it comes from; device)."""
        found = {}
        for path in paths:
            place = path.address.proven or path.address.candidate
            if isinstance(place, Place):
                found[path.number] = place.address[0], self._device(place.address, now)
        return found

    def _device(self, address: Address, now: float) -> str | None:
        host = address[0]
        asked, device = self._known.get(host, (now - FRESH, None))
        if now - asked < FRESH:
            return device
        if len(self._known) >= KEPT:
            self._known.clear()
        try:
            device = _of_scope(address) or _by_route(host)
        except (NetlinkError, OSError):
            device = None  # it is only shown, and the path says itself whether it works
        self._known[host] = now, device
        return device


def _of_scope(address: Address) -> str | None:
    """A link-local address says itself where it is."""
    return socket.if_indextoname(address[3]) if len(address) == 4 and address[3] else None


def _by_route(host: str) -> str | None:
    way = route_get(host.partition("%")[0], "ipv6" if ":" in host else "ipv4")
    return None if way is None else way.device
