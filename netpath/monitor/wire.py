# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of the UDP server. Pure.

A display tells them apart by nothing but their length. All fields are unsigned 64 bit numbers, little endian, bytes a
second:

    32 bytes    direct up, direct down, proxy up, proxy down
    48 bytes    the same, then WAN up, WAN down
    16 bytes    WAN up, WAN down: only as the second of a pair

Source: "Data Formats" of the Network Monitor that this takes the place of, and the display made for it.
"""

from __future__ import annotations

import struct

from netpath.monitor.readings import Speeds
from netpath.monitoring import Format

REGISTRATION = b"\x01\x00"
"""What a display sends, first and every 5 seconds; nothing else has a meaning."""
PROXY_SIZE, WAN_SIZE = 32, 16
MOST = 0xFFFF_FFFF_FFFF_FFFF


def datagrams(speeds: Speeds, form: Format, wan: bool) -> tuple[bytes, ...]:
    """What one display gets at once: one datagram, or two for `Format.PAIR`.

    `wan`: some source counts a WAN. If none does that part is left out; if one does but has no figure now, it is 0.
    """
    proxy = _proxy(speeds)
    if not wan:
        return (proxy,)
    if form is Format.PAIR:
        return (proxy, _wan(speeds))
    return (proxy + _wan(speeds),)


def sizes(form: Format) -> tuple[int, ...]:
    """Payloads of the most that `datagrams` gives for `form`, in bytes."""
    return (PROXY_SIZE, WAN_SIZE) if form is Format.PAIR else (PROXY_SIZE + WAN_SIZE,)


def _proxy(speeds: Speeds) -> bytes:
    proxy = speeds.proxy
    if proxy is None:
        return bytes(PROXY_SIZE)
    return _numbers(proxy.direct_up, proxy.direct_down, proxy.proxy_up, proxy.proxy_down)


def _wan(speeds: Speeds) -> bytes:
    wan = speeds.wan
    return bytes(WAN_SIZE) if wan is None else _numbers(wan.up, wan.down)


def _numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *(min(max(value, 0), MOST) for value in values))
