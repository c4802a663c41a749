# SPDX-License-Identifier: GPL-2.0-or-later
"""What all probers share: how they report, and sockets that leave by one uplink and meet no policy."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from errno import ENODEV, ENXIO
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from netpath.model import Uplink

OnReply = Callable[[int], None]
"""(token): answered."""

OnFailure = Callable[[int, str], None]
"""(token, reason in words): failed for certain; no answer will come."""

MAX_SOCKETS = 64
"""Sockets one prober may have open; the oldest probe fails when another one is needed."""

BATCH = 64
"""Packets taken from a socket at a time, so that a flood on one uplink does not starve the others."""

GONE = frozenset({ENODEV, ENXIO})
"""errno of a socket whose device has vanished: it stays useless when a device of that name comes back."""

_SO_BINDTOIFINDEX = 62


class Prober(Protocol):
    """Sends the probes of one interface by one method. Each token is reported at most once, never after `cancel`."""

    def send(self, token: int, target: str) -> None:
        """Send one probe. What goes wrong at once is reported before this returns; it never raises OSError."""

    def cancel(self, token: int) -> None:
        """Nobody waits for it any more; unknown tokens are fine."""

    def close(self) -> None:
        """Close every socket; nothing is reported any more."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a prober works with."""

    loop: AbstractEventLoop
    uplink: Uplink
    """With a device."""
    mark: int
    """Packet mark that no policy touches."""
    on_reply: OnReply
    on_failure: OnFailure

    @property
    def device(self) -> str:
        assert self.uplink.device is not None
        return self.uplink.device

    @property
    def is_ipv6(self) -> bool:
        return self.uplink.family == "ipv6"

    def open_socket(self, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket of the uplink's family that only uses its device. Raises OSError (ENODEV: none)."""
        sock = socket.socket(socket.AF_INET6 if self.is_ipv6 else socket.AF_INET, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode() + b"\0")
        except OSError:
            sock.close()
            raise
        return sock

    def has_lost(self, sock: socket.socket | None, error: OSError) -> bool:
        """Whether `error` came because the socket's device has vanished, even if there is another of its name by now.

        IPv6 does not say so: it has no route, or no address to send from.
        """
        if error.errno in GONE:
            return True
        if sock is None:
            return False
        try:
            return sock.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX) != socket.if_nametoindex(self.device)
        except OSError:  # there is no device now
            return True

    def is_address(self, host: str) -> bool:
        """Whether `host` is an address of the uplink's family, so that no resolver is asked for it."""
        return is_address(host, self.uplink.family)

    def sockaddr(self, address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """Address for connect and sendto; link-local IPv6 addresses get the device as their scope. Raises OSError."""
        if not self.is_ipv6:
            return address, port
        link_local = address.lower().startswith(("fe8", "fe9", "fea", "feb"))
        return address, port, 0, socket.if_nametoindex(self.device) if link_local else 0


def is_address(host: str, family: str) -> bool:
    """Whether `host` is a numeric address of `family` ("ipv4" or "ipv6"), without scope."""
    try:
        socket.inet_pton(socket.AF_INET6 if family == "ipv6" else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


def words(error: OSError) -> str:
    """An OSError as a reason."""
    return (error.strerror or str(error)).lower()


def shut(loop: AbstractEventLoop, sock: socket.socket) -> None:
    """Stop watching and close at once: SO_LINGER 0 resets a TCP connection instead of keeping it for a minute."""
    if sock.fileno() < 0:  # TLS took the descriptor over and closed it
        return
    loop.remove_reader(sock)
    loop.remove_writer(sock)
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
