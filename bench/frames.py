# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw Ethernet frames in bulk: built once, sent by the kernel's sendmmsg, so that the sender itself costs little."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ETH_P_IP = 0x0800
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20  # linux/if_packet.h
UIO_MAXIOV = 1024
"""Messages that one sendmmsg takes (linux/uio.h)."""
PAYLOAD = bytes(18)
"""The smallest Ethernet frame: 60 bytes."""

_libc = ctypes.CDLL(None, use_errno=True)


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("sent", ctypes.c_uint32))


@dataclass(frozen=True, slots=True)
class Path:
    """Where frames go: Ethernet addresses (of the sender and of the router) and IPv4 addresses."""

    mac: bytes
    router_mac: bytes
    src: str
    dst: str


def udp_frame(path: Path, sport: int, dport: int) -> bytes:
    """One UDP datagram in IPv4 (RFC 768: checksum 0 means none) in an Ethernet frame."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(PAYLOAD), 0) + PAYLOAD
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP, 0)
    header += socket.inet_aton(path.src) + socket.inet_aton(path.dst)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return path.router_mac + path.mac + struct.pack("!H", ETH_P_IP) + header + udp


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Batch:
    """Frames ready to be sent, in order, as often as wanted."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._data = ctypes.create_string_buffer(b"".join(frames))
        self._vectors = (_IoVec * len(frames))()
        self._headers = (_MMsgHdr * len(frames))()
        at = ctypes.addressof(self._data)
        for vector, header, frame in zip(self._vectors, self._headers, frames, strict=True):
            vector.base, vector.length = at, len(frame)
            header.header.iov, header.header.iovlen = ctypes.addressof(vector), 1
            at += len(frame)

    def __len__(self) -> int:
        return len(self._headers)

    def send(self, sock: socket.socket, first: int = 0, count: int = 0) -> None:
        """Send `count` frames (0: all) from number `first` on. Raises OSError when the kernel takes them no more."""
        last = first + count if count else len(self)
        handle, size, start = sock.fileno(), ctypes.sizeof(_MMsgHdr), ctypes.addressof(self._headers)
        while first < last:
            pointer = ctypes.c_void_p(start + first * size)
            sent = _libc.sendmmsg(handle, pointer, min(last - first, UIO_MAXIOV), 0)
            if sent < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"sendmmsg: {os.strerror(number)}")
            first += sent


def packet_socket(device: str) -> socket.socket:
    """A socket that hands frames straight to `device`, past its queue; open it inside the device's namespace."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sock.bind((device, 0))
    return sock


def batch(path: Path, ports: Iterable[tuple[int, int]]) -> Batch:
    """One frame of each (source port, destination port)."""
    return Batch([udp_frame(path, sport, dport) for sport, dport in ports])
