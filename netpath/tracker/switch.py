# SPDX-License-Identifier: GPL-2.0-or-later
"""The failover path: new slots of the policies concerned in one nft transaction, then the dead uplink's connections.

The order is the point. Deleting connections first would let them be decided again by the old policies; not deleting
them leaves them hanging on a dead uplink for minutes.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from netpath.handover import Applied
from netpath.kernel import conntrack
from netpath.kernel.nft import Nft, NftError
from netpath.model import Interface
from netpath.steering.policy import FAMILIES, SteeringView, swap
from netpath.steering.slots import shares
from netpath.tracker.journal import Journal
from netpath.tracker.renumber import Renumbering


class Switch:
    """What the loaded policies use, and how to change it."""

    def __init__(self, nft: Nft, journal: Journal) -> None:
        self._nft = nft
        self._journal = journal
        self._view: SteeringView | None = None
        self._interfaces: Mapping[str, Interface] = {}
        self._renumbering = Renumbering()
        self.usable: frozenset[str] = frozenset()
        self._written = False
        """Policies were written while a worker loads: perhaps over what it had loaded, from the older view."""

    def load_begins(self) -> None:
        """A worker begins to load; `loaded` or the next `load_begins` follows."""
        self._written = False

    def loaded(self, applied: Applied, wanted: frozenset[str]) -> bool:
        """A worker has loaded the whole ruleset, for the uplinks that were usable when it began; `wanted` are now.

        Connections follow the whole way from before the load to `wanted`, as after a switch; what the worker believed
        moves none. At the first load nothing moves: what stands then was left by an earlier tracker. False when the
        kernel refused to go on to `wanted`: another load is due then.
        """
        old, before = self._view, self.usable
        self._view = applied.view
        self._interfaces = {i.name: i for i in applied.interfaces}
        self.usable = applied.usable
        late = wanted ^ applied.usable
        policies = [p.name for p in applied.view.policies] if self._written else _concerned(applied.view, late)
        if policies and not self._swap(applied.view, wanted, policies, "load"):
            return False
        self.usable = wanted
        self._renumber(applied)
        if old is None:
            return True
        if old.marks.shift != applied.view.marks.shift:
            for name in old.ids:  # nothing reads these marks any more
                self._delete(old, name)
        if before != wanted or late:
            self._flush(applied.view, before, wanted, believed=applied.usable)
        return True

    def to(self, usable: frozenset[str], cause: str) -> bool:
        """Let the policies use exactly `usable`. False when the kernel refused (a full load is due then)."""
        view, before = self._view, self.usable
        if view is None or usable == before:
            return True
        started = time.perf_counter()
        policies = _concerned(view, usable ^ before)
        if policies and not self._swap(view, usable, policies, cause):
            return False
        self.usable = usable
        switched = time.perf_counter()
        flushed = self._flush(view, before, usable)
        self._journal.add(
            "switch",
            "info",
            cause=cause,
            policies=policies,
            milliseconds=round((switched - started) * 1000, 2),
            flushed=flushed,
            flush_milliseconds=round((time.perf_counter() - switched) * 1000, 2),
        )
        return True

    def forget(self, name: str, was: Applied | None) -> None:
        """An interface left the configuration: nothing restores its mark any more, so its flows are decided again."""
        if was is not None:
            self._delete(was.view, name)

    def _swap(self, view: SteeringView, usable: frozenset[str], policies: list[str], cause: str) -> bool:
        self._written = True
        try:
            self._nft.run(swap(view, usable, policies))
        except NftError as error:
            self._journal.add("error", "error", message=f"policies could not be switched: {error}", cause=cause)
            return False
        return True

    def _flush(
        self, view: SteeringView, before: frozenset[str], after: frozenset[str], believed: frozenset[str] = frozenset()
    ) -> list[str]:
        """Delete connections that must be decided again; names of the uplinks whose entries went.

        `believed`: what the policies used for a moment in between.
        """
        failed = (before | believed) - after
        whole = {n for n in failed if self._wants(n, "disconnected", "ifdown") and _allied(view, n, after)}
        recovered = after - before
        if recovered:
            pinned = {n for n in self._interfaces if n not in after and _allied(view, n, recovered)}
            whole |= {n for n in pinned if self._wants(n, "disconnected", "ifdown")}
            left = _active(view, before) - _active(view, after)
            whole |= {n for n in left & after if self._interfaces[n].metered and self._interfaces[n].flush_conntrack}
            if any(self._wants(n, "connected", "ifup") for n in recovered):
                whole |= left & after
        for name in sorted(whole):
            self._delete(view, name)
        for name in sorted(recovered - whole):
            if name in self._interfaces and self._interfaces[name].flush_conntrack:
                self._delete(view, name, unreplied_only=True)
        return sorted(whole)

    def _renumber(self, applied: Applied) -> None:
        """Connections from addresses that an uplink has lost."""
        try:
            deleted = self._renumbering.follow(applied.uplinks, applied.view.marks)
        except OSError as error:
            self._journal.add("error", "error", message=f"connections of old prefixes cannot be deleted: {error}")
            return
        for name, count in deleted.items():
            self._journal.add("renumbered", "notice", interface=name, flushed=count)

    def _delete(self, view: SteeringView, name: str, *, unreplied_only: bool = False) -> None:
        """Delete an uplink's connections. Where the kernel cannot, the switch itself stands all the same."""
        try:
            mark = view.marks.of(view.ids[name])
            conntrack.delete_by_mark(mark, view.marks.mask, unreplied_only=unreplied_only)
        except OSError as error:
            message = f"connections of {name} could not be deleted: {error.strerror or error}"
            self._journal.add("error", "error", message=message)

    def _wants(self, name: str, *events: str) -> bool:
        interface = self._interfaces.get(name)
        return interface is not None and any(e in interface.flush_conntrack for e in events)


def _concerned(view: SteeringView, changed: Collection[str]) -> list[str]:
    """Policies that name one of these interfaces."""
    return [p.name for p in view.policies if any(m.interface in changed for m in p.members)]


def _allied(view: SteeringView, name: str, others: Collection[str]) -> bool:
    """Whether some policy that names this interface has one of `others`, of the same family, to offer instead.

    If not, flows may as well wait for it: nothing could take them over.
    """
    peers = {n for n in others if n != name and view.families.get(n) == view.families.get(name)}
    return any(
        any(m.interface == name for m in p.members) and any(m.interface in peers for m in p.members)
        for p in view.policies
    )


def _active(view: SteeringView, usable: frozenset[str]) -> set[str]:
    """Interfaces that some policy sends new flows to."""
    return {
        interface
        for policy in view.policies
        for family in FAMILIES
        for interface, percent in shares(policy, view.families, view.ids, usable, family).items()
        if percent
    }
