# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connect. A reset counts as alive: whoever refuses the connection was reached, and that is what is asked."""

from __future__ import annotations

import os
import socket
from errno import ECONNREFUSED

from netpath.probe.base import Context
from netpath.probe.endpoint import host_port
from netpath.probe.stream import StreamProber


class TcpProber(StreamProber):
    """Targets are ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""

    def __init__(self, context: Context, port: int) -> None:
        super().__init__(context)
        self._port = port

    def send(self, token: int, target: str) -> None:
        try:
            host, port = host_port(target, self._port)
        except ValueError as error:
            self.fail(token, str(error))
            return
        if self.context.is_address(host):
            self.connect(token, host, port)
        else:
            self.fail(token, f"not an {self.context.uplink.family} address")

    def connected(self, token: int, sock: socket.socket) -> None:  # noqa: ARG002
        self.succeed(token)

    def refused(self, token: int, error_number: int) -> None:
        if error_number == ECONNREFUSED:
            self.succeed(token)
        else:
            self.fail(token, os.strerror(error_number).lower())
