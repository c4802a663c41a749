# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of the state machine: its events, its one table, and what it hands out.

mwan3's picture, with names for each step:

    ONLINE --first failed round--> DISCONNECTING --`down` failed rounds in a row--> OFFLINE
    ONLINE <--a good round-------- DISCONNECTING
    OFFLINE --a good round--> CONNECTING --`up` good rounds and stable long enough--> ONLINE
    OFFLINE <--`down` failed rounds in a row-- CONNECTING

Loss of the link leads to OFFLINE from everywhere at once, disabling to DISABLED.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from netpath.model import State


class Event(Enum):
    """What can happen to an uplink."""

    FAILED = "a round failed"
    EXHAUSTED = "`down` rounds in a row failed"
    GOOD = "a round was good"
    PROVED = "`up` good rounds in a row, for long enough"
    LINK_DOWN = "no link"
    CHALLENGED = "link there, must prove itself"
    TRUSTED = "link there, used without proof (not tracked, or initial_state online)"
    DISABLED = "switched off by an administrator"


TABLE: dict[State, dict[Event, State]] = {
    State.ONLINE: {
        Event.FAILED: State.DISCONNECTING,
        Event.LINK_DOWN: State.OFFLINE,
        Event.DISABLED: State.DISABLED,
    },
    State.DISCONNECTING: {
        Event.GOOD: State.ONLINE,
        Event.EXHAUSTED: State.OFFLINE,
        Event.TRUSTED: State.ONLINE,
        Event.LINK_DOWN: State.OFFLINE,
        Event.DISABLED: State.DISABLED,
    },
    State.OFFLINE: {
        Event.GOOD: State.CONNECTING,
        Event.CHALLENGED: State.CONNECTING,
        Event.TRUSTED: State.ONLINE,
        Event.DISABLED: State.DISABLED,
    },
    State.CONNECTING: {
        Event.EXHAUSTED: State.OFFLINE,
        Event.PROVED: State.ONLINE,
        Event.TRUSTED: State.ONLINE,
        Event.LINK_DOWN: State.OFFLINE,
        Event.DISABLED: State.DISABLED,
    },
    State.DISABLED: {
        Event.LINK_DOWN: State.OFFLINE,
        Event.CHALLENGED: State.CONNECTING,
        Event.TRUSTED: State.ONLINE,
    },
}
"""State -> event -> next state. A pair that is missing changes nothing. DISABLED leaves only by being enabled."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state at monotonic time `at`, with the reason in words."""

    old: State
    new: State
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """Send one probe now. `token` comes back with its reply or failure; unique within the interface."""

    token: int
    target: str


@dataclass(frozen=True, slots=True)
class Actions:
    """The answer to `poll`."""

    orders: tuple[ProbeOrder, ...]
    wake_at: float
    """Monotonic time at which to poll again unless something happens before; inf: nothing to wait for."""
    transitions: tuple[Transition, ...]
    expired: tuple[int, ...]
    """Tokens whose replies interest nobody any more; their sockets can be closed."""
