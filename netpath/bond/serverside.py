# SPDX-License-Identifier: GPL-2.0-or-later
"""A server's sessions with its clients: who may come in, replayed initiations, change of keys. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond import noise
from netpath.bond.handshake import (
    NO_PSK,
    VERSIONS,
    Answer,
    Cipher,
    HandshakeError,
    Offer,
    Responder,
    addressed,
    agreed,
)
from netpath.bond.replay import OnceOnly
from netpath.bond.session import Session

LINGER = 10.0
PENDING_TIME = 10.0
"""Seconds for which a session to be waits for its first data datagram."""
PENDING = 8
"""Sessions to be of one client."""
RUNS = 64
"""Of a client, of which is known what initiations came: none is answered twice."""


@dataclass(frozen=True, slots=True)
class Client:
    """One who may come in."""

    name: str
    public: bytes
    psk: bytes = NO_PSK
    addresses: tuple[bytes, ...] = ()
    """Inner ones that it is told: 4 or 16 bytes and the prefix length."""
    streams: int = 64


@dataclass(slots=True)
class Standing:
    """A client's sessions."""

    client: Client
    current: Session | None = None
    previous: Session | None = None
    replaced: float = 0.0
    """When `previous` was."""
    pending: dict[int, Session] = field(default_factory=dict)
    runs: dict[int, bytes] = field(default_factory=dict)
    """Session's number -> the client's run."""
    run: bytes = b""
    """Of the current session."""
    seen: dict[bytes, OnceOnly] = field(default_factory=dict)
    """Run -> its initiations. The one that was used last is the last."""
    own_run: bytes = b""
    """Our run as this client is told it; empty: that of the process."""
    unconfirmed: int = 0
    """Handshakes since one was last confirmed."""
    unconfirmed_since: float = 0.0


class ServerSessions:
    """All times are monotonic seconds, `random` gives so many random bytes."""

    def __init__(
        self,
        static: X25519PrivateKey,
        random: Callable[[int], bytes],
        *,
        addresses: Sequence[bytes] = (),
        mtu: int = 1400,
        ciphers: Sequence[Cipher] = tuple(Cipher),
    ) -> None:
        """`addresses`: the server's inner ones, 4 or 16 bytes."""
        self._static = static
        self._public = noise.public_bytes(static)
        self._random = random
        self.run = random(8)
        self._addresses = tuple(addresses)
        self.mtu = mtu
        """That clients are told from now on."""
        self._ciphers = tuple(ciphers)
        self._standings: dict[bytes, Standing] = {}
        self._sessions: dict[int, tuple[Standing, Session]] = {}
        self.rejected = 0
        """Initiations that were dropped."""
        self.strangers = 0
        """Of those, authentic ones of keys that are not known here: a client that is missing in the configuration."""
        self.stranger = b""
        """The last such key."""

    def configure(self, clients: Mapping[bytes, Client]) -> list[Client]:
        """Public key -> client; those that were there keep their sessions. Returns clients whose sessions ended."""
        ended = []
        for public, standing in list(self._standings.items()):
            if (client := clients.get(public)) is None or client.psk != standing.client.psk:
                self._drop(standing)
                ended.append(standing.client)
            else:
                standing.client = client
        for public, client in clients.items():
            if public not in self._standings:
                self._standings[public] = Standing(client)
        return ended

    def initiate(self, datagram: bytes, path: int, now: float) -> tuple[Client, bytes] | None:
        """Take an initiation: (client, the response for it), or None. Bounding how often is the caller's."""
        responder = Responder(self._static, self._public)
        try:
            offer = responder.read(datagram)
            standing = self._standings.get(responder.client)
            if standing is None:
                self.strangers += 1
                self.stranger = responder.client
                raise HandshakeError("a client that is not known here")
            version, cipher = agreed(offer, self._ciphers)
            if not _first(standing, offer):
                raise HandshakeError("an initiation that was here before")
        except HandshakeError:
            self.rejected += 1
            return None
        self._forget_pending(standing, now)
        number = self._new_number()
        client = standing.client
        answer = Answer(
            version=version,
            newest=VERSIONS[1],
            cipher=cipher,
            run=standing.own_run or self.run,
            streams=min(client.streams, offer.streams),
            mtu=self.mtu,
            client=client.addresses,
            server=self._addresses,
        )
        try:
            response, keys = responder.response(answer, client.psk, number, path)
        except HandshakeError:
            self.rejected += 1
            return None
        session = Session(keys, number, responder.number, now)
        if not standing.unconfirmed:
            standing.unconfirmed_since = now
        standing.unconfirmed += 1
        standing.pending[number] = session
        standing.runs[number] = offer.run
        self._sessions[number] = standing, session
        return client, response

    def of(self, number: int, now: float) -> tuple[Standing, Session] | None:
        """Whose a datagram for `number` is."""
        found = self._sessions.get(number)
        if found is None:
            return None
        standing, session = found
        late = session is standing.previous and now - standing.replaced > LINGER
        if late or session.dead(now) or (number in standing.pending and now - session.born > PENDING_TIME):
            self._remove(standing, session)
            return None
        return found

    def authentic(self, standing: Standing, session: Session, now: float) -> bool:
        """`session` has opened a datagram. True when that has made it the client's session.

        When the client has begun anew (`run`), what it sent before belongs to another counting: those keys are dropped.
        """
        if session.number not in standing.pending:
            return False
        # Who holds back the first datagram of an older handshake must not bring that back later.
        for older in list(standing.pending.values()):
            if older is session:
                break
            self._remove(standing, older)
        del standing.pending[session.number]
        if standing.previous is not None:
            self._remove(standing, standing.previous)
        standing.previous, standing.current, standing.replaced = standing.current, session, now
        run = standing.runs.pop(session.number)
        if run != standing.run and standing.previous is not None:
            self._remove(standing, standing.previous)
        standing.run, standing.unconfirmed = run, 0
        return True

    def addressed(self, datagram: bytes) -> bool:
        """Whether the sender of an initiation knows our public key. All others are strangers who guess."""
        return addressed(datagram, self._public)

    def renew(self, standing: Standing) -> None:
        """What was kept of the client is void: its sessions end, and a next one begins a new counting."""
        for session in (*standing.pending.values(), standing.previous, standing.current):
            if session is not None:
                self._sessions.pop(session.number, None)
        standing.pending.clear()
        standing.runs.clear()
        standing.previous = standing.current = None
        standing.own_run = self._random(8)

    def standings(self) -> Sequence[Standing]:
        """All clients, in the order of the configuration."""
        return list(self._standings.values())

    def _forget_pending(self, standing: Standing, now: float) -> None:
        """Make room for one more."""
        for number, session in list(standing.pending.items()):
            if now - session.born > PENDING_TIME or len(standing.pending) >= PENDING:
                self._remove(standing, session)
                standing.runs.pop(number, None)

    def _remove(self, standing: Standing, session: Session) -> None:
        self._sessions.pop(session.number, None)
        standing.pending.pop(session.number, None)
        standing.runs.pop(session.number, None)
        if standing.previous is session:
            standing.previous = None
        if standing.current is session:
            standing.current = None

    def _drop(self, standing: Standing) -> None:
        for session in (*standing.pending.values(), standing.previous, standing.current):
            if session is not None:
                self._sessions.pop(session.number, None)
        del self._standings[standing.client.public]

    def _new_number(self) -> int:
        while True:
            number = int.from_bytes(self._random(4), "big")
            if number and number not in self._sessions:
                return number


def _first(standing: Standing, offer: Offer) -> bool:
    """Whether this initiation was not here before; from now on it is known."""
    seen = standing.seen.pop(offer.run, None) or OnceOnly()
    standing.seen[offer.run] = seen
    if len(standing.seen) > RUNS:
        del standing.seen[next(iter(standing.seen))]
    return seen.enter(offer.sequence)
