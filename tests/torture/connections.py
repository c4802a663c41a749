# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills connection tracking of a namespace: no namespace has a limit of its own, so real entries it must be."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

from netpath.kernel import conntrack

LIMIT = 300_000
"""Entries; each takes about 0.3 KiB of the kernel's memory."""
MARK = 0x4000_0000
"""Of the entries that fill the table: a bit that is nobody's, by which they go again."""
_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_NEW, _REQUEST, _CREATE, _EXCL = 1 << 8, 0x1, 0x400, 0x200  # linux/netlink.h, linux/netfilter/nfnetlink_conntrack.h
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _TIMEOUT, _MARK = 1, 2, 3, 7, 8
_IP, _PROTO, _NESTED = 1, 2, 0x8000
_ASSURED = 0x2 | 0x4 | 0x8
"""Answered, assured, confirmed: the kernel drops no such entry early to make room."""
_SECONDS, _BATCH, _PORTS = 600, 500, 60_000
_SERVER, _PORT = socket.inet_aton("203.0.113.250"), 9


def too_large() -> str:
    """Why the table is not filled here; "" where it can be."""
    limit = int(_MAX.read_text())
    return f"nf_conntrack_max is {limit}, more than {LIMIT}" if limit > LIMIT else ""


def fill() -> int:
    """Add entries until the kernel refuses; how many were sent. To be called in the namespace."""
    sent = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:  # NETLINK_NETFILTER
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        while sent < LIMIT and not _refused(sock):
            sock.send(b"".join(_entry(number) for number in range(sent, sent + _BATCH)))
            sent += _BATCH
    return sent


def empty() -> None:
    """Remove what `fill` has added."""
    conntrack.delete_by_mark(MARK, MARK)


def _refused(sock: socket.socket) -> bool:
    while True:
        try:
            answer = sock.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # more refusals than there is room for
                raise
            return True
        number = -struct.unpack_from("i", answer, 16)[0]
        if number == errno.ENOMEM:
            return True
        if number not in (0, errno.EEXIST):
            raise OSError(number, "connections cannot be added")


def _entry(number: int) -> bytes:
    client, port = socket.inet_aton(f"192.0.2.{64 + number // _PORTS}"), 1024 + number % _PORTS
    body = (
        _attribute(_TUPLE_ORIG | _NESTED, _tuple(client, _SERVER, port, _PORT))
        + _attribute(_TUPLE_REPLY | _NESTED, _tuple(_SERVER, client, _PORT, port))
        + _attribute(_STATUS, struct.pack(">I", _ASSURED))
        + _attribute(_TIMEOUT, struct.pack(">I", _SECONDS))
        + _attribute(_MARK, struct.pack(">I", MARK))
    )
    header = struct.pack("IHHII", 20 + len(body), _NEW, _REQUEST | _CREATE | _EXCL, number, 0)
    return header + struct.pack(">BBH", socket.AF_INET, 0, 0) + body


def _tuple(source: bytes, target: bytes, sport: int, dport: int) -> bytes:
    ends = _attribute(1, source) + _attribute(2, target)
    proto = _attribute(1, bytes([socket.IPPROTO_UDP]))
    proto += _attribute(2, struct.pack(">H", sport)) + _attribute(3, struct.pack(">H", dport))
    return _attribute(_IP | _NESTED, ends) + _attribute(_PROTO | _NESTED, proto)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
