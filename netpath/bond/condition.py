# SPDX-License-Identifier: GPL-2.0-or-later
"""How a client's bond is: its state, what is wrong with it, its counters. In the log when it changes, and as status."""

from __future__ import annotations

from typing import Any

from netpath.bond import inner, status
from netpath.bond.clientside import ClientSessions
from netpath.bond.fitting import Fitting
from netpath.bond.peer import Peer
from netpath.bond.process import Device
from netpath.bond.troubles import Seen, client_problem
from netpath.bond.uplinks import Uplinks
from netpath.tracker.journal import Log


class Condition:
    """Of one process. Sessions and peer may be others each time."""

    def __init__(self, uplinks: Uplinks, device: Device, fitting: Fitting, log: Log, now: float) -> None:
        self._uplinks = uplinks
        self._device = device
        self._fitting = fitting
        self._log = log
        self._began = self._since = now
        self._state = "connecting"
        self._problem: str | None = "it has just begun"
        self._rates = status.Rates()
        self._totals = status.Totals()

    def begin(self, public: bytes, now: float) -> None:
        """With nothing known of the server. `public`: our key."""
        self._public = public
        self._seen = Seen(now)

    def retire(self, peer: Peer) -> None:
        """Another one takes its place: what it has counted stays."""
        self._totals.add(peer)

    def judge(self, connected: bool, sessions: ClientSessions, peer: Peer, now: float) -> None:
        """Once a second: rates, state and problem, and a line of the log when one of these changes."""
        self._rates.sample(peer.paths, now)
        uplinks = self._uplinks
        settings = uplinks.settings
        problem = client_problem(
            settings,
            self._public,
            connected=connected,
            streams=list(uplinks.streams.active.values()),
            names=uplinks.names,
            seen=self._seen.of(connected, sessions, now),
            tracker_missing=uplinks.tracker_missing,
            now=now,
        )
        state = "up" if connected else "down" if sessions.answer is not None else "connecting"
        if state != self._state:
            self._log("notice", f"{settings.name} is {state} (was {self._state})")
            self._state, self._since = state, now
        if problem != self._problem:
            if problem is not None:
                self._log("warning", f"{settings.name}: {problem}")
            self._problem = problem

    def report(
        self, sessions: ClientSessions, peer: Peer, came: dict[str, int], dropped: int, now: float
    ) -> dict[str, Any]:
        """The status (docs/bond.md). `came`: `status.strange`. `dropped`: packets that were too much to wait."""
        settings, answer = self._uplinks.settings, sessions.answer
        streams = self._uplinks.streams.active.values()
        problem = self._device.complaint(self._problem, *self._fitting.narrow)
        row = status.row(
            "server",
            settings.server_key,
            (self._state, status.epoch(self._since, now), problem),
            answer.cipher if answer else None,
            [inner.text(found) for found in (answer.server if answer else ())],
        )
        links = {stream.number: (stream.link.name, stream.link.device) for stream in streams}
        paths = status.path_rows(peer, self._rates, links, now)
        counts = self._totals.of(peer)
        counts["dropped"] += dropped
        return {
            **status.base(settings, self._public, self._fitting.mtu, self._began, now),
            "problem": problem,
            **came,
            "peers": [{**row, **counts, "paths": paths}],
        }
