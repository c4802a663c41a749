# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether any uplink works, and from when to when none did. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from netpath.model import State
from netpath.monitor.notify.transition import Transition

USABLE = tuple(str(state) for state in State if state.usable)


class Reach:
    """Follows the states of all interfaces, also of those that nobody wants to be told of."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._began: float | None = None
        self.outage: tuple[float, float] | None = None
        """Begin and end of the last time without any uplink, epoch s, until somebody was told of it; of several such
        times the begin of the first."""

    def knows(self, interface: str) -> bool:
        return interface in self._states

    def known(self, states: Mapping[str, str]) -> None:
        """The states of all interfaces by name, as they are now."""
        self._states = dict(states)

    def follow(self, found: Transition) -> None:
        if found.member is not None:
            return
        if found.new == "removed":
            self._states.pop(found.interface, None)
        else:
            self._states[found.interface] = found.new
        # The rows may have known it before this event came.
        if not self.works and found.old in USABLE and self._began is None:
            self._began = found.time
        elif self.works and self._began is not None:
            begin = self._began if self.outage is None else self.outage[0]
            self.outage, self._began = (begin, found.time), None

    @property
    def works(self) -> bool:
        return any(state in USABLE for state in self._states.values())

    def told(self, outage: tuple[float, float] | None) -> None:
        if self.outage == outage:
            self.outage = None
