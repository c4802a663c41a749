# SPDX-License-Identifier: GPL-2.0-or-later
"""vectors.json read by docs/bond-protocol.md alone: nothing of netpath.bond is used but to compare.

Primitives (X25519, AEADs, AES, SHA-256) are the library's; HMAC, HKDF, Noise, fields, frames and the field of the
repairs are written here as their documents say.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tests.unit.bond.make_vectors import build

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
SHAKES = VECTORS["handshakes"]
DATA = [(shake, datagram) for shake in SHAKES for datagram in shake["data"]]


def secret(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["secrets"][name]))


def public(name: str) -> bytes:
    return secret(name).public_key().public_bytes_raw()


def dh(name: str, other: bytes) -> bytes:
    return secret(name).exchange(X25519PublicKey.from_public_bytes(other))


# RFC 2104 and Noise, revision 34.


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hmac(key: bytes, *parts: bytes) -> bytes:
    key = key.ljust(64, b"\0")
    inner = sha256(bytes(b ^ 0x36 for b in key), *parts)
    return sha256(bytes(b ^ 0x5C for b in key), inner)


def hkdf(chaining: bytes, material: bytes) -> tuple[bytes, bytes, bytes]:
    temporary = hmac(chaining, material)
    one = hmac(temporary, b"\1")
    two = hmac(temporary, one, b"\2")
    return one, two, hmac(temporary, two, b"\3")


class Symmetric:
    """5.2, and the part of 5.1 that a handshake needs."""

    def __init__(self, prologue: bytes) -> None:
        self.ck = self.h = sha256(b"Noise_IKpsk2_25519_ChaChaPoly_SHA256")
        self.k, self.n = b"", 0
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.h = sha256(self.h, data)

    def mix_key(self, material: bytes) -> None:
        self.ck, self.k, _ = hkdf(self.ck, material)
        self.n = 0

    def mix_psk(self, psk: bytes) -> None:
        self.ck, mixed, self.k = hkdf(self.ck, psk)
        self.n = 0
        self.mix_hash(mixed)

    def open(self, sealed: bytes) -> bytes:
        plaintext = ChaCha20Poly1305(self.k).decrypt(struct.pack("<IQ", 0, self.n), sealed, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return plaintext


def read_handshake(shake: dict[str, Any], *, as_server: bool) -> tuple[bytes, bytes, bytes, bytes]:
    """(payload of the initiation, payload of the response, key of what the client sends, of what the server sends)."""
    first, second = bytes.fromhex(shake["initiation"]), bytes.fromhex(shake["response"])
    client, server = public("client_static"), public("server_static")
    state = Symmetric(b"NetPath bond" + first[12:13])
    state.mix_hash(server)
    message = first[16:-16]
    e, s, payload = message[:32], message[32:80], message[80:]
    state.mix_hash(e)
    state.mix_key(e)
    state.mix_key(dh("server_static", e) if as_server else dh("client_ephemeral", server))
    assert state.open(s) == client
    state.mix_key(dh("server_static", client) if as_server else dh("client_static", server))
    offered = state.open(payload)
    message = second[12:-16]
    answer, payload = message[:32], message[32:]
    state.mix_hash(answer)
    state.mix_key(answer)
    state.mix_key(dh("server_ephemeral", e) if as_server else dh("client_ephemeral", answer))
    state.mix_key(dh("server_ephemeral", client) if as_server else dh("client_static", answer))
    state.mix_psk(bytes.fromhex(shake["psk"]) if shake["psk"] else bytes(32))
    answered = state.open(payload)
    client_key, server_key, _ = hkdf(state.ck, b"")
    return offered, answered, client_key, server_key


def fields(payload: bytes) -> list[tuple[int, bytes]]:
    """Without padding."""
    found = []
    while len(payload) > 1:
        kind, length = payload[:2]
        assert len(payload) >= 2 + length
        value, payload = payload[2 : 2 + length], payload[2 + length :]
        if kind == 255:
            assert not any(value)
        else:
            found.append((kind, value))
    return found


@pytest.mark.parametrize("as_server", [False, True])
@pytest.mark.parametrize("shake", SHAKES)
def test_handshakes(shake: dict[str, Any], as_server: bool) -> None:
    offered, answered, client_key, server_key = read_handshake(shake, as_server=as_server)
    assert client_key.hex() == shake["client_sends"]
    assert server_key.hex() == shake["server_sends"]
    offer, answer = shake["offer"], shake["answer"]
    assert fields(offered) == [
        (1, bytes(offer["versions"])),
        (2, bytes(offer["ciphers"])),
        (3, bytes.fromhex(offer["run"])),
        (7, struct.pack(">H", offer["streams"])),
        (9, struct.pack(">Q", offer["sequence"])),
        (10, struct.pack(">I", shake["client_number"])),
    ]
    four, six = map(bytes.fromhex, answer["client"])
    assert (len(four), len(six)) == (5, 17)
    assert fields(answered) == [
        (1, bytes([answer["version"], answer["newest"]])),
        (2, bytes([answer["cipher"]])),
        (3, bytes.fromhex(answer["run"])),
        (7, struct.pack(">H", answer["streams"])),
        (6, struct.pack(">H", answer["mtu"])),
        (10, struct.pack(">I", shake["server_number"])),
        (4, four),
        (5, six),
        *((8, bytes.fromhex(each)) for each in answer["server"]),
    ]


@pytest.mark.parametrize("shake", SHAKES)
def test_heads_and_macs_of_handshakes(shake: dict[str, Any]) -> None:
    first, second = bytes.fromhex(shake["initiation"]), bytes.fromhex(shake["response"])
    assert first[:6] == struct.pack(">IH", 0, 0 << 12 | shake["path"])
    assert int.from_bytes(first[6:12], "big") == shake["client_number"]
    assert first[12:16] == b"\1\0\0\0"
    assert second[:6] == struct.pack(">IH", shake["client_number"], 1 << 12 | shake["path"])
    assert int.from_bytes(second[6:12], "big") == shake["server_number"]
    assert len(first) == 512 >= len(second)
    for datagram, recipient in ((first, "server_static"), (second, "client_static")):
        key = sha256(b"NetPath bond mac", public(recipient))
        assert datagram[-16:] == hmac(key, datagram[:-16])[:16]


def veiled(datagram: bytes, length: int) -> bytes:
    key = sha256(b"NetPath bond head", public("server_static"))
    mask = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(datagram[-16:])
    return bytes(a ^ b for a, b in zip(datagram[:length], mask[:length], strict=True)) + datagram[length:]


@pytest.mark.parametrize("shake", SHAKES)
def test_veils(shake: dict[str, Any]) -> None:
    for kind in ("initiation", "response"):
        assert veiled(bytes.fromhex(shake[kind]), 16).hex() == shake[f"veiled_{kind}"]
    for each in shake["data"]:
        assert veiled(bytes.fromhex(each["datagram"]), 12).hex() == each["veiled"]


@pytest.mark.parametrize(("shake", "each"), DATA)
def test_data_datagrams(shake: dict[str, Any], each: dict[str, Any]) -> None:
    datagram = bytes.fromhex(each["datagram"])
    head, sealed = datagram[:12], datagram[12:]
    to = shake["server_number" if each["from"] == "client" else "client_number"]
    assert head == struct.pack(">IH", to, 2 << 12 | each["path"]) + each["counter"].to_bytes(6, "big")
    key = bytes.fromhex(shake[f"{each['from']}_sends"])
    aead = AESGCM(key) if shake["answer"]["cipher"] == 1 else ChaCha20Poly1305(key)
    assert aead.decrypt(head, sealed, None).hex() == each["plaintext"]


def named(name: str) -> tuple[bytes, dict[str, Any]]:
    (each,) = [each for each in SHAKES[0]["data"] if each["name"] == name]
    return bytes.fromhex(each["plaintext"]), each["content"]


def heartbeat(frame: bytes) -> dict[str, Any]:
    assert len(frame) == 49 and frame[0] >> 4 == 1
    now, echo, hold, token, returned, received = struct.unpack(">III8s8sI", frame[1:33])
    highest, number, largest = struct.unpack(">IIH", frame[39:])
    return {
        "now": now,
        "echo": echo,
        "hold": hold,
        "token": token.hex(),
        "returned": returned.hex(),
        "received": received,
        "bytes": int.from_bytes(frame[33:39], "big"),
        "highest": highest,
        "number": number,
        "largest": largest,
        "closing": bool(frame[0] & 1),
    }


def data_header(frame: bytes) -> tuple[int, int, int, int, int]:
    """(type, flags, order, flow, number)."""
    flow, number = struct.unpack(">HI", frame[4:10])
    return frame[0] >> 4, frame[0] & 15, int.from_bytes(frame[1:4], "big"), flow, number


def test_control_frames() -> None:
    frame, content = named("heartbeat")
    assert heartbeat(frame) == content
    frame, _ = named("first heartbeat")
    assert heartbeat(frame) == {**content, "echo": 0, "hold": 2**32 - 1, "closing": False}
    assert named("rekey")[0] == b"\x20"
    assert named("bye")[0] == b"\x30\1"
    frame, content = named("missing")
    assert frame[:2] == bytes([0x60, len(content["holes"])])
    assert [list(struct.unpack(">HIB", frame[at : at + 7])) for at in range(2, len(frame), 7)] == content["holes"]
    frame, content = named("probe")
    assert struct.unpack(">BH", frame[:3]) == (0x40, content["size"])
    assert not any(frame[3:]) and 12 + len(frame) + 16 == content["size"]


def test_packets() -> None:
    frame, content = named("packet")
    assert data_header(frame) == (8, 4, 5, 0x1234, 6)
    assert frame[10:].hex() == content["packet"]
    frame, content = named("partial packet")
    assert data_header(frame) == (8, 1 | 2, 6, 0x1234, 10)
    assert (frame[10], frame[11]) == (content["start"], content["offset"])
    assert frame[12:].hex() == content["packet"]
    frame, content = named("heartbeat and packet")
    assert heartbeat(frame[:49]) == named("heartbeat")[1]
    assert data_header(frame[49:]) == (8, 0, 7, 0x1234, 11)
    assert frame[59:].hex() == content["packet"]


def test_slices() -> None:
    payload = b""
    for index, name in enumerate(("first slice", "middle slice", "last slice")):
        frame, content = named(name)
        flags = (1, 0, 1 | 2)[index]
        assert data_header(frame) == (9, flags, (0xFFFFFF + index) % 2**24, 0xBEEF, 7 + index)
        n = len(content["headers"]) // 2
        at = 10
        if flags & 1:
            assert struct.unpack(">BBHH", frame[10:16]) == (index, 3, content["size"], content["total"])
            assert frame[16:26].hex() == content["vnet"]
            assert frame[26] == n
            assert frame[27 : 27 + n].hex() == content["headers"]
            at = 27 + n
        assert len(payload) == (index * content["size"] - (17 + n) if index else 0)
        assert len(frame) == 10 + content["size"]
        payload += frame[at:]
    # The last one is filled up.
    assert payload[: content["total"]].hex() == content["payload"]
    assert len(payload) > content["total"] and not any(payload[content["total"] :])


def times(a: int, b: int) -> int:
    """In GF(2^8) with the polynomial 0x11d."""
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11D << bit - 8
    return product


def divided(a: int, b: int) -> int:
    (quotient,) = [c for c in range(256) if times(b, c) == a] if a else [0]
    return quotient


def test_repair() -> None:
    frame, content = named("repair")
    first, base, k, r, i, size = struct.unpack(">BIBBBH", frame[:10])
    assert (first, base, k, r, i) == (0xA0, content["base"], content["k"], content["r"], content["i"])
    blocks = []
    for each in map(bytes.fromhex, content["group"]):
        cleared = bytes([each[0] & ~2]) + each[1:]
        blocks.append((struct.pack(">H", len(each)) + cleared).ljust(size, b"\0"))
    assert size == max(len(bytes.fromhex(each)) for each in content["group"]) + 2
    places = [0, 1, 2, 4]
    repaired = bytearray(size)
    for j, block in enumerate(blocks):
        factor = 1
        for m in range(k):
            if m != j:
                factor = times(factor, divided(places[k + i] ^ places[m], places[j] ^ places[m]))
        for at, value in enumerate(block):
            repaired[at] ^= times(factor, value)
    assert frame[10 : 10 + size] == repaired


def test_the_code_still_makes_exactly_these() -> None:
    assert json.loads(json.dumps(build())) == VECTORS
