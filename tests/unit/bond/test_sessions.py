# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes and sessions of both ends, without a network: who gets in, who does not, and change of keys."""

from __future__ import annotations

from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.clientside import LINGER, RETRY_TIMES, ClientSessions
from netpath.bond.handshake import INITIATION, Cipher
from netpath.bond.noise import public_bytes
from netpath.bond.serverside import PENDING, PENDING_TIME, Client, ServerSessions
from netpath.bond.session import OPEN_TIME, REKEY_TIME, SEND_TIME, ExpiredError, Session
from netpath.bond.wire import Kind, unpack_head
from tests.unit.bond.datagrams import open_one

PSK = bytes(range(32))


class Ends:
    """A client and a server that know each other, and a clock."""

    def __init__(
        self, *, client_psk: bytes = PSK, server_psk: bytes = PSK, ciphers: tuple[Cipher, ...] = tuple(Cipher)
    ) -> None:
        random = Random(1).randbytes
        self.now = 1000.0
        self.client_key, self.server_key = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.client = ClientSessions(self.client_key, public_bytes(self.server_key), random, psk=client_psk)
        self.server = ServerSessions(self.server_key, random, addresses=[bytes([10, 99, 0, 1])], ciphers=ciphers)
        known = Client("home", public_bytes(self.client_key), server_psk, (bytes([10, 99, 0, 2, 24]),))
        self.server.configure({known.public: known})

    def initiation(self) -> bytes:
        ((path, datagram),) = self.client.round([3], self.now)
        assert path == 3
        return datagram

    def meet(self) -> tuple[Session, Session]:
        """A whole handshake, confirmed by a first data datagram: (client's session, server's)."""
        accepted = self.server.initiate(self.initiation(), 3, self.now)
        assert accepted is not None
        ours = self.client.respond(accepted[1], self.now)
        assert ours is not None
        first = ours.seal(3, b"\0", self.now)
        found = self.server.of(unpack_head(first).receiver, self.now)
        assert found is not None
        standing, theirs = found
        assert open_one(theirs, first, self.now) == b"\0"
        assert self.server.authentic(standing, theirs, self.now)
        assert standing.current is theirs
        return ours, theirs


def test_a_handshake_gives_both_ends_the_same_keys_and_the_client_its_addresses() -> None:
    ends = Ends()
    ours, theirs = ends.meet()
    back = theirs.seal(7, b"answer", ends.now)
    assert unpack_head(back)[:3] == (ours.number, Kind.DATA, 7)
    assert open_one(ours, back, ends.now) == b"answer"
    assert ends.client.answer is not None
    assert ends.client.answer.client == (bytes([10, 99, 0, 2, 24]),)
    assert ends.client.answer.server == (bytes([10, 99, 0, 1]),)
    assert ends.client.due(ends.now) is None


@pytest.mark.parametrize("cipher", list(Cipher))
def test_the_server_chooses_a_cipher_that_it_has(cipher: Cipher) -> None:
    ends = Ends(ciphers=(cipher,))
    ours, theirs = ends.meet()
    assert ends.client.answer is not None
    assert ends.client.answer.cipher is cipher
    assert open_one(ours, theirs.seal(0, b"x", ends.now), ends.now) == b"x"


def test_a_response_is_no_longer_than_the_initiation() -> None:
    ends = Ends()
    datagram = ends.initiation()
    accepted = ends.server.initiate(datagram, 0, ends.now)
    assert accepted is not None
    assert len(datagram) == INITIATION >= len(accepted[1])


def test_a_strange_client_gets_no_answer() -> None:
    ends = Ends()
    stranger = ClientSessions(X25519PrivateKey.generate(), public_bytes(ends.server_key), Random(2).randbytes)
    ((_, datagram),) = stranger.round([0], ends.now)
    assert ends.server.initiate(datagram, 0, ends.now) is None
    assert (ends.server.rejected, ends.server.strangers) == (1, 1)


def test_an_initiation_for_another_server_gets_no_answer() -> None:
    ends = Ends()
    other = ServerSessions(X25519PrivateKey.generate(), Random(3).randbytes)
    assert other.initiate(ends.initiation(), 0, ends.now) is None
    assert (other.rejected, other.strangers) == (1, 0)


def test_another_preshared_key_makes_no_session() -> None:
    ends = Ends(server_psk=bytes(32))
    accepted = ends.server.initiate(ends.initiation(), 0, ends.now)
    assert accepted is not None  # the client has proved its static key; the preshared key comes with the second message
    assert ends.client.respond(accepted[1], ends.now) is None
    assert ends.client.current is None
    assert ends.client.rejected == 1


def test_a_forged_response_does_not_spoil_the_true_one() -> None:
    ends = Ends()
    accepted = ends.server.initiate(ends.initiation(), 0, ends.now)
    assert accepted is not None
    true = accepted[1]
    for at in (13, 50, len(true) - 1):
        forged = bytearray(true)
        forged[at] ^= 1
        assert ends.client.respond(bytes(forged), ends.now) is None
    assert ends.client.respond(true, ends.now) is not None


def test_a_replayed_initiation_gets_no_second_answer_and_disturbs_nothing() -> None:
    ends = Ends()
    recorded = ends.initiation()
    accepted = ends.server.initiate(recorded, 3, ends.now)
    assert accepted is not None
    assert ends.server.initiate(recorded, 3, ends.now) is None
    ours, theirs = ends.meet()
    for _ in range(200):
        ends.server.initiate(ends.initiation(), 3, ends.now)
    assert ends.server.initiate(recorded, 3, ends.now) is None
    (standing,) = ends.server.standings()
    assert standing.current is theirs
    assert open_one(ours, theirs.seal(0, b"still", ends.now), ends.now) == b"still"


def test_sessions_to_be_are_few_and_do_not_last() -> None:
    ends = Ends()
    for _ in range(4 * PENDING):
        ends.server.initiate(ends.initiation(), 0, ends.now)
    (standing,) = ends.server.standings()
    assert len(standing.pending) == PENDING == len(ends.server._sessions)
    number = next(iter(standing.pending))
    assert ends.server.of(number, ends.now + PENDING_TIME + 1) is None
    assert number not in ends.server._sessions


def test_the_client_asks_again_and_again_and_ever_more_slowly() -> None:
    ends = Ends()
    waits = []
    for _ in range(6):
        due = ends.client.due(ends.now)
        assert due is not None
        waits.append(due - ends.now)
        ends.now = max(ends.now, due)
        ends.client.round([0, 1], ends.now)
    assert waits == [0.0, *RETRY_TIMES, RETRY_TIMES[-1]]


def test_new_keys_take_over_and_old_ones_open_what_was_under_way() -> None:
    ends = Ends()
    old_ours, old_theirs = ends.meet()
    late = old_theirs.seal(0, b"late", ends.now)
    ends.now += REKEY_TIME - 1
    assert ends.client.due(ends.now) is None
    ends.now += 1
    assert ends.client.due(ends.now) == ends.now
    ours, theirs = ends.meet()
    assert ours is not old_ours and theirs is not old_theirs
    assert ends.client.current is ours
    assert ends.client.of(old_ours.number, ends.now) is old_ours
    assert open_one(old_ours, late, ends.now) == b"late"
    assert ends.client.of(old_ours.number, ends.now + LINGER + 1) is None
    assert ends.server.of(old_theirs.number, ends.now + LINGER + 1) is None
    assert ends.server.of(theirs.number, ends.now + LINGER + 1) is not None


def test_the_server_may_ask_for_new_keys() -> None:
    ends = Ends()
    ends.meet()
    ends.client.rekey(ends.now)
    assert ends.client.due(ends.now) == ends.now


def test_keys_end_with_their_time() -> None:
    ends = Ends()
    ours, theirs = ends.meet()
    last = ours.seal(0, b"last", ends.now + SEND_TIME)
    with pytest.raises(ExpiredError):
        ours.seal(0, b"beyond", ends.now + SEND_TIME + 0.1)
    assert open_one(theirs, last, ends.now + OPEN_TIME + 0.1) is None
    assert open_one(theirs, last, ends.now + OPEN_TIME) == b"last"


def test_a_client_that_is_taken_from_the_configuration_is_out_at_once() -> None:
    ends = Ends()
    ours, theirs = ends.meet()
    assert [client.name for client in ends.server.configure({})] == ["home"]
    assert ends.server.of(theirs.number, ends.now) is None
    assert ours.number
    assert ends.server.initiate(ends.initiation(), 0, ends.now) is None


def test_an_unchanged_client_keeps_its_session_over_a_new_configuration() -> None:
    ends = Ends()
    _, theirs = ends.meet()
    (standing,) = ends.server.standings()
    renamed = Client("shop", standing.client.public, PSK)
    assert ends.server.configure({renamed.public: renamed}) == []
    found = ends.server.of(theirs.number, ends.now)
    assert found is not None
    assert found[0].client.name == "shop"


@given(st.data())
def test_a_datagram_counts_once_and_changed_ones_never(data: st.DataObject) -> None:
    ends = Ends()
    ours, theirs = ends.meet()
    sealed = [ours.seal(n % 3, bytes([n]), ends.now) for n in range(20)]
    seen = []
    for _ in range(40):
        datagram = bytearray(data.draw(st.sampled_from(sealed)))
        if data.draw(st.booleans()):
            datagram[data.draw(st.integers(4, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
        opened = open_one(theirs, bytes(datagram), ends.now)
        if opened is not None:
            assert bytes(datagram) in sealed
            seen.append(opened)
    assert len(seen) == len(set(seen))


def test_paths_that_a_stranger_invents_take_no_memory() -> None:
    ends = Ends()
    ours, theirs = ends.meet()
    for path in range(4096):
        assert open_one(theirs, bytes(4) + (2 << 12 | path).to_bytes(2, "big") + bytes(40), ends.now) is None
    assert len(theirs._windows) == 1
    assert ours.sent(3) == 1


def test_answers_to_all_initiations_of_a_round_are_no_sign_of_trouble() -> None:
    """A client asks by each path, and takes the first answer; what was never asked for is counted."""
    ends = Ends()
    responses = [ends.server.initiate(datagram, path, ends.now) for path, datagram in ends.client.round([0, 1], 0.0)]
    first, second = (accepted[1] for accepted in responses if accepted is not None)
    assert ends.client.respond(first, ends.now) is not None
    assert ends.client.respond(second, ends.now) is None
    assert ends.client.rejected == 0
    for number, again in enumerate((second, first), 1):
        assert ends.client.respond(again, ends.now) is None
        assert ends.client.rejected == number
