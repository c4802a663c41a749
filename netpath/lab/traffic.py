# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of lab traffic: records of `netpath.lab.client`, and a packet sniffer."""

from __future__ import annotations

import errno
import itertools
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from netpath.lab.namespace import LabError, Namespace, Process, wait_until

SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
ETH_P_ALL = 3
BUFFER_BYTES = 1 << 26
HEADERS = 128
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}


@dataclass(frozen=True, slots=True)
class Record:
    """One request of a client, answered or given up."""

    seq: int
    sent: float
    """Seconds of `time.monotonic()`."""
    done: float
    outcome: str
    """The uplink's name, or the address that the server saw when it is no uplink's, or the client's word of failure."""
    answered: bool


class Traffic:
    """A client that runs; its records so far are read on demand."""

    def __init__(self, process: Process, name_of: Callable[[str], str]) -> None:
        self.process = process
        self._name_of = name_of
        self._offset = 0
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        """All finished requests, in the order in which they finished."""
        with self.process.out.open() as lines:
            lines.seek(self._offset)
            text = lines.read()
        complete = text[: text.rfind("\n") + 1]
        self._offset += len(complete)
        self._records += [self._record(line) for line in complete.splitlines()]
        return list(self._records)

    def forget(self, before: float) -> None:
        """Keep no records of requests that were sent before that moment: for traffic of many hours."""
        self._records = [record for record in self.records() if record.sent >= before]

    def _record(self, line: str) -> Record:
        seq, sent, done, outcome = line.split()
        answered = "." in outcome or ":" in outcome
        return Record(int(seq), float(sent), float(done), self._name_of(outcome), answered)

    def since(self, moment: float) -> list[Record]:
        """Records of requests that were sent at or after `moment`."""
        return [record for record in self.records() if record.sent >= moment]

    def outcomes(self, since: float = 0.0) -> Counter[str]:
        return Counter(record.outcome for record in self.since(since))

    def longest_gap(self, since: float = 0.0) -> float:
        """The longest time in seconds between two answers that follow each other."""
        times = sorted(record.done for record in self.records() if record.answered and record.done >= since)
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    def wait(self, condition: Callable[[Record], bool], *, since: float = 0.0, timeout: float = 10.0) -> Record:
        """The first record of a request sent since then that fulfils `condition`. Raises LabError after `timeout` s."""
        found: list[Record] = []

        def look() -> bool:
            found.extend(record for record in self.since(since) if condition(record))
            return bool(found)

        wait_until(look, timeout, "traffic to show what is awaited", self.process)
        return found[0]

    def stop(self) -> list[Record]:
        """End the client; all its records."""
        self.process.stop()
        return self.records()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.process.stop()


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet on a device; ports are 0 where the protocol has none."""

    outgoing: bool
    """Sent by the device, as opposed to received."""
    family: str
    proto: str
    """"tcp", "udp", "icmp", "icmpv6", or the protocol's number."""
    src: str
    sport: int
    dst: str
    dport: int
    length: int
    """Bytes on the wire without the Ethernet header."""
    ttl: int
    """Time to live, or hop limit."""


class Capture:
    """Everything that passes one device from its making on, kept by the kernel until asked for."""

    def __init__(self, namespace: Namespace, device: str) -> None:
        self.device = device
        self._socket = namespace.inside(lambda: _sniffer(device))
        self._packets: list[Packet] = []

    def packets(self) -> list[Packet]:
        """All packets so far. Raises LabError when some were lost, for then their absence proves nothing."""
        for data, outgoing in self._waiting():
            packet = parse(data, outgoing)
            if packet:
                self._packets.append(packet)
        _, lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if lost:
            raise LabError(f"the capture on {self.device} lost {lost} packets")
        return list(self._packets)

    def _waiting(self) -> Iterator[tuple[bytes, bool]]:
        while True:
            try:
                data, address = self._socket.recvfrom(HEADERS)
            except BlockingIOError:
                return
            except OSError as error:
                # A device that goes down leaves one pending ENETDOWN; the packets before and after it are there.
                if error.errno != errno.ENETDOWN:
                    raise
                continue
            yield data, address[2] == socket.PACKET_OUTGOING

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()


def _sniffer(device: str) -> socket.socket:
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
    sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    sniffer.bind((device, ETH_P_ALL))
    return sniffer


def parse(data: bytes, outgoing: bool) -> Packet | None:
    """The start of an IPv4 or IPv6 packet without link header; None for anything else (ARP)."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        length, ttl, proto, payload = int.from_bytes(data[2:4]), data[8], data[9], data[(data[0] & 15) * 4 :]
        family, ends = "ipv4", (data[12:16], data[16:20])
        fragment = int.from_bytes(data[6:8]) & 0x1FFF
    elif version == 6 and len(data) >= 40:
        length, ttl, proto, payload = 40 + int.from_bytes(data[4:6]), data[7], data[6], data[40:]
        family, ends, fragment = "ipv6", (data[8:24], data[24:40]), 0
    else:
        return None
    kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
    ported = proto in (6, 17) and len(payload) >= 4 and not fragment
    sport, dport = struct.unpack("!HH", payload[:4]) if ported else (0, 0)
    src, dst = (socket.inet_ntop(kind, end) for end in ends)
    return Packet(outgoing, family, _PROTOCOLS.get(proto, str(proto)), src, sport, dst, dport, length, ttl)
