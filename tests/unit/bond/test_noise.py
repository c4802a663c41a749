# SPDX-License-Identifier: GPL-2.0-or-later
"""The handshake against the published vectors of another implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from netpath.bond.noise import FIRST_OVERHEAD, NAME, SECOND_OVERHEAD, Handshake, NoiseError, public_bytes

VECTOR: dict[str, Any] = json.loads(Path(__file__).with_name("noise.json").read_text())


def given(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


def key(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(given(name))


def pair() -> tuple[Handshake, Handshake, bytes]:
    """Initiator and responder of the vector, and its preshared key."""
    initiator = Handshake(
        given("init_prologue"), key("init_static"), given("init_remote_static"), ephemeral=key("init_ephemeral")
    )
    responder = Handshake(given("resp_prologue"), key("resp_static"), ephemeral=key("resp_ephemeral"))
    return initiator, responder, bytes.fromhex(VECTOR["init_psks"][0])


def test_the_published_vector() -> None:
    assert VECTOR["protocol_name"].encode() == NAME
    initiator, responder, psk = pair()
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in VECTOR["messages"]]
    (payload, expected), (answer, expected_answer), *transport = messages
    assert initiator.write_first(payload) == expected
    assert responder.read_first(expected) == payload
    assert responder.remote_static == public_bytes(key("init_static"))
    assert responder.write_second(answer, psk) == expected_answer
    assert initiator.read_second(expected_answer, psk) == answer
    ways = [initiator.split(), responder.split()]
    assert ways[0] == ways[1][::-1]
    counts = [0, 0]
    for number, (payload, expected) in enumerate(transport):
        side = number % 2
        nonce = bytes(4) + counts[side].to_bytes(8, "little")
        counts[side] += 1
        assert ChaCha20Poly1305(ways[side][0]).encrypt(nonce, payload, b"") == expected


@pytest.mark.parametrize("at", [0, 31, 32, 79, 80, 95])
def test_a_changed_first_message_is_refused(at: int) -> None:
    initiator, responder, _ = pair()
    message = bytearray(initiator.write_first(b""))
    message[at] ^= 1
    with pytest.raises(NoiseError):
        responder.read_first(bytes(message))


@pytest.mark.parametrize("at", [0, 31, 32, 47])
def test_a_changed_second_message_is_refused(at: int) -> None:
    initiator, responder, psk = pair()
    responder.read_first(initiator.write_first(b""))
    message = bytearray(responder.write_second(b"", psk))
    message[at] ^= 1
    with pytest.raises(NoiseError):
        initiator.read_second(bytes(message), psk)


def test_another_preshared_key_is_refused() -> None:
    initiator, responder, psk = pair()
    responder.read_first(initiator.write_first(b""))
    with pytest.raises(NoiseError):
        initiator.read_second(responder.write_second(b"", bytes(32)), psk)


def test_another_servers_key_is_refused() -> None:
    initiator, _, _ = pair()
    stranger = Handshake(given("resp_prologue"), X25519PrivateKey.generate())
    with pytest.raises(NoiseError):
        stranger.read_first(initiator.write_first(b""))


def test_messages_that_are_too_short_are_refused() -> None:
    initiator, responder, psk = pair()
    with pytest.raises(NoiseError, match="too short"):
        responder.read_first(bytes(FIRST_OVERHEAD - 1))
    with pytest.raises(NoiseError, match="too short"):
        initiator.read_second(bytes(SECOND_OVERHEAD - 1), psk)


def test_keys_of_small_order_are_refused() -> None:
    _, responder, _ = pair()
    with pytest.raises(NoiseError, match="small order"):
        responder.read_first(bytes(FIRST_OVERHEAD))
