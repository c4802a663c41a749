#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the speeds that `netpath monitor` sends to displays: `python3 display.py 192.168.1.1`.

It is also the shortest program that keeps to the protocol (docs/monitor.md, Displays). It wants nothing but Python.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import sys
import time

REGISTRATION = b"\x01\x00"
KEEP_ALIVE = 5.0
SILENCE = 15.0
NAMES = ("direct up", "direct down", "proxy up", "proxy down", "WAN up", "WAN down")
FIELDS = {32: NAMES[:4], 48: NAMES, 16: NAMES[4:]}
"""Length of a datagram -> what its numbers are."""


def main() -> int:
    options = arguments()
    try:
        display = connect(options.host, options.port, options.listen)
    except OSError as error:
        print(f"{options.host}: {error.strerror}", file=sys.stderr)
        return 1
    with contextlib.suppress(KeyboardInterrupt):
        show(display, options.count)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print the speeds that `netpath monitor` sends to displays.")
    parser.add_argument("host", help="address or name of the router")
    parser.add_argument("--port", type=int, default=17890, help="its UDP port (17890)")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT", help="own UDP port (any that is free)")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="end after N datagrams")
    return parser.parse_args()


def connect(host: str, port: int, listen: int) -> socket.socket:
    """A socket that hears nobody but the router. Raises OSError when no address of `host` can be used."""
    problem = OSError(0, "no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        display = socket.socket(family, kind, protocol)
        try:
            display.bind(("", listen))
            display.connect(address)
            return display
        except OSError as error:
            display.close()
            problem = error
    raise problem


def show(display: socket.socket, count: int) -> None:
    """Print a line a datagram, register every 5 seconds, and say when nothing comes."""
    registered = 0.0
    heard = time.monotonic()
    shown = 0
    while not count or shown < count:
        now = time.monotonic()
        if not registered or now - registered >= KEEP_ALIVE:
            registered = now
            send(display)
        if now - heard >= SILENCE:
            heard = now
            print(f"nothing for {SILENCE:.0f} s; still asking", file=sys.stderr, flush=True)
        display.settimeout(max(0.001, registered + KEEP_ALIVE - now))
        try:
            data = display.recv(64)
        except TimeoutError:
            continue
        except OSError as error:  # the router says that nobody listens there
            print(error.strerror, file=sys.stderr, flush=True)
            time.sleep(max(0.0, registered + KEEP_ALIVE - time.monotonic()))
            continue
        if len(data) in FIELDS:
            heard = time.monotonic()
            shown += 1
            print(line(data), flush=True)


def send(display: socket.socket) -> None:
    try:
        display.send(REGISTRATION)
    except OSError as error:  # what came back for the one before, or no way there now; the next one may arrive
        print(error.strerror, file=sys.stderr, flush=True)


def line(data: bytes) -> str:
    numbers = struct.unpack(f"<{len(data) // 8}Q", data)
    return "  ".join(f"{name} {speed(number)}" for name, number in zip(FIELDS[len(data)], numbers, strict=True))


def speed(number: int) -> str:
    """Bytes a second as people read them."""
    if number < 1024:
        return f"{number} B/s"
    power = min((number.bit_length() - 1) // 10, 3)
    return f"{number / 1024**power:.1f} {'KMG'[power - 1]}iB/s"


if __name__ == "__main__":
    sys.exit(main())
