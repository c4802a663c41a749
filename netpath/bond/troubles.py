# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a bond, in words for people, and what they can do. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from netpath.bond import status
from netpath.bond.clientside import ClientSessions
from netpath.bond.streams import Endpoint, Stream
from netpath.bonding import BondClient

PATIENCE = 3.0
"""Seconds without an answer that are nothing unusual."""
ATTEMPTS = 4
"""Handshakes of a client that were not confirmed, until it is said."""


class _Names(Protocol):
    @property
    def endpoints(self) -> list[Endpoint]: ...
    @property
    def problem(self) -> str | None: ...


class Seen:
    """What a client has seen of its server since they last understood each other."""

    def __init__(self, now: float) -> None:
        self.since = now
        self.mismatched = 0
        """Responses that other keys have made."""
        self._before = 0

    def of(self, connected: bool, sessions: ClientSessions, now: float) -> Seen:
        if connected:
            self.since, self._before = now, sessions.mismatched
        self.mismatched = sessions.mismatched - self._before
        return self


def client_problem(
    settings: BondClient,
    public: bytes,
    *,
    connected: bool,
    streams: Sequence[Stream],
    names: _Names,
    seen: Seen,
    tracker_missing: bool,
    now: float,
) -> str | None:
    """What keeps the bond from working, or None."""
    if connected:
        return None
    working = [stream for stream in streams if stream.socket is not None]
    if not names.endpoints:
        return names.problem or "the server's addresses are being looked up"
    if not streams:
        if tracker_missing:
            return (
                "there is no link: none is configured, and NetPath's tracker, which knows the uplinks, does not answer"
            )
        return "there is no link: none is configured, and no NetPath interface is online"
    if not working:
        return "no link works: " + "; ".join(sorted({f"{s.link.name}: {s.problem}" for s in streams if s.problem}))
    if seen.mismatched:
        return (
            "the server answers, but with other keys: preshared_key here and the one that the server has for this "
            "client must be the same (or neither must have one)"
        )
    if now - seen.since < PATIENCE:
        return "waiting for the server"
    refused = {stream.problem for stream in working if stream.problem}
    if refused and all(stream.problem for stream in working):
        return f"the server cannot be reached by any link: {'; '.join(sorted(p for p in refused if p))}"
    return _silence(settings, public, working, names.endpoints)


def _silence(settings: BondClient, public: bytes, working: Sequence[Stream], endpoints: Sequence[Endpoint]) -> str:
    """A server answers only to who it knows, so all of these look alike from here."""
    last = settings.ports - 1
    where = ", ".join(
        f"{endpoint.host} UDP port {endpoint.port}{f'-{endpoint.port + last}' if last else ''}"
        for endpoint in endpoints
    )
    links = ", ".join(sorted({stream.link.name for stream in working}))
    server = status.key(settings.server_key)
    return (
        f"no answer from {where} by any link ({links}). Either the server does not run, a firewall drops UDP or there "
        f"is no way to it; or server_key {server} is not its public key; or it has no client with our public key "
        f"{status.key(public)}; or obfuscation is on at one end only. The server's log tells which"
    )


def stranger(public: bytes, address: str) -> str:
    return f"an authentic client with the public key {status.key(public)} ({address}) is not in the configuration"


def unconfirmed(attempts: int) -> str:
    return (
        f"it has begun {attempts} handshakes and finished none: preshared_key differs at its end, or what we send does "
        "not reach it"
    )
