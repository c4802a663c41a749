# SPDX-License-Identifier: GPL-2.0-or-later
"""Slices that arrive in order, put together to packets for the kernel, as large as possible. Pure, hot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netpath.bond.dataframes import HEAD, HEADER, ORDERS
from netpath.bond.rows import Row
from netpath.bond.slices import MOST_SLICES, Head, SliceError, read_block, run

Write = Callable[[Sequence[bytes | memoryview]], None]
"""Takes virtio_net_hdr, headers and payload of one packet, as the buffers of one write."""


HELD = 4 << 20
"""Bytes of slices that wait for a head of their packet: beyond that they are dropped, of all flows."""
STREAMS = 4096
"""Flows with a packet that is not whole."""


class Stream:
    """What is known of the packet that a flow's slices belong to."""

    __slots__ = ("base", "begun", "end", "head", "parts")

    def __init__(self) -> None:
        self.head: Head | None = None
        self.base = 0
        """Order of slice 0."""
        self.begun = 0
        """Order of the first part."""
        self.end = -1
        """Order that comes next if nothing is missing; -1: nothing is under way."""
        self.parts: list[bytes | memoryview] = []
        """Views: of a row that is being added."""


class Assembler:
    """`add` each slice in the order of its flow, `flush` when no more come at the moment."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.streams: dict[int, Stream] = {}
        """By flow."""
        self._open: dict[int, Stream] = {}
        """Those that have parts with a head: what `flush` writes."""
        self.headless = 0
        """Slices that were dropped because neither head of their packet came."""
        self.faulty = 0
        self._held = 0
        """Bytes of headless slices that came since they were dropped the last time."""

    def add(self, flow: int, order: int, frames: Sequence[bytes]) -> None:
        """Whole SLICE frames of one flow that follow each other; `order` is the first one's."""
        heads = [(n, frame) for n, frame in enumerate(frames) if frame[0] & HEAD]
        self._add(flow, order, [frame[HEADER:] for frame in frames], heads)

    def add_row(self, flow: int, order: int, row: Row, kinds: Sequence[int]) -> None:
        """The same for frames in a row; `kinds`: their first two bytes each."""
        last = len(kinds) - 1
        if any(kind & HEAD << 8 for kind in set(kinds[1:-1])):
            heads = [n for n, kind in enumerate(kinds) if kind & HEAD << 8]
        else:
            heads = [n for n in (0, last) if kinds[n] & HEAD << 8]
        self._add(flow, order, row.parts(), [(n, row.plaintext(n)) for n in heads])
        if (stream := self._open.get(flow) or self.streams.get(flow)) is not None:
            stream.parts = list(map(bytes, stream.parts))  # what is not written yet

    def _add(
        self, flow: int, order: int, parts: Sequence[bytes | memoryview], heads: Sequence[tuple[int, bytes]]
    ) -> None:
        """`parts`: what follows each frame's header; `heads`: where frames with a head block are, and those."""
        at = 0
        for n, frame in heads:
            if n > at:
                self._without_head(flow, (order + at) % ORDERS, parts[at:n])
            self._with_head(flow, self._stream(flow), (order + n) % ORDERS, frame)
            at = n + 1
        if at < len(parts):
            self._without_head(flow, (order + at) % ORDERS, parts[at:])

    def flush(self) -> None:
        """Write all that can be written."""
        for stream in self._open.values():
            self._emit(stream)
        self._open.clear()

    def forget(self) -> None:
        """The sender has begun anew, or there is too much."""
        self.flush()
        self._drop_headless()
        self.streams.clear()

    def _stream(self, flow: int) -> Stream:
        stream = self.streams.get(flow)
        if stream is None:
            if len(self.streams) >= STREAMS:
                self.forget()
            stream = self.streams[flow] = Stream()
        return stream

    def _without_head(self, flow: int, order: int, parts: Sequence[bytes | memoryview]) -> None:
        stream = self._stream(flow)
        if order != stream.end or not stream.parts:
            self._interrupted(flow, stream, order)
        stream.parts += parts
        stream.end = (order + len(parts)) % ORDERS
        if stream.head is not None:
            self._open[flow] = stream
        else:
            self._wait(stream, sum(map(len, parts)))

    def _with_head(self, flow: int, stream: Stream, order: int, frame: bytes) -> None:
        try:
            index, head, at = read_block(frame, HEADER)
        except SliceError:
            self.faulty += 1
            return
        base = (order - index) % ORDERS
        if stream.head is None and index and order == stream.end and stream.parts:
            # The first slice was lost: its successors have waited for this, the last one.
            if (stream.begun - base) % ORDERS >= head.slices:
                self._drop(stream)
        elif stream.base != base or stream.head is None or order != stream.end:
            self._interrupted(flow, stream, order)
        stream.head, stream.base = head, base
        if not stream.parts:
            stream.begun = order
        # The last slice may be filled up.
        stream.parts.append(frame[at : at + head.length(index)])
        stream.end = (order + 1) % ORDERS
        self._open[flow] = stream
        if index == head.slices - 1:
            self._emit(stream)
            del self._open[flow], self.streams[flow]

    def _interrupted(self, flow: int, stream: Stream, order: int) -> None:
        """`order` does not follow what is there: write or drop that; what is known of the packet stays."""
        if stream.parts:
            if stream.head is not None:
                self._emit(stream)
                self._open.pop(flow, None)
            else:
                self._drop(stream)
        if stream.head is not None and (order - stream.base) % ORDERS >= stream.head.slices:
            stream.head = None
        stream.begun = order

    def _wait(self, stream: Stream, size: int) -> None:
        """A slice of a packet of which no head has come."""
        self._held += size
        if len(stream.parts) > MOST_SLICES:
            self._drop(stream)
        if self._held > HELD:
            self._drop_headless()

    def _drop_headless(self) -> None:
        self._held = 0
        for stream in self.streams.values():
            if stream.head is None:
                self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self.headless += len(stream.parts)
        stream.parts.clear()

    def _emit(self, stream: Stream) -> None:
        """Write the parts, which are neighbours, as one packet; the next part begins where they end."""
        head, parts = stream.head, stream.parts
        if head is None or not parts:
            return
        first = (stream.begun - stream.base) % ORDERS
        last = first + len(parts) - 1
        if last >= head.slices or any(
            len(part) != head.length(first + n) for n, part in ((0, parts[0]), (len(parts) - 1, parts[-1]))
        ):
            self.faulty += 1
        else:
            vnet, headers = run(head, first, last)
            self._write([vnet, headers, *parts])
        stream.begun = (stream.begun + len(parts)) % ORDERS
        stream.parts = []
