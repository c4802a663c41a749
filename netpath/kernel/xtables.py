# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter table of legacy iptables, as far as forwarding is concerned (linux/netfilter_ipv4/ip_tables.h)."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

_GET_INFO, _GET_ENTRIES = 64, 65
_INFO = struct.Struct("=32sI5I5III")
"""name, valid hooks, where each hook's rules begin, where its policy stands, number of entries, bytes of all."""
_ENTRIES = struct.Struct("=32sI4x")
_FORWARD = 2
_NF_DROP = -1
"""A verdict is -(NF_DROP) - 1."""
_TARGET = 32
"""Bytes of struct xt_entry_target, before the verdict."""


@dataclass(frozen=True, slots=True)
class _Kind:
    family: int
    level: int
    names: str
    target_offset: int
    """Where the entry says where its target begins: behind struct ipt_ip or ip6t_ip6, and nfcache."""


_KINDS = {
    "ipv4": _Kind(socket.AF_INET, socket.IPPROTO_IP, "ip_tables_names", 88),
    "ipv6": _Kind(socket.AF_INET6, socket.IPPROTO_IPV6, "ip6_tables_names", 140),
}


@dataclass(frozen=True, slots=True)
class Forward:
    """The built-in chain FORWARD."""

    drops: bool
    """By its policy."""
    entries: bytes
    """All entries of the table as the kernel has them: names of devices stand there as they are."""


def forward(family: str) -> Forward | None:
    """None where there is no such table: asking the kernel for one would make it. Raises OSError."""
    kind = _KINDS[family]
    try:
        names = Path("/proc/thread-self/net", kind.names).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    if "filter" not in names:
        return None
    with socket.socket(kind.family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        told = _INFO.unpack(_ask(sock, kind.level, _GET_INFO, _INFO.pack(b"filter", *[0] * 13)))
        policies, size = told[7:12], told[13]
        request = _ENTRIES.pack(b"filter", size) + bytes(size)
        entries = _ask(sock, kind.level, _GET_ENTRIES, request)[_ENTRIES.size :]
    at = policies[_FORWARD]
    (offset,) = struct.unpack_from("=H", entries, at + kind.target_offset)
    (verdict,) = struct.unpack_from("=i", entries, at + offset + _TARGET)
    return Forward(verdict == _NF_DROP, entries)


def _ask(sock: socket.socket, level: int, option: int, request: bytes) -> bytes:
    """getsockopt with an argument, which Python's own does not take."""
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    if library.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw
