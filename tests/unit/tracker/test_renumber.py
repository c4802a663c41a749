# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose connections go when an uplink's prefixes change. Deletion in the kernel has tests of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from netpath.kernel import conntrack
from netpath.model import Uplink
from netpath.steering.marks import MarkSpace
from netpath.tracker.renumber import Renumbering

MARKS = MarkSpace(0x3F00)
PROBES = ("2001:db8:a::2", "2001:db8:a::9", "2001:db8:a00:1::7", "2001:db8:a00:ff::7", "2001:db8:c00::7", "fd00::1")
Deleted = list[tuple[int, set[str]]]


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> Deleted:
    """(mark, which of PROBES would go) of each deletion."""
    found: Deleted = []

    def delete(mark: int, mask: int, wanted: Callable[[int], bool]) -> int:
        assert mask == MARKS.mask
        gone = {p for p in PROBES if wanted(int.from_bytes(socket.inet_pton(socket.AF_INET6, p), "big"))}
        found.append((mark, gone))
        return len(gone)

    monkeypatch.setattr(conntrack, "delete_by_source", delete)
    monkeypatch.setattr(conntrack, "delete_by_mark", lambda *_, **__: None)
    return found


@pytest.fixture
def unanswered(deleted: Deleted, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Marks whose connections without an answer went."""
    found: list[int] = []

    def delete(mark: int, mask: int, *, unreplied_only: bool) -> None:
        assert (mask, unreplied_only) == (MARKS.mask, True)
        found.append(mark)

    monkeypatch.setattr(conntrack, "delete_by_mark", delete)
    return found


def up(*prefixes: str, addresses: tuple[str, ...] = ("2001:db8:a::2/64",), name: str = "six") -> Uplink:
    return Uplink(name, 4, "ipv6", "eth1", None, addresses, True, (), prefixes=prefixes)


def test_what_is_there_first_is_not_touched_nor_what_stays(deleted: Deleted) -> None:
    renumbering = Renumbering()
    for _ in range(2):
        assert renumbering.follow([up("2001:db8:a00::/56")], MARKS) == {}
    assert renumbering.follow([up("2001:db8:a00::/56", "2001:db8:c00::/56")], MARKS) == {}
    assert deleted == []


def test_connections_of_a_prefix_that_is_gone_go(deleted: Deleted) -> None:
    renumbering = Renumbering()
    renumbering.follow([up("2001:db8:a00::/56")], MARKS)
    assert renumbering.follow([up("2001:db8:c00::/56")], MARKS) == {"six": 2}
    assert deleted == [(0x400, {"2001:db8:a00:1::7", "2001:db8:a00:ff::7"})]


def test_what_is_left_of_a_prefix_stays(deleted: Deleted) -> None:
    renumbering = Renumbering()
    renumbering.follow([up("2001:db8:a00::/56")], MARKS)
    renumbering.follow([up("2001:db8:a00::/60")], MARKS)
    assert deleted == [(0x400, {"2001:db8:a00:ff::7"})]


def test_the_network_counts_not_each_address_of_it(deleted: Deleted) -> None:
    """Privacy addresses come and go."""
    renumbering = Renumbering()
    renumbering.follow([up(addresses=("2001:db8:a::2/64", "2001:db8:a::9/64"))], MARKS)
    renumbering.follow([up(addresses=("2001:db8:a::2/64",))], MARKS)
    assert deleted == []
    renumbering.follow([up(addresses=("2001:db8:a::9/128",))], MARKS)
    assert deleted == [(0x400, {"2001:db8:a::2"})]


def test_a_line_that_was_down_for_a_while_is_remembered(deleted: Deleted) -> None:
    renumbering = Renumbering()
    renumbering.follow([up("2001:db8:a00::/56")], MARKS)
    renumbering.follow([Uplink("six", 4, "ipv6", None, None, (), False, ())], MARKS)
    assert deleted == []
    renumbering.follow([up("2001:db8:c00::/56")], MARKS)
    assert [mark for mark, _ in deleted] == [0x400]


def test_a_line_that_left_the_configuration_is_forgotten(deleted: Deleted) -> None:
    renumbering = Renumbering()
    renumbering.follow([up("2001:db8:a00::/56")], MARKS)
    renumbering.follow([], MARKS)
    renumbering.follow([up("2001:db8:c00::/56")], MARKS)
    assert deleted == []


def test_what_began_while_the_line_had_no_address_goes_when_it_has_one(unanswered: list[int]) -> None:
    """The kernel has masqueraded it by an address of the LAN, of which the provider sends no answer."""
    renumbering = Renumbering()
    for _ in range(2):
        renumbering.follow([up()], MARKS)
    renumbering.follow([up(addresses=())], MARKS)
    assert unanswered == []
    renumbering.follow([up()], MARKS)
    assert unanswered == [0x400]
    renumbering.follow([up(addresses=("2001:db8:a::9/64",))], MARKS)
    assert unanswered == [0x400, 0x400], "there was none in between, though no load saw that"
