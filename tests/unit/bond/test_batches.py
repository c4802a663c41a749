# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole batches: opened as one by one, veiled heads, padded sizes, garbage that costs nothing."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.dataframes import HEADER
from netpath.bond.engine import BATCHES, Engine, Greeting, Place
from netpath.bond.frames import FILLER, SIZES, FrameError, Type, padded, unpack
from netpath.bond.handshake import Cipher, Keys
from netpath.bond.links import Link
from netpath.bond.loads import SEGMENTS
from netpath.bond.loop import Loop
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.rows import Cuts
from netpath.bond.schedule import Scheduler
from netpath.bond.session import SEND_TIME, Session
from netpath.bond.slices import VNET
from netpath.bond.wire import HEAD, LEAST, MOST, TAG, Kind, Veil, pack_head
from netpath.tracker.journal import Log
from tests.unit.bond.datagrams import open_one

A, B = bytes(range(32)), bytes(range(32, 64))
FIRST = 8 << 16 | Kind.DATA << 12 | 3


def ends() -> tuple[Session, Session]:
    """What one sends as number 7 to the other's 8."""
    sender = Session(Keys(A, B, Cipher.AES256_GCM, 1), 7, 8, 0.0)
    return sender, Session(Keys(B, A, Cipher.AES256_GCM, 1), 8, 7, 0.0)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(0, 2**16))
def test_a_batch_is_opened_as_its_datagrams_would_be_one_by_one(order: list[int], seed: int) -> None:
    """Repeated, missing, reordered and spoiled ones."""
    random = Random(seed)
    sender, whole = ends()
    _, single = ends()
    sealed = [bytearray(sender.seal(3, bytes([n]) * 50, 0.0)) for n in range(41)]
    chosen = [bytearray(sealed[n]) for n in order]
    for datagram in chosen:
        if random.random() < 0.2:
            datagram[random.randrange(HEAD, len(datagram))] ^= 1
    one_by_one = [open_one(single, bytes(datagram), 0.0) for datagram in chosen]
    expected = [plaintext for plaintext in one_by_one if plaintext is not None]
    data = memoryview(b"".join(chosen))
    found, refused, at, newest = whole.open_all(data, 50 + HEAD + TAG, 0, FIRST, 0.0)
    assert (found, refused, at) == (expected, len(chosen) - len(expected), len(data))
    assert whole.highest(3) == single.highest(3)
    assert newest is (whole.highest(3) >= 0)
    # The same once more, from somewhere else: nothing of it is new.
    assert not chosen or whole.open_all(data, 50 + HEAD + TAG, 0, FIRST, 0.0)[3] is False


def test_a_batch_ends_where_another_path_begins_and_where_keys_are_dead() -> None:
    sender, receiver = ends()
    datagrams = [sender.seal(path, b"x" * 20, 0.0) for path in (3, 3, 4, 3)]
    data = memoryview(b"".join(datagrams))
    found, _, at, _ = receiver.open_all(data, 20 + HEAD + TAG, 0, FIRST, 0.0)
    assert (len(found), at) == (2, 2 * (20 + HEAD + TAG))
    late = ends()[1]
    assert late.open_all(data, 20 + HEAD + TAG, 0, FIRST, 191.0)[:2] == ([], 2)


def test_a_last_datagram_that_is_shorter() -> None:
    sender, receiver = ends()
    data = sender.seal(3, b"x" * 20, 0.0) + sender.seal(3, b"y" * 7, 0.0)
    assert receiver.open_all(memoryview(data), 20 + HEAD + TAG, 0, FIRST, 0.0)[0] == [b"x" * 20, b"y" * 7]
    _, receiver = ends()
    assert receiver.open_all(memoryview(data[:-20]), 20 + HEAD + TAG, 0, FIRST, 0.0)[0] == [b"x" * 20]


def test_paths_that_a_stranger_invents_leave_nothing_behind() -> None:
    _, receiver = ends()
    for path in range(4096):
        datagram = pack_head(8, Kind.DATA, path, 5) + bytes(40)
        assert receiver.open_all(memoryview(datagram), len(datagram), 0, 8 << 16 | Kind.DATA << 12 | path, 0.0)[0] == []
    assert not receiver._windows


def test_veiled_batches_are_revealed() -> None:
    veil = Veil(A)
    sender, receiver = ends()
    buffers = sender.seal_all(3, [b"x" * 50, b"y" * 50, b"z" * 9], 0.0)
    hidden = veil.hide(buffers)
    assert hidden[1::2] == buffers[1::2]
    assert all(a != b for a, b in zip(hidden[::2], buffers[::2], strict=True))
    assert hidden[0] + hidden[1] == veil.veiled(buffers[0] + buffers[1])
    data = bytearray(b"".join(hidden))
    veil.reveal(memoryview(data), 50 + HEAD + TAG)
    assert bytes(data) == b"".join(buffers)
    assert receiver.open_all(memoryview(data), 50 + HEAD + TAG, 0, FIRST, 0.0)[0] == [b"x" * 50, b"y" * 50, b"z" * 9]


def test_a_veiled_handshake_is_revealed_with_its_version() -> None:
    veil = Veil(A)
    datagram = pack_head(0, Kind.INITIATION, 1, 9) + bytes([1, 0, 0, 0]) + Random(1).randbytes(100)
    data = bytearray(veil.veiled(datagram, Veil.HANDSHAKE))
    assert data[HEAD : HEAD + 4] != datagram[HEAD : HEAD + 4]
    veil.reveal(memoryview(data), len(data))
    assert bytes(data) == datagram


@given(st.binary(min_size=LEAST, max_size=3000), st.integers(LEAST, 1500))
def test_revealing_garbage_changes_heads_and_nothing_else(data: bytes, segment: int) -> None:
    changed = bytearray(data)
    Veil(A).reveal(memoryview(changed), segment)
    assert len(changed) == len(data)
    for at in range(0, len(data), segment):
        assert changed[at + 16 : at + segment] == data[at + 16 : at + segment]


@given(st.integers(11, 1500), st.integers(1, 30), st.integers(1000, 1500))
def test_padded_frames_are_of_few_sizes_and_stay_a_train(size: int, count: int, room: int) -> None:
    size = min(size, room)
    frames = [bytes([Type.PACKET << 4]) * size] * count
    found = padded(frames, room)
    assert len({len(frame) for frame in found}) == 1
    assert len(found[0]) <= room
    for plain, whole in zip(frames, found, strict=True):
        assert unpack(whole) == ([], len(whole) - len(plain))
        assert whole[len(whole) - len(plain) :] == plain
    if size + FILLER <= min(room, SIZES[-1]):
        assert len(found[0]) in (*SIZES, room)


def test_a_filler_that_is_cut_off() -> None:
    for plaintext in (b"\x50", b"\x50\0", b"\x50\0\5abc", b"\x51\0\0"):
        with pytest.raises(FrameError):
            unpack(plaintext)


class Nobody(Engine[None]):
    """Knows no session, or one; nothing of it may be opened."""

    def __init__(self, session: Session | None = None) -> None:
        super().__init__(Loop(), Log(), None)
        self.greetings = 0
        self.session = session

    def _session_of(self, number: int, now: float) -> tuple[None, Session] | None:
        return None if self.session is None else (None, self.session)

    def _opened(self, *args: object) -> None:
        raise AssertionError

    def _handshake(self, greeting: Greeting, now: float) -> None:
        self.greetings += 1

    def _batches_done(self, now: float) -> None:
        raise AssertionError

    def _tick(self, now: float) -> float:
        raise AssertionError

    def _expired(self, peer: Peer, now: float) -> None:
        peer.session = None


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 3000))
def test_what_belongs_to_nobody_is_counted_and_dropped(data: bytes, segment: int) -> None:
    engine = Nobody()
    place = Place(None, ("192.0.2.1", 1))  # type: ignore[arg-type]
    engine._batch(memoryview(bytearray(data)), min(segment, len(data)), place, 0.0)
    assert engine.unknown + engine.greetings >= 1
    engine._batch(memoryview(bytearray(MOST + 1)), MOST + 1, place, 0.0)
    engine.loop.close()


class Taken:
    """A socket that keeps what it is given to send."""

    def __init__(self) -> None:
        self.sends: list[tuple[bytes, int]] = []

    def fileno(self) -> int:
        return 3

    def send(self, buffers: Sequence[bytes], segment: int, address: object, each: int, local: bytes) -> None:
        self.sends.append((b"".join(buffers), segment))


def plain(size: int) -> memoryview:
    """virtio_net_hdr and a UDP packet of so many bytes."""
    return memoryview(bytes(VNET.size) + b"\x45" + bytes(8) + b"\x11" + bytes(size - 10))


def test_what_is_read_together_is_sent_together_as_far_as_it_is_alike() -> None:
    engine, taken = Nobody(), [Taken(), Taken()]
    peers = []
    for n, link in enumerate(taken):
        peer = Peer(Random(n).randbytes, Scheduler(), lambda _: None)
        peer.use(Session(Keys(A, B, Cipher.AES256_GCM, 1), 7, 8, 0.0))
        place = Place(link, ("192.0.2.1", 1))  # type: ignore[arg-type]
        path = peer.add_path(0, place, 1472, 28, 0.0)
        path.state, path.rate.rate = State.UP, 1e9
        peer._choose(0.0)
        peers.append(peer)
    one, other = peers
    for peer, sizes in ((one, [60, 60, 60, 70]), (other, [60]), (one, [70] * 80), (other, [60, 61])):
        for size in sizes:
            engine.post(peer, plain(size), 0.0)
    engine.deliver(0.0)
    engine.deliver(0.0)
    engine.loop.close()
    more = HEAD + HEADER + TAG
    sends = [[(len(data) / segment, segment - more) for data, segment in link.sends] for link in taken]
    assert sends == [[(3, 60), (SEGMENTS, 70), (81 - SEGMENTS, 70)], [(2, 60), (1, 61)]]


def test_old_keys_end_a_session_whenever_they_are_seen() -> None:
    engine, peer = Nobody(), Peer(Random(1).randbytes, Scheduler(), lambda _: None)
    path = peer.add_path(0, "there", 1472, 28, 0.0)
    path.state, path.rate.rate = State.UP, 1e9
    peer._choose(0.0)
    for count in (1, SEGMENTS):  # with `deliver`, and before
        peer.use(Session(Keys(A, B, Cipher.AES256_GCM, 1), 7, 8, 0.0))
        for _ in range(count):
            engine.post(peer, plain(60), SEND_TIME + 1)
        assert (peer.session is None) == (count > 1)
        engine.deliver(SEND_TIME + 1)
        assert peer.session is None
    engine.loop.close()


class Reader(Nobody):
    """Keeps what is read from its sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[int, int]] = []
        """(socket, number)."""

    def _batch(self, data: memoryview, segment: int, place: Place, now: float, cuts: Cuts | None = None) -> None:
        for at in range(0, len(data), segment):
            self.came.append((place.link.sock.getsockname()[1], int.from_bytes(data[at : at + 4], "big")))

    def _batches_done(self, now: float) -> None:
        """Nothing waits for others."""

    def _tick(self, now: float) -> float:
        return now + 0.01


def read(sizes: Sequence[Sequence[int]]) -> tuple[list[tuple[int, int]], list[list[tuple[int, int]]], list[int]]:
    """What came of datagrams of these sizes, one list a socket, that are sent in turns; how far it was after each turn
    of the loop; the sockets."""
    engine, turns = Reader(), list[list[tuple[int, int]]]()
    links = [Link(socket.AF_INET, source="127.0.0.1") for _ in sizes]
    ports = [link.sock.getsockname()[1] for link in links]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for n, row in enumerate(zip(*sizes, strict=True)):
            for port, size in zip(ports, row, strict=True):
                sock.sendto(n.to_bytes(4, "big").ljust(size, b"x"), ("127.0.0.1", port))

    def tick(now: float) -> float:
        due = engine._turn(now)
        turns.append(engine.came.copy())
        if len(turns) > 30:
            engine.loop.stop()
        return due

    for link in links:
        engine.listen(link)
    engine.loop.run(tick)
    for link in links:
        engine.forget(link)
    engine.loop.close()
    return engine.came, turns, ports


def test_sockets_are_read_in_turns_and_each_datagram_once() -> None:
    came, turns, ports = read([[100 + n % 7 for n in range(150)]] * 2)
    assert len(turns[1]) < 300, "others than sockets never have their turn"
    assert {port for port, _ in turns[1][:20]} == set(ports)
    assert sorted(came) == sorted((port, n) for port in ports for n in range(150))
    for port in ports:
        assert [n for each, n in came if each == port] == list(range(150))


def test_what_was_read_ahead_does_not_wait_for_the_next_datagram() -> None:
    """Each larger than the one before: none goes with others, and each is read before it is its turn."""
    came, _, (port,) = read([range(100, 100 + BATCHES + 2)])
    assert came == [(port, n) for n in range(BATCHES + 2)]


def test_what_comes_with_the_first_datagram_after_a_while_is_read_with_the_next_poll() -> None:
    came, turns, (port,) = read([[100, 100, 90]])
    assert came == [(port, n) for n in range(3)]
    assert [len(each) for each in turns[1:3]] == [1, 3]
