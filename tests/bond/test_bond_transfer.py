# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user of a bond notices: connections that go on, whatever happens to uplinks, NAT, processes and devices."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import replace

import pytest

from netpath.bond.slices import VNET
from netpath.bonding import BondMode, LinkSpec
from tests.bond.bondlab import INNER, INNER6, PLAIN, PORT, Transfer, World, client_settings, up

MEGABYTE = 1_000_000


def test_pings_and_a_transfer_through_all_paths(world: World) -> None:
    server, client = world.both()
    world.ping()
    world.ping(INNER6)
    Transfer(world, 20 * MEGABYTE).finish()
    Transfer(world, 2 * MEGABYTE, INNER6).finish()
    peer = client.status()["peers"][0]
    assert {path["link"] for path in peer["paths"]} == {"one", "two"}
    assert peer["tx_bytes"] > 22 * MEGABYTE
    assert len({path["address"] for path in peer["paths"]}) == 3, "the streams are spread over the server's ports"
    reply = server.status()
    assert reply["peers"][0]["rx_bytes"] > 22 * MEGABYTE
    ways = {(path["link"], path["device"]) for path in reply["peers"][0]["paths"]}
    assert ways == {("192.0.2.2", "w0"), ("203.0.113.2", "x1")}, "what the server knows of the links"
    assert all(abs(status["time"] - time.time()) < 60 for status in (reply, client.status()))


def test_back_to_the_client(world: World) -> None:
    """The server sends by the same paths; what it forwards to a network behind the client goes there too."""
    world.both()
    world.home.ip("address", "add", "10.77.0.1/32", "dev", "lo")
    try:
        world.ping("10.99.0.2", box=world.far)
        world.ping("10.77.0.1", box=world.far)
    finally:
        world.home.ip("address", "del", "10.77.0.1/32", "dev", "lo")


def test_answers_leave_from_the_address_that_was_asked(world: World) -> None:
    """By w1 the way back to the client's NAT is x1, whose own address nobody has asked."""
    link = (LinkSpec("two", "w1", None, 1, None),)
    world.server()
    client = world.client(links=link)
    status = client.wait(up(1), "the path by w1")
    assert status["peers"][0]["paths"][0]["address"] == f"192.0.2.1:{PORT}"


def test_a_silent_cut_in_mid_transfer(world: World) -> None:
    _, client = world.both()
    transfer = Transfer(world, 20 * MEGABYTE)
    transfer.until(0.2)
    world.cut("w0")
    client.wait(up(1), "one path to be left")
    transfer.finish()
    world.mend("w0")
    client.wait(up(3), "all paths again")


def test_both_uplinks_cut_and_restored(world: World) -> None:
    server, client = world.both()
    transfer = Transfer(world, 20 * MEGABYTE)
    transfer.until(0.2)
    world.cut("w0")
    world.cut("w1")
    client.wait(lambda status: status["peers"][0]["state"] == "down", "the bond to be down")
    status = client.wait(lambda status: status["problem"] and "no answer from" in status["problem"], "the problem")
    assert "192.0.2.1 UDP port 9001-9003" in status["problem"]
    world.mend("w1")
    client.wait(up(1), "the path of w1")
    world.mend("w0")
    transfer.finish()
    assert client.wait(up(3), "all paths")["problem"] is None
    assert server.status()["peers"][0]["problem"] is None


def test_the_device_has_a_carrier_while_a_link_works(world: World) -> None:
    """So that the tracker takes the bond out at once when none does, and back."""

    def lit() -> bool:
        return "LOWER_UP" in world.home.ip("link", "show", "bond1")

    client = world.client()
    client.wait(lambda status: status["problem"], "it to have looked round")
    assert not lit(), "nobody has answered yet"
    world.server()
    client.wait(up(3), "all paths")
    client.wait(lambda _: lit(), "a carrier")
    world.ping()
    world.cut("w0")
    client.wait(up(1), "one path to be left")
    assert lit()
    world.cut("w1")
    client.wait(lambda _: not lit(), "the carrier to go")
    world.home.ip("link", "del", "bond1")
    client.wait(lambda _: "bond1" in world.home.ip("link", "show"), "the device to be made again")
    client.wait(lambda _: not lit(), "still without one")
    world.mend("w0")
    world.mend("w1")
    client.wait(lambda _: lit(), "the carrier to come back")
    client.wait(up(3), "all paths")
    world.ping()


def test_a_nat_that_forgets(world: World) -> None:
    """The path's datagrams come from another port: it goes on there, and so does what it carries."""
    server, client = world.both()

    def port() -> str:
        paths = server.status()["peers"][0]["paths"]
        return str(next(path["address"] for path in paths if path["address"].startswith("203.0.113.2:")))

    before = port()
    transfer = Transfer(world, 20 * MEGABYTE)
    transfer.until(0.2)
    world.nat.run("conntrack", "-F")
    server.wait(lambda status: up(3)(status) and port() != before, "the new port")
    transfer.finish()
    assert client.status()["peers"][0]["state"] == "up"


def test_the_server_is_started_anew(world: World) -> None:
    server, client = world.both()
    server.kill()
    client.wait(lambda status: status["peers"][0]["state"] == "down", "the client to notice")
    world.server()
    client.wait(up(3), "the bond with the new server")
    world.ping()
    Transfer(world, 2 * MEGABYTE).finish()
    assert "the server has begun anew" in client.log()


def test_a_server_that_stops_says_so(world: World) -> None:
    server, client = world.both()
    server.stop()
    client.wait(lambda status: status["peers"][0]["state"] == "down", "the client to be told")
    assert "the server has ended the bond" in client.log()
    assert "bond0" not in world.far.ip("link", "show"), "its device went with it"


def test_the_client_is_started_anew(world: World) -> None:
    server, client = world.both()
    Transfer(world, 2 * MEGABYTE).finish()
    client.kill()
    client = world.client()
    client.wait(up(3), "the bond with the new client")
    Transfer(world, 2 * MEGABYTE).finish()
    status = server.wait(lambda s: len(s["peers"][0]["paths"]) == 3, "the paths of the new client alone")
    assert status["peers"][0]["rx_bytes"] > 4 * MEGABYTE, "counters go on"
    assert "client home has begun anew" in server.log()


def test_a_client_that_stops_says_so(world: World) -> None:
    server, client = world.both()
    client.stop()
    server.wait(lambda status: status["peers"][0]["state"] == "down", "the server to be told")
    assert server.status()["peers"][0]["paths"] == []


@pytest.mark.parametrize("mode", [BondMode.LOW_LATENCY, BondMode.REDUNDANT])
def test_other_modes(world: World, mode: BondMode) -> None:
    world.both(transport=replace(PLAIN, mode=mode))
    world.ping()
    Transfer(world, 5 * MEGABYTE).finish()


@pytest.mark.parametrize("cipher", ["aes-256-gcm", "chacha20-poly1305"])
def test_the_configured_cipher(world: World, cipher: str) -> None:
    server, client = world.both(transport=replace(PLAIN, ciphers=(cipher,)))
    world.ping()
    assert client.status()["peers"][0]["cipher"] == server.status()["peers"][0]["cipher"] == cipher


def test_an_uplink_whose_device_vanishes_and_comes_back(world: World) -> None:
    _, client = world.both()
    before = {path["number"]: path["link"] for path in client.status()["peers"][0]["paths"]}
    world.home.ip("link", "del", "w0")
    client.wait(up(1), "one path to be left")
    world.ping()
    world.home.wire("w0", world.far, "w0")
    world.far.up("w0", "192.0.2.1/29", "2001:db8:1::1/64")
    world.home.up("w0", "192.0.2.2/29", "2001:db8:1::2/64")
    status = client.wait(up(3), "all paths on the new device")
    assert {path["number"]: path["link"] for path in status["peers"][0]["paths"]} == before
    assert re.search("link one: (there is no device w0|the device w0 was made anew)", client.log())


def test_the_bonds_own_device_is_removed(world: World) -> None:
    server, client = world.both()
    world.home.ip("link", "del", "bond1")
    client.wait(lambda s: s["problem"] is None and "bond1" in world.home.ip("link", "show"), "it to be made again")
    world.far.ip("link", "del", "bond0")
    server.wait(lambda s: s["problem"] is None and "bond0" in world.far.ip("link", "show"), "it to be made again")
    client.wait(up(3), "the paths, which had nothing to do with it")
    world.ping()
    assert "the device bond1 was removed" in client.log()


def test_a_full_device_and_one_that_is_down_lose_packets_and_no_more(world: World) -> None:
    """Of the ring before a process that does not come to read it, and of the kernel that takes nothing."""
    server, client = world.both()
    client.popen.send_signal(signal.SIGSTOP)
    try:
        with world.home.udp() as sock:
            for _ in range(5000):
                sock.sendto(bytes(1000), (INNER, 4444))
        shown = json.loads(world.home.ip("-s", "-j", "link", "show", "bond1"))
    finally:
        client.popen.send_signal(signal.SIGCONT)
    assert shown[0]["stats64"]["tx"]["dropped"] > 1000, "it was full"
    client.wait(up(3), "all paths")
    world.ping()
    world.home.ip("link", "set", "bond1", "down")
    with world.far.udp() as sock:
        for _ in range(100):
            sock.sendto(bytes(1000), ("10.99.0.2", 4444))
    server.wait(lambda status: status["peers"][0]["tx_packets"] >= 100, "them to be on their way")
    world.home.ip("link", "set", "bond1", "up")
    client.wait(up(3), "all paths, which had nothing to do with it")
    world.ping()
    assert client.popen.poll() is None


def test_the_server_by_ipv6_and_a_link_by_its_address(world: World) -> None:
    world.server()
    links = (LinkSpec("one", "w0", None, 1, None), LinkSpec("two", None, "2001:db8:2::2", 1, None))
    client = world.client(servers=(("2001:db8:1::1", PORT),), links=links)
    status = client.wait(up(2), "two paths by IPv6")
    assert {path["address"] for path in status["peers"][0]["paths"]} == {
        f"[2001:db8:1::1]:{PORT}",
        f"[2001:db8:1::1]:{PORT + 1}",
    }
    Transfer(world, 5 * MEGABYTE).finish()


def test_an_address_of_the_server_that_does_not_answer(world: World) -> None:
    world.server()
    client = world.client(servers=(("192.0.2.3", PORT), ("2001:db8:dead::1", PORT), ("192.0.2.1", PORT)))
    client.wait(up(3), "the address that works", timeout=25)


def test_obfuscation_hides_heads_and_sizes(world: World) -> None:
    transport = replace(PLAIN, obfuscate=True)
    with world.far.link_socket("w0") as tap:
        tap.setsockopt(263, 15, 1)  # PACKET_VNET_HDR: what goes over a veth together would be single on a wire
        tap.settimeout(0.2)
        world.both(transport=transport)
        world.ping()
        Transfer(world, 5 * MEGABYTE).finish()
        tap.settimeout(0.0)
        heads, sizes = set(), set()
        while True:
            try:
                captured = tap.recv(65536)
            except BlockingIOError:
                break
            *_, segment, _, _ = VNET.unpack_from(captured)
            frame = captured[VNET.size :]
            if frame[12:14] == b"\x08\x00" and frame[23] == 17 and (segment or len(frame)) < 1000:
                for at in range(42, len(frame), segment or len(frame)):
                    heads.add(frame[at : at + 4])
                    sizes.add(min(segment or len(frame), len(frame) - at) - 28)
    assert len(heads) > 20, "the session's number is not to be seen"
    handshakes = {512 - 28, 157 - 28}
    assert 128 in sizes
    assert sizes - handshakes <= {128, 256, 512, 768}, sizes


def test_an_end_without_obfuscation_gets_no_answer(world: World) -> None:
    world.server()
    client = world.client(transport=replace(PLAIN, obfuscate=True))
    status = client.wait(lambda s: s["problem"] and "obfuscation is on at one end only" in s["problem"], "the problem")
    assert status["peers"][0]["state"] == "connecting"


def test_links_change_while_it_runs(world: World) -> None:
    _, client = world.both()
    client.change(client_settings(links=(LinkSpec("two", "w1", None, 2, None),)))
    client.popen.send_signal(1)
    status = client.wait(
        lambda s: up(2)(s) and {path["link"] for path in s["peers"][0]["paths"]} == {"two"}, "the new links"
    )
    assert len(status["peers"][0]["paths"]) == 2
    world.ping(INNER)


def test_a_link_that_is_missing_is_named(world: World) -> None:
    world.server()
    client = world.client(links=(LinkSpec("one", "wwan7", None, 1, None), LinkSpec("two", None, "192.0.2.77", 1, None)))
    status = client.wait(lambda s: s["problem"] and "no link works" in s["problem"], "the problem")
    assert "one: there is no device wwan7" in status["problem"]
    assert "two: no device has the address 192.0.2.77" in status["problem"]


def test_no_route_to_the_server_is_told(world: World) -> None:
    world.server()
    client = world.client(servers=(("2001:db8:dead::1", PORT),), links=(LinkSpec("one", "w0", None, 1, None),))
    client.wait(lambda s: s["problem"] and "cannot be reached by any link" in s["problem"], "the problem")


def test_a_name_that_cannot_be_resolved_is_told(world: World) -> None:
    client = world.client(servers=(("bond.invalid", PORT),))
    client.wait(lambda s: s["problem"] and "bond.invalid cannot be resolved" in s["problem"], "the problem", 30)
    client.wait(lambda s: client.ask({"cmd": "version"})["version"], "answers meanwhile")
