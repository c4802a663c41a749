# SPDX-License-Identifier: GPL-2.0-or-later
"""Every edge of the transition table, walked by what causes it in real life."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from netpath.health.transitions import TABLE, Event
from netpath.model import State, TrackMethod
from tests.tracking import tracking
from tests.unit.health.virtual_time import World, always, never

UNTRACKED = tracking(method=TrackMethod.NONE)


def online() -> World:
    world = World()
    world.run(20.0)
    return world


def disconnecting() -> World:
    world = online()
    world.answer = never
    world.run_to(State.DISCONNECTING)
    return world


def offline() -> World:
    world = disconnecting()
    world.run_to(State.OFFLINE)
    return world


def connecting() -> World:
    world = offline()
    world.answer = always
    world.run_to(State.CONNECTING)
    return world


def disabled() -> World:
    world = online()
    world.admin(False)
    return world


AT = {
    State.ONLINE: online,
    State.DISCONNECTING: disconnecting,
    State.OFFLINE: offline,
    State.CONNECTING: connecting,
    State.DISABLED: disabled,
}


def silence(world: World) -> None:
    world.answer = never
    world.run(world.now + 30.0)


def answers(world: World) -> None:
    world.answer = always
    world.run(world.now + 30.0)


def link_lost(world: World) -> None:
    world.link(False)


def link_back(world: World) -> None:
    world.link(False)
    world.link(True)


def link_first_there(world: World) -> None:
    world.__init__(link_up=False)  # type: ignore[misc]
    world.link(True)


def switched_off(world: World) -> None:
    world.admin(False)


def switched_on(world: World) -> None:
    world.admin(True)


def switched_on_without_link(world: World) -> None:
    world.link(False)
    world.admin(True)


def switched_on_untracked(world: World) -> None:
    world.reconfigure(UNTRACKED)
    world.admin(True)


def tracking_removed(world: World) -> None:
    world.reconfigure(UNTRACKED)


CAUSES: dict[tuple[State, Event], Callable[[World], None]] = {
    (State.ONLINE, Event.FAILED): silence,
    (State.ONLINE, Event.LINK_DOWN): link_lost,
    (State.ONLINE, Event.DISABLED): switched_off,
    (State.DISCONNECTING, Event.GOOD): answers,
    (State.DISCONNECTING, Event.EXHAUSTED): silence,
    (State.DISCONNECTING, Event.TRUSTED): tracking_removed,
    (State.DISCONNECTING, Event.LINK_DOWN): link_lost,
    (State.DISCONNECTING, Event.DISABLED): switched_off,
    (State.OFFLINE, Event.GOOD): answers,
    (State.OFFLINE, Event.CHALLENGED): link_back,
    (State.OFFLINE, Event.TRUSTED): link_first_there,
    (State.OFFLINE, Event.DISABLED): switched_off,
    (State.CONNECTING, Event.EXHAUSTED): silence,
    (State.CONNECTING, Event.PROVED): answers,
    (State.CONNECTING, Event.TRUSTED): tracking_removed,
    (State.CONNECTING, Event.LINK_DOWN): link_lost,
    (State.CONNECTING, Event.DISABLED): switched_off,
    (State.DISABLED, Event.LINK_DOWN): switched_on_without_link,
    (State.DISABLED, Event.CHALLENGED): switched_on,
    (State.DISABLED, Event.TRUSTED): switched_on_untracked,
}


@pytest.mark.parametrize(("state", "event"), [(s, e) for s, edges in TABLE.items() for e in edges])
def test_every_edge_is_walked(state: State, event: Event) -> None:
    world = AT[state]()
    world.transitions.clear()
    CAUSES[state, event](world)
    first = world.transitions[0]
    assert (first.old, first.new) == (state, TABLE[state][event])
    assert first.reason


def test_transitions_join_up() -> None:
    world = connecting()
    world.run_to(State.ONLINE)
    world.link(False)
    world.link(True)
    world.admin(False)
    steps = world.transitions
    assert all(a.new is b.old and a.at <= b.at for a, b in pairwise(steps))
    assert steps[-1].new is world.state
