# SPDX-License-Identifier: GPL-2.0-or-later
"""Inner packets -> sealed datagrams, path by path. No I/O; the hot way out.

What packets of the device become is trains: datagrams of one size for one path, which one send of the kernel's takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, repeat
from operator import add, itemgetter
from struct import Struct
from typing import NamedTuple, Protocol

from netpath.bond.dataframes import COPY, FLOWS, HEAD, HEADER, LOOSE, NUMBERS, ORDERS, PACKET, PARTIAL, SLICE, flow_of
from netpath.bond.fec.encoder import Encoder, Repair
from netpath.bond.fec.repair import OVERHEAD
from netpath.bond.frames import padded
from netpath.bond.loads import Load, Loads
from netpath.bond.rules import Rules
from netpath.bond.schedule import Scheduler, Way
from netpath.bond.session import Session
from netpath.bond.slices import NEEDS_CSUM, VNET, Head, SliceError, plan
from netpath.bond.toobig import TooBig
from netpath.bond.wire import HEAD as WIRE_HEAD
from netpath.bond.wire import TAG
from netpath.bonding import BondMode

SMALL = 300
"""Bytes of an inner packet that does not wait for others: calls, games, questions to name servers, acknowledgements."""
_GSO_TYPE, _FLAGS = 1, 0
_pack_header = Struct(">HLL").pack
_UNSEGMENTED = memoryview(bytes(VNET.size))


class Train(NamedTuple):
    path: int
    buffers: list[bytes]
    """Head and sealed rest of each datagram, one after another."""
    segment: int
    """Bytes of each datagram."""
    size: int
    """Bytes of all, with IP and UDP headers."""
    frames: list[bytes]
    """What is sealed in them."""
    counter: int
    """Of the last one."""


class Outlet(Protocol):
    """What the sender needs to know of a path."""

    @property
    def room(self) -> int:
        """Bytes of the largest datagram."""

    @property
    def overhead(self) -> int:
        """Bytes of IP and UDP header."""


@dataclass(slots=True)
class Counts:
    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    """For want of a path, or too large."""


class Sender:
    """One direction of one bond. `packet` for each packet of the device, `rest` when no more come at the moment."""

    def __init__(self, scheduler: Scheduler, encoder: Encoder) -> None:
        self.scheduler = scheduler
        self.outlets: Mapping[int, Outlet] = {}
        """Usable paths by number."""
        self.number = 0
        """Of the next data frame."""
        self.counts = Counts()
        self.encoder = encoder
        self.repairs = 0
        """REPAIR frames that were sent."""
        self.rules: Rules | None = None
        """Which flows go another way than the others."""
        self.too_big: TooBig | None = None
        """What is done about packets that do not fit."""
        self.settled = False
        """Whether it is known how large datagrams may be on all paths that carry data."""
        self.pads = False
        """Whether sizes are hidden."""
        self._orders = [0] * FLOWS
        self._loads = Loads()

    def room(self) -> int:
        """Bytes of a plaintext that every usable path takes; 0 without one."""
        room = min((outlet.room for outlet in self.outlets.values()), default=0) - WIRE_HEAD - TAG
        return room - OVERHEAD if self.encoder.policy.active else room

    def packet(self, buffer: memoryview, session: Session, now: float) -> list[Train]:
        """What is to be sent now that there is `buffer` (virtio_net_hdr and IP packet), too. Raises ExpiredError."""
        self.counts.packets += 1
        self.counts.bytes += len(buffer) - VNET.size
        if self.scheduler.empty:
            self.counts.dropped += 1
            return []
        packet = buffer[VNET.size :]
        flow = flow_of(packet)
        way = self.rules.way(bytes(packet)) if self.rules is not None else None
        if buffer[_GSO_TYPE]:
            try:
                head = plan(bytes(buffer[: VNET.size]), packet, self.room() - HEADER)
            except SliceError:
                self.counts.dropped += 1
                return []
            loads = self._slices(head, packet, flow, now, way=way)
        else:
            loads = self._whole(buffer, bytes(packet), flow, now, way=way)
        return self._sealed(loads, session, now)

    def rest(self, session: Session, now: float) -> list[Train]:
        """What waits to be sent with others. Raises ExpiredError."""
        return self._sealed(self._loads.rest(), session, now)

    def again(self, frames: Sequence[bytes], session: Session, now: float) -> list[Train]:
        """Data frames that were sent before, once more, by whatever path is best now."""
        trains = []
        for frame in frames:
            if self.scheduler.empty:
                break
            copy = bytes((frame[0] | COPY,)) + frame[1:]
            size = WIRE_HEAD + len(copy) + TAG
            trains += [
                self._train(Load(path, [copy]), session, now)
                for path, _ in self.scheduler.split(1, size + 28, now)
                if size <= self.outlets[path].room  # which may have shrunk since
            ]
        return trains

    def _whole(self, buffer: memoryview, packet: bytes, flow: int, now: float, *, way: Way | None) -> list[Load]:
        first = PACKET
        extra = b""
        if buffer[_FLAGS] & NEEDS_CSUM:
            first |= PARTIAL
            *_, start, offset = VNET.unpack_from(buffer)
            extra = bytes((start & 0xFF, offset & 0xFF))
        if len(packet) <= SMALL:
            first |= LOOSE
        if HEADER + len(extra) + len(packet) > self.room():
            return self._large(buffer, packet, flow, now, way=way)
        size = WIRE_HEAD + HEADER + len(extra) + len(packet) + TAG
        paths = self.scheduler.split(1, size + 28, now, way)
        if (way or self.scheduler.way).mode is BondMode.REDUNDANT:  # by one path alone, too: it may be sent again
            first |= COPY
        frame = self._next_header(first, flow, 1).to_bytes(HEADER, "big") + extra + packet
        return self._loaded([(path, [frame]) for path, _ in paths], 1, now)

    def _large(self, buffer: memoryview, packet: bytes, flow: int, now: float, *, way: Way | None) -> list[Load]:
        """In fragments, or not at all."""
        largest = self.room() - HEADER - 2
        header = bytes(buffer[: VNET.size])
        parts = self.too_big.instead(header, packet, largest, now, settled=self.settled) if self.too_big else ()
        loads = []
        for part in parts:
            loads += self._whole(_UNSEGMENTED, part, flow, now, way=way)
        if not parts:
            self.counts.dropped += 1
        return loads

    def _slices(self, head: Head, packet: memoryview, flow: int, now: float, *, way: Way | None) -> list[Load]:
        count, start = head.slices, len(head.headers)
        paths = self.scheduler.split(count, WIRE_HEAD + HEADER + TAG + head.size + 28, now, way)
        redundant = (way or self.scheduler.way).mode is BondMode.REDUNDANT
        frames = self._frames(head, packet, start, flow, SLICE | (COPY if redundant else 0))
        if redundant or len(paths) == 1:
            return self._loaded([(path, frames) for path, _ in paths], count, now)
        parts, at = [], 0
        for path, many in paths:
            parts.append((path, frames[at : at + many]))
            at += many
        return self._loaded(parts, count, now)

    def _loaded(self, parts: Sequence[tuple[int, list[bytes]]], count: int, now: float) -> list[Load]:
        """What is to be sent of the last `count` data frames, (path, frames), and of the repairs that become due by
        them. In redundant mode each path has all of them; they are protected once."""
        loads = []
        for path, frames in parts:
            loads += self._loads.add(path, frames.copy())
        encoder = self.encoder
        if encoder.policy.active or encoder.pending:
            number, repairs = self.number - count, []
            for path, frames in parts:
                repairs += encoder.add(number % NUMBERS, frames, path)
                number += len(frames)
                if number == self.number:
                    break
            loads += self._repaired(repairs, now)
        return loads

    def flush(self, session: Session, now: float) -> list[Train]:
        """Repairs of a group that has begun: nothing more comes of it at the moment."""
        loads = self._repaired(self.encoder.flush(), now) + self._loads.rest()
        return self._sealed(loads, session, now)

    def _repaired(self, repairs: Sequence[Repair], now: float) -> list[Load]:
        """They go by another path than most of their group, where there is one."""
        loads = []
        for avoided, group in groupby(repairs, key=itemgetter(1)):
            frames = [frame for frame, _ in group]
            size = WIRE_HEAD + len(frames[0]) + TAG + 28
            path = self.scheduler.other(avoided, size, now)
            if path is None:
                break
            self.scheduler.extra(path, size * len(frames), now)
            self.repairs += len(frames)
            for _, row in groupby(frames, key=len):
                loads += self._loads.repair(path, list(row))
        return loads

    def _frames(self, head: Head, packet: memoryview, start: int, flow: int, first: int) -> list[bytes]:
        """Every slice's frame, all of one size."""
        count, size, overhead = head.slices, head.size, head.overhead
        value = self._next_header(first, flow, count)
        if count == 1:
            return [_with_head(value.to_bytes(HEADER, "big")) + head.block(0) + packet[start:]]
        # The orders or numbers of one packet seldom pass the ends of what holds them.
        wraps = (value >> 48 & 0xFFFF) + count > 1 << 16 or (value & 0xFFFFFFFF) + count > NUMBERS
        headers = [_added(value, n) for n in range(count)] if wraps else _headers(value, count)
        at = start + size - overhead
        frames = [_with_head(headers[0]) + head.block(0) + packet[start:at]]
        frames += map(add, headers[1:-1], _pieces(size, count - 2).unpack_from(packet, at))
        at += (count - 2) * size
        last = _with_head(headers[-1]) + head.block(count - 1) + packet[at:]
        frames.append(last.ljust(HEADER + size, b"\0"))
        return frames

    def _next_header(self, first: int, flow: int, count: int) -> int:
        """The header, as a number, of the first of `count` data frames of a flow."""
        order, number = self._orders[flow], self.number
        self._orders[flow] = (order + count) % ORDERS
        self.number = (number + count) % NUMBERS
        return first << 72 | order << 48 | flow << 32 | number

    def _sealed(self, loads: Sequence[Load], session: Session, now: float) -> list[Train]:
        # What waited for a path that has gone meanwhile is lost, as what was under way there.
        return [self._train(load, session, now) for load in loads if load.path in self.outlets]

    def _train(self, load: Load, session: Session, now: float) -> Train:
        path, frames, repairs = load
        outlet = self.outlets[path]
        plaintexts = padded(frames, outlet.room - WIRE_HEAD - TAG) if self.pads else frames
        segment = WIRE_HEAD + len(plaintexts[0]) + TAG
        buffers = session.seal_all(path, plaintexts, now)
        size = (segment + outlet.overhead) * len(frames)
        # Repairs are not to be sent again when the path dies: the data frames are.
        return Train(path, buffers, segment, size, [] if repairs else frames, session.sent(path) - 1)


@lru_cache(128)
def _pieces(size: int, count: int) -> Struct:
    """Cuts `count` pieces of `size` bytes."""
    return Struct(f"{size}s" * count)


def _with_head(header: bytes) -> bytes:
    """The header of a slice that begins or ends its packet."""
    return bytes((header[0] | HEAD,)) + header[1:]


def _headers(value: int, count: int) -> list[bytes]:
    """Headers of so many frames of one flow, `value` being the first one's; none of its fields passes its end."""
    middle, number = value >> 32 & 0xFFFFFFFF, value & 0xFFFFFFFF
    orders_and_flows = range(middle, middle + count * FLOWS, FLOWS)
    return list(map(_pack_header, repeat(value >> 64), orders_and_flows, range(number, number + count)))


def _added(value: int, n: int) -> bytes:
    """The header of the n-th frame after that of `value`, over the ends of orders and numbers."""
    order = ((value >> 48 & 0xFFFFFF) + n) % ORDERS
    number = ((value & 0xFFFFFFFF) + n) % NUMBERS
    return (value >> 72 << 72 | order << 48 | (value >> 32 & 0xFFFF) << 32 | number).to_bytes(HEADER, "big")
