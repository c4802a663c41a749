# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that fit the bond's device and none of its paths: senders at and behind both ends learn the size that fits.

The device has its MTU by configuration here; the lines carry less.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from tests.bond.bondlab import INNER, INNER6, World, server_settings
from tests.kernel.nsbox import Box

DEVICE, LINE = 1420, 1400
ROOM, NEAR = LINE - 28 - 40, 8
"""Bytes of an inner packet that fits; by how much less a path's search may find."""
PORT = 7777
HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
_IP_MTU, _IPV6_MTU, _DO = 14, 24, 2
"""linux/in.h, in6.h; IP_MTU_DISCOVER and IPV6_MTU_DISCOVER are 10 and 23: never a fragment."""


class Site(NamedTuple):
    world: World
    lan: Box
    """A host behind the client."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with World() as world, Box("lan") as lan:
        for box, device in ((world.home, "w0"), (world.home, "w1"), (world.far, "w0"), (world.nat, "w1")):
            box.ip("link", "set", device, "mtu", str(LINE))
        lan.wire("eth0", world.home, "lan0")
        world.home.up("lan0", "10.77.0.1/24", "2001:db8:77::1/64")
        lan.up("eth0", "10.77.0.9/24", "2001:db8:77::9/64")
        lan.ip("route", "add", "default", "via", "10.77.0.1")
        lan.ip("-6", "route", "add", "default", "via", "2001:db8:77::1")
        home, other = server_settings().clients
        home = replace(home, networks=("10.77.0.0/24", "2001:db8:77::/64"))
        for end in world.both(mtu=DEVICE, server_alone={"clients": (home, other)}):
            end.wait(found_out, "the paths' sizes")
        yield Site(world, lan)


def found_out(status: dict[str, Any]) -> bool:
    """Whether the search for every path's largest datagram is over."""
    return all(path["mtu"] >= ROOM + 40 - NEAR for path in status["peers"][0]["paths"])


def udp(box: Box, target: str) -> socket.socket:
    """Connected, and forbidden to make fragments."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with box.inside():
        sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, 23, _DO)
    else:
        sock.setsockopt(socket.IPPROTO_IP, 10, _DO)
    sock.connect((target, PORT))
    return sock


def mtu(sock: socket.socket) -> int:
    """Of the way to whom it is connected, as its kernel knows it."""
    six = sock.family == socket.AF_INET6
    return sock.getsockopt(*((socket.IPPROTO_IPV6, _IPV6_MTU) if six else (socket.IPPROTO_IP, _IP_MTU)))


def learned(sock: socket.socket) -> int:
    """Send packets as large as the device, until the size that fits is known: that size."""
    payload = bytes(DEVICE - HEADERS[sock.family])
    end = time.monotonic() + 10
    while (found := mtu(sock)) >= DEVICE:
        assert time.monotonic() < end, "nobody told the sender"
        try:
            sock.send(payload)
        except OSError as error:
            assert error.errno == 90, error  # EMSGSIZE: it has just been told
        time.sleep(0.05)
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # it has been told
    return found


CASES = {
    "behind the client, IPv6": ("lan", INNER6),
    "behind the client, IPv4": ("lan", INNER),
    "at the client, IPv6": ("home", INNER6),
    "at the client, IPv4": ("home", INNER),
    "at the server, IPv6": ("far", "2001:db8:77::9"),
    "at the server, IPv4": ("far", "10.77.0.9"),
}


@pytest.mark.parametrize(("sender", "target"), CASES.values(), ids=CASES)
def test_a_sender_learns_the_size_that_fits_and_what_has_it_arrives(site: Site, sender: str, target: str) -> None:
    box = {"lan": site.lan, "home": site.world.home, "far": site.world.far}[sender]
    listening = site.lan if sender == "far" else site.world.far
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with listening.inside():
        receiver = socket.socket(family, socket.SOCK_DGRAM)
    with receiver, udp(box, target) as sock:
        receiver.bind((target, PORT))
        receiver.settimeout(5)
        size = learned(sock)
        assert ROOM - NEAR <= size <= ROOM, "what a datagram has room for, and not just the least"
        with pytest.raises(OSError, match="too long"):
            sock.send(bytes(size + 1 - HEADERS[family]))
        exact = bytes(size - HEADERS[family])
        sock.send(exact)
        assert receiver.recv(2000) == exact
        shown = box.ip("route", "get", target)
        assert re.search(rf"\bmtu (lock )?{size}\b", shown), shown


def test_a_ping_is_answered_with_the_size(site: Site) -> None:
    """ICMPv6 errors are of the packet's destination, and quote it: ping knows its own by that."""
    for target in (INNER6, INNER):
        site.lan.ip("-6" if ":" in target else "-4", "route", "flush", "cache")
        argv = (
            f"ping -M do -s {DEVICE - HEADERS[socket.AF_INET6 if ':' in target else socket.AF_INET]} -c 3 -i 0.2 -W 1"
        )
        told = site.lan.run("sh", "-c", f"{argv} {target} 2>&1 || true").lower()
        assert re.search(r"(packet too big|frag needed|message too long).{0,40}mtu ?[=:] ?1[23]\d\d", told), told
