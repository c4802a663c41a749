# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attacker can do, and what he cannot: docs/bond-protocol.md, section of that name, names these tests."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.bondsim import datagram_packet, opened
from netpath.bond import noise
from netpath.bond.assemble import HELD, STREAMS, Assembler
from netpath.bond.clientside import ClientSessions
from netpath.bond.dataframes import COPY, FLOWS, PACKET, PARTIAL, SLICE, header
from netpath.bond.dataframes import HEAD as HEAD_FLAG
from netpath.bond.engine import Place
from netpath.bond.fec import CODEC
from netpath.bond.fec.groups import Decoder
from netpath.bond.fec.repair import LONGEST
from netpath.bond.frames import MOST, Bye, FrameError, Heartbeat, Probe, Reason, Rekey, pack, unpack
from netpath.bond.handshake import INITIATION, Cipher, Initiator, Keys, Offer, _with_mac
from netpath.bond.noise import public_bytes
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.rate import REPORTS, Rate
from netpath.bond.receiver import Receiver
from netpath.bond.reorder import Reorder
from netpath.bond.replay import MISSING
from netpath.bond.schedule import Scheduler
from netpath.bond.serverside import PENDING, RUNS, Client, ServerSessions
from netpath.bond.session import MOST_PATHS, SEND_TIME, ExpiredError, Session
from netpath.bond.slices import plan
from netpath.bond.wire import HEAD, LEAST, MAC, TAG, Kind, pack_head, unpack_head
from tests.unit.bond.datagrams import open_one
from tests.unit.bond.test_batches import Nobody
from tests.unit.bond.test_sessions import Ends
from tests.unit.bond.test_slices import ACK, packet, vnet

NOW = 1000.0
HOME, CAFE, VICTIM = ("192.0.2.1", 4000), ("198.51.100.7", 4001), ("203.0.113.9", 53)


def session_pair(now: float = NOW) -> tuple[Session, Session]:
    """Client's and server's."""
    ours = Session(Keys(b"a" * 32, b"b" * 32, Cipher.AES256_GCM, 1), 1, 2, now)
    return ours, Session(Keys(b"b" * 32, b"a" * 32, Cipher.AES256_GCM, 1), 2, 1, now)


def heartbeat(**changed: Any) -> Heartbeat:
    beat = Heartbeat(1, 0, 0xFFFFFFFF, bytes(8), bytes(8), 0, 0, 0, 0, 0, closing=False)
    return beat._replace(**changed)


class Served:
    """A server's peer with one path, and the client's session that it trusts."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.client, self.session = session_pair()
        self.peer = Peer(Random(1).randbytes, Scheduler(), self._write)
        self.peer.session = self.session
        self.path = self.peer.add_path(0, None, 1472, 28, NOW)

    def _write(self, buffers: object) -> None:
        assert isinstance(buffers, list)
        self.written.append(b"".join(bytes(each) for each in buffers))

    def arrives(self, datagram: bytes, address: object, *, session: Session | None = None, now: float = NOW) -> None:
        session = session or self.session
        plaintexts, newest = opened(session, datagram, now)
        if plaintexts:
            self.peer.opened_all(self.path, plaintexts, address if newest else None, session, now)
            self.peer.finish(now)

    def says(self, *frames: Heartbeat | Bye | Probe | Rekey, address: object = HOME, now: float = NOW) -> None:
        self.arrives(self.client.seal(0, b"".join(map(pack, frames)), now), address, now=now)


# Nonces.


def test_no_nonce_is_used_twice_with_a_key() -> None:
    """Whatever paths come and go under a number; the other direction and the next session have other keys."""
    ends = Ends()
    seen = set[tuple[int, bytes]]()
    for _ in range(3):
        ours, theirs = ends.meet()
        for sender in (ours, theirs):
            for n in range(40):
                first = sender.seal(n % 5, b"x", ends.now)
                others = sender.seal_all(n % 3, [b"y", b"z"], ends.now)
                for head in (first[:HEAD], *others[::2]):
                    assert (id(sender), head) not in seen
                    seen.add((id(sender), head))


def test_both_directions_and_every_session_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[bytes] = []
    split = noise.Handshake.split

    def noted(self: noise.Handshake) -> tuple[bytes, bytes]:
        found = split(self)
        keys.extend(found)
        return found

    monkeypatch.setattr(noise.Handshake, "split", noted)
    ends = Ends()
    for _ in range(5):
        ends.meet()
    assert len(keys) == 20 and len(set(keys)) == 10


# Handshakes.


def test_recorded_initiations_of_a_long_time_get_one_answer_each() -> None:
    ends = Ends()
    recorded = [ends.initiation() for _ in range(300)]
    assert sum(ends.server.initiate(each, 0, ends.now) is not None for each in recorded) == 300
    assert not any(ends.server.initiate(each, 0, ends.now) for each in recorded)
    (standing,) = ends.server.standings()
    assert len(standing.pending) <= PENDING


def test_initiations_may_overtake_each_other() -> None:
    ends = Ends()
    sent = [ends.initiation() for _ in range(20)]
    assert all(ends.server.initiate(each, 0, ends.now) for each in reversed(sent))


def test_runs_of_a_client_are_remembered_and_few() -> None:
    ends = Ends()
    known = Client("home", public_bytes(ends.client_key))
    server = ServerSessions(ends.server_key, Random(1).randbytes)
    server.configure({known.public: known})
    for n in range(RUNS + 20):
        process = ClientSessions(ends.client_key, public_bytes(ends.server_key), Random(n).randbytes)
        assert server.initiate(process.round([0], NOW)[0][1], 0, NOW)
    (standing,) = server.standings()
    assert len(standing.seen) == RUNS


def test_a_first_datagram_that_was_held_back_brings_no_old_session_back() -> None:
    """The client's process of before has shaken hands; its first datagram comes after the new process has begun."""
    ends = Ends()
    accepted = ends.server.initiate(ends.initiation(), 3, ends.now)
    assert accepted is not None
    old = ends.client.respond(accepted[1], ends.now)
    assert old is not None
    held_back = old.seal(3, b"\0", ends.now)
    ours, theirs = ends.meet()
    assert ends.server.of(unpack_head(held_back).receiver, ends.now) is None
    (standing,) = ends.server.standings()
    assert standing.current is theirs and not standing.pending
    assert open_one(ours, theirs.seal(0, b"still", ends.now), ends.now) == b"still"


def test_an_initiation_is_never_shorter_than_its_response_and_others_are_dropped() -> None:
    ends = Ends()
    whole = ends.initiation()
    assert len(whole) == INITIATION
    for wrong in (whole[:-1], whole + b"\0", whole[:200]):
        assert ends.server.initiate(wrong, 0, ends.now) is None
    many = Client("home", public_bytes(ends.client_key), addresses=tuple(bytes([10, n, 0, 1, 32]) for n in range(70)))
    ends.server.configure({many.public: many})
    assert ends.server.initiate(whole, 0, ends.now) is None


def test_a_server_cannot_make_a_client_use_what_it_did_not_offer() -> None:
    ends = Ends()
    accepted = ends.server.initiate(ends.initiation(), 0, NOW)
    assert accepted is not None
    (initiator,) = ends.client._under_way.values()
    initiator._offer = Offer((1, 1), (Cipher.CHACHA20_POLY1305,), bytes(8), 8, 0)  # as if it had offered only that
    assert ends.client.respond(accepted[1], NOW) is None
    assert ends.client.rejected == 1


def test_numbers_of_sessions_cannot_be_changed_by_who_knows_the_public_keys() -> None:
    """The mac takes no secret, so heads of handshakes can be changed by those; the payload has the number, too."""
    ends = Ends()
    initiation = ends.initiation()
    head = unpack_head(initiation)
    changed = remade(initiation, pack_head(0, head.kind, head.path, head.counter ^ 1), public_bytes(ends.server_key))
    assert ends.server.initiate(changed, 0, NOW) is None
    accepted = ends.server.initiate(initiation, 0, NOW)
    assert accepted is not None
    head = unpack_head(accepted[1])
    for receiver, counter in ((head.receiver, head.counter ^ 1), (head.receiver ^ 1, head.counter)):
        changed_head = pack_head(receiver, head.kind, head.path, counter)
        assert ends.client.respond(remade(accepted[1], changed_head, public_bytes(ends.client_key)), NOW) is None
    assert ends.client.respond(accepted[1], NOW) is not None


def remade(datagram: bytes, head: bytes, recipient: bytes) -> bytes:
    """With another head and the right mac."""
    return _with_mac(head + datagram[HEAD:-MAC], recipient)


def test_who_has_the_servers_private_key_cannot_come_in_as_a_client() -> None:
    """Key compromise impersonation: an initiation can be made with it, but not the keys that follow."""
    ends = Ends()
    victim = public_bytes(ends.client_key)
    forged = Forger(ends.server_key, victim).initiation()
    accepted = ends.server.initiate(forged, 0, ends.now)
    assert accepted is not None
    (standing,) = ends.server.standings()
    assert standing.current is None and len(standing.pending) == 1
    (session,) = standing.pending.values()
    for guess in (bytes(32), victim):
        fake = Session(Keys(guess, guess, Cipher.AES256_GCM, 1), 1, session.number, ends.now)
        assert open_one(session, fake.seal(0, b"\0", ends.now), ends.now) is None


class Forger:
    """Makes an initiation of a client whose private key it has not got: with the server's, ss can be computed."""

    def __init__(self, server: X25519PrivateKey, victim: bytes) -> None:
        self._initiator = Initiator(X25519PrivateKey.generate(), public_bytes(server), bytes(32), 7)
        shake = self._initiator._noise
        genuine = noise._dh

        def dh(private: X25519PrivateKey, public: bytes) -> bytes:
            return genuine(server, victim) if private is shake._static else genuine(private, public)

        self._dh, self._victim, self._shake = dh, victim, shake

    def initiation(self) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            known = noise.public_bytes
            patch.setattr(noise, "_dh", self._dh)
            patch.setattr(noise, "public_bytes", lambda key: self._victim if key is self._shake._static else known(key))
            return self._initiator.initiation(Offer((1, 1), (1,), b"forgers!", 8, 0), 0)


def test_a_key_of_small_order_is_refused() -> None:
    ends = Ends()
    for small in (bytes(32), b"\1" + bytes(31)):
        shake = noise.Handshake(b"NetPath bond\1", ends.server_key)
        with pytest.raises(noise.NoiseError, match="small order"):
            shake.read_first(small + bytes(200))


def test_garbage_costs_a_hash_and_no_curve_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = Ends()
    operations: list[int] = []
    genuine = noise._dh

    def counted(private: X25519PrivateKey, public: bytes) -> bytes:
        operations.append(1)
        return genuine(private, public)

    monkeypatch.setattr(noise, "_dh", counted)
    monkeypatch.setattr(noise, "public_bytes", lambda key: pytest.fail("something is computed for a stranger"))
    random = Random(3)
    for size in (0, 1, HEAD, LEAST, INITIATION - 1, INITIATION, INITIATION + 1, 1400):
        assert ends.server.initiate(random.randbytes(size), 0, NOW) is None
    assert not operations


# Addresses.


def test_only_a_datagram_that_is_newest_makes_its_address_a_candidate() -> None:
    served = Served()
    early = served.client.seal(0, pack(heartbeat()), NOW)
    served.says(heartbeat(now=2))
    served.arrives(early, VICTIM)
    assert served.path.address.candidate == HOME


def test_a_late_datagram_of_old_keys_makes_no_candidate() -> None:
    served = Served()
    held_back = served.client.seal(0, pack(heartbeat()), NOW)
    old = served.session
    served.client, served.session = session_pair()
    served.peer.session = served.session
    served.says(heartbeat(now=2))
    served.arrives(held_back, VICTIM, session=old)
    assert served.path.address.candidate == HOME


def test_nothing_but_heartbeats_goes_to_an_address_that_has_proved_nothing() -> None:
    """And no more of them than came from there, whoever sends it."""
    served = Served()
    served.says(heartbeat(), address=VICTIM)
    sent = 0
    for n in range(200):
        datagrams, trains = served.peer.tick(NOW + n / 10)
        assert not trains
        for datagram in datagrams:
            assert datagram.address == VICTIM
            assert open_one(served.client, datagram.data, NOW + n / 10) is not None
            sent += len(datagram.data)
    assert 0 < sent <= LEAST + 64


def test_the_token_must_come_back_from_the_address_that_it_went_to() -> None:
    served = Served()
    served.says(heartbeat(), address=CAFE)
    ((*_, data),) = served.peer.tick(NOW)[0]
    plaintext = open_one(served.client, data, NOW)
    assert plaintext is not None
    ((beat,), _) = unpack(plaintext)
    assert isinstance(beat, Heartbeat) and beat.token != bytes(8)
    served.says(heartbeat(now=2, returned=beat.token), address=HOME)
    assert served.path.address.proven is None
    served.says(heartbeat(now=3), address=CAFE)
    ((*_, data),) = served.peer.tick(NOW + 1)[0]
    ((again,), _) = unpack(open_one(served.client, data, NOW + 1) or b"")
    assert isinstance(again, Heartbeat) and again.token not in (bytes(8), beat.token)
    served.says(heartbeat(now=4, returned=again.token), address=CAFE)
    assert served.path.address.proven == CAFE


def test_a_late_heartbeat_does_not_take_the_address_away() -> None:
    """It returns the token that has proved the address; nothing is a candidate any more."""
    served = Served()
    served.says(heartbeat(), address=CAFE)
    ((*_, data),) = served.peer.tick(NOW)[0]
    ((beat,), _) = unpack(open_one(served.client, data, NOW) or b"")
    assert isinstance(beat, Heartbeat)
    late = served.client.seal(0, pack(heartbeat(now=2, returned=beat.token)), NOW)
    served.says(heartbeat(now=3, returned=beat.token), address=CAFE)
    served.arrives(late, CAFE)
    assert served.path.address.proven == CAFE


def test_a_new_address_has_brought_no_probe_yet() -> None:
    served = Served()
    served.says(heartbeat(), Probe(1400), address=CAFE)
    assert served.path._largest_probe == 1400
    ((*_, data),) = served.peer.tick(NOW)[0]
    ((beat,), _) = unpack(open_one(served.client, data, NOW) or b"")
    assert isinstance(beat, Heartbeat)
    served.says(heartbeat(now=2, returned=beat.token), address=CAFE)
    assert (served.path.address.proven, served.path._largest_probe) == (CAFE, 0)


# Frames that lie: made by an authentic peer, who is faulty or means harm.


def test_a_bye_of_old_keys_ends_nothing() -> None:
    served = Served()
    byes = [served.client.seal(0, pack(frame), NOW) for frame in (Bye(Reason.END), Bye(Reason.NO_PATH), Rekey())]
    old = served.session
    served.client, served.session = session_pair()
    served.peer.session = served.session
    for bye in byes:
        served.arrives(bye, HOME, session=old)
    assert served.peer.ended is None and 0 in served.peer.paths and not served.peer.wants_keys
    served.says(Bye(Reason.END))
    assert served.peer.ended == Reason.END


def test_a_path_that_goes_when_keys_are_too_old_to_send_raises_nothing() -> None:
    served = Served()
    other = served.peer.add_path(1, HOME, 1472, 28, NOW)
    other.state, other.mtu.known = State.UP, True
    other.heard = other._reported = NOW
    served.peer._choose(NOW)
    served.peer.packet(memoryview(datagram_packet(1, 0, 500, Random(1))), NOW)
    assert served.peer.rest(NOW)
    late = NOW + SEND_TIME + 1
    served.path.state, served.path.mtu.known, served.path._reported = State.UP, True, late
    served.peer.drop_path(1, late)
    assert served.peer.sent_again == 0
    served.peer.packet(memoryview(datagram_packet(1, 1, 500, Random(1))), late)
    with pytest.raises(ExpiredError):
        served.peer.rest(late)


def test_frames_after_a_bye_of_their_path_do_no_harm() -> None:
    served = Served()
    served.says(heartbeat(), Bye(Reason.NO_PATH), heartbeat(now=2))
    assert not served.peer.paths


def test_a_plaintext_of_very_many_frames_is_dropped_unread() -> None:
    with pytest.raises(FrameError, match="more than"):
        unpack(pack(Rekey()) * 60000)
    assert len(unpack(pack(Rekey()) * MOST)[0]) == MOST


def test_an_empty_plaintext_is_dropped() -> None:
    ours, theirs = session_pair()
    engine = Nobody(theirs)
    empty = ours.seal(0, b"", NOW)
    place = Place(None, ("192.0.2.1", 1))  # type: ignore[arg-type]
    for datagram in (empty, *(empty[:size] for size in range(LEAST))):
        engine._batch(memoryview(bytearray(datagram)), len(datagram), place, NOW)
    assert engine.unknown == 1 + LEAST
    engine.loop.close()


@pytest.mark.parametrize("first", [0x88, 0x8F, 0x98, 0xB0, 0xF7])
def test_unknown_types_and_flags_of_data_frames_are_dropped(first: int) -> None:
    receiver = Receiver(lambda buffers: pytest.fail("it goes to the device"))
    assert receiver.frame(header(first, 0, 1, 0) + b"\x45" + bytes(60), NOW) == -1
    assert receiver.counts.faulty == 1


def test_a_packet_that_ends_within_its_checksum_fields_is_dropped() -> None:
    receiver = Receiver(lambda buffers: pytest.fail("it goes to the device"))
    for size in range(1, 22):
        receiver.frame(header(PACKET | PARTIAL, size - 1, 1, size - 1) + b"\x45" * size, NOW)
    assert receiver.counts.faulty == 21


def test_a_server_keeps_books_of_a_bounded_number_of_paths() -> None:
    ours, theirs = session_pair()
    fine = 0
    for path in range(4096):
        head = pack_head(2, Kind.DATA, path, 1 << 40)
        fine += len(opened(theirs, head + ours._seal(head, b"\0", None), NOW)[0])
    assert fine == MOST_PATHS == len(theirs._windows)
    assert all(len(window._missing) <= MISSING for window in theirs._windows.values())


def peak(work: Callable[[], object]) -> int:
    """Bytes that `work` needed and keeps at most."""
    tracemalloc.start()
    try:
        kept = work()
        assert kept is not None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_slices_without_a_head_are_bounded_in_one_flow_and_in_all() -> None:
    def one() -> Assembler:
        assembler = Assembler(lambda buffers: None)
        for n in range(20000):
            assembler.add(7, n, [header(SLICE, n, 7, n) + bytes(1400)])
        return assembler

    def all_flows() -> Assembler:
        assembler = Assembler(lambda buffers: None)
        for n in range(20000):
            assembler.add(n % 4000, n // 4000, [header(SLICE, n // 4000, n % 4000, n) + bytes(1400)])
        return assembler

    def heads() -> Assembler:
        """Of packets that never end."""
        assembler = Assembler(lambda buffers: None)
        whole = packet(4, bytes(1000), sequence=1, flags=ACK)
        head = plan(vnet(4, 40, 500), whole, 500)
        for n in range(20000):
            slice_ = header(SLICE | HEAD_FLAG, 0, n, n) + head.block(0) + bytes(head.length(0))
            assembler.add(n, 0, [slice_])
            assembler.flush()
        assert len(assembler.streams) <= STREAMS
        return assembler

    assert peak(one) < 2 * HELD
    assert peak(all_flows) < 2 * HELD
    assert peak(heads) < 2 * HELD


def test_a_flow_with_very_many_holes_costs_no_more_than_its_frames() -> None:
    """The search for the next frame after each hole was once through all that wait."""
    looked = 0

    class Order(int):
        def __lt__(self, other: int) -> bool:
            nonlocal looked
            looked += 1
            return int(self) < int(other)

    box: Reorder[int] = Reorder(0.1)
    box.next[5] = Order(0)
    for n in range(1, 8000, 2):
        box.push(5, n, n, [n], NOW)
    gap = box.gaps[5]
    gap.heap = [Order(each) for each in gap.heap]
    assert len(box.expire(NOW + 1)) == 4000
    assert looked < 4000 * 40


def test_flows_wait_in_bounded_number() -> None:
    receiver = Receiver(lambda buffers: None)
    for n in range(3 * FLOWS):
        receiver.frame(header(PACKET | COPY, 5 + n // FLOWS, n % FLOWS, n) + b"\x45" + bytes(30), NOW + n / 100_000)
        if n % 100 == 0:
            receiver.order.expire(NOW + n / 100_000)
    assert sum(len(gap.waiting) for gap in receiver.order.gaps.values()) <= 11_000


def test_frames_too_long_for_a_group_are_not_kept_for_one() -> None:
    def work() -> Decoder:
        decoder = Decoder(CODEC)
        decoder._limit = 2048
        for n in range(4096):
            assert decoder.add(n, bytes(LONGEST + 10_000))
        return decoder

    assert peak(work) < 1 << 20


def test_reports_beyond_measure_are_forgotten() -> None:
    rate = Rate()
    for n in range(3 * REPORTS):
        rate._least_delay(n / 1e6, NOW + n / 1e6)
    assert len(rate._least) <= REPORTS


@pytest.mark.parametrize("field", [name for name in Heartbeat._fields if name not in ("token", "returned", "closing")])
def test_a_heartbeat_that_lies_breaks_nothing(field: str) -> None:
    """Any field at its ends: the path's books stay finite numbers, and nothing is raised."""
    served = Served()
    random = Random(field)
    most = {"bytes": (1 << 48) - 1, "largest": 65535}.get(field, 0xFFFFFFFF)
    now = NOW
    for n in range(300):
        now += random.choice([0.0, 1e-6, 0.01, 0.1, 7.0])
        honest = {"now": int(now * 1e6) & 0xFFFFFFFF, "echo": int(now * 1e6) & 0xFFFFFFFF, "hold": 0, "highest": n}
        if now - served.session.born < 170:
            served.says(heartbeat(**{**honest, field: random.choice([0, 1, most // 2, most // 2 + 1, most])}), now=now)
            served.peer.tick(now)
    path = served.path
    assert 0 <= path.loss_out <= 1 and 0 <= path.loss_in <= 1
    assert 0 < path.speed <= 4e9 and 1200 <= path.room <= 1472
    assert path.round_trip is None or 0 <= path.round_trip <= 60


def test_the_same_datagram_again_changes_nothing() -> None:
    served = Served()
    datagram = served.client.seal(0, header(PACKET, 0, 1, 0) + b"\x45" + bytes(40), NOW)
    for address in (HOME, VICTIM, HOME):
        served.arrives(datagram, address)
    assert len(served.written) == 1
    assert served.path.received == 1
    assert served.path.address.candidate == HOME
    assert served.path.received_bytes == len(datagram) + 28 == HEAD + 51 + TAG + 28


def test_a_datagram_of_one_session_or_direction_is_none_of_another() -> None:
    """Spliced, turned round, or cut."""
    ours, theirs = session_pair()
    other = Session(Keys(b"c" * 32, b"d" * 32, Cipher.AES256_GCM, 1), 2, 1, NOW)
    one, two = ours.seal(0, b"one" * 20, NOW), ours.seal(1, b"two" * 20, NOW)
    for forged in (one[:HEAD] + two[HEAD:], two[:HEAD] + one[HEAD:], one[:-1], one + b"\0", one[: LEAST + 3]):
        assert open_one(theirs, forged, NOW) is None
    assert open_one(other, one, NOW) is None
    assert open_one(ours, one, NOW) is None
    assert open_one(theirs, one, NOW) == b"one" * 20
