# SPDX-License-Identifier: GPL-2.0-or-later
"""Two whole ends of a bond over a simulated network that loses, repeats, changes, delays and reorders. No I/O.

What is sent are flows whose packets say what they are, so that whatever is delivered can be judged alone: whether it
was sent, in what order, and how often.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond.clientside import ClientSessions
from netpath.bond.noise import public_bytes
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.schedule import Scheduler
from netpath.bond.sender import SMALL, Train
from netpath.bond.serverside import Client, ServerSessions
from netpath.bond.session import ExpiredError, Session
from netpath.bond.slices import GSO_TCPV4, NEEDS_CSUM, VNET
from netpath.bond.wire import HEAD, LEAST, Kind, unpack_head
from netpath.bonding import BondMode

SILENCE = 1.0
"""Seconds without a path after which the client shakes hands again."""
SERVER: Hashable = "server"
MTU = 1200
_INNER = struct.Struct(">IIII")
"""Flow, position in it, bytes, checksum of what follows."""


@dataclass(slots=True)
class Weather:
    """What a path does to datagrams."""

    delay: float = 0.02
    jitter: float = 0.0
    """Seconds at most, of each datagram alone: this reorders."""
    loss: float = 0.0
    doubled: float = 0.0
    changed: float = 0.0
    cuts: tuple[tuple[float, float], ...] = ()
    """(from, to): nothing goes through."""
    largest: int = 65535
    """Bytes of a datagram that passes."""

    def cut(self, now: float) -> bool:
        return any(begin <= now < end for begin, end in self.cuts)


@dataclass
class Judge:
    """The device of one end: looks at what is delivered there."""

    seen: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    backwards: Counter[int] = field(default_factory=Counter)
    """Flow -> packets that came after later ones."""
    last: dict[int, int] = field(default_factory=dict)
    corrupt: int = 0
    size: int = 0
    """Bytes: of streams their content, of others whole packets."""

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        data = b"".join(bytes(each) for each in buffers)
        packet = data[VNET.size :]
        if int.from_bytes(packet[2:4], "big") != len(packet):
            self.corrupt += 1
        elif packet[9] == 6:
            self._stream(packet)
        else:
            self._datagram(packet)

    def _datagram(self, packet: bytes) -> None:
        flow, position, size, checksum = _INNER.unpack_from(packet, 28)
        if size != len(packet) or checksum != zlib.crc32(packet[28 + _INNER.size :]):
            self.corrupt += 1
            return
        self.size += size
        self._count(flow, position, judged=size > SMALL)

    def _stream(self, packet: bytes) -> None:
        flow = int.from_bytes(packet[20:22], "big")
        sequence = int.from_bytes(packet[24:28], "big")
        payload = packet[40:]
        if payload != content(flow, sequence, len(payload)):
            self.corrupt += 1
            return
        self.size += len(payload)
        self._count(flow, sequence, judged=True)

    def _count(self, flow: int, position: int, *, judged: bool) -> None:
        """`judged`: it must not come after later ones."""
        self.seen[flow][position] += 1
        if judged:
            last = self.last.get(flow, -1)
            self.backwards[flow] += position < last
            self.last[flow] = max(position, last)

    @property
    def repeated(self) -> int:
        return sum(count - 1 for flow in self.seen.values() for count in flow.values())


def content(flow: int, at: int, size: int) -> bytes:
    """Bytes of a TCP flow: period 251, so that no shift of a slice goes unnoticed."""
    begin = (flow * 7 + at) % 251
    return (_CONTENT * (size // 251 + 2))[begin : begin + size]


_CONTENT = bytes(n * 89 % 251 for n in range(251))


def datagram_packet(flow: int, position: int, size: int, random: Random) -> bytes:
    """virtio_net_hdr and an inner UDP packet."""
    body = random.randbytes(max(0, size - 28 - _INNER.size))
    size = 28 + _INNER.size + len(body)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
    udp = struct.pack(">HHHH", 1024 + flow, 9, size - 20, 0)
    return bytes(VNET.size) + ip + udp + _INNER.pack(flow, position, size, zlib.crc32(body)) + body


def stream_packet(flow: int, at: int, size: int) -> bytes:
    """virtio_net_hdr and an unsegmented inner TCP packet."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + size, 0, 0, 64, 6, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
    tcp = struct.pack(">HHIIBBHHH", flow, 80, at, 0, 5 << 4, 16, 500, 0, 0)
    return VNET.pack(NEEDS_CSUM, GSO_TCPV4, 40, 1000, 20, 16) + ip + tcp + content(flow, at, size)


def opened(session: Session, data: bytes, now: float) -> tuple[list[bytes], bool]:
    """(the plaintext of one datagram, or nothing, whether none that is newer came before)."""
    first = int.from_bytes(data[:HEAD], "big") >> 48
    plaintexts, _, _, newest = session.open_all(memoryview(data), len(data), 0, first, now)
    return plaintexts, newest


class End:
    """What client and server have in common."""

    def __init__(self, network: Network, judge: Judge, mode: BondMode) -> None:
        self.network, self.judge, self.mode = network, judge, mode
        self.peer = self.new_peer()
        self.refused = 0
        """Datagrams that no session opened."""

    def new_peer(self) -> Peer:
        return Peer(self.network.random.randbytes, Scheduler(self.mode), self.judge.write)

    def send_packet(self, packet: bytes) -> None:
        try:
            self.trains(self.peer.packet(memoryview(packet), self.network.now))
            self.trains(self.peer.rest(self.network.now))
        except ExpiredError:
            self.peer.session = None

    def trains(self, trains: Sequence[Train]) -> None:
        for train in trains:
            path = self.peer.paths.get(train.path)
            if path is None or path.address.proven is None:
                continue
            for n in range(0, len(train.buffers), 2):
                self.network.send(self, train.path, path.address.proven, b"".join(train.buffers[n : n + 2]))

    def tick(self) -> None:
        now = self.network.now
        if self.peer.due(now) <= now:
            try:
                datagrams, trains = self.peer.tick(now)
            except ExpiredError:
                self.peer.session = None
                return
            for path, address, data in datagrams:
                self.network.send(self, path, address, data)
            self.trains(trains)


class ClientEnd(End):
    def __init__(self, network: Network, judge: Judge, mode: BondMode, static: X25519PrivateKey, server: bytes) -> None:
        super().__init__(network, judge, mode)
        self.sessions = ClientSessions(static, server, network.random.randbytes)
        self._last_up = network.now

    def new_peer(self) -> Peer:
        peer = super().new_peer()
        for number in range(len(self.network.weather)):
            peer.add_path(number, SERVER, MTU + 272, 28, self.network.now)
        return peer

    def arrives(self, data: bytes, address: Hashable) -> None:
        assert len(data) >= LEAST
        now, head = self.network.now, unpack_head(data)
        if head.kind == Kind.RESPONSE:
            before = self.sessions.answer
            session = self.sessions.respond(data, now)
            if session is not None:
                if before is not None and self.sessions.answer is not None and before.run != self.sessions.answer.run:
                    self.peer = self.new_peer()
                self.peer.use(session)
                self._last_up = now
        elif head.kind == Kind.DATA and (found := self.sessions.of(head.receiver, now)) is not None:
            plaintexts, newest = opened(found, data, now)
            if not plaintexts:
                self.refused += 1
            elif (known := self.peer.paths.get(head.path)) is not None:
                self.peer.opened_all(known, plaintexts, address if newest else None, found, now)
                self.peer.finish(now)

    def tick(self) -> None:
        now = self.network.now
        due = self.sessions.due(now)
        if due is not None and due <= now:
            for path, datagram in self.sessions.round(list(self.peer.paths), now):
                self.network.send(self, path, SERVER, datagram)
        super().tick()
        if any(path.state is State.UP for path in self.peer.paths.values()):
            self._last_up = now
        elif now - self._last_up > SILENCE:
            self.sessions.rekey(now)


class ServerEnd(End):
    def __init__(self, network: Network, judge: Judge, mode: BondMode, static: X25519PrivateKey, client: bytes) -> None:
        super().__init__(network, judge, mode)
        self.sessions = ServerSessions(static, network.random.randbytes)
        self.sessions.configure({client: Client("client", client)})
        self._run = b""

    def arrives(self, data: bytes, path: int, address: Hashable) -> None:
        now, head = self.network.now, unpack_head(data)
        if head.kind == Kind.INITIATION:
            if (answered := self.sessions.initiate(data, head.path, now)) is not None:
                self.network.send(self, path, address, answered[1])
        elif head.kind == Kind.DATA and (found := self.sessions.of(head.receiver, now)) is not None:
            standing, session = found
            plaintexts, newest = opened(session, data, now)
            if not plaintexts:
                self.refused += 1
                return
            if self.sessions.authentic(standing, session, now):
                if standing.run != self._run:
                    self.peer, self._run = self.new_peer(), standing.run
                self.peer.use(session)
            known = self.peer.paths.get(head.path) or self.peer.add_path(head.path, None, MTU + 272, 28, now)
            self.peer.opened_all(known, plaintexts, address if newest else None, session, now)
            self.peer.finish(now)


class Network:
    """Time, and the paths between a client and a server."""

    def __init__(self, seed: int, weather: Sequence[Weather], mode: BondMode = BondMode.AGGREGATE) -> None:
        self.random = Random(seed)
        self.weather = list(weather)
        self.now = 1000.0
        self.began = self.now
        self.datagrams = self.lost = self.changed = 0
        self._under_way: list[tuple[float, int, End, int, Hashable, bytes]] = []
        self._order = 0
        self._mode = mode
        self._keys = [X25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2)]
        self.judges = Judge(), Judge()
        """Of the client's device, and of the server's."""
        self.ports = [f"client port {n}" for n in range(len(weather))]
        self.client = self._new_client()
        self.server = self._new_server()

    def _new_client(self) -> ClientEnd:
        return ClientEnd(self, self.judges[0], self._mode, self._keys[0], public_bytes(self._keys[1]))

    def _new_server(self) -> ServerEnd:
        return ServerEnd(self, self.judges[1], self._mode, self._keys[1], public_bytes(self._keys[0]))

    def restart_client(self) -> None:
        self.client = self._new_client()

    def restart_server(self) -> None:
        self.server = self._new_server()

    def send(self, end: End, path: int, address: Hashable, data: bytes) -> None:
        weather, random = self.weather[path], self.random
        to_server = isinstance(end, ClientEnd)
        source = self.ports[path] if to_server else SERVER
        if not to_server and address not in self.ports:
            return  # where nobody is any more
        self.datagrams += 1
        for _ in range(2 if random.random() < weather.doubled else 1):
            if random.random() < weather.loss or weather.cut(self.now - self.began) or len(data) > weather.largest:
                self.lost += 1
                continue
            changed = data
            if random.random() < weather.changed:
                self.changed += 1
                at = random.randrange(len(data))
                changed = data[:at] + bytes([data[at] ^ random.randrange(1, 256)]) + data[at + 1 :]
            when = self.now + weather.delay + random.random() * weather.jitter
            self._order += 1
            entry = (when, self._order, self.client if not to_server else self.server, path, source, changed)
            heapq.heappush(self._under_way, entry)

    def run(self, seconds: float, load: Callable[[], None] | None = None, step: float = 0.005) -> None:
        """`load` is called at every step."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            until, self_now = self.now, self.now
            while self._under_way and self._under_way[0][0] <= until:
                self.now, _, receiver, path, source, data = heapq.heappop(self._under_way)
                if isinstance(receiver, ClientEnd):
                    self.client.arrives(data, source)
                else:
                    self.server.arrives(data, path, source)
            self.now = self_now
            self.client.tick()
            self.server.tick()
            if load is not None:
                load()


class Load:
    """Packets of several flows, both ways: even flows are datagrams, odd ones TCP streams."""

    def __init__(self, network: Network, flows: int, each: int, *, streams: bool = True) -> None:
        """`each`: packets of each direction and step."""
        self._network, self._flows, self._each, self._streams = network, flows, each, streams
        self._next: tuple[Counter[int], Counter[int]] = Counter(), Counter()
        self.offered = 0
        """Bytes, as Judge.size counts them."""
        self.packets = 0

    def __call__(self) -> None:
        network, random = self._network, self._network.random
        for end, counts in zip((network.client, network.server), self._next, strict=True):
            if end.peer.session is None or end.peer.sender.scheduler.empty:
                continue
            for _ in range(self._each):
                flow = random.randrange(self._flows) + 1
                position = counts[flow]
                if flow % 2 and self._streams:
                    size = random.choice([1, 500, 3000, 9000])
                    counts[flow] += size
                    self.offered += size
                    end.send_packet(stream_packet(flow, position, size))
                else:
                    counts[flow] += 1
                    packet = datagram_packet(flow, position, random.choice([60, 200, 500, 1100]), random)
                    self.offered += len(packet) - VNET.size
                    end.send_packet(packet)
                self.packets += 1
