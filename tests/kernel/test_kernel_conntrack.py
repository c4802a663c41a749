# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections of one mark go, all others stay; figures are those of `conntrack -L`."""

from __future__ import annotations

import re
import socket
import subprocess
from collections import Counter
from itertools import pairwise

import pytest

from netpath.kernel import conntrack
from netpath.steering.marks import MarkSpace
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab

MASK = 0x3F00
SO_MARK = 36
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
TRACK = """\
table inet track {
    chain output { type filter hook output priority mangle; ct state new meta mark != 0 ct mark set meta mark; }
    chain input { type filter hook input priority mangle; ct state established accept; }
}
"""


def flow(family: int, mark: int, *, answered: bool = False) -> None:
    """One UDP connection with that mark."""
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((HOSTS[socket.AddressFamily(family)], 0))
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        client.sendto(b"question", server.getsockname())
        if answered:
            server.sendto(b"answer", server.recvfrom(100)[1])


def flows(mark: int, count: int, *, answered: bool = False) -> None:
    for _ in range(count):
        for family in HOSTS:
            flow(family, mark, answered=answered)


def listed() -> list[tuple[int, bool]]:
    """Sorted (mark, answered) of each marked connection, by the program `conntrack`."""
    text = "".join(
        subprocess.run(["conntrack", "-L", "-f", family], capture_output=True, text=True, check=True).stdout
        for family in ("ipv4", "ipv6")
    )
    return sorted(
        (int(mark[1]), "[UNREPLIED]" not in line)
        for line in text.splitlines()
        if (mark := re.search(r" mark=(\d+)", line)) and mark[1] != "0"
    )


def tcp_flow(mark: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        client.connect(server.getsockname())


def test_counting_lets_others_run_in_between(tracked: World) -> None:
    assert tracked
    flows(0x100, 400)
    found: Counter[int] = Counter()
    seen = [found[0x100] for _ in conntrack.count_marks(MASK, found)]
    assert seen[-1] == 800
    assert max(b - a for a, b in pairwise([0, *seen])) < 200


@pytest.fixture
def tracked(world: World) -> World:
    world.nft(TRACK)
    return world


def test_one_mark_goes_in_both_families(tracked: World) -> None:
    assert tracked
    flows(0x100, 3)
    flows(0x100, 2, answered=True)
    flows(0xA0100, 1)
    flows(0x200, 2)
    conntrack.delete_by_mark(0x100, MASK)
    assert listed() == [(0x200, False)] * 4


def test_nothing_to_delete_is_fine(tracked: World) -> None:
    assert tracked
    flows(0x200, 1)
    conntrack.delete_by_mark(0x100, MASK)
    assert listed() == [(0x200, False)] * 2


@pytest.mark.parametrize("one_by_one", [False, True])
def test_only_unanswered_connections_go(tracked: World, monkeypatch: pytest.MonkeyPatch, one_by_one: bool) -> None:
    assert tracked
    if one_by_one:
        monkeypatch.setattr(conntrack, "_kernel_filters_status", lambda: False)
    flows(0x100, 40)
    flows(0x100, 2, answered=True)
    flows(0x200, 1)
    conntrack.delete_by_mark(0x100, MASK, unreplied_only=True)
    assert listed() == [(0x100, True)] * 4 + [(0x200, False)] * 2


def test_the_kernels_answer_about_its_filters(world: World) -> None:
    """This kernel is newer than 5.18; the question itself must not hurt anybody."""
    world.nft(TRACK)
    flows(1, 2, answered=True)
    conntrack._kernel_filters_status.cache_clear()
    assert conntrack._kernel_filters_status()
    assert len(listed()) == 4


@pytest.mark.parametrize(("mark", "mask"), [(0, MASK), (0, 0), (0x100, 0), (0x10100, MASK)])
def test_what_would_hit_everybody_is_refused(tracked: World, mark: int, mask: int) -> None:
    assert tracked
    flows(0x100, 1)
    for unreplied in (False, True):
        with pytest.raises(ValueError, match="does not name one uplink"):
            conntrack.delete_by_mark(mark, mask, unreplied_only=unreplied)
    assert len(listed()) == 2


TRANSLATE = """\
table inet translate {
    chain out { type nat hook postrouting priority srcnat; meta mark 0x100 snat ip6 to 2001:db8:b::7; }
}
"""


def test_connections_by_the_address_that_they_leave_with(tracked: World) -> None:
    tracked.nft(TRANSLATE)
    tracked.ip("-6 address add 2001:db8:b::7 dev lo nodad\n")
    flows(0x100, 3)
    flows(0x200, 2)
    flows(0xA0100, 1)
    assert conntrack.delete_by_source(0x100, MASK, lambda number: number == 1) == 1, "0xA0100 is not translated"
    assert conntrack.delete_by_source(0x100, MASK, lambda number: number != 0x20010DB8000B << 80 | 7) == 0
    assert len(listed()) == 11
    assert conntrack.delete_by_source(0x100, MASK, lambda number: number == 0x20010DB8000B << 80 | 7) == 3
    # As many of IPv4 stay.
    assert listed() == [(0x100, False)] * 3 + [(0x200, False)] * 4 + [(0xA0100, False)]
    with pytest.raises(ValueError, match="does not name one uplink"):
        conntrack.delete_by_source(0, MASK, bool)


def test_counting(tracked: World) -> None:
    marks, ids = MarkSpace(MASK), {"wan": 1, "lte": 2, "idle": 3}
    assert conntrack.count_all(marks, ids) == {"wan": 0, "lte": 0, "idle": 0}
    flows(0x100, 300)
    flows(0xA0100, 1)
    flows(0x200, 5)
    flows(0x3F00, 2)
    flows(0, 2)
    assert conntrack.count_all(marks, ids) == {"wan": 602, "lte": 10, "idle": 0}
    tcp_flow(0x200)
    assert conntrack.count_all(marks, ids)["lte"] == 11, "more attributes come before the mark"
    assert conntrack.count() == int(tracked.run("conntrack", "-C"))
    assert conntrack.count() >= 612
    assert conntrack.maximum() == int(tracked.run("sysctl", "-n", "net.netfilter.nf_conntrack_max"))
