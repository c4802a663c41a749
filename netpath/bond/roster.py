# SPDX-License-Identifier: GPL-2.0-or-later
"""All clients that a server's settings name, whether they are here or not, and whose an inner address is. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from netpath.bond import inner, transport
from netpath.bond.clients import Served, Write, prefixes, told
from netpath.bond.inner import Table
from netpath.bond.rules import for_peer
from netpath.bond.serverside import ServerSessions
from netpath.bonding import BondServer

_OURS = object()
"""Owner of the server's own inner addresses."""


class Roster:
    """`configure` follows the settings."""

    def __init__(self, settings: BondServer, sessions: ServerSessions, write: Write) -> None:
        """Nobody is on it yet. `write` hands a client's packet to the device."""
        self.settings = settings
        self._sessions = sessions
        self._write = write
        self.clients: dict[bytes, Served] = {}
        """By public key."""
        self.table: Table[object] = Table(())
        """Whose an inner address is: a `Served`, or what is none. Another one after `configure`."""

    def __iter__(self) -> Iterator[Served]:
        return iter(self.clients.values())

    @property
    def present(self) -> list[Served]:
        """Those that are here."""
        return [served for served in self if served.peer is not None]

    def owner(self, address: bytes) -> object:
        """By the table of now."""
        return self.table.owner(address)

    def strays(self, settings: BondServer) -> list[Served]:
        """Whom these settings do not know any more, or by another preshared key."""
        keys = {client.public_key: client.preshared_key for client in settings.clients}
        return [
            served
            for public, served in self.clients.items()
            if public not in keys or keys[public] != served.settings.preshared_key
        ]

    def configure(self, settings: BondServer, now: float) -> list[Served]:
        """Make it that of these settings, once strays are dismissed; who stays is not disturbed.

        Returns those that are here and have to be told other addresses.
        """
        self.settings = settings
        wanted = {client.public_key: client for client in settings.clients}
        self._sessions.configure({public: told(client) for public, client in wanted.items()})
        before, self.clients, moved = self.clients, {}, []
        for standing in self._sessions.standings():
            client = wanted[standing.client.public]
            served = before.get(client.public_key)
            if served is None or served.standing is not standing:
                served = Served(client, standing, self.owner, self._write, now)
            elif served.settings != client:
                addresses = served.settings.addresses != client.addresses
                served.configure(client, now)
                if addresses and served.peer is not None:
                    served.changed = now
                    moved.append(served)
            served.forward = settings.forward
            self.clients[client.public_key] = served
        entries: list[tuple[str, object]] = [(inner.host(address), _OURS) for address in settings.inner]
        for served in self:
            entries += [(prefix, served) for prefix in prefixes(served.settings)]
            self.rule(served)
        self.table = Table(entries)
        return moved

    def rule(self, served: Served) -> None:
        """Its flows go by the rules of now."""
        if served.peer is not None:
            served.peer.sender.rules = transport.rules(for_peer(self.settings.rules, served.settings.name))
