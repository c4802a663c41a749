# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of values that options take: how a text is split, read item by item, and put together.

A scalar kind has no `combine`. A list kind reads each item on its own, so that every bad item is reported with its
line, and `combine` makes the option's value of the plain and the negated items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from netpath.config import times, values
from netpath.config.values import BadValueError
from netpath.model import AddressMatch, AddressSpec, NameSpec, RangeSpec


class Limits(Protocol):
    """What an option says of its values; see `netpath.config.option.Option`."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def unit(self) -> str: ...
    @property
    def choices(self) -> tuple[str, ...]: ...
    @property
    def spellings(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    label: str
    """What the reference calls it."""
    item: Callable[[str, Limits], Any]
    """Raises values.BadValueError."""
    combine: Callable[[list[Any], list[Any]], Any] | None = None
    commas: bool = False
    """Items may be separated by commas too, not only by spaces."""
    negatable: bool = False
    """`!` before an item excludes it."""

    @property
    def is_list(self) -> bool:
        return self.combine is not None

    def split(self, text: str) -> list[str]:
        """The items of one written value."""
        if not self.is_list:
            return [text.strip()]
        if self.commas:
            text = text.replace(",", " ")
        if self.negatable and "!" in text:
            head, *rest = text.split("!")
            text = head + "".join("!" + part.lstrip() for part in rest)
        return text.split()


def _plain(items: list[Any], _: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _names(items: list[str], negated: list[str]) -> NameSpec:
    if items and not set(items) - set(negated):
        raise BadValueError("excludes all that it includes, so it matches nothing", "remove one of the two")
    return NameSpec(tuple(dict.fromkeys(items)), tuple(dict.fromkeys(negated)))


def _addresses(items: list[AddressMatch], negated: list[AddressMatch]) -> AddressSpec:
    if any(match.mask == 0 for match in negated):
        raise BadValueError("excludes every address, so it matches nothing", "remove the ! item")
    return AddressSpec(tuple(dict.fromkeys(items)), tuple(dict.fromkeys(negated)))


def _ranges(top: int) -> Callable[[list[tuple[int, int]], list[tuple[int, int]]], RangeSpec]:
    def combine(items: list[tuple[int, int]], negated: list[tuple[int, int]]) -> RangeSpec:
        wanted, excluded = merge_ranges(items), merge_ranges(negated)
        for low, high in wanted or ((0, top),):
            if not any(a <= low and high <= b for a, b in excluded):
                break
        else:
            raise BadValueError("excludes all that it includes, so it matches nothing", "remove one of the two")
        return RangeSpec(() if wanted == ((0, top),) else wanted, excluded)

    return combine


def merge_ranges(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, overlapping and neighbouring ranges joined: nft refuses sets whose intervals overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _events(items: list[str], _: list[str]) -> tuple[str, ...]:
    if "always" in items:
        return CONNTRACK_EVENTS
    wanted = tuple(event for event in CONNTRACK_EVENTS if event in items)
    if "never" in items and wanted:
        raise BadValueError("never and events at once", "write either never or the events")
    return wanted


def _days(items: list[tuple[int, ...]], _: list[Any]) -> tuple[int, ...]:
    return tuple(sorted({day for days in items for day in days}))


CONNTRACK_EVENTS = ("ifup", "ifdown", "connected", "disconnected")

BOOL = Kind("yes or no", lambda text, _: values.parse_bool(text))
WHOLE = Kind("whole number", lambda text, o: values.parse_whole(text, int(o.low), int(o.high)))
NUMBER = Kind("number", lambda text, o: values.parse_number(text, o.low, o.high, o.unit))
DURATION = Kind("duration", lambda text, o: values.parse_duration(text, o.low, o.high))
WHOLE_SECONDS = Kind(
    "duration, whole seconds", lambda text, o: values.parse_whole_seconds(text, int(o.low), int(o.high))
)
CHOICE = Kind("choice", lambda text, o: values.parse_choice(text, o.choices, o.spellings))
MASK = Kind("mask", lambda text, _: values.parse_mask(text))
NAME = Kind("name", lambda text, _: values.parse_name(text))
DEVICE = Kind("device", lambda text, _: values.parse_device(text))
NFT_TABLE = Kind("nft table name", lambda text, _: values.parse_nft_table(text))
SET_NAME = Kind("nft set name", lambda text, _: values.parse_set_name(text))
ADDRESS = Kind("IP address", lambda text, _: values.parse_address(text))
DIRECTORY = Kind("directory, or auto", lambda text, _: values.parse_directory(text))
RESOLVERS = Kind("list of IP addresses", lambda text, _: values.parse_resolver(text), _plain)
DOMAINS = Kind("list of domains", lambda text, _: values.parse_domain(text), _plain)
PREFIXES = Kind(
    "list of IPv6 prefixes", lambda text, o: values.parse_prefix6(text, int(o.low), int(o.high)), _plain, commas=True
)
HOSTNAME = Kind("host name", lambda text, _: values.parse_hostname(text))
NAMES = Kind("list of names", lambda text, _: values.parse_name(text), _plain)
TABLES = Kind("list of routing tables", lambda text, _: values.parse_routing_table(text), _plain, commas=True)
TARGETS = Kind("list of targets", lambda text, _: values.parse_target(text), _plain)
EVENTS = Kind("list of events", lambda text, o: values.parse_choice(text, o.choices, o.spellings), _events, commas=True)
NETWORKS = Kind("list of networks", lambda text, _: values.parse_network(text), _addresses, True, True)
PORTS = Kind("list of ports and ranges", lambda text, _: values.parse_port_range(text), _ranges(65535), True, True)
PROTOCOLS = Kind("list of protocols", lambda text, _: values.parse_protocol(text), _ranges(255), True, True)
DSCP = Kind("list of code points and ranges", lambda text, _: values.parse_dscp_range(text), _ranges(63), True, True)
INGRESS = Kind(
    "list of devices or interfaces", lambda text, _: values.parse_device_or_interface(text), _names, True, True
)
MACS = Kind("list of MAC addresses", lambda text, _: values.parse_mac(text), _names, True, True)
WINDOWS = Kind("list of times of the day", lambda text, _: times.parse_window(text), _plain, commas=True)
WEEKDAYS = Kind("list of weekdays and ranges", lambda text, _: times.parse_weekdays(text), _days, commas=True)
SIZE = Kind("number of bytes", lambda text, o: times.parse_size(text, int(o.low), int(o.high)))
IGNORED = Kind("ignored", lambda text, _: text, _plain)
