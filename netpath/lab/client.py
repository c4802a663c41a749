# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic from inside a lab namespace: `python -m netpath.lab.client JSON`, JSON being the fields of `Spec`.

Modes:
  fresh     one request on each of `count` new flows (0: until killed), at most `concurrency` at once, one every
            `interval` s (0: at once)
  hold      one flow that stays, a request every `interval` s; TCP connects anew after an error, as programs do
  download  an endless HTTP transfer; starts again after an error or after `timeout` s without data

Each finished request (in `download`: every 20 ms with data) is one line: `SEQ SENT DONE OUTCOME`. Times are of the
monotonic clock, in seconds, comparable between processes. OUTCOME is the client's address as the server saw it, or a
word of `FAILURES`. SEQ counts requests from 0 (in `download`: bytes received since SENT, the time of connecting).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.EINVAL: "unreachable",  # what a blackhole ip rule answers to connect()
    errno.EPERM: "blocked",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "no-address",
    0: "timeout",  # TimeoutError of a socket with a time limit has no errno
}
NO_REPLY = "timeout"
CLOSED = "closed"
REPORT_SECONDS = 0.02
KEEPALIVE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Spec:
    """What to send. `src` empty: the kernel chooses; several: taken in turn by the flows."""

    mode: str = "fresh"
    family: str = "ipv4"
    proto: str = "udp"
    dst: str = ""
    dport: int = 7
    src: tuple[str, ...] = ()
    ports: tuple[int, int] = (0, 0)
    """First source port and how many there are: each flow takes the next one. (0, 0): the kernel chooses."""
    count: int = 0
    concurrency: int = 128
    interval: float = 0.0
    timeout: float = 2.0
    tos: int = 0
    """DSCP << 2."""
    mark: int = 0
    """SO_MARK."""
    device: str = ""
    """SO_BINDTODEVICE."""
    rate: int = 0
    """Bytes a second of a download; 0: all that fits."""


def failure(number: int) -> str:
    """Our word for an errno."""
    return FAILURES.get(number) or errno.errorcode.get(number, str(number)).lower()


def report(seq: int, sent: float, outcome: str) -> None:
    sys.stdout.write(f"{seq} {sent:.6f} {time.monotonic():.6f} {outcome}\n")


class Flow:
    """The `seq`-th socket, connected. `problem` is set when even connecting failed at once."""

    def __init__(self, spec: Spec, seq: int) -> None:
        family = socket.AF_INET if spec.family == "ipv4" else socket.AF_INET6
        tcp = spec.proto == "tcp"
        self.seq = seq
        self.sent = time.monotonic()
        self.requested = False
        self.socket = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self._options(spec)
        self.problem = ""
        try:
            first, count = spec.ports
            if spec.src or first:
                port = first + seq % count if first else 0
                self.socket.bind((spec.src[seq % len(spec.src)] if spec.src else "", port))
            self.socket.connect((spec.dst, spec.dport))
        except BlockingIOError:
            pass  # TCP: it goes on in the background
        except OSError as error:
            self.problem = failure(error.errno or 0)

    def _options(self, spec: Spec) -> None:
        if spec.ports[0]:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if spec.tos and spec.family == "ipv4":
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, spec.tos)
        elif spec.tos:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, spec.tos)
        if spec.mark:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, spec.mark)
        if spec.device:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, spec.device.encode())
        if spec.mode == "download":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)

    def send(self, data: bytes) -> str:
        """Send; "" or what went wrong."""
        try:
            self.socket.send(data)
        except OSError as error:
            return failure(error.errno or 0)
        return ""

    def receive(self) -> tuple[bytes, str]:
        """What came, and "" or what went wrong."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return b"", ""
        except OSError as error:
            return b"", failure(error.errno or 0)
        return data, "" if data else CLOSED


class Fresh:
    """Mode `fresh`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.selector = selectors.DefaultSelector()
        self.pending: dict[int, Flow] = {}
        self.opened = 0
        self.next_at = time.monotonic()

    def run(self) -> None:
        while self.pending or self._more():
            self._open_due()
            self._expire()
            sys.stdout.flush()
            for key, _ in self.selector.select(self._wait()):
                self._advance(key.data)

    def _more(self) -> bool:
        return not self.spec.count or self.opened < self.spec.count

    def _open_due(self) -> None:
        while self._more() and len(self.pending) < self.spec.concurrency and time.monotonic() >= self.next_at:
            flow = Flow(self.spec, self.opened)
            self.opened += 1
            self.next_at += self.spec.interval
            self.pending[flow.seq] = flow
            if flow.problem:
                self._finish(flow, flow.problem)
                continue
            events = selectors.EVENT_WRITE if self.spec.proto == "tcp" else selectors.EVENT_READ
            self.selector.register(flow.socket, events, flow)
            if self.spec.proto == "udp":
                self._request(flow)

    def _request(self, flow: Flow) -> None:
        flow.requested = True
        if problem := flow.send(b"%d\n" % flow.seq):
            self._finish(flow, problem)

    def _advance(self, flow: Flow) -> None:
        if not flow.requested:
            number = flow.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self._finish(flow, failure(number))
                return
            self.selector.modify(flow.socket, selectors.EVENT_READ, flow)
            self._request(flow)
            return
        data, problem = flow.receive()
        if data or problem:
            self._finish(flow, problem or data.split(b" ", 1)[0].decode())

    def _expire(self) -> None:
        horizon = time.monotonic() - self.spec.timeout
        for flow in list(self.pending.values()):  # in the order of opening
            if flow.sent > horizon:
                break
            self._finish(flow, NO_REPLY)

    def _wait(self) -> float:
        now = time.monotonic()
        times = [next(iter(self.pending.values())).sent + self.spec.timeout] if self.pending else []
        if self._more() and len(self.pending) < self.spec.concurrency:
            times.append(self.next_at)
        return max(0.0, min(times, default=now) - now)

    def _finish(self, flow: Flow, outcome: str) -> None:
        del self.pending[flow.seq]
        with contextlib.suppress(KeyError):  # failed before it was watched
            self.selector.unregister(flow.socket)
        flow.socket.close()
        report(flow.seq, flow.sent, outcome)


class Hold:
    """Mode `hold`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.unanswered: dict[int, float] = {}
        self.seq = 0
        self.buffer = b""

    def run(self) -> None:
        for attempt in itertools.count():
            flow = Flow(self.spec, attempt)
            self.buffer = b""
            problem = flow.problem or self._connected(flow) or self._talk(flow)
            flow.socket.close()
            self._give_up(problem)
            time.sleep(self.spec.interval)

    def _connected(self, flow: Flow) -> str:
        if self.spec.proto == "udp":
            return ""
        with selectors.DefaultSelector() as selector:
            selector.register(flow.socket, selectors.EVENT_WRITE)
            if not selector.select(self.spec.timeout):
                return NO_REPLY
        number = flow.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return failure(number) if number else ""

    def _talk(self, flow: Flow) -> str:
        """Send and receive until the flow breaks; why it did."""
        due = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(flow.socket, selectors.EVENT_READ)
            while not self.spec.count or self.seq < self.spec.count or self.unanswered:
                if time.monotonic() >= due and (not self.spec.count or self.seq < self.spec.count):
                    due += self.spec.interval
                    self.unanswered[self.seq] = time.monotonic()
                    self.seq += 1
                    problem = flow.send(b"%d\n" % (self.seq - 1))
                    if problem and self.spec.proto == "tcp":
                        return problem
                    if problem:  # UDP has no connection to lose: the next request may succeed
                        report(self.seq - 1, self.unanswered.pop(self.seq - 1), problem)
                self._report_late()
                sys.stdout.flush()
                if selector.select(max(0.0, due - time.monotonic())):
                    data, problem = flow.receive()
                    self._replies(data)
                    if problem and self.spec.proto == "tcp":
                        return problem
        sys.exit(0)

    def _replies(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            address, _, seq = line.split(b" ")
            if int(seq) in self.unanswered:  # else it was reported as unanswered already
                report(int(seq), self.unanswered.pop(int(seq)), address.decode())

    def _report_late(self) -> None:
        horizon = time.monotonic() - self.spec.timeout
        for seq in [seq for seq, sent in self.unanswered.items() if sent < horizon]:
            report(seq, self.unanswered.pop(seq), NO_REPLY)

    def _give_up(self, problem: str) -> None:
        if not self.unanswered:
            self.unanswered[self.seq] = time.monotonic()
            self.seq += 1
        for seq, sent in self.unanswered.items():
            report(seq, sent, problem)
        self.unanswered.clear()
        sys.stdout.flush()


class Download(Hold):
    """Mode `download`."""

    def _connected(self, flow: Flow) -> str:
        return super()._connected(flow) or flow.send(f"GET /stream?rate={self.spec.rate} HTTP/1.0\r\n\r\n".encode())

    def _talk(self, flow: Flow) -> str:
        total, head, address, reported = 0, b"", "", 0.0
        flow.socket.setblocking(True)
        flow.socket.settimeout(self.spec.timeout)
        while True:
            data, problem = flow.receive()
            if problem:
                return problem
            if not address:
                head += data
                address = _seen_in(head)
            total += len(data)
            if address and time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                report(total, flow.sent, address)
                sys.stdout.flush()


def _seen_in(head: bytes) -> str:
    """Our address from the server's header `X-Seen`; "" while it is not there yet."""
    _, _, rest = head.partition(b"X-Seen: ")
    return rest.split(b" ", 1)[0].decode() if b" " in rest else ""


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    given |= {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
    spec = Spec(**given)
    modes: dict[str, type[Fresh | Hold]] = {"fresh": Fresh, "hold": Hold, "download": Download}
    modes[spec.mode](spec).run()


if __name__ == "__main__":
    main()
