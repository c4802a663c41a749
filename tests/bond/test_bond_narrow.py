# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths that carry less than the device does: what senders are told, and that everything gets through all the same.

IPv6 inside keeps the device at 1280, and its paths carry 1220 here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bond.bondlab import INNER, Transfer, World

NARROW = 1300


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        for box, device in ((world.home, "w0"), (world.home, "w1"), (world.far, "w0"), (world.nat, "w1")):
            box.ip("link", "set", device, "mtu", str(NARROW))
        world.both()
        yield world


def ping(world: World, *words: str) -> str:
    return world.home.run("sh", "-c", "ping -c 3 -i 0.1 -W 1 " + " ".join(words) + " 2>&1 || true")


def test_who_forbids_fragments_is_told_how_much_fits(world: World) -> None:
    assert "mtu 1280" in world.home.ip("link", "show", "bond1")
    told = ping(world, "-M", "do", "-s", "1252", INNER)
    assert "mtu = 1" in told.lower(), told
    assert " 0% packet loss" in ping(world, "-M", "do", "-s", "1180", INNER)
    world.home.ip("route", "flush", "cache")


def test_the_status_names_who_carries_less(world: World) -> None:
    client, server = world.running
    client.wait(lambda s: "link one carries packets of" in (s["problem"] or ""), "the link's name")
    server.wait(lambda s: "a path of home carries packets of" in (s["problem"] or ""), "the client's name")


def test_others_are_fragmented(world: World) -> None:
    assert " 0% packet loss" in ping(world, "-M", "dont", "-s", "1252", INNER)
    assert " 0% packet loss" in ping(world, "-M", "dont", "-s", "4000", INNER)


def test_the_server_tells_it_too(world: World) -> None:
    told = world.far.run("sh", "-c", "ping -M do -s 1252 -c 2 -i 0.1 -W 1 10.99.0.2 2>&1 || true")
    assert "mtu = 1" in told.lower(), told


def test_a_connection_gets_through(world: World) -> None:
    world.home.ip("route", "flush", "cache")
    Transfer(world, 5_000_000).finish()
