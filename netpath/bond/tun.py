# SPDX-License-Identifier: GPL-2.0-or-later
"""The TUN device: whole IP packets with a `struct virtio_net_hdr` before them (linux/if_tun.h, virtio_net.h)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence

_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_TUNSETCARRIER = 0x400454E2
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6, _TUN_F_TSO_ECN = 1, 2, 4, 8
LARGEST = 65536 + 10
_NOT_READY = {errno.EIO, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}
"""The link is down (or going), or the kernel has no room: the packet is lost, as on any device."""


class TunError(Exception):
    """There can be no device: `str()` says why, and what to do."""


class Tun:
    """An open device. It exists for as long as this object is not closed."""

    def __init__(self, name: str) -> None:
        """Raises TunError."""
        try:
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise TunError(
                f"/dev/net/tun cannot be opened ({error.strerror}): run as root, and install kmod-tun or `modprobe tun`"
            ) from None
        try:
            request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
            self.name = fcntl.ioctl(self._fd, _TUNSETIFF, request)[:16].rstrip(b"\0").decode()
        except OSError as error:
            os.close(self._fd)
            busy = "it is in use by another program" if error.errno == errno.EBUSY else error.strerror
            raise TunError(f"the device {name} cannot be made: {busy}") from None
        self._offload()
        self._buffer = bytearray(LARGEST)
        self._view = memoryview(self._buffer)
        self.lost = 0
        """Packets that the kernel did not take."""

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        """The device goes with it."""
        os.close(self._fd)

    def read(self) -> memoryview | None:
        """virtio_net_hdr and IP packet, valid until the next read; None: there is none. Raises OSError when gone."""
        try:
            count = os.readv(self._fd, [self._buffer])
        except BlockingIOError:
            return None
        return self._view[:count]

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """One packet: virtio_net_hdr, then the IP packet's parts. Raises OSError when the device is gone."""
        try:
            os.writev(self._fd, buffers)
        except OSError as error:
            if error.errno not in _NOT_READY and error.errno != errno.EINVAL:
                raise
            self.lost += 1

    def carry(self, on: bool) -> None:
        """Whether the device has a carrier: without one the kernel gives it nothing, and its users look elsewhere at
        once. Raises OSError when it is gone."""
        fcntl.ioctl(self._fd, _TUNSETCARRIER, struct.pack("=i", on))

    def _offload(self) -> None:
        """Let the kernel hand over unsegmented TCP packets and unfinished checksums, as far as it knows how."""
        for flags in (_TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN, _TUN_F_CSUM, 0):
            try:
                fcntl.ioctl(self._fd, _TUNSETOFFLOAD, flags)
                return
            except OSError:
                continue
        raise TunError(f"the device {self.name} takes no offload flags at all")
