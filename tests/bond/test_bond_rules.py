# SPDX-License-Identifier: GPL-2.0-or-later
"""Chosen flows inside a bond that aggregates: nothing of them is lost when a link dies silently; real packets."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest

from netpath.bonding import BondMode, BondRule
from netpath.model import RangeSpec
from tests.bond.bondlab import INNER, World, client_settings, server_settings, up

CHOSEN, OTHER = 5060, 5070
SIZE = 1000
_UDP = RangeSpec(((17, 17),))
TO = BondRule("calls", BondMode.REDUNDANT, 2, proto=_UDP, dest_port=RangeSpec(((CHOSEN, CHOSEN),)))
BACK = BondRule("calls", BondMode.REDUNDANT, 2, ("home",), proto=_UDP, src_port=RangeSpec(((CHOSEN, CHOSEN),)))


def drain(sock: socket.socket, found: list[int]) -> None:
    while True:
        try:
            found.append(int.from_bytes(sock.recv(2000)[:4], "big"))
        except BlockingIOError:
            return


class Exchange:
    """Numbered packets of the chosen flow, both ways, beside as many of another one."""

    def __init__(self, world: World) -> None:
        self._chosen, self._other, self._home = world.far.udp(), world.far.udp(), world.home.udp()
        self.sockets = (self._chosen, self._other, self._home)
        self._chosen.bind((INNER, CHOSEN))
        self._other.bind((INNER, OTHER))
        for sock in self.sockets:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._home.sendto(b"", (INNER, CHOSEN))
        self._place = address_of(self._chosen)
        self.sent = 0
        self.there: list[int] = []
        self.beside: list[int] = []
        self.back: list[int] = []

    def send(self, count: int) -> None:
        for _ in range(count):
            data = self.sent.to_bytes(4, "big").ljust(SIZE, b"x")
            self._home.sendto(data, (INNER, CHOSEN))
            self._home.sendto(data, (INNER, OTHER))
            self._chosen.sendto(data, self._place)
            self.sent += 1
            time.sleep(0.002)
            self.drain()

    def drain(self) -> None:
        for sock, found in zip(self.sockets, (self.there, self.beside, self.back), strict=True):
            drain(sock, found)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()

    @property
    def complete(self) -> bool:
        """Whether all of the chosen flow has come, each packet once."""
        self.drain()
        return sorted(self.there) == sorted(self.back) == list(range(self.sent))


def address_of(sock: socket.socket) -> tuple[str, int]:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            address: tuple[str, int] = sock.recvfrom(100)[1]
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return address
    raise AssertionError("nothing came")


def test_a_silent_cut_is_not_even_noticed_by_a_chosen_flow(world: World) -> None:
    server = world.server(rules=(BACK,))
    client = world.client(rules=(TO,))
    client.wait(up(3), "all paths")
    server.wait(lambda s: up(3)({**s, "peers": s["peers"][:1]}), "all paths")
    with closing(Exchange(world)) as exchange:
        exchange.send(200)
        unnoticed = False
        for device in ("w0", "w1", "w0"):
            world.cut(device)
            exchange.send(60)
            time.sleep(0.05)
            complete = exchange.complete
            if up(3)(client.status()):  # else this machine was too slow to ask in time
                unnoticed = True
                assert complete, "nothing was lost before the bond knew that the link is dead"
            client.wait(lambda status: not up(3)(status), "the cut to be noticed")
            exchange.send(100)
            world.mend(device)
            client.wait(up(3), "all paths again")
            server.wait(lambda s: up(3)({**s, "peers": s["peers"][:1]}), "all paths again")
        time.sleep(0.3)
        assert unnoticed
        assert exchange.complete, "each once: towards the server, and back by the server's rule"


def test_rules_change_by_a_reload_and_disturb_nothing(world: World) -> None:
    server, client = world.both()
    with world.far.link_socket("w0") as first, world.far.link_socket("x1") as second:
        assert doubled(world, first, second) is False
        since = client.status()["peers"][0]["since"]
        client.change(client_settings(rules=(TO,)))
        client.popen.send_signal(1)
        end = time.monotonic() + 10
        while not doubled(world, first, second):
            assert time.monotonic() < end, "the rule counts"
        assert client.status()["peers"][0]["since"] == pytest.approx(since, abs=0.1)
    server.change(server_settings(rules=(BACK,)))
    server.popen.send_signal(1)
    assert up(3)(client.status())
    world.ping()


def doubled(world: World, *taps: socket.socket) -> bool:
    """Whether packets of the chosen flow go by both lines."""
    size = 700
    for tap in taps:
        tap.setblocking(False)
        drain(tap, [])
    with world.home.udp() as sock:
        for _ in range(10):
            sock.sendto(bytes(size), (INNER, CHOSEN))
            time.sleep(0.002)
    time.sleep(0.1)
    seen = []
    for tap in taps:
        lengths = []
        while True:
            try:
                lengths.append(len(tap.recv(2000)))
            except BlockingIOError:
                break
        seen.append(sum(size < length < size + 150 for length in lengths))
    return min(seen) >= 10
