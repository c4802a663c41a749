# SPDX-License-Identifier: GPL-2.0-or-later
"""Noise_IKpsk2_25519_ChaChaPoly_SHA256 (The Noise Protocol Framework, revision 34), and nothing else of Noise. No I/O.

`-> e, es, s, ss` then `<- e, ee, se, psk`: the initiator knows the responder's static key beforehand.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NAME = b"Noise_IKpsk2_25519_ChaChaPoly_SHA256"
KEY = 32
"""Bytes of a public key, a private key, a preshared key and a hash."""
TAG = 16
FIRST_OVERHEAD = KEY + KEY + TAG + TAG
"""Bytes of the first message beyond its payload."""
SECOND_OVERHEAD = KEY + TAG


class NoiseError(Exception):
    """The message is not authentic, or no message of this handshake."""


def public_bytes(key: X25519PrivateKey) -> bytes:
    """The public key that belongs to `key`, 32 bytes."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Handshake:
    """One handshake, either side: the initiator writes and reads, the responder reads and writes, then `split`.

    A failed `read` raises NoiseError and ends it: make a new one.
    """

    def __init__(
        self,
        prologue: bytes,
        static: X25519PrivateKey,
        responder: bytes | None = None,
        *,
        ephemeral: X25519PrivateKey | None = None,
    ) -> None:
        """`responder`: its static public key, for the initiator. `ephemeral` is for test vectors only."""
        self.initiator = responder is not None
        self.remote_static = responder
        """The responder has it from the first message."""
        self.remote_ephemeral: bytes | None = None
        self._static = static
        self._ephemeral = ephemeral
        """Made when it is first sent: a responder has nothing to send to who is refused."""
        self._key: bytes | None = None
        self._nonce = 0
        # A name longer than the hash is hashed (5.2, InitializeSymmetric).
        self._chaining = self._hash = hashlib.sha256(NAME).digest()
        self._mix_hash(prologue)
        self._mix_hash(responder if responder is not None else public_bytes(static))

    def write_first(self, payload: bytes) -> bytes:
        """e, es, s, ss."""
        assert self.remote_static is not None
        ephemeral, message = self._write_ephemeral()
        self._mix_key(_dh(ephemeral, self.remote_static))
        message += self._seal(public_bytes(self._static))
        self._mix_key(_dh(self._static, self.remote_static))
        return message + self._seal(payload)

    def read_first(self, message: bytes) -> bytes:
        """Its payload; `remote_static` is known from then on: the caller decides whether it may come in."""
        if len(message) < FIRST_OVERHEAD:
            raise NoiseError("a first message that is too short")
        self._read_ephemeral(message[:KEY])
        assert self.remote_ephemeral is not None
        self._mix_key(_dh(self._static, self.remote_ephemeral))
        self.remote_static = self._open(message[KEY : 2 * KEY + TAG])
        self._mix_key(_dh(self._static, self.remote_static))
        return self._open(message[2 * KEY + TAG :])

    def write_second(self, payload: bytes, psk: bytes) -> bytes:
        """e, ee, se, psk."""
        assert self.remote_ephemeral is not None and self.remote_static is not None
        ephemeral, message = self._write_ephemeral()
        self._mix_key(_dh(ephemeral, self.remote_ephemeral))
        self._mix_key(_dh(ephemeral, self.remote_static))
        self._mix_psk(psk)
        return message + self._seal(payload)

    def read_second(self, message: bytes, psk: bytes) -> bytes:
        """Its payload."""
        if len(message) < SECOND_OVERHEAD:
            raise NoiseError("a second message that is too short")
        self._read_ephemeral(message[:KEY])
        assert self.remote_ephemeral is not None and self._ephemeral is not None
        self._mix_key(_dh(self._ephemeral, self.remote_ephemeral))
        self._mix_key(_dh(self._static, self.remote_ephemeral))
        self._mix_psk(psk)
        return self._open(message[KEY:])

    def split(self) -> tuple[bytes, bytes]:
        """(key for what this side sends, key for what it receives), after both messages."""
        first, second = _hkdf(self._chaining, b"", 2)
        return (first, second) if self.initiator else (second, first)

    def _write_ephemeral(self) -> tuple[X25519PrivateKey, bytes]:
        ephemeral = self._ephemeral = self._ephemeral or X25519PrivateKey.generate()
        public = public_bytes(ephemeral)
        self._mix_hash(public)
        self._mix_key(public)  # 9.2: with a preshared key, ephemeral keys are mixed in
        return ephemeral, public

    def _read_ephemeral(self, public: bytes) -> None:
        self.remote_ephemeral = public
        self._mix_hash(public)
        self._mix_key(public)

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, material: bytes) -> None:
        self._chaining, self._key = _hkdf(self._chaining, material, 2)
        self._nonce = 0

    def _mix_psk(self, psk: bytes) -> None:
        self._chaining, hashed, self._key = _hkdf(self._chaining, psk, 3)
        self._mix_hash(hashed)
        self._nonce = 0

    def _seal(self, plaintext: bytes) -> bytes:
        assert self._key is not None
        sealed = ChaCha20Poly1305(self._key).encrypt(self._next_nonce(), plaintext, self._hash)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        assert self._key is not None
        try:
            plaintext = ChaCha20Poly1305(self._key).decrypt(self._next_nonce(), sealed, self._hash)
        except InvalidTag:
            raise NoiseError("not authentic: another key, or not for us") from None
        self._mix_hash(sealed)
        return plaintext

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce


def _dh(private: X25519PrivateKey, public: bytes) -> bytes:
    """Raises NoiseError for the few keys with which nothing would be secret (RFC 7748, 6.1)."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise NoiseError("a public key of small order") from None


def _hkdf(chaining: bytes, material: bytes, outputs: int) -> list[bytes]:
    """4.3, HKDF: so many outputs of 32 bytes."""
    temporary = hmac.digest(chaining, material, "sha256")
    found: list[bytes] = []
    last = b""
    for number in range(1, outputs + 1):
        last = hmac.digest(temporary, last + bytes([number]), "sha256")
        found.append(last)
    return found
