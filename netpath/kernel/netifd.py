# SPDX-License-Identifier: GPL-2.0-or-later
"""What OpenWrt's netifd knows of its logical interfaces: device, state, gateways, addresses, prefixes, resolvers.

Source: `ubus call network.interface dump` (netifd, interface.c and ubus.c). Nothing there is relied upon: a field
that is missing or of another type counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netpath.kernel import ubus

REQUEST = ("-t", "5", "call", "network.interface", "dump")
"""Arguments of `ubus`; it gives up after 5 s."""
LIMIT = 10.0
"""Seconds until `ubus` itself is given up: that of a bus which takes calls and answers none waits for ever."""
_DIGIT = {"ipv4": "4", "ipv6": "6"}


@dataclass(frozen=True, slots=True)
class Logical:
    """One interface of netifd."""

    name: str
    up: bool
    device: str | None
    """The device with the addresses (`l3_device`): pppoe-wan rather than eth1. None while it has none."""
    defaults: tuple[tuple[str, str | None], ...]
    """(family, next hop; None: on-link) of its default routes; also of those that it must not use itself."""
    addresses: tuple[str, ...]
    """With prefix length, both families."""
    prefixes: tuple[str, ...]
    """IPv6 prefixes that the provider has delegated through it."""
    resolvers: tuple[str, ...]
    """Addresses of its name servers, both families."""

    def routes(self, family: str) -> bool:
        """Whether it has a default route of `family`."""
        return any(each == family for each, _ in self.defaults)


Dump = Mapping[str, Logical]


def read() -> Dump:
    """Ask netifd now; empty where there is none, or it does not answer. Blocks for some milliseconds."""
    import subprocess  # the tracker, which must not wait, has its own way and no need of it

    command = ubus.command(*REQUEST)
    if command is None:
        return {}
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {}  # as `ubus` itself gives up: what needs netifd is down until it answers
    return parse(result.stdout) if result.returncode == 0 else {}


def parse(text: bytes) -> Dump:
    """Interfaces by name from netifd's answer; empty when it is none."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    entries = _list(answer.get("interface")) if isinstance(answer, dict) else []
    found = (_logical(entry) for entry in entries if isinstance(entry, dict))
    return {each.name: each for each in found if each is not None}


def find(dump: Dump, name: str, family: str) -> Logical | None:
    """The interface that a section `name` of `family` means.

    Of a line whose families are interfaces of their own, `wan_4` and `wan_6` (mwan3 and netifd's modems know them by
    these names) go before `wan`, as long as they are up or `wan` is not there.
    """
    own = dump.get(f"{name}_{_DIGIT[family]}")
    plain = dump.get(name)
    return own if own is not None and (own.up or plain is None) else plain


def _logical(entry: Mapping[str, Any]) -> Logical | None:
    name = entry.get("interface")
    if not isinstance(name, str):
        return None
    # What netifd holds back (`defaultroute 0`, a table of its own) is under "inactive".
    parts = [entry, entry["inactive"]] if isinstance(entry.get("inactive"), dict) else [entry]
    device = entry.get("l3_device")
    return Logical(
        name=name,
        up=entry.get("up") is True,
        device=device if isinstance(device, str) and device else None,
        defaults=tuple(dict(reversed(list(_defaults(parts)))).items()),
        addresses=tuple(p for key in ("ipv4-address", "ipv6-address") for p in _prefixes(entry.get(key))),
        prefixes=tuple(_prefixes(entry.get("ipv6-prefix"))),
        resolvers=tuple(a for part in parts for a in _list(part.get("dns-server")) if isinstance(a, str)),
    )


def _defaults(parts: list[Mapping[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """Default routes, the best first."""
    for part in parts:
        for route in _list(part.get("route")):
            if isinstance(route, dict) and route.get("mask") == 0 and route.get("target") in ("0.0.0.0", "::"):
                hop = route.get("nexthop")
                on_link = not isinstance(hop, str) or hop in ("", "0.0.0.0", "::")
                yield _family(str(route["target"])), None if on_link else str(hop)


def _prefixes(entries: object) -> Iterator[str]:
    for entry in _list(entries):
        if isinstance(entry, dict) and isinstance(entry.get("address"), str) and isinstance(entry.get("mask"), int):
            yield f"{entry['address']}/{entry['mask']}"


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
