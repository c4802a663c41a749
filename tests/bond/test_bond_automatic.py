# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that the tracker names: its socket is played here, as docs/socket.md has it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bond.bondlab import World, client_settings, up

W0 = {"name": "wan", "device": "w0", "status": "online"}
W1 = {"name": "lte", "device": "w1", "status": "online"}


class Tracker:
    """Answers `interfaces` page by page and follows `events`."""

    def __init__(self, path: Path) -> None:
        self.rows = [W0, {**W1, "status": "offline"}]
        self._followers: list[socket.socket] = []
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self) -> None:
        for sock in self._followers:
            sock.sendall(b'{"seq":2,"time":1.0,"kind":"interface","interface":"lte","from":"a","to":"b","reason":""}\n')

    def close(self) -> None:
        for sock in (self._sock, *self._followers):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        for line in sock.makefile():
            request = json.loads(line)
            if request["cmd"] == "events":
                assert request["follow"] is True
                sock.sendall(b'{"events":[],"newest":1}\n')
                self._followers.append(sock)
            else:
                rows = self.rows[request["offset"] : request["offset"] + 1]
                sock.sendall(json.dumps({"interfaces": rows, "total": len(self.rows)}).encode() + b"\n")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


def test_every_interface_that_is_online_is_a_link(world: World) -> None:
    path = world.directory / "netpath.sock"
    world.server()
    client = world.start(
        world.home, "home", client_settings(automatic=True, links=(), streams=2), tracker=path, mark=0x3F00
    )
    client.wait(lambda s: s["problem"] and "the tracker" in s["problem"].replace("NetPath's ", "the "), "the problem")
    tracker = Tracker(path)
    try:
        status = client.wait(up(2), "the interface that is online", 20)
        assert {row["link"] for row in status["peers"][0]["paths"]} == {"wan"}
        tracker.rows = [W0, W1]
        tracker.tell()
        status = client.wait(up(4), "the second one")
        assert {(row["link"], row["device"]) for row in status["peers"][0]["paths"]} == {("wan", "w0"), ("lte", "w1")}
        tracker.rows = [{**W0, "status": "offline"}, W1]
        tracker.tell()
        status = client.wait(lambda s: len(s["peers"][0]["paths"]) == 2, "the first one to go")
        assert {row["link"] for row in status["peers"][0]["paths"]} == {"lte"}
        world.ping()
    finally:
        tracker.close()
    client.wait(lambda _: "the tracker does not answer; links stay" in client.log(), "it to be told")
    world.ping()


def test_its_datagrams_are_marked_and_bound(world: World) -> None:
    """What NetPath's chains would see."""
    world.stop()
    world.home.nft(
        "table inet seen { chain o { type filter hook output priority 0; udp dport 9001-9003 "
        "meta mark & 0x3f00 == 0x3f00 counter accept\nudp dport 9001-9003 counter drop\n}\n}\n"
    )
    try:
        world.server()
        client = world.start(world.home, "home", client_settings(), mark=0x3F00)
        client.wait(up(3), "all paths")
        rules = json.loads(world.home.run("nft", "-j", "list", "table", "inet", "seen"))["nftables"]
        parts = [part for item in rules if "rule" in item for part in item["rule"]["expr"]]
        counters = [part["counter"]["packets"] for part in parts if "counter" in part]
        assert (counters[0] > 10, counters[1]) == (True, 0)
    finally:
        world.home.nft("delete table inet seen")
