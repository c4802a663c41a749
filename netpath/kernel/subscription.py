# SPDX-License-Identifier: GPL-2.0-or-later
"""A netlink socket that hears of changes and is read by an event loop: what the monitors share."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from netpath.kernel.netlink import NetlinkError, NetlinkSocket

if TYPE_CHECKING:  # workers have no event loop
    import asyncio


class Subscription:
    """`protocol`, `groups` and `accept` are those of `NetlinkSocket`."""

    def __init__(self, protocol: int, groups: int, accept: bytes) -> None:
        self._subscribed = (protocol, groups, accept)
        self._socket: NetlinkSocket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Subscribe: what changes from now on is reported. Raises OSError."""
        protocol, groups, accept = self._subscribed
        self._socket = NetlinkSocket(protocol, groups, accept=accept)
        self._loop = loop
        loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Nothing is reported any more; closing twice is fine."""
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        lost = False
        try:
            for kind, body in self._socket.events() if self._socket else ():
                self._take(kind, body)
        except NetlinkError as error:
            if error.errno != errno.ENOBUFS:
                raise
            lost = True
        self._report(lost)

    def _take(self, kind: int, body: memoryview) -> None:
        """Note one message; `body` is only valid until this returns."""
        raise NotImplementedError

    def _report(self, lost: bool) -> None:
        """Tell what was noted, once no more is waiting; `lost`: messages were dropped."""
        raise NotImplementedError
