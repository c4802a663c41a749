# SPDX-License-Identifier: GPL-2.0-or-later
"""What a router's netifd says (`network.interface dump`, `network.device status`), as far as its traffic is concerned.

Pure. Shapes as in OpenWrt's netifd (interface.c, device.c); a peer may send anything, so each is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netpath.monitor.address import clean
from netpath.monitor.rates import Counters
from netpath.monitor.readings import ServiceError

MOST = 64
"""Uplinks of one router that are counted."""
LONGEST = 64
"""Characters of a name; the kernel allows 15 for a device."""
DEFAULT = frozenset({"0.0.0.0", "::"})
LARGEST = 2**64 - 1

Uplinks = dict[str, str]
"""Name -> device."""


def uplinks(dump: Mapping[str, Any], wanted: tuple[str, ...]) -> Uplinks:
    """Those that are up: `wanted` names of logical interfaces or devices, or if that is empty all interfaces with a
    default route, in the router's order.

    Raises ServiceError when that is no dump.
    """
    interfaces = _interfaces(dump)
    if not wanted:
        lines = [(name, _device(row)) for name, row in interfaces.items() if _has_default(row)]
        return dict([(name, device) for name, device in lines if device][:MOST])
    found = {}
    for name in wanted[:MOST]:
        # What is no interface is taken for a device: only asking for it tells whether it is there.
        device = _device(interfaces[name]) if name in interfaces else name
        if device:
            found[name] = device
    return found


def known(dump: Mapping[str, Any], wanted: tuple[str, ...], devices: Mapping[str, Any]) -> None:
    """Raises ServiceError when nothing of `wanted` is an interface of the router, or one of its `devices`.

    One that is there is enough: a device of a line that is down at the moment is not.
    """
    interfaces = _interfaces(dump)
    if wanted and not any(name in interfaces or name in devices for name in wanted):
        names = ", ".join(clean(name, 20) for name in list(interfaces)[:20])
        raise ServiceError(
            f"the router has no interface or device {wanted[0]} now; its interfaces are {names}: set option interfaces"
        )


def _interfaces(dump: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    rows = dump.get("interface")
    if not isinstance(rows, list):
        raise ServiceError("the router does not tell its interfaces: is it OpenWrt?")
    return {row["interface"]: row for row in rows if isinstance(row, dict) and _is_name(row.get("interface"))}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


def _device(row: Mapping[str, Any]) -> str | None:
    """Where its packets go, or None while it is down."""
    device = row.get("l3_device")
    return device if row.get("up") is True and _is_name(device) else None


def _has_default(row: Mapping[str, Any]) -> bool:
    routes = row.get("route")
    return isinstance(routes, list) and any(
        isinstance(route, dict) and route.get("target") in DEFAULT and route.get("mask") == 0 for route in routes
    )


def counters(rows: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Counters]:
    """Replies of `network.device status` by device -> its counters; without devices that are not there.

    Raises ServiceError.
    """
    found = {}
    for device, row in rows.items():
        if row is None or row.get("present") is False:
            continue
        figures = row.get("statistics")
        if figures is not None:
            found[device] = _bytes(figures, "rx_bytes", device), _bytes(figures, "tx_bytes", device)
    return found


def _bytes(figures: Any, name: str, device: str) -> int:
    value = figures.get(name) if isinstance(figures, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise ServiceError(f"the router tells no good counters of {clean(device)}: is it OpenWrt?")
    return value
