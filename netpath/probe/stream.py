# SPDX-License-Identifier: GPL-2.0-or-later
"""Non-blocking TCP connections with a bounded number of sockets: what the tcp and httping probers share."""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from errno import EINPROGRESS

from netpath.probe.base import MAX_SOCKETS, Context, shut, words


class StreamProber(ABC):
    """One connection per probe. Subclasses say in `connected` what comes after the handshake."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._sockets: dict[int, socket.socket] = {}
        """Token -> socket, oldest first."""

    @abstractmethod
    def send(self, token: int, target: str) -> None: ...

    @abstractmethod
    def connected(self, token: int, sock: socket.socket) -> None:
        """The connection stands; `sock` is watched by nobody."""

    def refused(self, token: int, error_number: int) -> None:
        """The connection attempt failed; the socket is closed."""
        self.fail(token, os.strerror(error_number).lower())

    def connect(self, token: int, address: str, port: int) -> None:
        """Start connecting; goes on in `connected` or `refused`."""
        if len(self._sockets) >= MAX_SOCKETS:
            self.fail(next(iter(self._sockets)), "too many probes without an answer")
        loop = self.context.loop
        try:
            sock = self.context.open_socket(socket.SOCK_STREAM)
        except OSError as error:
            self.fail(token, words(error))
            return
        self._sockets[token] = sock
        try:
            error_number = sock.connect_ex(self.context.sockaddr(address, port))
        except OSError as error:
            self.fail(token, words(error))
            return
        if error_number in (0, EINPROGRESS):
            loop.add_writer(sock, self._writable, token, sock)
        else:
            self._ended(token, error_number)

    def _writable(self, token: int, sock: socket.socket) -> None:
        self.context.loop.remove_writer(sock)
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            self._ended(token, error_number)
        else:
            self.connected(token, sock)

    def _ended(self, token: int, error_number: int) -> None:
        self._release(token)
        self.refused(token, error_number)

    def replace(self, token: int, sock: socket.socket) -> None:
        """`sock` (TLS over the old one) is the socket of `token` now."""
        self._sockets[token] = sock

    def drop(self, token: int) -> None:
        """Forget `token`; its socket, if there is one, is closed."""
        self._release(token)

    def _release(self, token: int) -> None:
        sock = self._sockets.pop(token, None)
        if sock is not None:
            shut(self.context.loop, sock)

    def succeed(self, token: int) -> None:
        self.drop(token)
        self.context.on_reply(token)

    def fail(self, token: int, reason: str) -> None:
        self.drop(token)
        self.context.on_failure(token, reason)

    def cancel(self, token: int) -> None:
        self.drop(token)

    def close(self) -> None:
        for token in list(self._sockets):
            self.drop(token)
