# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream from the near end of some links to the far one, and how fast it was."""

from __future__ import annotations

import json
import socket
import sys
import time

from bench.links import Links
from netpath.lab.namespace import LabError

WARM_UP = 3.0
"""Seconds that do not count: slow start, and what a tunnel has to find out."""
PORT = 5001
_RECEIVER = """
import json, socket, struct, sys, time
address, port, protocol, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
listener.bind((address, port))
listener.listen()
print("ready", flush=True)
peer, _ = listener.accept()
# A timeout of the socket's own: Python's would poll before each of the calls that are measured.
peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200_000))
buffer, total, log = bytearray(1 << 20), 0, []
now = time.monotonic()
end = now + seconds
while now < end:
    try:
        count = peer.recv_into(buffer)
    except BlockingIOError:
        now = time.monotonic()
        continue
    if not count:
        sys.exit("the stream ended early")
    total += count
    now = time.monotonic()
    log.append((now, total))
log = log[:: max(1, len(log) // 20000)]
print(json.dumps([*log, (now, total)]), flush=True)
"""
_SENDER = """
import socket, sys, time
address, port, protocol, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[5].encode())
sock.connect((address, port))
data, end = bytes(1 << 18), time.monotonic() + seconds
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
    *,
    cut: float | None = None,
    mptcp: bool = False,
    congestion: str = "cubic",
) -> list[tuple[float, int]]:
    """(when, bytes until then) at the receiver; the last entry is of the end.

    `cut`: seconds after which the first link goes silent. Raises LabError when the stream breaks.
    """
    protocol = socket.IPPROTO_MPTCP if mptcp else 0
    where = [address, str(PORT), str(protocol)]
    receiver = links.far.popen([sys.executable, "-c", _RECEIVER, *where, str(seconds)], name="receiver")
    receiver.wait_for("ready")
    # It goes on for longer: the receiver measures while something is sent, not how a queue runs empty.
    sender = links.near.popen([sys.executable, "-c", _SENDER, *where, str(seconds + 30), congestion], name="sender")
    if cut is not None:
        time.sleep(cut)
        links.cut(0)
    code = receiver.wait(seconds + 30)
    sender.stop()
    if code:
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
