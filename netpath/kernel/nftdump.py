# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads of nftables state by raw netlink (linux/netfilter/nf_tables.h), and notice of every change.

libnftables would first list every set of every table, which takes half a second beside a large blocklist. Tables are of
family inet. Functions return nothing for a table that does not exist, and raise NetlinkError.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct

from netpath.kernel import bpf, netlink
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket, attributes, be32, text, to_text
from netpath.kernel.subscription import Subscription

_SUBSYSTEM = 10 << 8
_GETTABLE, _GETCHAIN, _GETRULE, _GETSET, _GETOBJ = (_SUBSYSTEM | number for number in (1, 4, 7, 10, 19))
_NEWGEN = _SUBSYSTEM | 15
_NFPROTO_INET = 1
_NFGENMSG = Struct(">BBH")
_HEADER = _NFGENMSG.pack(_NFPROTO_INET, 0, 0)

_TABLE = 1
"""NFTA_TABLE_NAME, and NFTA_{CHAIN,RULE,SET,OBJ}_TABLE alike."""
_TABLE_HANDLE = 4
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _HOOK_NUMBER = 3, 4, 5, 1
_DROPS = 0
"""NF_DROP."""
_FAMILY_NAMES = {1: "inet", 2: "ip", 10: "ip6"}
HOOK_INPUT, HOOK_FORWARD = 1, 2
"""NF_INET_LOCAL_IN, NF_INET_FORWARD."""
_RULE_CHAIN, _RULE_HANDLE, _RULE_USERDATA = 2, 3, 7
_COMMENT = 0
"""UDATA_TYPE_COMMENT of libnftables: type, length, text with a zero byte."""
_SET_NAME, _SET_FLAGS, _SET_ANONYMOUS = 2, 3, 0x1
_OBJ_NAME, _OBJ_TYPE, _OBJ_DATA, _OBJ_COUNTER = 2, 3, 4, 1
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_GEN_PROC_PID = 2

_NFNLGRP_NFTABLES = 7
_ONLY_GENERATIONS = b"".join(
    (bpf.load_half(4), bpf.if_equal(socket.htons(_NEWGEN), 0, 1), bpf.ACCEPT, bpf.DROP),
)
"""Of a change the kernel reports each set element; its last message says that a new generation stands."""

_VITAL = ("prerouting", "output", "classify")


def table_exists(table: str) -> bool:
    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        try:
            sock.request(Message(_GETTABLE, 0, _HEADER + text(_TABLE, table)))
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
    return True


def table_handle(table: str) -> int | None:
    """A number that the table has for as long as it lives: one that is made anew after it was deleted has another."""

    def handle(kind: int, body: memoryview) -> int | None:
        del kind
        found = attributes(body, _NFGENMSG.size)
        return _be(found[_TABLE_HANDLE]) if to_text(found[_TABLE]) == table else None

    return next(iter(_dump(_GETTABLE, b"", handle)), None)


def table_intact(table: str, chains: Sequence[str] = _VITAL) -> bool:
    """Whether the table stands and none of these chains was deleted or emptied (`nft flush ruleset`, `flush table`)."""
    return all(_dump(_GETRULE, text(_TABLE, table) + text(_RULE_CHAIN, chain), _something) for chain in chains)


def comments(table: str, chain: str) -> list[tuple[int, str]]:
    """(handle, comment) of a chain's rules in order; a rule that is loaded again gets another handle."""

    def comment(kind: int, body: memoryview) -> tuple[int, str]:
        del kind
        found = attributes(body, _NFGENMSG.size)
        data = bytes(found.get(_RULE_USERDATA, b""))
        commented = len(data) > 2 and data[0] == _COMMENT
        return _be(found[_RULE_HANDLE]), data[2 : 1 + data[1]].decode(errors="replace") if commented else ""

    return _dump(_GETRULE, text(_TABLE, table) + text(_RULE_CHAIN, chain), comment)


def chains(table: str) -> list[str]:
    """Names of the table's chains."""

    def name(kind: int, body: memoryview) -> str | None:
        del kind
        found = attributes(body, _NFGENMSG.size)
        # Kernels before 6.3 list the chains of all tables.
        return to_text(found[_CHAIN_NAME]) if to_text(found[_TABLE]) == table else None

    return _dump(_GETCHAIN, text(_TABLE, table), name)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of anybody's table."""

    family: str
    """ "inet", "ip" or "ip6"."""
    table: str
    name: str
    hook: int | None
    """NF_INET_*; None: no packet comes to it but by a jump."""
    drops: bool
    """What no rule of it decides is dropped."""


def all_chains() -> list[Chain]:
    """The chains of all tables that see IP packets."""

    def chain(kind: int, body: memoryview) -> Chain | None:
        del kind
        family = _FAMILY_NAMES.get(_NFGENMSG.unpack_from(body)[0])
        if family is None:
            return None
        found = attributes(body, _NFGENMSG.size)
        hook = attributes(found[_CHAIN_HOOK]) if _CHAIN_HOOK in found else {}
        return Chain(
            family=family,
            table=to_text(found[_TABLE]),
            name=to_text(found[_CHAIN_NAME]),
            hook=_be(hook[_HOOK_NUMBER]) if _HOOK_NUMBER in hook else None,
            drops=_CHAIN_POLICY in found and _be(found[_CHAIN_POLICY]) == _DROPS,
        )

    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        return sock.dump(Message(_GETCHAIN, 0, _NFGENMSG.pack(0, 0, 0)), chain)


def sets(table: str) -> list[str]:
    """Names of the table's sets and maps, without anonymous ones."""

    def name(kind: int, body: memoryview) -> str | None:
        del kind
        found = attributes(body, _NFGENMSG.size)
        flags = _be(found[_SET_FLAGS]) if _SET_FLAGS in found else 0
        return None if flags & _SET_ANONYMOUS else to_text(found[_SET_NAME])

    return _dump(_GETSET, text(_TABLE, table), name)


def counter_names(table: str) -> list[str]:
    """Names of the table's counters; what they have counted is not looked at."""

    def name(kind: int, body: memoryview) -> str:
        del kind
        return to_text(attributes(body, _NFGENMSG.size)[_OBJ_NAME])

    return _dump(_GETOBJ, text(_TABLE, table) + be32(_OBJ_TYPE, _OBJ_COUNTER), name)


def counters(table: str) -> dict[str, tuple[int, int]]:
    """Named counter -> (packets, bytes), all of the table: thousands where there are as many rules."""

    def counter(kind: int, body: memoryview) -> tuple[str, tuple[int, int]]:
        del kind
        return to_text(attributes(body, _NFGENMSG.size)[_OBJ_NAME]), _object_counter(body)

    return dict(_dump(_GETOBJ, text(_TABLE, table) + be32(_OBJ_TYPE, _OBJ_COUNTER), counter))


def some_counters(table: str, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The same for the counters of these names; missing ones are left out."""
    found = {}
    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        for name in names:
            wanted = text(_TABLE, table) + text(_OBJ_NAME, name) + be32(_OBJ_TYPE, _OBJ_COUNTER)
            try:
                found[name] = sock.ask(Message(_GETOBJ, 0, _HEADER + wanted), _object_counter)
            except NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise
    return found


class GenerationMonitor(Subscription):
    """Calls `callback(pid)` from the event loop when the ruleset of this namespace has changed.

    `pid` is the process that did it (as the first pid namespace numbers it), None when the kernel does not say or when
    notices were lost. Changes that come together are reported once for each process. However much is loaded, it is one
    wake-up a transaction.
    """

    def __init__(self, callback: Callable[[int | None], None]) -> None:
        super().__init__(netlink.NETLINK_NETFILTER, 1 << (_NFNLGRP_NFTABLES - 1), _ONLY_GENERATIONS)
        self._callback = callback
        self._pids: dict[int | None, None] = {}

    def _take(self, kind: int, body: memoryview) -> None:
        del kind
        found = attributes(body, _NFGENMSG.size)
        self._pids[_be(found[_GEN_PROC_PID]) if _GEN_PROC_PID in found else None] = None

    def _report(self, lost: bool) -> None:
        pids, self._pids = self._pids, {}
        for pid in {**pids, None: None} if lost else pids:
            self._callback(pid)


def _dump(kind: int, selection: bytes, decode: Callable[[int, memoryview], netlink.T | None]) -> list[netlink.T]:
    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        try:
            return sock.dump(Message(kind, 0, _HEADER + selection), decode)
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return []
            raise


def _something(kind: int, body: memoryview) -> int:
    del body
    return kind


def _object_counter(body: memoryview) -> tuple[int, int]:
    """(packets, bytes) of a named counter."""
    found = attributes(attributes(body, _NFGENMSG.size)[_OBJ_DATA])
    return _be(found[_COUNTER_PACKETS]), _be(found[_COUNTER_BYTES])


def _be(value: memoryview) -> int:
    return int.from_bytes(value, "big")
