# SPDX-License-Identifier: GPL-2.0-or-later
"""What one scrape reads: from the tracker, from the kernel's counters, from the monitor itself.

What cannot be read is left out, is named in `Facts.failed`, and keeps nothing else from being read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netpath.kernel import nftdump
from netpath.monitor.metrics.counts import Counts
from netpath.monitor.metrics.rulenames import RuleNames
from netpath.monitor.tracker import NotRunningError, Tracker, TrackerError
from netpath.paths import BOND_SOCKET

TRACKER_TIME = 4.0
"""Seconds for all answers of the tracker together: Prometheus itself gives up after 10 s."""
BOND_TIME = 2.0
"""Seconds for the answer of a bond."""
MOST_BONDS = 16
PAGE = 8
"""Policies asked for at once: with 252 members in each the reply stays below what the tracker gives (768 KiB)."""

Row = dict[str, Any]


@dataclass(slots=True)
class Facts:
    """Empty or None: not known. Rows are as docs/socket.md and docs/monitor.md show them."""

    own: Row
    """The monitor's reply."""
    counts: Counts
    tracker_up: bool = False
    pid: int | None = None
    version: Row | None = None
    problem: str | None = None
    """Why the tracker steers nothing."""
    interfaces: list[Row] = field(default_factory=list)
    metrics: dict[str, Row] = field(default_factory=dict)
    """Of each interface."""
    steered: list[str] = field(default_factory=list)
    """Address families."""
    policies: list[Row] = field(default_factory=list)
    members: dict[str, Row] = field(default_factory=dict)
    """Those with a schedule or a quota."""
    rules: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Packets and bytes, both families together."""
    unmatched: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Family -> packets and bytes that no rule matched."""
    bonds: list[Row] = field(default_factory=list)
    """Replies of bonds (docs/bond.md)."""
    failed: dict[str, str] = field(default_factory=dict)
    """Subject -> why nothing is known of it."""


class Reader:
    """Reads facts; remembers what need not be asked each time."""

    def __init__(
        self, tracker: Tracker, own: Callable[[], Row], nft_table: str, counts: Counts, bonds: Path | None
    ) -> None:
        """`bonds`: the directory of their sockets."""
        self._tracker = tracker
        self._own = own
        self._table = nft_table
        self._names = RuleNames(nft_table)
        self._counts = counts
        self._bonds = bonds
        self._version: Row | None = None
        self._version_of: int | None = None
        """The process that it is the version of."""

    async def read(self) -> Facts:
        """All but the kernel's part, see `read_counters`."""
        facts = Facts(self._own(), self._counts)
        asked: Mapping[str, Callable[[Facts], Awaitable[None]]] = {
            "tracker": self._read_tracker,
            "interfaces": self._read_interfaces,
            "probes": self._read_metrics,
            "policies": self._read_policies,
        }
        tracker = [self._attempt(facts, subject, read) for subject, read in asked.items()]
        await asyncio.gather(*tracker, *(self._read_bond(facts, socket) for socket in self._bond_sockets()))
        facts.tracker_up = len(facts.failed.keys() & asked.keys()) < len(asked)
        if "tracker" in facts.failed:  # one question for both
            facts.failed["members"] = facts.failed["tracker"]
        facts.pid = self._tracker.pid or None if facts.tracker_up else None
        return facts

    def read_counters(self, facts: Facts) -> None:
        """The counters of the rules. To be called from a thread: with thousands of rules it takes a while."""
        try:
            facts.rules, facts.unmatched = self._names.sums(nftdump.counters(self._table))
        except OSError as error:
            facts.failed["rules"] = f"the counters of table inet {self._table} cannot be read: {error}"

    def _bond_sockets(self) -> list[Path]:
        """Of bonds that run, or did."""
        return sorted(self._bonds.glob(f"{BOND_SOCKET}*.sock"))[:MOST_BONDS] if self._bonds is not None else []

    async def _read_bond(self, facts: Facts, socket: Path) -> None:
        try:
            async with asyncio.timeout(BOND_TIME):
                facts.bonds.append(await Tracker(socket).ask("bond"))
        except NotRunningError:
            return  # it was killed: its socket is left, and its absence is what there is to tell
        except (TimeoutError, TrackerError) as error:
            facts.failed["bonds"] = f"{socket}: {error or 'no answer'}"

    async def _attempt(self, facts: Facts, subject: str, read: Callable[[Facts], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(TRACKER_TIME):
                await read(facts)
        except TimeoutError:
            facts.failed[subject] = f"the tracker gave no answer in {TRACKER_TIME:.0f} s"
        except TrackerError as error:
            facts.failed[subject] = str(error)
        except (LookupError, TypeError) as error:  # after an update, until both run the new version
            facts.failed[subject] = f"the tracker's answer is not understood: {error!r}; restart the monitor"

    async def _read_tracker(self, facts: Facts) -> None:
        reply = await self._tracker.ask("status", section="members")
        if self._version is None or self._version_of != self._tracker.pid:
            self._version = await self._tracker.ask("version")
            self._version_of = self._tracker.pid
        facts.version = self._version
        facts.members, facts.problem = reply["members"], reply.get("problem")

    async def _read_interfaces(self, facts: Facts) -> None:
        facts.interfaces = (await self._tracker.ask("interfaces"))["interfaces"]

    async def _read_metrics(self, facts: Facts) -> None:
        facts.metrics = (await self._tracker.ask("metrics"))["interfaces"]

    async def _read_policies(self, facts: Facts) -> None:
        while True:
            reply = await self._tracker.ask("policies", offset=len(facts.policies), limit=PAGE)
            facts.steered = reply["families"]
            facts.policies += reply["policies"]
            if len(facts.policies) >= reply["total"] or not reply["policies"]:
                return
