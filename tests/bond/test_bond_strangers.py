# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong keys, strangers, what they send, and clients that must not disturb each other: the running processes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest

from netpath.bond.status import key
from netpath.bonding import LinkSpec
from tests.bond.bondlab import (
    INNER,
    KEYS,
    PORT,
    PORTS,
    PUBLIC,
    Running,
    Transfer,
    World,
    server_settings,
    up,
)
from tests.kernel.nsbox import frame

ONE = (LinkSpec("one", "w0", None, 1, None),)
_UDP = 17


class Tap:
    """What goes over w0, seen from the far end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def datagrams(self) -> tuple[list[bytes], list[bytes]]:
        """UDP payloads by IPv4 since the last call: (to the server, from it)."""
        into: list[bytes] = []
        out: list[bytes] = []
        self._sock.setblocking(False)
        while True:
            try:
                data = self._sock.recv(65536)
            except BlockingIOError:
                return into, out
            if data[12:14] == b"\x08\x00" and data[23] == _UDP:
                ports = range(PORT, PORT + PORTS)
                if int.from_bytes(data[36:38], "big") in ports:
                    into.append(data[42:])
                elif int.from_bytes(data[34:36], "big") in ports:
                    out.append(data[42:])


@contextmanager
def tapped(world: World) -> Iterator[Tap]:
    with world.far.link_socket("w0") as sock:
        yield Tap(sock)


def problem(running: Running, text: str) -> None:
    running.wait(lambda status: status["problem"] and text in status["problem"], f"the problem {text!r}")


def test_a_wrong_server_key_gets_silence(world: World) -> None:
    server = world.server()
    with tapped(world) as tap:
        client = world.client(server_key=PUBLIC["stranger"], links=ONE)
        problem(client, "is not its public key")
        into, out = tap.datagrams()
    assert (len(into) > 2, out) == (True, [])
    assert key(PUBLIC["stranger"]) in client.log()
    status = server.status()
    assert status["rejected"] == 0, "what does not know our key is no handshake of ours"
    assert status["unknown"] >= len(into), "but its user sees at the server that something comes"


def test_an_unknown_client_is_named_by_the_server_and_gets_silence(world: World) -> None:
    server = world.server()
    with tapped(world) as tap:
        client = world.client(private_key=KEYS["stranger"], links=ONE)
        problem(client, "our public key")
        into, out = tap.datagrams()
    assert (len(into) > 2, out) == (True, [])
    problem(server, f"an authentic client with the public key {key(PUBLIC['stranger'])}")
    assert server.log().count("is not in the configuration") == 1, "told once, not for each datagram"
    assert server.status()["strangers"] == len(into)


def test_another_preshared_key_is_told_at_both_ends(world: World) -> None:
    server = world.server()
    client = world.client(preshared_key=bytes(32), links=ONE)
    problem(client, "preshared_key")
    status = server.wait(lambda status: status["peers"][0]["problem"], "the server to notice", 30)
    assert "preshared_key" in status["peers"][0]["problem"]
    assert status["peers"][0]["state"] == "connecting"
    client.stop()
    world.client(links=ONE).wait(up(1), "the right one")
    server.wait(lambda status: status["peers"][0]["problem"] is None, "the problem to be over")


def test_what_a_middlebox_does_is_seen_in_the_status(world: World) -> None:
    """It changes a byte of what goes by w0: behind the head of data, so that it is of a session and not authentic."""
    server, client = world.both()
    assert [client.status()[name] for name in ("unknown", "refused", "rejected")] == [0, 0, 0]
    assert server.status()["refused"] == 0
    mangled = "meta l4proto udp @ih,160,8 set 0xa5"
    try:
        for box in (world.home, world.far):
            box.nft(
                f"table netdev mangler {{ chain i {{ type filter hook ingress device w0 priority 0; {mangled}\n}}\n}}\n"
            )
        for end in (server, client):
            status = end.wait(lambda status: status["refused"] > 5, "the changed ones to be counted")
            assert status["peers"][0]["state"] == "up", "the other uplink goes on"
        client.wait(up(1), "its paths to be down")
        world.ping()
        before = server.status()["unknown"]
        with world.home.udp(address="192.0.2.2") as sock:
            for size in (0, 4, 28):
                sock.sendto(bytes(size), ("192.0.2.1", PORT))
            sock.sendto(b"\x10" + bytes(60), ("192.0.2.1", PORT))
        server.wait(lambda status: status["unknown"] >= before + 4, "what is no datagram of ours to be counted")
    finally:
        for box in (world.home, world.far):
            box.nft("delete table netdev mangler\n")
    client.wait(up(3), "all paths again")


def test_replays_and_garbage_change_nothing_and_get_no_answer(world: World) -> None:
    with tapped(world) as tap:
        server, client = world.both(paths=3)
        world.ping()
        client.stop()
        server.wait(lambda status: status["peers"][0]["state"] == "down", "the client to be gone")
        recorded, _ = tap.datagrams()
        with world.home.udp() as sock:
            sock.sendto(b"warm up", ("192.0.2.1", PORT))
            before, memory = server.status(), server.memory()
            for number, datagram in enumerate(recorded + list(fuzzed(recorded))):
                sock.sendto(datagram, ("192.0.2.1", PORT + number % PORTS))
                if not number % 500:
                    server.status()  # so that none is lost to a full buffer
            after = server.status()
        _, out = tap.datagrams()
    assert out == []
    assert server.memory() - memory < 4_000_000
    assert after["peers"][0]["state"] == "down"
    assert after["peers"][0]["rx_packets"] == before["peers"][0]["rx_packets"]
    assert "internal" not in server.log()
    world.client().wait(up(3), "the server to be as before")


def fuzzed(recorded: list[bytes], count: int = 20_000) -> Iterator[bytes]:
    """Datagrams that are true but for something, and nonsense with heads of every kind."""
    random = Random(7)
    for _ in range(count):
        match random.randrange(6):
            case 0:
                yield random.randbytes(random.randrange(0, 1400))
            case 1:
                head = random.randbytes(4) + bytes([random.randrange(256)]) + random.randbytes(7)
                yield head + random.randbytes(random.choice((0, 1, 16, 17, 100, 1400)))
            case 2:
                datagram = random.choice(recorded)
                yield datagram[: random.randrange(len(datagram))]
            case 3:
                yield random.choice(recorded) + random.randbytes(random.randrange(1, 9))
            case _:
                changed = bytearray(random.choice(recorded))
                for _ in range(random.randrange(1, 4)):
                    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
                yield bytes(changed)


def test_a_recorded_initiation_disturbs_nobody(world: World) -> None:
    """Those that the server has not seen get an answer each, which is of no use; the session goes on."""
    with tapped(world) as tap:
        server, client = world.both()
        recorded, _ = tap.datagrams()
        initiations = [datagram for datagram in recorded if datagram[:5] == bytes(5)]
        assert initiations
        tap.datagrams()
        with world.home.udp(address="192.0.2.2") as sock:
            port = sock.getsockname()[1]
            for datagram in initiations:
                sock.sendto(datagram, ("192.0.2.1", PORT))
            world.ping()
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(2000)
            assert port
    assert up(3)(client.status())
    assert up(3)({**server.status(), "peers": server.status()["peers"][:1]})


def test_a_second_client_and_traffic_between_the_two(world: World) -> None:
    server, _ = world.both()
    other = world.client("other")
    other.wait(up(1), "the second client")
    world.ping(box=world.other)
    world.ping("10.99.0.3")
    Transfer(world, 2_000_000, "10.99.0.3", world.other).finish()
    server.change(server_settings(forward=False))
    server.popen.send_signal(1)
    refused = world.home.run("sh", "-c", "ping -c 2 -i 0.2 -W 1 10.99.0.3 || true")
    assert "100% packet loss" in refused
    world.ping()


def test_a_foreign_inner_source_is_dropped_and_counted(world: World) -> None:
    server, client = world.both()
    world.client("other").wait(up(1), "the second client")
    before = server.status()["peers"][0]
    with world.far.link_socket("bond0") as tap, world.home.link_socket("bond1") as out:
        for source in ("10.99.0.3", "10.99.0.1", "198.51.100.77", "2001:db8:99::1"):
            target = INNER if "." in source else "2001:db8:99::1"
            out.send(frame("02:00:00:00:00:02", source, target, 1, 4444)[14:])
        out.send(frame("02:00:00:00:00:02", "10.77.0.9", INNER, 1, 4444)[14:])
        end = time.monotonic() + 5
        seen: list[str] = []
        tap.settimeout(1)
        while time.monotonic() < end and not seen:
            packet = tap.recv(2000)
            if packet[0] == 0x45 and packet[9] == _UDP and packet[22:24] == (4444).to_bytes(2, "big"):
                seen.append(socket.inet_ntoa(packet[12:16]))
    assert seen == ["10.77.0.9"], "the network behind the client is its own"
    server.wait(lambda s: s["peers"][0]["dropped"] - before["dropped"] >= 4, "the others to be counted")
    assert client.popen.poll() is None


def test_a_client_that_is_taken_out_of_the_configuration(world: World) -> None:
    server, client = world.both()
    other = world.client("other")
    other.wait(up(1), "the second client")
    since = server.status()["peers"][0]["since"]
    whole = server_settings()
    server.change(replace(whole, clients=whole.clients[:1]))
    server.popen.send_signal(1)
    server.wait(lambda status: len(status["peers"]) == 1, "the reload")
    other.wait(lambda status: status["peers"][0]["state"] == "down", "the second client to be told")
    assert "the server has ended the bond by its configuration" in other.log()
    assert server.status()["peers"][0]["since"] == pytest.approx(since, abs=0.1), "the first one is not disturbed"
    assert up(3)(client.status())
    world.ping()
    server.change(whole)
    server.popen.send_signal(1)
    other.wait(up(1), "the second client to be let in again", 20)


def test_a_new_inner_address_reaches_the_client(world: World) -> None:
    server, _ = world.both()
    whole = server_settings()
    home = replace(whole.clients[0], addresses=("10.99.0.22/24",))
    server.change(replace(whole, clients=(home, whole.clients[1])))
    server.popen.send_signal(1)
    end = time.monotonic() + 10
    while "10.99.0.22" not in world.home.ip("address", "show", "dev", "bond1"):
        assert time.monotonic() < end
        time.sleep(0.05)
    world.ping("10.99.0.22", box=world.far)


def test_a_clients_rate(world: World) -> None:
    whole = server_settings()
    limited = replace(whole.clients[0], rate=500_000.0)
    server, _ = world.both(server_alone={"clients": (limited,)})
    began = time.monotonic()
    Transfer(world, 2_000_000).finish()
    assert time.monotonic() - began > 2.0, "two megabytes at half a megabyte a second"
    assert server.status()["peers"][0]["dropped"] > 0


def test_more_clients_than_are_allowed(world: World) -> None:
    server, _ = world.both(server_alone={"max_clients": 1})
    other = world.client("other")
    other.wait(lambda _: "one client more than max_clients allows" in server.log(), "the server to refuse it")
    assert other.status()["peers"][0]["state"] != "up"
    world.ping()


def test_the_status_socket_takes_garbage(world: World) -> None:
    _, client = world.both()
    assert client.control.stat().st_mode & 0o777 == 0o600
    assert client.ask({"cmd": "version"})["python"]
    for request in ("garbage", "[]", '{"cmd": 7}', '{"cmd":"unknown"}', "[" * 60_000, '{"cmd":NaN}'):
        assert "error" in talk(client, request.encode() + b"\n"), request[:40]
    assert "at most" in talk(client, b"x" * 200_000)["error"]
    silent = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    try:
        for sock in silent:
            sock.connect(str(client.control))
            sock.sendall(b'{"cmd":"bond"}\n' * 50)
        assert client.status()["running"]
        world.ping()
    finally:
        for sock in silent:
            sock.close()


def talk(running: Running, data: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(running.control))
        sock.sendall(data)
        reply: dict[str, str] = json.loads(sock.makefile().readline())
        return reply


def test_the_keys_are_changed_in_use(world: World) -> None:
    """The server asks, as when its half of the keys is worn: by new settings of addresses here."""
    server, _ = world.both()
    transfer = Transfer(world, 10_000_000)
    whole = server_settings()
    for last in range(30, 36):
        home = replace(whole.clients[0], addresses=(*whole.clients[0].addresses, f"10.99.0.{last}/24"))
        server.change(replace(whole, clients=(home, whole.clients[1])))
        server.popen.send_signal(1)
        end = time.monotonic() + 30
        while f"10.99.0.{last}/" not in world.home.ip("address", "show", "dev", "bond1"):
            assert time.monotonic() < end
            time.sleep(0.02)
    transfer.finish()
