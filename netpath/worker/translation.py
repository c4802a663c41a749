# SPDX-License-Identifier: GPL-2.0-or-later
"""What `nat6` cannot do on this machine as it is now."""

from __future__ import annotations

from collections.abc import Sequence

from netpath.config import Problem
from netpath.model import Config, Interface, Nat6, Uplink
from netpath.steering.translate import plan

MOST_PREFIXES = 5
"""In one warning."""


def translation_problems(config: Config, uplinks: Sequence[Uplink], file: str) -> list[Problem]:
    """A warning for each interface whose option `nat6` can do less than it says; those that are down are left out."""
    interfaces = {i.name: i for i in config.interfaces if i.enabled and i.nat6 is not Nat6.OFF}
    return [
        Problem("warning", file, None, f"interface {u.name}", "nat6", str(interfaces[u.name].nat6), message, fix)
        for u in uplinks
        if u.name in interfaces and u.device is not None
        for message, fix in _findings(interfaces[u.name], u)
    ]


def _findings(interface: Interface, uplink: Uplink) -> list[tuple[str, str]]:
    """(message, fix)"""
    add = "add list nat6_prefix 'PREFIX/LENGTH'"
    if not uplink.prefixes and not uplink.addresses:
        message = "neither an address nor a prefix of this uplink is known, so the kernel chooses what to send from"
        return [(message, add)]
    if interface.nat6 is not Nat6.PREFIX:
        return []
    how = plan(interface, uplink)
    if not how.targets:
        message = "no prefix is known that the provider routes to this router, so everything is masqueraded"
        return [(message, f"{add}, or write option nat6 'masquerade'")]
    if not how.left:
        return []
    shown = ", ".join(map(str, how.left[:MOST_PREFIXES])) + (", ..." if len(how.left) > MOST_PREFIXES else "")
    room = ", ".join(map(str, how.targets))
    message = f"there is no room in {room} for {shown}, which is masqueraded"
    fix = "ask the provider for a shorter prefix, or name in nat6_from which prefixes matter most"
    return [(message, fix)]
