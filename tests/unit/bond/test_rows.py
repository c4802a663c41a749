# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of datagrams: whatever is taken together ends as it would one by one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.bond.fec.adaptive import policy
from netpath.bond.handshake import Cipher, Keys
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.rows import LEAST, MOST, Arena, Cuts
from netpath.bond.schedule import Scheduler
from netpath.bond.sender import Train
from netpath.bond.session import OPEN_TIME, Session
from netpath.bond.wire import HEAD, TAG, Kind
from tests.unit.bond.test_slices import ACK, packet, vnet

A, B = bytes(range(32)), bytes(range(32, 64))
FIRST = 8 << 16 | Kind.DATA << 12 | 3


def ends(cipher: Cipher = Cipher.AES256_GCM) -> tuple[Session, Session]:
    """What one sends as number 7 to the other's 8; one datagram of path 3 has gone already."""
    sender, receiver = Session(Keys(A, B, cipher, 1), 7, 8, 0.0), Session(Keys(B, A, cipher, 1), 8, 7, 0.0)
    first = sender.seal(3, b"first", 0.0)
    assert receiver.open_all(memoryview(first), len(first), 0, FIRST, 0.0)[0] == [b"first"]
    return sender, receiver


def sealed(sender: Session, sizes: Sequence[int]) -> tuple[list[bytes], bytearray]:
    plaintexts = [bytes([n]) * size for n, size in enumerate(sizes)]
    return plaintexts, bytearray(b"".join(sender.seal_all(3, plaintexts, 0.0)))


@pytest.mark.parametrize("library", ["new", "old"])
@pytest.mark.parametrize("cipher", list(Cipher))
@pytest.mark.parametrize("last", [40, 11, 39])
@pytest.mark.parametrize("count", [LEAST, 17, MOST])
def test_a_row_has_what_its_datagrams_had(count: int, last: int, cipher: Cipher, library: str) -> None:
    """`library`: before version 47, cryptography cannot decrypt into a buffer."""
    sender, receiver = ends(cipher)
    if library == "old":
        receiver._open_into = None
    plaintexts, data = sealed(sender, [40] * (count - 1) + [last])
    row = receiver.open_row(Arena(), memoryview(data), 40 + HEAD + TAG, FIRST, 0.0, cuts=Cuts(memoryview(data)))
    assert row is not None
    assert row.plaintexts() == plaintexts == [row.plaintext(n) for n in range(len(row))]
    assert list(map(bytes, row.parts())) == [plaintext[10:] for plaintext in plaintexts]
    assert row.size == sum(map(len, plaintexts)) and row.copy() == b"".join(plaintexts)
    assert receiver.highest(3) == count
    # Nothing of it is new any more.
    assert (
        receiver.open_row(Arena(), memoryview(data), 40 + HEAD + TAG, FIRST, 0.0, cuts=Cuts(memoryview(data))) is None
    )
    assert receiver.open_all(memoryview(data), 40 + HEAD + TAG, 0, FIRST, 0.0)[:2] == ([], count)


@given(
    st.integers(0, 2**32), st.sampled_from(["spoiled", "missing", "again", "swapped", "path", "late", "short", "old"])
)
def test_what_is_no_row_is_left_as_it_was(seed: int, what: str) -> None:
    random = Random(seed)
    sender, receiver = ends()
    segment = 40 + HEAD + TAG
    plaintexts, data = sealed(sender, [40] * 12)
    pieces = [data[at : at + segment] for at in range(0, len(data), segment)]
    n, now = random.randrange(1, 12), 0.0
    expected = plaintexts
    match what:
        case "spoiled":
            pieces[n][random.randrange(HEAD, segment)] ^= 1 << random.randrange(8)
            expected = plaintexts[:n] + plaintexts[n + 1 :]
        case "missing":
            del pieces[n - 1 if n == 11 else n]
            expected = plaintexts[: n - 1] + plaintexts[n:] if n == 11 else plaintexts[:n] + plaintexts[n + 1 :]
        case "again":
            pieces.insert(n, pieces[n - 1])
        case "swapped":
            pieces[n - 1], pieces[n] = pieces[n], pieces[n - 1]
            expected = [*plaintexts[: n - 1], plaintexts[n], plaintexts[n - 1], *plaintexts[n + 1 :]]
        case "path":
            pieces[n] = bytearray(sender.seal(4, b"x" * 40, 0.0))
            expected = plaintexts[:n]
        case "late":
            now, expected = OPEN_TIME + 1.0, []
        case "short":
            pieces[-1] = bytearray(sender.seal(3, b"y", 0.0))
            expected = [*plaintexts[:-1], b"y"]
        case "old":
            receiver.open_all(memoryview(pieces[-1]), segment, 0, FIRST, 0.0)
            expected = plaintexts[:-1]
    whole = memoryview(b"".join(pieces))
    before = receiver.highest(3)
    assert receiver.open_row(Arena(), whole, segment, FIRST, now, cuts=Cuts(whole)) is None
    assert receiver.highest(3) == before
    found, _, at, _ = receiver.open_all(whole, segment, 0, FIRST, now)
    assert found == expected
    assert at == (n * segment if what == "path" else len(whole))


def test_few_many_and_large_ones_are_no_row() -> None:
    sender, receiver = ends()
    for sizes in ([40] * (LEAST - 1), [40] * (MOST + 1), [3000] * 60, [5] * 8):
        plaintexts, data = sealed(sender, sizes)
        segment = sizes[0] + HEAD + TAG
        assert receiver.open_row(Arena(), memoryview(data), segment, FIRST, 0.0, cuts=Cuts(memoryview(data))) is None
        assert receiver.open_all(memoryview(data), segment, 0, FIRST, 0.0)[0] == plaintexts


def test_a_path_of_which_nothing_came_is_no_row() -> None:
    sender, receiver = ends()
    plaintexts = [b"x" * 40] * 8
    data = memoryview(b"".join(sender.seal_all(5, plaintexts, 0.0)))
    first = 8 << 16 | Kind.DATA << 12 | 5
    assert receiver.open_row(Arena(), data, 40 + HEAD + TAG, first, 0.0, cuts=Cuts(data)) is None
    assert receiver.open_all(data, 40 + HEAD + TAG, 0, first, 0.0)[0] == plaintexts


class End:
    """A receiving end, and what it gave to its device."""

    def __init__(self, together: bool) -> None:
        self.written: list[bytes] = []
        self.session = Session(Keys(B, A, Cipher.AES256_GCM, 1), 8, 7, 0.0)
        self.peer = Peer(Random(1).randbytes, Scheduler(), lambda buffers: self.written.append(b"".join(buffers)))
        self.peer.use(self.session)
        for number in (0, 1):
            self.peer.add_path(number, "home", 1472, 28, 0.0).state = State.UP
        self._arena = Arena() if together else None
        self.rows = 0

    def take(self, path: int, data: bytes, segment: int, now: float) -> None:
        view = memoryview(bytearray(data))
        first = int.from_bytes(view[:HEAD], "big") >> 48
        row = self.session.open_row(self._arena, view, segment, first, now, cuts=Cuts(view)) if self._arena else None
        if row is not None:
            self.rows += 1
            self.peer.opened_all(self.peer.paths[path], row, "home", self.session, now)
            return
        found, _, at, newest = self.session.open_all(view, segment, 0, first, now)
        assert at == len(view)
        if found:
            self.peer.opened_all(self.peer.paths[path], found, "home" if newest else None, self.session, now)

    def figures(self) -> tuple[object, ...]:
        receiver, order = self.peer.receiver, self.peer.receiver.order
        paths = [(path.received, path.received_bytes, path.brought) for path in self.peer.paths.values()]
        counters = receiver.decoder.counters
        assembled = receiver.assembler.headless, receiver.assembler.faulty
        return receiver.counts, order.given_up, order.late, order.copies, order.next, paths, counters, assembled


def sender(fec: str) -> Peer:
    peer = Peer(Random(2).randbytes, Scheduler(), lambda buffers: None, correction=policy(fec))
    peer.use(Session(Keys(A, B, Cipher.AES256_GCM, 1), 7, 8, 0.0))
    for number in (0, 1):
        path = peer.add_path(number, "there", 1472, 28, 0.0)
        path.state, path.mtu.size, path.rate.rate = State.UP, 1472, 2e9
    peer._choose(0.0)
    return peer


SIZES = (0, 500, 1300, 5000, 20_000, 40_000, 60_000)


def a_packet(random: Random, sizes: Sequence[int] = SIZES) -> memoryview:
    """Of one of few streams, with so many bytes; 0: an acknowledgement."""
    size = random.choice(sizes)
    payload = random.randbytes(size)
    options = bytes(12) if random.random() < 0.5 else b""
    whole = packet(random.choice((4, 6)), payload, sequence=random.randrange(3), flags=ACK, options=options)
    version = whole[0] >> 4
    header = vnet(version, len(whole) - size, 1368) if size > 1368 else bytes(10)
    return memoryview(bytearray(header + whole))


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(["off", "fixed"]), st.sampled_from([0.0, 0.02, 0.2]))
def test_what_is_delivered_does_not_depend_on_rows(seed: int, fec: str, loss: float) -> None:
    """Trains are lost, cut, repeated and overtaken; one end takes what came at once together, the other does not."""
    random = Random(seed)
    source, together, single = sender(fec), End(True), End(False)
    now, waiting = 0.0, list[Train]()
    for _ in range(30):
        now += 0.001
        settled = now > 0.0025  # before the first repair, one end remembers a little more than the other
        waiting += source.packet(a_packet(random, SIZES if settled else SIZES[-1:]), now)
        if not settled or random.random() < 0.3:
            waiting += source.rest(now)
        if settled:
            if random.random() < 0.3:
                continue
            if random.random() < 0.2:
                random.shuffle(waiting)
        for train in waiting:
            pieces = [a + b for a, b in zip(train.buffers[::2], train.buffers[1::2], strict=True)]
            if settled:
                pieces = [piece for piece in pieces if random.random() >= loss]
            runs = [pieces] if random.random() < 0.7 else [pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]]
            for run in runs:
                if not run:
                    continue
                for end in (together, single):
                    end.take(train.path, b"".join(run), len(run[0]), now)
        waiting.clear()
        if random.random() < 0.7:
            for end in (together, single):
                end.peer.finish(now)
    for end in (together, single):
        end.peer.finish(now + 9.0, expire=True)
    assert loss or together.rows > 10
    assert together.written == single.written
    assert together.figures() == single.figures()
    assert single.written
