# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.unit.bond.make_vectors`: write vectors.json anew, by NetPath's own code and nothing random.

test_vectors.py reads them by the document alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond.dataframes import COPY, HEAD, LOOSE, PACKET, PARTIAL, SLICE, header
from netpath.bond.fec.adaptive import Fixed
from netpath.bond.fec.encoder import Encoder
from netpath.bond.fec.python import PythonCodec
from netpath.bond.frames import Bye, Heartbeat, Hole, Missing, Probe, Reason, Rekey, pack
from netpath.bond.handshake import NO_PSK, Answer, Cipher, Initiator, Keys, Offer, Responder
from netpath.bond.noise import public_bytes
from netpath.bond.session import Session
from netpath.bond.slices import plan
from netpath.bond.wire import TAG, Veil
from tests.unit.bond.test_slices import ACK, packet, vnet

FILE = Path(__file__).with_name("vectors.json")
SECRETS = {
    "client_static": bytes(range(32)),
    "server_static": bytes(range(32, 64)),
    "client_ephemeral": bytes(range(64, 96)),
    "server_ephemeral": bytes(range(96, 128)),
    "psk": bytes(range(128, 160)),
}
CLIENT_NUMBER, SERVER_NUMBER = 0x0A0B0C0D, 0x1A1B1C1D
CLIENT_RUN, SERVER_RUN = b"client-1", b"server-1"
BEAT = Heartbeat(
    now=0x01020304,
    echo=0x05060708,
    hold=12345,
    token=b"token-to",
    returned=b"returned",
    received=99,
    bytes=0x0A0000012345,
    highest=100,
    number=0xFFFFFFFE,
    largest=1472,
    closing=True,
)


def key(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(SECRETS[name])


def handshake(psk: bytes | None, cipher: Cipher) -> dict[str, Any]:
    """A whole one, and what comes of it."""
    server = public_bytes(key("server_static"))
    secret = NO_PSK if psk is None else psk
    initiator = Initiator(key("client_static"), server, secret, CLIENT_NUMBER, ephemeral=key("client_ephemeral"))
    offer = Offer((1, 1), (cipher, 3 - cipher), CLIENT_RUN, 16, 0x0102030405060708)
    initiation = initiator.initiation(offer, 5)
    responder = Responder(key("server_static"), server, ephemeral=key("server_ephemeral"))
    assert responder.read(initiation) == offer
    answer = Answer(
        version=1,
        newest=1,
        cipher=cipher,
        run=SERVER_RUN,
        streams=8,
        mtu=1400,
        client=(bytes([10, 99, 0, 2, 24]), bytes.fromhex("20010db8000000000000000000000002") + bytes([64])),
        server=(bytes([10, 99, 0, 1]), bytes.fromhex("20010db8000000000000000000000001")),
    )
    response, keys = responder.response(answer, secret, SERVER_NUMBER, 5)
    assert initiator.read(response)[0] == answer
    veil = Veil(server)
    return {
        "psk": None if psk is None else psk.hex(),
        "path": 5,
        "client_number": CLIENT_NUMBER,
        "server_number": SERVER_NUMBER,
        "offer": {
            "versions": [1, 1],
            "ciphers": [*offer.ciphers],
            "run": CLIENT_RUN.hex(),
            "streams": 16,
            "sequence": offer.sequence,
        },
        "answer": {
            "version": 1,
            "newest": 1,
            "cipher": int(cipher),
            "run": SERVER_RUN.hex(),
            "streams": 8,
            "mtu": 1400,
            "client": [each.hex() for each in answer.client],
            "server": [each.hex() for each in answer.server],
        },
        "initiation": initiation.hex(),
        "response": response.hex(),
        "veiled_initiation": veil.veiled(initiation, Veil.HANDSHAKE).hex(),
        "veiled_response": veil.veiled(response, Veil.HANDSHAKE).hex(),
        "client_sends": keys.receive.hex(),
        "server_sends": keys.send.hex(),
    }


def plaintexts() -> list[tuple[str, int, bytes, dict[str, Any]]]:
    """(name, path, plaintext, what is in it), one of every frame."""
    udp = bytes.fromhex("4500002a0001000040110000c0000201c6336409") + bytes.fromhex("1f9000350016ffff") + bytes(14)
    whole = packet(4, bytes(n * 7 % 256 for n in range(700)), sequence=0xFFFFFF00, flags=ACK | 8)
    head = plan(vnet(4, 40, 500), whole, 400)
    first = header(SLICE | HEAD, 0xFFFFFF, 0xBEEF, 7) + head.block(0) + whole[40 : 40 + head.length(0)]
    middle = header(SLICE, 0, 0xBEEF, 8) + whole[40 + head.begin(1) : 40 + head.begin(2)]
    last = header(SLICE | HEAD | COPY, 1, 0xBEEF, 9) + head.block(2) + whole[40 + head.begin(2) :]
    last = last.ljust(len(middle), b"\0")
    encoder = Encoder(PythonCodec(), Fixed(3, 1))
    repairs = [repair for n, frame in enumerate((first, middle, last)) for repair in encoder.add(7 + n, [frame], 0)]
    slices = {
        "slices": head.slices,
        "size": head.size,
        "total": head.total,
        "vnet": head.vnet.hex(),
        "headers": head.headers.hex(),
        "payload": whole[40:].hex(),
    }
    return [
        ("heartbeat", 0, pack(BEAT), {**BEAT._asdict(), "token": BEAT.token.hex(), "returned": BEAT.returned.hex()}),
        ("first heartbeat", 1, pack(BEAT._replace(echo=0, hold=0xFFFFFFFF, closing=False)), {}),
        ("rekey", 0, pack(Rekey()), {}),
        ("bye", 4095, pack(Bye(Reason.NO_PATH)), {"reason": 1}),
        ("probe", 2, pack(Probe(300)).ljust(300 - 12 - TAG, b"\0"), {"size": 300}),
        (
            "missing",
            1,
            pack(Missing((Hole(3, 0xFFFFFFFF, 2), Hole(4095, 7, 255)))),
            {"holes": [[3, 0xFFFFFFFF, 2], [4095, 7, 255]]},
        ),
        ("packet", 3, header(PACKET | LOOSE, 5, 0x1234, 6) + udp, {"packet": udp.hex()}),
        (
            "partial packet",
            3,
            header(PACKET | PARTIAL | COPY, 6, 0x1234, 10) + bytes([20, 6]) + udp,
            {"packet": udp.hex(), "start": 20, "offset": 6},
        ),
        ("heartbeat and packet", 3, pack(BEAT) + header(PACKET, 7, 0x1234, 11) + udp, {"packet": udp.hex()}),
        ("first slice", 0, first, {"index": 0, **slices}),
        ("middle slice", 1, middle, {"index": 1, **slices}),
        ("last slice", 2, last, {"index": 2, **slices}),
        (
            "repair",
            0,
            repairs[0].frame + bytes(5),
            {"base": 7, "k": 3, "r": 1, "i": 0, "group": [first.hex(), middle.hex(), last.hex()]},
        ),
    ]


def data(shake: dict[str, Any]) -> list[dict[str, Any]]:
    """Every frame, both ways."""
    cipher = Cipher(shake["answer"]["cipher"])
    keys = bytes.fromhex(shake["client_sends"]), bytes.fromhex(shake["server_sends"])
    client = Session(Keys(keys[0], keys[1], cipher, 1), CLIENT_NUMBER, SERVER_NUMBER, 0.0)
    server = Session(Keys(keys[1], keys[0], cipher, 1), SERVER_NUMBER, CLIENT_NUMBER, 0.0)
    veil = Veil(public_bytes(key("server_static")))
    found = []
    for n, (name, path, plaintext, content) in enumerate(plaintexts()):
        sender = server if n % 3 == 2 else client
        counter = sender.sent(path)
        datagram = sender.seal(path, plaintext, 0.0)
        found.append(
            {
                "name": name,
                "from": "client" if sender is client else "server",
                "path": path,
                "counter": counter,
                "plaintext": plaintext.hex(),
                "content": content,
                "datagram": datagram.hex(),
                "veiled": veil.veiled(datagram).hex(),
            }
        )
    return found


def build() -> dict[str, Any]:
    found: dict[str, Any] = {"secrets": {name: value.hex() for name, value in SECRETS.items()}, "handshakes": []}
    for psk in (None, SECRETS["psk"]):
        for cipher in Cipher:
            shake = handshake(psk, cipher)
            # Data of two of them are enough: both ciphers, with and without a preshared key.
            found["handshakes"].append({**shake, "data": data(shake) if (psk is None) == (cipher == 1) else []})
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1) + "\n")
