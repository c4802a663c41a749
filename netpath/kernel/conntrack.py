# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections by mark: delete them, count them (ctnetlink, linux/netfilter/nfnetlink_conntrack.h).

For deletion the kernel selects. For counting it cannot: its filter knows one mark (`(ct->mark & mask) == value`), not
"any of ours", and each dump walks the whole hash table, 9 ms even when that is empty. So one dump is read, and of each
entry nothing but the mark: 10,000 take 40 ms of a processor for any number of uplinks (one dump each: 620 ms for 60).
"""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from struct import Struct

from netpath.kernel import netlink
from netpath.kernel.netlink import Message, NetlinkError, NetlinkSocket, attributes, be32
from netpath.steering.marks import MarkSpace

_NFNL_SUBSYS_CTNETLINK = 1 << 8
_GET, _DELETE = _NFNL_SUBSYS_CTNETLINK | 1, _NFNL_SUBSYS_CTNETLINK | 2
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_STATUS, _CTA_MARK, _CTA_ID, _CTA_ZONE = 1, 2, 3, 8, 12, 18
_CTA_TUPLE_IP, _CTA_IP_V6_DST = 1, 4
_CTA_MARK_MASK, _CTA_STATUS_MASK = 21, 26
_IPS_SEEN_REPLY = 0x2
_NFGENMSG = Struct(">BBH")
"""family (0: both), version, resource id."""
_HEADER = _NFGENMSG.pack(0, 0, 0)
_MARK = Struct(">I")
_IPV6_HEADER = _NFGENMSG.pack(socket.AF_INET6, 0, 0)
_PROC = Path("/proc/sys/net/netfilter")


def delete_by_mark(mark: int, mask: int, *, unreplied_only: bool = False) -> None:
    """Delete the connections of both families whose mark is `mark` under `mask`.

    With `unreplied_only` those of which no answer was seen yet. One request; on kernels before 5.18 unanswered ones
    are listed and deleted one by one. Flows that sit in a flowtable stay: ctnetlink deletes none with IPS_OFFLOAD
    (nf_conntrack_netlink.c). Raises ValueError for mark 0 or bits outside of the mask (it would hit everybody's),
    NetlinkError otherwise.
    """
    selection = _selection(mark, mask)
    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        if not unreplied_only:
            sock.request(Message(_DELETE, 0, _HEADER + selection))
        elif _kernel_filters_status():
            sock.request(Message(_DELETE, 0, _HEADER + selection + _status(0, _IPS_SEEN_REPLY)))
        else:
            _delete_each(sock, _HEADER + selection, _unanswered)


def delete_by_source(mark: int, mask: int, wanted: Callable[[int], bool]) -> int:
    """Delete the IPv6 connections with that mark whose packets leave, translated or not, from an address that `wanted`
    accepts (it gets the number of the address); how many there were.

    They are listed and looked at one by one: about 10 us each. Raises as `delete_by_mark` does.
    """

    def leaves_so(found: Mapping[int, memoryview]) -> bool:
        answer = attributes(attributes(found[_CTA_TUPLE_REPLY])[_CTA_TUPLE_IP])
        return wanted(int.from_bytes(answer[_CTA_IP_V6_DST], "big"))

    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        return _delete_each(sock, _IPV6_HEADER + _selection(mark, mask), leaves_so)


def count_all(marks: MarkSpace, ids: Mapping[str, int]) -> dict[str, int]:
    """Connections of each uplink, both families; `ids` is interface -> uplink id. Raises NetlinkError."""
    found: Counter[int] = Counter()
    for _ in count_marks(marks.mask, found):
        pass
    return of_uplinks(found, marks, ids)


def count_marks(mask: int, found: Counter[int]) -> Iterator[None]:
    """Add every connection to `found`, by its mark under `mask`.

    Pauses after each part of the listing (about 100 entries), so that the caller can do something else meanwhile.
    Raises NetlinkError.
    """
    with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
        for bodies in sock.parts(Message(_GET, 0, _HEADER)):
            found.update(_mark(body) & mask for body in bodies)
            yield


def of_uplinks(found: Mapping[int, int], marks: MarkSpace, ids: Mapping[str, int]) -> dict[str, int]:
    """What `count_marks` found, by interface."""
    return {name: found.get(marks.of(number), 0) for name, number in ids.items()}


def _mark(entry: memoryview) -> int:
    """The mark of a listed connection; `netlink.attributes` would look at all the rest too."""
    offset, end = _NFGENMSG.size, len(entry)
    while offset + 4 <= end:
        length, kind = netlink.ATTRIBUTE.unpack_from(entry, offset)
        if kind == _CTA_MARK:
            return int(_MARK.unpack_from(entry, offset + 4)[0])
        offset += max(4, (length + 3) & ~3)
    return 0


def count() -> int:
    """Entries in this namespace's connection table; 0 while the kernel tracks none."""
    return _figure("nf_conntrack_count")


def maximum() -> int:
    """Entries that the table takes; 0 while the kernel tracks none."""
    return _figure("nf_conntrack_max")


def _figure(name: str) -> int:
    try:
        return int((_PROC / name).read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0


def _selection(mark: int, mask: int) -> bytes:
    if not mark or not mask or mark & ~mask:
        raise ValueError(f"mark {mark:#x}/{mask:#x} does not name one uplink's connections")
    return be32(_CTA_MARK, mark) + be32(_CTA_MARK_MASK, mask)


def _status(value: int, mask: int) -> bytes:
    return be32(_CTA_STATUS, value) + be32(_CTA_STATUS_MASK, mask)


@cache
def _kernel_filters_status() -> bool:
    """Whether this kernel looks at CTA_STATUS in a filter.

    One that does not would ignore it, and delete everything that has the mark. One that does refuses a mask without a
    value. Asked with a listing, which harms nothing.
    """
    try:
        with NetlinkSocket(netlink.NETLINK_NETFILTER) as sock:
            everything = be32(_CTA_MARK, 1) + be32(_CTA_MARK_MASK, 1)
            for _ in sock.parts(Message(_GET, 0, _HEADER + everything + be32(_CTA_STATUS_MASK, _IPS_SEEN_REPLY))):
                pass
    except NetlinkError as error:
        if error.errno == errno.EINVAL:
            return True
        raise
    return False


def _unanswered(found: Mapping[int, memoryview]) -> bool:
    return not int.from_bytes(found[_CTA_STATUS], "big") & _IPS_SEEN_REPLY


def _delete_each(sock: NetlinkSocket, listing: bytes, doomed: Callable[[Mapping[int, memoryview]], bool]) -> int:
    """Delete those of the listed connections whose attributes `doomed` accepts, one by one; how many there were.

    One that ended meanwhile, or is offloaded, is fine.
    """

    def identity(kind: int, body: memoryview) -> bytes | None:
        del kind
        found = attributes(body, _NFGENMSG.size)
        if not doomed(found):
            return None
        # The id keeps us from deleting a new connection that has the same addresses.
        parts = (what for what in (_CTA_TUPLE_ORIG, _CTA_ZONE, _CTA_ID) if what in found)
        nested = {_CTA_TUPLE_ORIG: 0x8000}
        return bytes(body[: _NFGENMSG.size]) + b"".join(
            netlink.attribute(what | nested.get(what, 0), bytes(found[what])) for what in parts
        )

    bodies = sock.dump(Message(_GET, 0, listing), identity)
    for refused in sock.requests([Message(_DELETE, 0, body) for body in bodies]):
        if refused is not None and refused.errno not in (errno.ENOENT, errno.EBUSY):
            raise refused
    return len(bodies)
