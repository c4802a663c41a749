# SPDX-License-Identifier: GPL-2.0-or-later
"""A small netlink client: messages, attributes, requests with acknowledgement, dumps, multicast.

Own code because the resident tracker weighs its memory: a full netlink library costs 24 MiB and 200 ms of import.
Layouts from linux/netlink.h and linux/rtnetlink.h. Numbers are in host order unless a name says "be".
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from types import TracebackType
from typing import TypeVar

from netpath.kernel import bpf

T = TypeVar("T")

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

F_REQUEST, F_ACK = 0x1, 0x4
F_DUMP = 0x300
F_DUMP_INTR = 0x10
F_REPLACE, F_EXCL, F_CREATE = 0x100, 0x200, 0x400

NLMSG_ERROR, NLMSG_DONE = 2, 3
_F_CAPPED, _F_ACK_TLVS = 0x100, 0x200
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_SO_RCVBUFFORCE = 33

_BUFFER = 65536
"""The kernel fills at most 32 KiB of a dump at once; single messages that we read are far smaller."""
_RECEIVE_QUEUE = 1 << 20
_BATCH = 64
"""Requests sent before their acknowledgements are read, so that those fit the receive queue."""
_ATTEMPTS = 4
"""Dumps of a table that changes meanwhile; on a busy BGP router it always does, so the last one counts."""

HEADER = Struct("=IHHII")
ATTRIBUTE = Struct("=HH")
_LENGTH_AND_TYPE = Struct("=IH")
_I32 = Struct("=i")
_U32 = Struct("=I")
_ATTRIBUTE_KIND = 0x3FFF
_NESTED = 0x8000


class NetlinkError(OSError):
    """The kernel refused a request: `errno`, and `strerror` with the kernel's own explanation when it gave one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request: type, flags beside NLM_F_REQUEST, and what follows the netlink header."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) & 3)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, _U32.pack(value))


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *attributes_: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(attributes_))


def attributes(data: memoryview, offset: int = 0) -> dict[int, memoryview]:
    """Type -> value of the attributes from `offset` on; of a repeated type the last one."""
    # As `each_attribute`, which as a generator takes half as long again: thousands of objects are read at each load.
    found = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            break
        found[kind & _ATTRIBUTE_KIND] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def each_attribute(data: memoryview, offset: int = 0) -> Iterator[tuple[int, memoryview]]:
    """(type, value) in order. Stops at damage, as the kernel's own parser does."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & _ATTRIBUTE_KIND, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def to_u32(value: memoryview) -> int:
    return int(_U32.unpack_from(value)[0])


def to_text(value: memoryview) -> str:
    """A NUL-terminated name; bytes that are no UTF-8 survive as surrogates."""
    return bytes(value).rstrip(b"\0").decode(errors="surrogateescape")


class NetlinkSocket:
    """A netlink socket in the current network namespace.

    `groups` is the bit mask of multicast groups to join at once (group N is bit N-1); such a socket does not block.
    Raises OSError when the kernel has no such protocol.
    """

    def __init__(self, protocol: int, groups: int = 0, *, accept: bytes = b"") -> None:
        """`accept`: a classic BPF program (see `bpf`) that is in place before the first message can arrive."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._buffer = bytearray(_BUFFER)
        self._sequence = 0
        try:
            self._configure(protocol, groups, accept)
        except OSError:
            self._socket.close()
            raise

    def _configure(self, protocol: int, groups: int, accept: bytes) -> None:
        sock = self._socket
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_QUEUE)
        except PermissionError:  # as an ordinary user: what the system allows
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_QUEUE)
        sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        if protocol == NETLINK_ROUTE:
            # Without it the kernel ignores the filters of a dump and hands out every routing table.
            sock.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        if accept:
            bpf.attach(sock, accept)
        sock.bind((0, groups))
        sock.setblocking(not groups)

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def request(self, message: Message) -> None:
        """Send one request and wait for its acknowledgement. Raises NetlinkError."""
        refused = self.requests([message])[0]
        if refused is not None:
            raise refused

    def requests(self, messages: Sequence[Message]) -> list[NetlinkError | None]:
        """Send requests in few system calls; in their order None or why the kernel refused that one."""
        results: list[NetlinkError | None] = []
        for start in range(0, len(messages), _BATCH):
            results += self._batch(messages[start : start + _BATCH])
        return results

    def _batch(self, messages: Sequence[Message]) -> list[NetlinkError | None]:
        first = self._sequence + 1
        self._socket.send(b"".join(self._pack(m, F_ACK) for m in messages))
        results: dict[int, NetlinkError | None] = {}
        while len(results) < len(messages):
            for kind, flags, sequence, body in self._receive():
                if kind == NLMSG_ERROR and first <= sequence <= self._sequence:
                    results[sequence] = _refusal(flags, body)
        return [results[first + i] for i in range(len(messages))]

    def ask(self, message: Message, decode: Callable[[memoryview], T]) -> T:
        """What `decode(body)` makes of the one message that answers a request. Raises NetlinkError."""
        self._socket.send(self._pack(message, F_ACK))
        answers: list[T] = []
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind != NLMSG_ERROR:
                    answers.append(decode(body))
                    continue
                refused = _refusal(flags, body)
                if refused is not None:
                    raise refused
                if not answers:
                    raise NetlinkError(errno.ENODATA, "the kernel answered nothing")
                return answers[0]

    def dump(self, message: Message, decode: Callable[[int, memoryview], T | None]) -> list[T]:
        """What `decode(type, body)` makes of each message of a dump, without the Nones.

        Bodies are only valid inside `decode`. A dump that the kernel calls interrupted (the table changed) is read
        again a few times; then the last reading is returned as it is, and the change's own event brings the reader
        back. Raises NetlinkError.
        """
        found: list[T] = []
        for _ in range(_ATTEMPTS):
            found.clear()
            interrupted = False
            for kind, flags, body in self._dump_messages(message):
                interrupted = interrupted or bool(flags & F_DUMP_INTR)
                value = decode(kind, body)
                if value is not None:
                    found.append(value)
            if not interrupted:
                break
        return found

    def parts(self, message: Message) -> Iterator[list[memoryview]]:
        """The bodies of a dump, as many at a time as the kernel hands out at once; the caller may pause in between.

        Bodies are only valid until the next step. Nothing else may be asked before the end. Raises NetlinkError.
        """
        self._socket.send(self._pack(message, F_DUMP))
        buffer, view, step = self._buffer, memoryview(self._buffer), _LENGTH_AND_TYPE.unpack_from
        while True:
            size = self._fill()
            bodies: list[memoryview] = []
            offset = 0
            while offset < size:
                length, kind = step(buffer, offset)
                if length < 16 or offset + length > size:
                    raise NetlinkError(errno.EBADMSG, "damaged netlink message")
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    _end_of_dump(kind, 0, view[offset + 16 : offset + length])
                    yield bodies
                    return
                bodies.append(view[offset + 16 : offset + length])
                offset += (length + 3) & ~3
            yield bodies

    def _dump_messages(self, message: Message) -> Iterator[tuple[int, int, memoryview]]:
        self._socket.send(self._pack(message, F_DUMP))
        wanted = self._sequence
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != wanted:
                    continue
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    _end_of_dump(kind, flags, body)
                    return
                yield kind, flags, body

    def events(self) -> Iterator[tuple[int, memoryview]]:
        """(type, body) of what is waiting on a multicast socket; ends when nothing is.

        Bodies are only valid until the next step. At the end raises NetlinkError(ENOBUFS) when the kernel had to drop
        messages: what was known must then be read anew.
        """
        dropped: NetlinkError | None = None
        while True:
            try:
                for kind, _, _, body in self._receive():
                    yield kind, body
            except BlockingIOError:
                break
            except NetlinkError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # Until its queue is empty the socket gets nothing more, and no second notice of that: drain it first.
                dropped = error
        if dropped is not None:
            raise dropped

    def _pack(self, message: Message, flags: int) -> bytes:
        self._sequence += 1
        body = message.body
        size = 16 + len(body)
        header = HEADER.pack(size, message.kind, message.flags | flags | F_REQUEST, self._sequence, 0)
        return header + body + b"\0" * (-size & 3)

    def _receive(self) -> Iterator[tuple[int, int, int, memoryview]]:
        """(type, flags, sequence, body) of the messages of one datagram."""
        size = self._fill()
        view = memoryview(self._buffer)
        offset = 0
        while offset + 16 <= size:
            length, kind, flags, sequence, _ = HEADER.unpack_from(view, offset)
            if length < 16 or offset + length > size:
                raise NetlinkError(errno.EBADMSG, "damaged netlink message")
            yield kind, flags, sequence, view[offset + 16 : offset + length]
            offset += (length + 3) & ~3

    def _fill(self) -> int:
        """Receive one datagram into the buffer; its size."""
        try:
            size = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise NetlinkError(errno.ENOBUFS, "the kernel dropped netlink messages") from None
            raise
        if size > _BUFFER:
            raise NetlinkError(errno.EMSGSIZE, f"netlink message of {size} bytes")
        return size


def _end_of_dump(kind: int, flags: int, body: memoryview) -> None:
    """Raises NetlinkError when the last message of a dump says that it failed."""
    if kind == NLMSG_ERROR:
        refused = _refusal(flags, body)
        if refused is not None:
            raise refused
        return
    code = _I32.unpack_from(body)[0] if len(body) >= 4 else 0
    if code < 0:
        raise NetlinkError(-code, os.strerror(-code))


def _refusal(flags: int, body: memoryview) -> NetlinkError | None:
    """Meaning of an NLMSG_ERROR: None is an acknowledgement."""
    if len(body) < 4:
        return NetlinkError(errno.EBADMSG, "damaged netlink message")
    code = -int(_I32.unpack_from(body)[0])
    if not code:
        return None
    explanation = os.strerror(code)
    if flags & _F_ACK_TLVS and len(body) >= 4 + HEADER.size:
        # struct nlmsgerr: error, then the header of the request, then the whole request unless it was capped.
        echoed = HEADER.unpack_from(body, 4)[0] if not flags & _F_CAPPED else 16
        told = attributes(body, 4 + ((echoed + 3) & ~3)).get(_NLMSGERR_ATTR_MSG)
        if told:
            explanation = f"{explanation} ({to_text(told)})"
    return NetlinkError(code, explanation)
