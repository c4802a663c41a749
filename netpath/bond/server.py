# SPDX-License-Identifier: GPL-2.0-or-later
"""The far end of bonds: one process for one `settings.BondServer`, many clients."""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond import inner, noise, status, transport, troubles
from netpath.bond.clients import IDLE_PATH, Served
from netpath.bond.control import Control
from netpath.bond.engine import Engine, Greeting, Place
from netpath.bond.fitting import MTU, Fitting
from netpath.bond.frames import Reason, Rekey
from netpath.bond.handshake import Cipher
from netpath.bond.limits import Bucket, HandshakeLimits
from netpath.bond.links import OVERHEAD, listening
from netpath.bond.loop import Loop
from netpath.bond.peer import Peer
from netpath.bond.process import Device, Signals, Surroundings
from netpath.bond.roster import Roster
from netpath.bond.rows import Row
from netpath.bond.serverside import ServerSessions
from netpath.bond.session import ExpiredError, Session
from netpath.bond.sides import Sides
from netpath.bond.slices import VNET
from netpath.bond.wire import Kind
from netpath.bonding import BondServer
from netpath.tracker.journal import Log

LOOK = 1.0
"""Seconds between two looks at what is wrong, and at what can be forgotten."""
GONE = 190.0
"""Seconds of silence after which a client that did not take leave is forgotten: its keys are dead by then."""
LINES = (1.0, 10.0)
"""Strangers a second that are looked at for the log, and how many at once; of each key a line a minute."""
PACKETS = 64
"""That are taken from the device before the sockets have their turn."""


class Server(Engine[Served]):
    """`run` until a signal ends it."""

    def __init__(
        self,
        settings: BondServer,
        surroundings: Surroundings,
        log: Log,
        *,
        control: Path,
        reload: Callable[[], BondServer | None] | None = None,
    ) -> None:
        """`reload` gives settings when SIGHUP comes; None: keep the old ones. Raises TunError, OSError."""
        static = X25519PrivateKey.from_private_bytes(settings.private_key)
        self._public = noise.public_bytes(static)
        super().__init__(Loop(), log, transport.veil(settings.transport, self._public))
        now = time.monotonic()
        self._settings = settings
        self._reload = reload
        self._began = now
        self._sessions = ServerSessions(
            static,
            os.urandom,
            addresses=[inner.parse(address)[0] for address in settings.inner],
            mtu=settings.mtu or MTU,
            ciphers=transport.ciphers(settings.transport, "") if settings.transport.ciphers else tuple(Cipher),
        )
        self._limits = HandshakeLimits(now)
        self._lines = Bucket(*LINES, now)
        self._sides = Sides()
        self._touched: dict[int, Served] = {}
        """Whose datagrams the batch had."""
        self._alarms: list[tuple[float, int, Served]] = []
        """Heap: when whose peer has something to do; entries that are too early do no harm."""
        self._order = itertools.count()
        self._look_at = now
        self._problem: str | None = None
        self._stranger: tuple[float, str] | None = None
        self._device = Device(settings.device, self.loop, log, surroundings, self._pump)
        self._fitting = Fitting(self._device, settings.mtu)
        self._roster = Roster(settings, self._sessions, self._device.write)
        self._signals = Signals(self.loop, self._hang_up)
        self._configure(settings, now)
        for link in listening(settings.addresses, settings.port, settings.ports):
            self.listen(link)
        self._control = Control(control, self.loop, log, self._status)
        log("notice", f"{settings.name}: listens on UDP port {settings.port}, {settings.ports} in a row")

    def run(self) -> None:
        """Returns when a signal came; everything is undone then."""
        try:
            super().run()
        finally:
            self._end(time.monotonic())

    # What comes in.

    def _session_of(self, number: int, now: float) -> tuple[Served, Session] | None:
        found = self._sessions.of(number, now)
        return None if found is None else (self._roster.clients[found[0].client.public], found[1])

    def _opened(
        self, found: tuple[Served, Session], path: int, plaintexts: list[bytes] | Row, place: Place | None, now: float
    ) -> None:
        served, session = found
        standing = served.standing
        if session.number in standing.pending:
            self._confirmed(served, session, now)
        peer = served.peer
        if peer is None:
            return
        known = peer.paths.get(path)
        if known is None:
            if place is None:
                return
            known = served.new_path(peer, path, OVERHEAD[place.link.sock.family], now)
            if known is None:
                return
            self._alarm(served, now)
        self._touched[id(served)] = served
        peer.opened_all(known, plaintexts, place, session, now)

    def _handshake(self, greeting: Greeting, now: float) -> None:
        host = greeting.place.address[0]
        if greeting.kind != Kind.INITIATION or not self._sessions.addressed(greeting.datagram):
            self.unknown += 1
            return
        if not self._limits.allow(host, now):
            self.seldom("warning", f"more handshakes than are allowed come from {host}", now, about="limits")
            return
        strangers = self._sessions.strangers
        answered = self._sessions.initiate(greeting.datagram, greeting.path, now)
        if answered is not None:
            self.send_handshake(greeting.place, answered[1], now)
        elif self._sessions.strangers > strangers:
            text = troubles.stranger(self._sessions.stranger, status.written(greeting.place.address))
            self._stranger = now, text
            # Who knows our public key can invent any number of such clients.
            if self._lines.take(1.0, now):
                self.seldom("warning", text, now, about=f"stranger {self._sessions.stranger.hex()}")

    def _batches_done(self, now: float) -> None:
        for served in self._touched.values():
            if (peer := served.peer) is None:
                continue
            served.now = now
            peer.finish(now)
            if peer.ended is not None:
                self._left(served, "it took leave", now)
            elif (late := peer.late()) is not None:
                self._alarm(served, late)
        self._touched.clear()

    def _confirmed(self, served: Served, session: Session, now: float) -> None:
        """The first datagram of a session to be: it is the session now."""
        run = served.standing.run
        self._sessions.authentic(served.standing, session, now)
        if served.peer is None or served.standing.run != run:
            if served.peer is None and len(self._roster.present) >= self._settings.max_clients:
                self.seldom("warning", f"{served.settings.name} is one client more than max_clients allows", now)
                self._sessions.renew(served.standing)
                return
            again = "has begun anew" if served.peer is not None else "is here"
            served.begin(os.urandom, self._settings.transport, self._settings.heartbeat, now)
            self._roster.rule(served)
            self.log("notice", f"client {served.settings.name} {again}")
        assert served.peer is not None
        served.peer.use(session)
        if served.changed is not None and session.born > served.changed:
            served.changed = None
        served.problem = None
        self._alarm(served, now)

    # What goes out.

    def _pump(self, now: float) -> None:
        read, sift = self._device.read, self._acks.sift
        for _ in range(PACKETS):
            buffer = read(now)
            if buffer is None:
                break
            for packet in sift(buffer):
                self._take(packet, now)
        for packet in self._acks.rest():
            self._take(packet, now)
        self.deliver(now)

    def _take(self, packet: memoryview, now: float) -> None:
        """Send it, or let it wait."""
        served = self._roster.table.owner(inner.destination(packet[VNET.size :]))
        if not isinstance(served, Served) or served.peer is None:
            return  # for nobody that is there
        if served.queue or served.opens(now) > now:
            served.wait(bytes(packet))
            self._alarm(served, max(now, served.opens(now)))
        else:
            self._forward(served, served.peer, packet, now)

    def _forward(self, served: Served, peer: Peer, buffer: memoryview, now: float) -> None:
        served.charge(len(buffer) - VNET.size, now)
        self.post(peer, buffer, now)

    def _expired(self, peer: Peer, _now: float) -> None:
        peer.session = None  # the client brings another

    # Time.

    def _tick(self, now: float) -> float:
        alarms = self._alarms
        while alarms and alarms[0][0] <= now:
            due, _, served = heapq.heappop(alarms)
            if due >= served.due or served.due <= now:
                self._tick_served(served, now)
        if self._look_at <= now:
            self._look(now)
        return min(self._look_at, alarms[0][0]) if alarms else self._look_at

    def _tick_served(self, served: Served, now: float) -> None:
        peer = served.peer
        if peer is None:
            return
        served.now = now
        while served.queue and served.opens(now) <= now:
            self._forward(served, peer, memoryview(served.queue.pop()), now)
        self.deliver(now)
        if peer.due(now) <= now:
            try:
                datagrams, trains = peer.tick(now)
                # Again and again: it may be lost, or come by keys that the client has just replaced.
                if served.changed is not None or (peer.session is not None and peer.session.worn(now)):
                    datagrams += peer.tell(Rekey(), now)
            except ExpiredError:
                self._expired(peer, now)
                datagrams, trains = [], []
            self.send(peer, datagrams, trains, now)
        due = max(peer.due(now), now + 0.001)
        if served.queue:
            due = min(due, max(served.opens(now), now + 0.001))
        served.due = 0.0
        self._alarm(served, due)

    def _alarm(self, served: Served, due: float) -> None:
        """Tick it then, or earlier."""
        if not served.due or due < served.due:
            served.due = due
            heapq.heappush(self._alarms, (due, next(self._order), served))

    def _look(self, now: float) -> None:
        """What is looked at once a second."""
        self._look_at = now + LOOK
        for served in self._roster:
            peer = served.peer
            if served.unconfirmed(now):
                self.log("warning", f"client {served.settings.name}: {served.problem}")
            if peer is None:
                continue
            served.rates.sample(peer.paths, now)
            heard = max((path.heard for path in peer.paths.values()), default=served.since)
            if now - heard > GONE:
                self._left(served, f"nothing came from it for {GONE:.0f} s", now)
                continue
            for path in list(peer.paths.values()):
                if now - path.heard > IDLE_PATH:
                    peer.drop_path(path.number, now)
        self._fit(now)
        if (retry := self._device.tick(now)) is not None:
            self._look_at = min(self._look_at, retry)
        recent = self._stranger is not None and now - self._stranger[0] < 300.0
        self._problem = self._stranger[1] if recent and self._stranger else None

    def _fit(self, now: float) -> None:
        """The MTU is what every client's paths take; sizes and queue follow what all of them carry."""
        named = [
            (f"a path of {served.settings.name}", path)
            for served in self._roster
            if served.peer is not None
            for path in served.peer.paths.values()
        ]
        self._fitting.follow(self._settings, self._settings.inner, named, MTU, now)

    def _left(self, served: Served, why: str, now: float) -> None:
        """A client is not there any more: nothing of it stays but its place."""
        self._sessions.renew(served.standing)
        served.end(now)
        served.due = 0.0
        self.log("notice", f"client {served.settings.name} has gone: {why}")

    # Settings.

    def _configure(self, settings: BondServer, now: float) -> None:
        """Follow these settings; clients that stay are not disturbed."""
        for served in self._roster.strays(settings):
            if served.peer is not None:
                self._bye(served.peer, Reason.REFUSED, now)
                self.log("notice", f"client {served.settings.name} is not in the configuration any more")
            served.end(now)
        for served in self._roster.configure(settings, now):
            self._alarm(served, now)
        if any(client.public_key == self._sessions.stranger for client in settings.clients):
            self._stranger = None  # it is one no more
        self._settings = settings
        self._fitting.configure(settings, settings.inner, now)

    def _hang_up(self, now: float) -> None:
        """SIGHUP."""
        settings = self._reload() if self._reload is not None else None
        if settings is None or settings == self._settings:
            return
        if _fixed(settings) != _fixed(self._settings):
            self.log(
                "error", f"{settings.name}: device, addresses, ports, keys and transport need a restart: unchanged"
            )
            return
        self._sessions.mtu = settings.mtu or MTU
        self._configure(settings, now)

    # Status and end.

    def _status(self, now: float) -> dict[str, Any]:
        return {
            **status.base(self._settings, self._public, self._fitting.mtu, self._began, now),
            "problem": self._device.complaint(self._problem, *self._fitting.narrow),
            **status.strange(
                self.unknown,
                self.refused,
                self._sessions.rejected + self._limits.refused,
                self._sessions.strangers,
            ),
            "peers": [served.row(self._sides, now) for served in self._roster],
        }

    def _bye(self, peer: Peer, reason: Reason, now: float) -> None:
        try:
            self.send(peer, peer.farewell(now, reason), [], now)
        except ExpiredError:
            self.log("debug", "the keys are too old to take leave")

    def _end(self, now: float) -> None:
        for served in self._roster:
            if served.peer is not None:
                self._bye(served.peer, Reason.END, now)
        self._control.close()
        self._signals.close()
        self._device.close()
        self.loop.close()


def _fixed(settings: BondServer) -> Sequence[object]:
    """What does not change while it runs."""
    listening = settings.addresses, settings.port, settings.ports, settings.device
    return *listening, settings.private_key, settings.transport, settings.table
