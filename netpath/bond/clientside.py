# SPDX-License-Identifier: GPL-2.0-or-later
"""A client's sessions with its server: handshakes, change of keys, which session a datagram belongs to. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond.handshake import NO_PSK, VERSIONS, Answer, Cipher, HandshakeError, Initiator, Offer, OtherKeysError
from netpath.bond.session import Session
from netpath.bond.wire import unpack_head

RETRY_TIMES = (0.5, 1.0, 2.0, 5.0)
"""Seconds after the first, second ... round of initiations; the last one repeats."""
LINGER = 10.0
"""Seconds for which old keys still open what was under way."""
UNDER_WAY = 64
"""Initiations that a response may still come for; older ones are forgotten."""


class ClientSessions:
    """All times are monotonic seconds, `random` gives so many random bytes."""

    def __init__(
        self,
        static: X25519PrivateKey,
        server: bytes,
        random: Callable[[int], bytes],
        *,
        psk: bytes = NO_PSK,
        ciphers: Sequence[Cipher] = (Cipher.AES256_GCM, Cipher.CHACHA20_POLY1305),
        streams: int = 64,
    ) -> None:
        self._static = static
        self._server = server
        self._psk = psk
        self._random = random
        self._offer = Offer(VERSIONS, tuple(ciphers), random(8), streams, 0)
        self._under_way: dict[int, Initiator] = {}
        self._spare: set[int] = set()
        """Initiations that another one of their round was quicker than: their responses are no sign of trouble."""
        self._rounds = 0
        self._round_began: float | None = None
        """None: no handshake is under way."""
        self.current: Session | None = None
        self._previous: tuple[Session, float] | None = None
        """With the time at which it was replaced."""
        self.answer: Answer | None = None
        """Of the current session."""
        self.rejected = 0
        """Responses that were not authentic, or to nothing that was asked."""
        self.mismatched = 0
        """Of those, ones from who knows our public key, but has not got the server's private or our preshared key."""

    def due(self, now: float) -> float | None:
        """When the next round of initiations is to be sent (now or earlier: at once); None while keys are fresh."""
        if self._round_began is not None:
            return self._round_began + RETRY_TIMES[min(self._rounds, len(RETRY_TIMES)) - 1]
        if self.current is None or self.current.dead(now) or self.current.worn(now):
            return now
        return None

    def rekey(self, now: float) -> None:
        """The server asks for new keys."""
        if self._round_began is None:
            self._rounds, self._round_began = 1, now - RETRY_TIMES[0]

    def round(self, paths: Sequence[int], now: float) -> list[tuple[int, bytes]]:
        """One initiation for each path: (path, datagram)."""
        self._round_began = now
        self._rounds += 1
        found = []
        for path in paths:
            number = self._new_number()
            initiator = self._under_way[number] = Initiator(self._static, self._server, self._psk, number)
            found.append((path, initiator.initiation(self._offer, path)))
            self._offer = replace(self._offer, sequence=self._offer.sequence + 1)
        for number in list(self._under_way)[:-UNDER_WAY]:
            del self._under_way[number]
        return found

    def respond(self, datagram: bytes, now: float) -> Session | None:
        """Take a response: the session that is used from now on, or None."""
        receiver = unpack_head(datagram).receiver
        initiator = self._under_way.get(receiver)
        if initiator is None:
            if receiver in self._spare:
                self._spare.remove(receiver)
            else:
                self.rejected += 1
            return None
        try:
            answer, keys, number = initiator.read(datagram)
        except OtherKeysError:
            self.rejected += 1
            self.mismatched += 1
            return None
        except HandshakeError:
            self.rejected += 1  # whoever saw the initiation can answer something: the true response may still come
            return None
        if self.answer is not None and self.answer.run != answer.run:
            self._previous = None  # the server has begun anew: what was under way belongs to another counting
        elif self.current is not None:
            self._previous = self.current, now
        self.current = Session(keys, initiator.number, number, now)
        self.answer = answer
        self._spare = self._under_way.keys() - {initiator.number}
        self._under_way.clear()
        self._rounds, self._round_began = 0, None
        return self.current

    def forget(self) -> None:
        """The server has ended the session: a handshake is due."""
        self.current = self._previous = None

    def of(self, number: int, now: float) -> Session | None:
        """The session that a datagram for `number` belongs to."""
        if self.current is not None and self.current.number == number:
            return self.current
        if self._previous is not None and now - self._previous[1] <= LINGER and self._previous[0].number == number:
            return self._previous[0]
        return None

    def _new_number(self) -> int:
        while True:
            number = int.from_bytes(self._random(4), "big")
            taken = {s.number for s in (self.current, self._previous and self._previous[0]) if s}
            if number and number not in taken and number not in self._under_way:
                return number
