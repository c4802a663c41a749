# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams that nobody should send, at the bond's parts without sockets: nothing is raised, answered or kept.

Every target is a function of (random, count) that raises AssertionError, or whatever the code under test raises. The
same seed gives the same datagrams.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from random import Random

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.bondsim import datagram_packet, opened, stream_packet
from netpath.bond import missing
from netpath.bond.assemble import STREAMS
from netpath.bond.clientside import ClientSessions
from netpath.bond.dataframes import HEAD as HEAD_FLAG
from netpath.bond.dataframes import HEADER, PACKET, SLICE, header
from netpath.bond.fec import CODEC
from netpath.bond.fec.adaptive import Fixed
from netpath.bond.fec.encoder import Encoder
from netpath.bond.fec.groups import ACTIVE, GROUPS, HELD, Decoder
from netpath.bond.frames import MOST_HOLES, Bye, Control, FrameError, Heartbeat, Hole, Missing, Probe, Rekey, pack
from netpath.bond.handshake import Cipher, Keys
from netpath.bond.noise import public_bytes
from netpath.bond.peer import Peer
from netpath.bond.reorder import REMEMBERED
from netpath.bond.replay import MISSING
from netpath.bond.schedule import Scheduler
from netpath.bond.serverside import Client, ServerSessions
from netpath.bond.session import MOST_PATHS, ExpiredError, Session
from netpath.bond.slices import VNET, plan
from netpath.bond.wire import HEAD, LEAST, MAC, MOST, Kind, Veil, pack_head, unpack_head
from netpath.bonding import BondMode

NOW = 1000.0
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def mutated(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One to three changes."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(found) + 1)
        match random.randrange(9):
            case 0 | 1 if at < len(found):
                found[at] ^= 1 << random.randrange(8)
            case 2 if at < len(found):
                found[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                size = random.choice((1, 2, 4))
                value = random.choice(EDGES) & (1 << 8 * size) - 1
                found[at : at + size] = value.to_bytes(size, "big")
            case 4:
                del found[at:]
            case 5:
                del found[at : at + random.randrange(1, 40)]
            case 6:
                found[at:at] = random.randbytes(random.randrange(1, 40))
            case 7:
                other = random.choice(others)
                cut = random.randrange(len(other) + 1)
                found = found[:at] + other[cut:]
            case _:
                other = random.choice(others)
                found[:HEAD] = other[:HEAD]
    return bytes(found)


class Server:
    """A server's sans-I/O stack, with one client that is there."""

    def __init__(self, random: Random) -> None:
        self.now = NOW
        client, server = (X25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
        self.public = public_bytes(server)
        self.client = ClientSessions(client, self.public, random.randbytes)
        self.sessions = ServerSessions(server, random.randbytes)
        self.sessions.configure({public_bytes(client): Client("client", public_bytes(client))})
        self.written: list[Sequence[bytes | memoryview]] = []
        self.peer = Peer(random.randbytes, Scheduler(), self.written.append)
        ((_, initiation),) = self.client.round([0], self.now)
        response = self.arrives(initiation, "home")
        assert response is not None
        session = self.client.respond(response, self.now)
        assert session is not None
        self.session = session
        self.genuine = [initiation, response]
        for n in range(30):
            self.arrives(session.seal(n % 3, beat(self.now, n), self.now), "home")
        assert self.peer.session is not None
        self.genuine += [session.seal(n % 3, beat(self.now, n), self.now) for n in range(20)]
        self.genuine += [session.seal(n % 3, header(PACKET, n, 1, n) + bytes(500), self.now) for n in range(20)]
        self.genuine += [self.peer.session.seal(0, b"\0" * 60, self.now), self.client.round([0], self.now)[0][1]]

    def arrives(self, data: bytes, address: str) -> bytes | None:
        """What is answered at once."""
        if not LEAST <= len(data) <= MOST:
            return None
        head, now = unpack_head(data), self.now
        if head.kind == Kind.INITIATION:
            answered = self.sessions.initiate(data, head.path, now)
            return None if answered is None else answered[1]
        if head.kind == Kind.DATA and (found := self.sessions.of(head.receiver, now)) is not None:
            standing, session = found
            plaintexts, newest = opened(session, data, now)
            if plaintexts:
                if self.sessions.authentic(standing, session, now):
                    self.peer.use(session)
                path = self.peer.paths.get(head.path) or self.peer.add_path(head.path, None, 1472, 28, now)
                self.peer.opened_all(path, plaintexts, address if newest else None, session, now)
                self.peer.finish(now)
        return None

    def state(self) -> tuple[object, ...]:
        """All that a stranger must not change."""
        (standing,) = self.sessions.standings()
        session = self.peer.session
        assert session is not None
        windows = tuple((number, window.highest) for number, window in session._windows.items())
        received = sum(path.received for path in self.peer.paths.values())
        return len(self.sessions._sessions), len(standing.seen), windows, received, len(self.written), self.peer.faulty


def beat(now: float, n: int) -> bytes:
    micro = int(now * 1e6) & 0xFFFFFFFF
    return pack(Heartbeat(micro + n, micro, 0, bytes(8), bytes(8), n, n * 100, n, 0, 0, closing=False))


def strangers_at_a_server(random: Random, count: int) -> None:
    """Garbage, changed and spliced datagrams; also with the right mac of who knows the public key."""
    server = Server(random)
    known = set(server.genuine)
    before = server.state()
    for _ in range(count):
        data = random.choice(server.genuine)
        if random.randrange(10) == 0:
            data = random.randbytes(random.choice((0, 5, LEAST, 100, 512, 1400)))
        else:
            data = mutated(data, random, server.genuine)
        if data[:4] == bytes(4) and len(data) == 512 and random.randrange(20) == 0:
            data = data[:-MAC] + right_mac(data[:-MAC], server.public)
        if data in known or data[HEAD:-MAC] in {each[HEAD:-MAC] for each in server.genuine[-1:]}:
            continue  # the true one, perhaps with another path in its head
        assert server.arrives(data, "somewhere") is None
    assert server.state() == before


def right_mac(data: bytes, recipient: bytes) -> bytes:
    return hmac.digest(hashlib.sha256(b"NetPath bond mac" + recipient).digest(), data, "sha256")[:MAC]


def strangers_at_a_client(random: Random, count: int) -> None:
    server = Server(random)
    client = server.client
    known = set(server.genuine)
    answered = server.arrives(client.round([0, 1], server.now)[1][1], "home")
    assert answered is not None
    pool = [answered, *server.genuine]
    current, highest = client.current, server.session.highest(0)
    for _ in range(count):
        data = mutated(random.choice(pool) if random.randrange(3) else answered, random, pool)
        if data in known or data == answered or data[HEAD:-MAC] == answered[HEAD:-MAC]:
            continue
        assert client.respond(data, server.now) is None
        session = client.of(unpack_head(data).receiver, server.now)
        assert session is None or len(data) < LEAST or not opened(session, data, server.now)[0]
    assert client.current is current and server.session.highest(0) == highest
    assert client.respond(answered, server.now) is not None


class Faulty:
    """Plaintexts of an authentic peer: sound frames, lying ones, and changed ones."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0
        self.orders = [0] * 8
        self.pool: list[bytes] = [b"\0"]
        self.encoder = Encoder(CODEC, Fixed(5, 2))
        self.waiting: list[bytes] = []

    def plaintext(self, now: float) -> bytes:
        random = self.random
        if not self.waiting or random.randrange(4) == 0:
            self._make(now)
        found = self.waiting.pop(random.randrange(min(len(self.waiting), 8)))
        if random.randrange(3) == 0:
            found = mutated(found, random, self.pool) or b"\0"
        elif len(self.pool) < 500:
            self.pool.append(found)
        return found

    def _make(self, now: float) -> None:
        random = self.random
        match random.randrange(6):
            case 0 | 1:
                self.waiting.append(b"".join(pack(self._control(now)) for _ in range(random.choice((1, 1, 2, 8)))))
            case 2:
                self._data([header(PACKET | random.choice((0, 0, 2, 4)), 0, 0, 0) + self._packet()])
            case 3:
                self._data([header(PACKET | 1, 0, 0, 0) + bytes((20, 6)) + self._packet()])
            case _:
                self._slices()

    def _packet(self) -> bytes:
        return datagram_packet(1, 0, self.random.choice((60, 300, 1300)), self.random)[VNET.size :]

    def _slices(self) -> None:
        whole = stream_packet(7, self.random.randrange(1 << 20), self.random.choice((1, 1000, 5000, 60000)))
        packet = whole[VNET.size :]
        head = plan(whole[: VNET.size], packet, 1400)
        frames = []
        for index in range(head.slices):
            ends = index in (0, head.slices - 1)
            begin = 40 + head.begin(index)
            block = head.block(index) if ends else b""
            first = SLICE | (HEAD_FLAG if ends else 0)
            frames.append(header(first, 0, 0, 0) + block + packet[begin : begin + head.length(index)])
        self._data(frames)

    def _data(self, frames: list[bytes]) -> None:
        """With orders and numbers that go on, or do not, and repairs."""
        random = self.random
        flow = random.randrange(8)
        if random.randrange(50) == 0:
            self.number = random.choice(EDGES)
        if random.randrange(50) == 0:
            self.orders[flow] = random.choice(EDGES) & 0xFFFFFF
        for frame in frames:
            whole = header(frame[0], self.orders[flow], flow * 991, self.number) + frame[HEADER:]
            self.waiting.append(whole)
            self.waiting += [repair.frame for repair in self.encoder.add(self.number, [whole], 0)]
            self.number = self.number + 1 & 0xFFFFFFFF
            self.orders[flow] = self.orders[flow] + 1 & 0xFFFFFF
        if not random.randrange(3):
            random.shuffle(self.waiting)
        del self.waiting[400:]

    def _hole(self) -> Hole:
        random = self.random
        return Hole(random.randrange(5), random.choice(EDGES) & 0xFFFFFFFF, random.randrange(256))

    def _control(self, now: float) -> Control:
        random = self.random

        def lie(true: int) -> int:
            return true if random.randrange(4) else random.choice(EDGES)

        micro = int(now * 1e6) & 0xFFFFFFFF
        token = random.choice((bytes(8), random.randbytes(8)))
        match random.randrange(12):
            case 0:
                return Rekey()
            case 1:
                return Bye(random.choice((0, 1, 1, 2, 255)))
            case 2 | 3:
                return Probe(random.randrange(1 << 16))
            case 4 | 5:
                count = random.choice((1, 3, MOST_HOLES))
                return Missing(tuple(self._hole() for _ in range(count)))
            case _:
                pass
        return Heartbeat(
            lie(micro), lie(micro), lie(0), token, bytes(8), lie(self.number), lie(self.number * 1000),
            lie(self.number), lie(self.number), lie(1400) & 0xFFFF, closing=random.randrange(20) == 0,
        )  # fmt: skip


def a_faulty_peer(random: Random, count: int) -> None:
    """Authentic plaintexts of whatever content, in jumps of time, while packets go the other way."""
    clock, faulty = [NOW], Faulty(random)

    def write(buffers: Sequence[bytes | memoryview]) -> None:
        size = sum(map(len, buffers))
        assert len(buffers[0]) == VNET.size and size >= VNET.size + 20
        assert bytes(buffers[1][:1])[0] >> 4 in (4, 6)

    peer = Peer(random.randbytes, Scheduler(random.choice(list(BondMode))), write)
    cipher = Cipher.CHACHA20_POLY1305
    batch: list[bytes] = []
    ours = theirs = Session(Keys(bytes(32), bytes(32), cipher, 1), 1, 1, clock[0])
    for n in range(count):
        clock[0] += random.choice((0.0, 0.0, 0.0, 1e-6, 0.001, 0.02)) if random.randrange(500) else 0.6
        now = clock[0]
        if peer.session is None or now - ours.born > 60:
            old = theirs
            ours = Session(Keys(b"1" * 32, b"2" * 32, cipher, 1), 1, 2, now)
            theirs = Session(Keys(b"2" * 32, b"1" * 32, cipher, 1), 2, 1, now)
            peer.use(theirs if random.randrange(50) else old)
        number = random.choice((0, 0, 0, 1, 2))
        path = peer.paths.get(number) or peer.add_path(number, "home", 1472, 28, now)
        counter = ours.sent(number) + random.choice((0, 0, 0, 0, 0, 3, 9000))
        head = pack_head(2, Kind.DATA, number, counter)
        ours._counters[number] = counter + 1
        datagram = head + ours._seal(head, faulty.plaintext(now), None)
        batch += opened(theirs, datagram, now)[0] if len(datagram) >= LEAST else []
        if batch and (number != 0 or random.randrange(3)):
            peer.opened_all(path, batch, random.choice(("home", "home", "cafe", None)), theirs, now)
            batch = []
        if n % 16 == 0:
            peer.finish(now)
        try:
            if n % 8 == 0:
                packet = stream_packet(3, n, 5000) if n % 3 else datagram_packet(2, n, 900, random)
                peer.packet(memoryview(packet), now)
                peer.rest(now)
            if peer.due(now) <= now:
                peer.tick(now)
        except ExpiredError:
            peer.session = None
        if n % 1000 == 0:
            bounded(peer, theirs)
    bounded(peer, theirs)


def bounded(peer: Peer, session: Session) -> None:
    """No table of a peer has more than it may."""
    receiver = peer.receiver
    assert len(session._windows) <= MOST_PATHS
    assert all(len(window._missing) <= MISSING for window in session._windows.values())
    assert len(receiver.order._given_up) <= REMEMBERED
    assert len(peer._lost._noticed) <= missing.MOST and len(peer._lost._seen) <= MOST_PATHS
    assert len(receiver.assembler.streams) <= STREAMS
    assert sum(len(stream.parts) for stream in receiver.assembler.streams.values()) <= 70_000
    assert sum(len(gap.waiting) for gap in receiver.order.gaps.values()) <= 70_000
    assert all(len(gap.heap) == len(gap.waiting) for gap in receiver.order.gaps.values())
    for path in peer.paths.values():
        assert len(path.rate._least) <= 4096 and len(path.rate._window) <= 200
        assert 1200 <= path.room <= 1472 and 0 < path.speed <= 4e9
        assert 0 <= path.loss_in <= 1 and 0 <= path.loss_out <= 1


def a_faulty_encoder(random: Random, count: int) -> None:
    """Repairs and data frames that contradict each other."""
    decoder, faulty = Decoder(CODEC), Faulty(random)
    now = NOW
    for _ in range(count):
        now += random.choice((0.0, 0.001, 0.02))
        frame = faulty.plaintext(now)
        if frame[0] >> 4 == 10:
            try:
                decoder.passed(decoder.repair(frame, now) - random.randrange(20))
            except FrameError:
                continue
        elif frame[0] >> 4 in (8, 9) and len(frame) > HEADER and random.randrange(5):
            decoder.add(int.from_bytes(frame[6:10], "big"), frame)
        for recovered in decoder.due(now):
            assert len(recovered.frame) > HEADER
            assert int.from_bytes(recovered.frame[6:10], "big") == recovered.number
    assert len(decoder._groups) <= GROUPS and 0 <= decoder._held <= HELD
    assert len(decoder._new) + len(decoder._old) <= 2 * ACTIVE


def veils(random: Random, count: int) -> None:
    """Of whatever is long enough; the same call takes it away again."""
    veil = Veil(bytes(32))
    for _ in range(count):
        data = random.randbytes(random.randrange(LEAST + 4, 200))
        length = random.choice((HEAD, Veil.HANDSHAKE))
        hidden = veil.veiled(data, length)
        assert veil.veiled(hidden, length) == data and hidden[length:] == data[length:]


TARGETS: dict[str, tuple[Callable[[Random, int], None], int]] = {
    "strangers at a server": (strangers_at_a_server, 45),
    "strangers at a client": (strangers_at_a_client, 20),
    "a faulty peer": (a_faulty_peer, 25),
    "a faulty encoder": (a_faulty_encoder, 5),
    "veils": (veils, 5),
}
"""Name -> (target, part of all datagrams in percent)."""
