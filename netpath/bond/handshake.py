# SPDX-License-Identifier: GPL-2.0-or-later
"""Initiations and responses (docs/bond-protocol.md, "Handshake"). No I/O: who calls gives numbers, time and chance."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond import noise
from netpath.bond.noise import NoiseError
from netpath.bond.wire import HEAD, MAC, Kind, pack_head, unpack_head

FORMAT = 1
"""Version of the handshake itself, in clear."""
VERSIONS = (1, 1)
"""Lowest and highest version of data datagrams that this program speaks."""
INITIATION = 512
"""Bytes of every initiation; no response is longer."""
NO_PSK = bytes(noise.KEY)
LEAST_MTU = 68
"""Bytes (RFC 791)."""
_INITIATIONS = range(INITIATION, INITIATION + 1)
_RESPONSES = range(HEAD + noise.SECOND_OVERHEAD + MAC, INITIATION + 1)
"""Bytes that they may have."""
_FIXED = 4
"""Version byte and three zeros."""


class HandshakeError(Exception):
    """Not authentic, not for us, or not understood. Such a datagram is dropped; the text is for counters and logs."""


class OtherKeysError(HandshakeError):
    """A response for us that was made with other keys."""


class Cipher(IntEnum):
    AES256_GCM = 1
    CHACHA20_POLY1305 = 2


class Field(IntEnum):
    VERSIONS = 1
    CIPHERS = 2
    RUN = 3
    CLIENT4 = 4
    CLIENT6 = 5
    MTU = 6
    STREAMS = 7
    SERVER = 8
    SEQUENCE = 9
    NUMBER = 10
    PADDING = 255


@dataclass(frozen=True, slots=True)
class Offer:
    """What an initiation says."""

    versions: tuple[int, int]
    ciphers: tuple[int, ...]
    """In the client's order; may have numbers that are not known here."""
    run: bytes
    """Random, of the sender's process."""
    streams: int
    sequence: int
    """Of this initiation among those of the run: none is used twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says."""

    version: int
    newest: int
    """The highest that the server speaks."""
    cipher: Cipher
    run: bytes
    streams: int
    mtu: int
    client: tuple[bytes, ...]
    """Inner addresses of the client: 4 or 16 bytes and the prefix length."""
    server: tuple[bytes, ...]
    """Inner addresses of the server: 4 or 16 bytes."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a finished handshake leaves."""

    send: bytes
    receive: bytes
    cipher: Cipher
    version: int


class Initiator:
    """The client's side of one handshake."""

    def __init__(
        self,
        static: X25519PrivateKey,
        server: bytes,
        psk: bytes,
        number: int,
        *,
        ephemeral: X25519PrivateKey | None = None,
    ) -> None:
        """`number`: what the server will call this session by, 32 bits. `ephemeral` is for test vectors only."""
        self.number = number
        self._psk = psk
        self._server = server
        self._public = noise.public_bytes(static)
        self._offer: Offer | None = None
        self._noise = noise.Handshake(_prologue(FORMAT), static, server, ephemeral=ephemeral)

    def initiation(self, offer: Offer, path: int) -> bytes:
        """The datagram. Call it once."""
        self._offer = offer
        fields = _fields(
            (Field.VERSIONS, bytes(offer.versions)),
            (Field.CIPHERS, bytes(offer.ciphers)),
            (Field.RUN, offer.run),
            (Field.STREAMS, offer.streams.to_bytes(2, "big")),
            (Field.SEQUENCE, offer.sequence.to_bytes(8, "big")),
            (Field.NUMBER, self.number.to_bytes(4, "big")),
        )
        room = INITIATION - HEAD - _FIXED - noise.FIRST_OVERHEAD - MAC
        message = self._noise.write_first(_padded(fields, room))
        head = pack_head(0, Kind.INITIATION, path, self.number)
        return _with_mac(head + bytes([FORMAT]) + bytes(_FIXED - 1) + message, self._server)

    def read(self, datagram: bytes) -> tuple[Answer, Keys, int]:
        """(what the server says, keys, the server's number of the session). Raises HandshakeError."""
        message = _checked(datagram, self._public, 0)
        attempt = copy(self._noise)  # one that fails must not spoil it for the true response
        try:
            payload = attempt.read_second(message, self._psk)
        except NoiseError as error:
            raise OtherKeysError(str(error)) from None
        answer = _answer(payload)
        self._check(answer)
        send, receive = attempt.split()
        number = _session_number(datagram, payload)
        return answer, Keys(send, receive, answer.cipher, answer.version), number

    def _check(self, answer: Answer) -> None:
        """What was offered, and nothing else, may be chosen: a cipher that is not configured is not used."""
        assert self._offer is not None
        if answer.cipher not in self._offer.ciphers:
            raise HandshakeError("a cipher that was not offered")
        if not self._offer.versions[0] <= answer.version <= self._offer.versions[1]:
            raise HandshakeError("a version that was not offered")


class Responder:
    """The server's side of one handshake."""

    def __init__(self, static: X25519PrivateKey, public: bytes, *, ephemeral: X25519PrivateKey | None = None) -> None:
        """`public` belongs to `static`: deriving it costs as much as a key agreement. `ephemeral`: as above."""
        self._static = static
        self._public = public
        self._ephemeral = ephemeral
        self._noise: noise.Handshake | None = None
        self.client = b""
        """The client's static public key, after `read`: the caller decides whether it is known."""
        self.number = 0
        """The client's number of the session."""

    def read(self, datagram: bytes) -> Offer:
        """Raises HandshakeError."""
        message = _checked(datagram, self._public, _FIXED)
        if datagram[HEAD : HEAD + _FIXED] != bytes([FORMAT]) + bytes(_FIXED - 1):
            raise HandshakeError(f"handshakes of version {datagram[HEAD]} are not known here")
        handshake = noise.Handshake(_prologue(FORMAT), self._static, ephemeral=self._ephemeral)
        try:
            payload = handshake.read_first(message)
        except NoiseError as error:
            raise HandshakeError(str(error)) from None
        assert handshake.remote_static is not None
        self._noise, self.client = handshake, handshake.remote_static
        self.number = _session_number(datagram, payload)
        return _offer(payload)

    def response(self, answer: Answer, psk: bytes, number: int, path: int) -> tuple[bytes, Keys]:
        """(datagram, keys). `number`: what the client will call this session by. Raises HandshakeError."""
        assert self._noise is not None
        fields = _fields(
            (Field.VERSIONS, bytes((answer.version, answer.newest))),
            (Field.CIPHERS, bytes([answer.cipher])),
            (Field.RUN, answer.run),
            (Field.STREAMS, answer.streams.to_bytes(2, "big")),
            (Field.MTU, answer.mtu.to_bytes(2, "big")),
            (Field.NUMBER, number.to_bytes(4, "big")),
            *((Field.CLIENT4 if len(a) == 5 else Field.CLIENT6, a) for a in answer.client),
            *((Field.SERVER, a) for a in answer.server),
        )
        message = self._noise.write_second(fields, psk)
        head = pack_head(self.number, Kind.RESPONSE, path, number)
        send, receive = self._noise.split()
        datagram = _with_mac(head + message, self.client)
        if len(datagram) not in _RESPONSES:
            raise HandshakeError("more inner addresses than a response has room for")
        return datagram, Keys(send, receive, answer.cipher, answer.version)


def addressed(datagram: bytes, public: bytes) -> bool:
    """Whether the sender of an initiation knows the server's key `public`: costs one hash and no curve operation."""
    try:
        _checked(datagram, public, _FIXED)
    except HandshakeError:
        return False
    return True


def agreed(offer: Offer, preferred: Sequence[Cipher]) -> tuple[int, Cipher]:
    """(version, cipher) for an offer: the highest version that both speak, the first of the client's ciphers that is in
    `preferred`. Raises HandshakeError when there is none.
    """
    version = min(offer.versions[1], VERSIONS[1])
    if version < max(offer.versions[0], VERSIONS[0]):
        raise HandshakeError(f"the client speaks versions {offer.versions[0]} to {offer.versions[1]} only")
    for cipher in offer.ciphers:
        if cipher in preferred:
            return version, Cipher(cipher)
    raise HandshakeError("no cipher that both ends know")


def _prologue(version: int) -> bytes:
    return b"NetPath bond" + bytes([version])


def _mac(data: bytes, recipient: bytes) -> bytes:
    key = hashlib.sha256(b"NetPath bond mac" + recipient).digest()
    return hmac.digest(key, data, "sha256")[:MAC]


def _with_mac(data: bytes, recipient: bytes) -> bytes:
    return data + _mac(data, recipient)


def _checked(datagram: bytes, own: bytes, fixed: int) -> bytes:
    """The message of a datagram of the right length whose mac is right."""
    if len(datagram) not in (_INITIATIONS if fixed else _RESPONSES):
        raise HandshakeError("of no length that a handshake has")
    if not hmac.compare_digest(datagram[-MAC:], _mac(datagram[:-MAC], own)):
        raise HandshakeError("not for us")
    return datagram[HEAD + fixed : -MAC]


def _session_number(datagram: bytes, payload: bytes) -> int:
    """The sender's own number of the session. The head's alone could be anybody's: its mac takes no secret."""
    number = unpack_head(datagram).counter
    if number != int.from_bytes(_number(dict(_read_fields(payload)), Field.NUMBER, 4), "big"):
        raise HandshakeError("a session's number that was changed on the way")
    return number


def _fields(*fields: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([kind, len(value)]) + value for kind, value in fields)


def _padded(fields: bytes, room: int) -> bytes:
    """Filled up to `room` bytes with PADDING fields; a rest of one byte, too short for a field, is a lone PADDING."""
    while (missing := room - len(fields)) > 0:
        size = min(missing - 2, 255)
        fields += bytes([Field.PADDING]) if size < 0 else _fields((Field.PADDING, bytes(size)))
    return fields


def _read_fields(payload: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(payload):
        kind, end = payload[at], at + 2 + payload[at + 1]
        if end > len(payload):
            raise HandshakeError("a field that is cut off")
        yield kind, payload[at + 2 : end]
        at = end


def _number(found: dict[int, bytes], kind: Field, length: int) -> bytes:
    """The value of a required field of fixed length."""
    value = found.get(kind, b"")
    if len(value) != length:
        raise HandshakeError(f"field {kind.name} is missing or of a wrong length")
    return value


def _offer(payload: bytes) -> Offer:
    found = dict(_read_fields(payload))
    low, high = _number(found, Field.VERSIONS, 2)
    run, streams = _number(found, Field.RUN, 8), _number(found, Field.STREAMS, 2)
    sequence = int.from_bytes(_number(found, Field.SEQUENCE, 8), "big")
    return Offer((low, high), tuple(found.get(Field.CIPHERS, b"")), run, int.from_bytes(streams, "big"), sequence)


def _answer(payload: bytes) -> Answer:
    fields = list(_read_fields(payload))
    found = dict(fields)
    version, newest = _number(found, Field.VERSIONS, 2)
    run, streams, mtu = _number(found, Field.RUN, 8), _number(found, Field.STREAMS, 2), _number(found, Field.MTU, 2)
    if int.from_bytes(mtu, "big") < LEAST_MTU:
        raise HandshakeError("an MTU that no device takes")
    client = [(4, value) for kind, value in fields if kind == Field.CLIENT4]
    client += [(16, value) for kind, value in fields if kind == Field.CLIENT6]
    server = tuple(value for kind, value in fields if kind == Field.SERVER)
    if any(len(value) != size + 1 or value[-1] > 8 * size for size, value in client):
        raise HandshakeError("an inner address of a wrong length")
    if any(len(value) not in (4, 16) for value in server):
        raise HandshakeError("a server's inner address of a wrong length")
    try:
        cipher = Cipher(_number(found, Field.CIPHERS, 1)[0])
    except ValueError:
        raise HandshakeError("a cipher that is not known here") from None
    return Answer(
        version=version,
        newest=newest,
        cipher=cipher,
        run=run,
        streams=int.from_bytes(streams, "big"),
        mtu=int.from_bytes(mtu, "big"),
        client=tuple(value for _, value in client),
        server=server,
    )
