# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream from the near end of some links to the far one, and how fast it was."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable

from bench.links import Links
from netpath.lab.namespace import LabError

WARM_UP = 3.0
"""Seconds that do not count: slow start, and what a tunnel has to find out."""
DRAIN_SECONDS = 120.0
"""Longest time in which what is queued at the sender's end arrives: some MB by a path that hardly carries any."""
PORT = 5001
_RECEIVER = """
import json, socket, sys, time
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, int(sys.argv[2]))
listener.bind((sys.argv[1], int(sys.argv[3])))
listener.listen()
print("ready", flush=True)
peer, _ = listener.accept()
buffer, total, log = bytearray(1 << 20), 0, []
while count := peer.recv_into(buffer):
    total += count
    log.append((time.monotonic(), total))
print(json.dumps(log[:: max(1, len(log) // 20000)] + log[-1:]), flush=True)
"""
_SENDER = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, int(sys.argv[2]))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[4].encode())
sock.connect((sys.argv[1], int(sys.argv[3])))
data, end = bytes(1 << 18), time.monotonic() + float(sys.argv[5])
while time.monotonic() < end:
    sock.sendall(data)
"""


def speed(links: Links, address: str, seconds: float, *, mptcp: bool = False, congestion: str = "cubic") -> float:
    """Mbit/s of payload to `address` at the far end, after the warm-up."""
    log = run(links, address, WARM_UP + seconds, mptcp=mptcp, congestion=congestion)
    begin = log[0][0] + WARM_UP
    counted = [(at, total) for at, total in log if at >= begin]
    if len(counted) < 2:
        return 0.0
    return (counted[-1][1] - counted[0][1]) * 8e-6 / (counted[-1][0] - counted[0][0])


def run(
    links: Links,
    address: str,
    seconds: float,
    meanwhile: Callable[[], None] | None = None,
    *,
    mptcp: bool = False,
    congestion: str = "cubic",
) -> list[tuple[float, int]]:
    """(when, bytes until then) at the receiver, until all that was sent is there.

    `meanwhile` is called after WARM_UP. Raises LabError when the stream breaks.
    """
    where = [address, str(socket.IPPROTO_MPTCP if mptcp else 0), str(PORT)]
    receiver = links.far.popen([sys.executable, "-c", _RECEIVER, *where], name="receiver")
    receiver.wait_for("ready")
    sender = links.near.popen([sys.executable, "-c", _SENDER, *where, congestion, str(seconds)], name="sender")
    if meanwhile is not None:
        time.sleep(WARM_UP)
        meanwhile()
    if sender.wait(seconds + 30) or receiver.wait(DRAIN_SECONDS):
        raise LabError(f"a stream to {address} broke: {receiver.output()}{sender.output()}")
    return [(at, total) for at, total in json.loads(receiver.out.read_text().splitlines()[-1])]


def knows(congestion: str) -> bool:
    """Whether this kernel has that congestion control; a module for it is loaded."""
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        except FileNotFoundError:
            return False
    return True
