# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client's bond goes by: its streams, from configured links and the tracker's interfaces, and the server's
addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from netpath.bond.lookups import Interface, Names, Tracker, wanted
from netpath.bond.process import Inbox
from netpath.bond.streams import Stream, Streams
from netpath.bonding import BondClient
from netpath.tracker.journal import Log


class Uplinks:
    """`look` is to be called once a second, and is asked for by `changed` when there is something new."""

    def __init__(
        self,
        settings: BondClient,
        inbox: Inbox,
        log: Log,
        *,
        mark: int,
        tracker: Path | None,
        opened: Callable[[Stream], None],
        closing: Callable[[Stream], None],
        changed: Callable[[float], None],
    ) -> None:
        """`mark`, `opened`, `closing`: of `Streams`. `tracker`: the socket of NetPath's; None: it is not asked."""
        self._inbox = inbox
        self._log = log
        self._mark = mark
        self._callbacks = opened, closing
        self._changed = changed
        self._interfaces: Sequence[Interface] | None = None
        self._silent = tracker is None
        """The tracker does not answer."""
        self._tracker = Tracker(tracker, inbox, self._tracked) if tracker is not None else None
        self._begin(settings)

    def _begin(self, settings: BondClient) -> None:
        """With nothing known of the server's addresses, and new sockets."""
        self.settings = settings
        """Links may be replaced at any time, all else by `renew`."""
        self.streams = Streams(self._mark, settings.ports, *self._callbacks)
        self.names = Names(settings.servers, self._inbox, self._changed)

    def renew(self, settings: BondClient) -> None:
        """Begin anew."""
        self.streams.close()
        self._begin(settings)

    def want(self, connected: bool, most: int, now: float) -> None:
        """Streams as the links of now want them, `most` in all."""
        self.names.tick(connected, now)
        self.streams.want(wanted(self.settings, self._interfaces or (), most))

    def check(self, up: Callable[[int], bool], now: float) -> None:
        """Sockets as devices and addresses of now allow them; `up`: whether a stream's path works."""
        self.streams.check(self.names.endpoints, up, now)

    @property
    def tracker_missing(self) -> bool:
        """Whether links cannot be known for want of the tracker."""
        return self.settings.automatic and self._silent and self._interfaces is None

    def close(self) -> None:
        """All sockets. The tracker is not followed any more."""
        if self._tracker is not None:
            self._tracker.stop()
        self.streams.close()

    def _tracked(self, interfaces: Sequence[Interface] | None, now: float) -> None:
        """The tracker has said which interfaces there are."""
        if interfaces is None:
            if self.settings.automatic and not self._silent:
                self._log("warning", f"{self.settings.name}: the tracker does not answer; links stay as they are")
            self._silent = True
            return
        self._silent = False
        self._interfaces = interfaces
        self._changed(now)
