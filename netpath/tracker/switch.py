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
from netpath.statedir import StateDir
from netpath.steering.policy import FAMILIES, SteeringView, swap
from netpath.steering.slots import shares
from netpath.tracker.journal import Journal
from netpath.tracker.renumber import Renumbering
from netpath.tracker.restore import restore


class Switch:
    """What the loaded policies use, and how to change it."""

    def __init__(self, nft: Nft, journal: Journal, state_dir: StateDir) -> None:
        self._nft = nft
        self._journal = journal
        self._state_dir = state_dir
        self._load = ""
        """The full load whose chains the policies are switched in."""
        self.view: SteeringView | None = None
        """What the policies are written from, with the members closed that they do not use."""
        self._interfaces: Mapping[str, Interface] = {}
        self._renumbering = Renumbering()
        self.usable: frozenset[str] = frozenset()
        self._written = False
        """Policies were written while a worker loads: perhaps over what it had loaded, from the older view."""

    def load_begins(self) -> None:
        """A worker begins to load; `loaded` or the next `load_begins` follows."""
        self._written = False
        self._nft.fills_chains()  # known by the time that a failure has to be answered

    def loaded(self, applied: Applied, wanted: frozenset[str], closed: frozenset[str]) -> bool:
        """A worker has loaded the whole ruleset, for the uplinks that were usable when it began; `wanted` are now, and
        the members in `closed` must not be used.

        Connections follow the whole way from before the load to `wanted`, as after a switch; what the worker believed
        moves none. At the first load nothing moves: what stands then was left by an earlier tracker. False when the
        kernel refused to go on to `wanted`: another load is due then.
        """
        old, before = self.view, self.usable
        self._load = applied.load
        self.view, view = applied.view, applied.view.closing(closed)
        self._interfaces = {i.name: i for i in applied.interfaces}
        self.usable = applied.usable
        late = wanted ^ applied.usable
        policies = [p.name for p in view.policies] if self._written else _concerned(applied.view, view, late)
        asked = bool(view.resolvers) and (self._written or bool(late))
        if (policies or asked) and not self._swap(view, wanted, policies, "load"):
            return False
        self.view, self.usable = view, wanted
        if policies or asked:
            self._keep()
        self._renumber(applied)
        if old is None:
            return True
        if old.marks.shift != view.marks.shift:
            for name in old.ids:  # nothing reads these marks any more
                self._delete(old, name)
        if before != wanted or late or old.closed != closed:
            self._flush(view.closing(old.closed), view, before, wanted, believed=applied.usable)
        return True

    def to(self, usable: frozenset[str], closed: frozenset[str], cause: str) -> bool:
        """Let the policies use exactly `usable` interfaces, by all members but those in `closed`. False when the kernel
        refused (a full load is due then)."""
        if self.view is None:
            return True
        was, view, before = self.view, self.view.closing(closed), self.usable
        if usable == before and view.policies == was.policies:
            return True
        started = time.perf_counter()
        policies = _concerned(was, view, usable ^ before)
        if (policies or view.resolvers) and not self._swap(view, usable, policies, cause):
            return False
        self.view, self.usable = view, usable
        switched = time.perf_counter()
        flushed = self._flush(was, view, before, usable)
        done = time.perf_counter()
        self._keep()
        self._journal.add(
            "switch",
            "info",
            cause=cause,
            policies=policies,
            milliseconds=round((switched - started) * 1000, 2),
            flushed=flushed,
            flush_milliseconds=round((done - switched) * 1000, 2),
        )
        return True

    async def restore(self, ruleset: str) -> bool:
        """Our table is gone: load `ruleset`, the last whole one, with the policies as they are in use now.

        False when it was refused. A full load should follow in any case: it knows what else has changed since.
        """
        usable = self.usable
        if not await restore(ruleset + self._everything()):
            return False
        return self.usable == usable or self.rewrite("restore")

    def rewrite(self, cause: str) -> bool:
        """Write all policies anew: somebody may have loaded older ones. False when the kernel refused."""
        return self.view is None or self._swap(self.view, self.usable, [p.name for p in self.view.policies], cause)

    def _everything(self) -> str:
        """All policies as they are in use now."""
        return swap(self.view, self.usable, [p.name for p in self.view.policies]) if self.view else ""

    def _keep(self) -> None:
        """For a firewall that includes our ruleset file: it must not bring the policies of the last full load back."""
        try:
            self._state_dir.keep_policies(self._load, self._everything())
        except OSError as error:
            message = f"{self._state_dir.root}: cannot save the policies in use: {error.strerror}"
            self._journal.add("error", "error", message=message)

    def forget(self, name: str, was: Applied | None) -> None:
        """An interface left the configuration: nothing restores its mark any more, so its flows are decided again."""
        if was is not None:
            self._delete(was.view, name)

    def _swap(self, view: SteeringView, usable: frozenset[str], policies: list[str], cause: str) -> bool:
        self._written = True
        try:
            self._nft.run(swap(view, usable, policies, blocks=self._nft.fills_chains()))
        except NftError as error:
            self._journal.add("error", "error", message=f"policies could not be switched: {error}", cause=cause)
            return False
        return True

    def _flush(
        self,
        was: SteeringView,
        view: SteeringView,
        before: frozenset[str],
        after: frozenset[str],
        believed: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Delete connections that must be decided again; names of the uplinks whose entries went.

        `was` and `view` differ only in the members that are closed. `believed`: what the policies used for a moment in
        between.
        """
        failed = (before | believed) - after
        whole = {n for n in failed if self._wants(n, "disconnected", "ifdown") and _allied(view, n, after)}
        recovered = after - before
        if recovered or was.policies != view.policies:
            offered = recovered | (_opened(was, view) & after)
            pinned = {n for n in self._interfaces if n not in after and _allied(view, n, offered)}
            whole |= {n for n in pinned if self._wants(n, "disconnected", "ifdown")}
            left = (_active(was, before) - _active(view, after)) & after
            spared = {n for n in left if self._interfaces[n].metered and self._interfaces[n].flush_conntrack}
            whole |= {n for n in spared if _allied(view, n, after)}  # one that was closed may be the last
            if any(self._wants(n, "connected", "ifup") for n in recovered):
                whole |= left
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


def _concerned(was: SteeringView, view: SteeringView, changed: Collection[str]) -> list[str]:
    """Policies that name one of these interfaces, or of which other members are closed than there `was`."""
    pairs = zip(was.policies, view.policies, strict=True)
    return [p.name for old, p in pairs if p != old or any(m.interface in changed for m in p.members)]


def _opened(was: SteeringView, view: SteeringView) -> frozenset[str]:
    """Interfaces of members that were closed."""
    names = was.closed - view.closed
    return frozenset(m.interface for p in view.policies for m in p.members if m.name in names)


def _allied(view: SteeringView, name: str, others: Collection[str]) -> bool:
    """Whether some policy that names this interface has one of `others`, of the same family, to offer instead.

    If not, flows may as well wait for it: nothing could take them over.
    """
    peers = {n for n in others if n != name and view.families.get(n) == view.families.get(name)}
    return any(
        any(m.interface == name for m in p.members) and any(m.interface in peers and not m.closed for m in p.members)
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
