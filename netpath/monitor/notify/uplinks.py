# SPDX-License-Identifier: GPL-2.0-or-later
"""By which uplinks a message may leave, best first; and whether its receiver is reached without one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netpath.kernel import lookup, rtnl
from netpath.kernel.netlink import NetlinkError
from netpath.model import State, Uplink
from netpath.monitor.notify.reach import USABLE
from netpath.steering.marks import MarkSpace, probe_marks

MOST = 6
"""Uplinks that are tried for one message before it has to wait."""


@dataclass(frozen=True, slots=True)
class Way:
    """An uplink and the mark of sockets that use it and no other; no uplink: wherever the kernel sends it."""

    uplink: Uplink | None
    mark: int = 0

    @property
    def family(self) -> str | None:
        return None if self.uplink is None else self.uplink.family

    def __str__(self) -> str:
        return "the main table" if self.uplink is None else self.uplink.name


PLAIN = Way(None)


def ways(rows: Sequence[Mapping[str, Any]], marks: MarkSpace) -> list[Way]:
    """Those of the tracker's rows (docs/socket.md) that work: online ones first, then those that do not cost by the
    byte, then by latency.
    """
    uplinks = {str(row.get("name")): _uplink(row) for row in rows}
    mark = probe_marks([u for u in uplinks.values() if u is not None], marks)
    usable = [row for row in rows if row.get("status") in USABLE and uplinks[str(row.get("name"))] is not None]
    names = [str(row["name"]) for row in sorted(usable, key=_rank)]
    return [Way(uplinks[name], mark[name]) for name in names]


def _rank(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
    latency = row.get("latency")
    known = latency if isinstance(latency, int | float) else math.inf
    return bool(row["status"] != State.ONLINE), bool(row.get("metered")), known


def _uplink(row: Mapping[str, Any]) -> Uplink | None:
    """None without a device."""
    name, number, family, device = (row.get(key) for key in ("name", "id", "family", "device"))
    if not isinstance(name, str) or not isinstance(number, int) or family not in rtnl.FAMILIES:
        return None
    if not isinstance(device, str):
        return None
    return Uplink(name, number, family, device, None, (), False, ())


def steered() -> dict[str, MarkSpace]:
    """Families that are served, with the marks in use, read off our ip rules; empty while nothing is steered.

    The configuration may say something else already than what is loaded. Raises NetlinkError.
    """
    found = {}
    for family in rtnl.FAMILIES:
        masks = [rule.mask for rule in rtnl.rules(family) if rule.protocol == rtnl.PROTOCOL_OURS and rule.mask]
        if masks:
            found[family] = MarkSpace(masks[0])
    return found


def is_direct(address: str, family: str, marks: MarkSpace) -> bool:
    """Whether a connected or static route leads there, and no uplink is needed: the route test of docs/architecture.md
    (with this mark every packet for which there is only a default route is unreachable).
    """
    try:
        return lookup.route_get(address, family, mark=marks.unreachable) is not None
    except NetlinkError:  # a family that this kernel has not
        return False
