# SPDX-License-Identifier: GPL-2.0-or-later
"""The router's side of a bond: one process for one `settings.BondClient`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond import inner, noise, status, transport
from netpath.bond.clientside import ClientSessions
from netpath.bond.condition import Condition
from netpath.bond.control import Control
from netpath.bond.engine import Engine, Greeting, Place, Valve
from netpath.bond.fairqueue import FairQueue, room
from netpath.bond.fitting import Fitting
from netpath.bond.handshake import NO_PSK, Answer
from netpath.bond.links import OVERHEAD
from netpath.bond.loop import Loop
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.process import Device, Inbox, Signals, Surroundings
from netpath.bond.rows import Row
from netpath.bond.session import ExpiredError, Session
from netpath.bond.streams import STREAMS, Stream, chosen, largest
from netpath.bond.uplinks import Uplinks
from netpath.bond.wire import Kind
from netpath.bonding import BondClient
from netpath.tracker.journal import Log

LOOK = 1.0
"""Seconds between two looks at devices, names and what is wrong."""
SILENCE = 0.7
"""Seconds without any path until the server is asked for a new session: it may have been started anew."""
CONFIRM = 1.0
"""Seconds for a new session to bring something: else the server has forgotten it."""
REST = 0.005
"""Seconds for which the device is not read when more comes than can be sent: then its ring is the last to grow."""
PACKETS = 32
"""That are taken from the device before the sockets have their turn."""


class Client(Engine[None]):
    """`run` until a signal ends it."""

    def __init__(
        self,
        settings: BondClient,
        surroundings: Surroundings,
        log: Log,
        *,
        control: Path,
        tracker: Path | None = None,
        mark: int = 0,
        reload: Callable[[], BondClient | None] | None = None,
    ) -> None:
        """`mark`: of all datagrams. `tracker`: the socket of NetPath's. `reload` gives settings, None: keep the old.

        Raises TunError, OSError.
        """
        super().__init__(Loop(), log, transport.veil(settings.transport, settings.server_key))
        now = time.monotonic()
        self._settings = settings
        self._reload = reload
        self._device = Device(settings.device, self.loop, log, surroundings, self._pump)
        self._device.begin_dark(now)
        self._signals = Signals(self.loop, self._hang_up)
        self._uplinks = Uplinks(
            settings,
            Inbox(self.loop),
            log,
            mark=mark,
            tracker=tracker,
            opened=self._stream_opened,
            closing=self._stream_closing,
            changed=self._look,
        )
        self._fitting = Fitting(self._device, settings.mtu)
        self._condition = Condition(self._uplinks, self._device, self._fitting, log, now)
        self._look_at = self._due = now
        self._open: dict[int, Stream] = {}
        """Those that have a socket."""
        self._peer = self._make_peer()
        self._valve = Valve(self._peer, now)
        self._queue = FairQueue()
        """What waits for room on the paths."""
        self._reads_at = 0.0
        """When the device is read again, which may be long ago."""
        self._begin(now)
        self._control = Control(control, self.loop, log, self._status)

    def run(self) -> None:
        """Returns when a signal came; everything is undone then."""
        try:
            super().run()
        finally:
            self._end(time.monotonic())

    # What comes in.

    def _session_of(self, number: int, now: float) -> tuple[None, Session] | None:
        session = self._sessions.of(number, now)
        return None if session is None else (None, session)

    def _opened(
        self, found: tuple[None, Session], path: int, plaintexts: list[bytes] | Row, place: Place | None, now: float
    ) -> None:
        if (known := self._peer.paths.get(path)) is not None:
            self._peer.opened_all(known, plaintexts, place, found[1], now)

    def _handshake(self, greeting: Greeting, now: float) -> None:
        if greeting.kind != Kind.RESPONSE:
            self.unknown += 1
            return
        before = self._sessions.answer
        session = self._sessions.respond(greeting.datagram, now)
        answer = self._sessions.answer
        if session is None or answer is None:
            return
        if before is not None and before.run != answer.run:
            self.log("notice", f"{self._settings.name}: the server has begun anew")
            self._new_peer(now)
        self._peer.use(session)
        self._last_up = now
        self._due = now
        if before is None or before != answer:
            self._answered(answer, now)

    def _batches_done(self, now: float) -> None:
        peer = self._peer
        peer.finish(now)
        if (late := peer.late()) is not None and late < self._due:
            self._due = late
        if peer.answers(now):
            self._due = now

    # What goes out.

    def _pump(self, now: float) -> None:
        read, sift = self._device.read, self._acks.sift
        for _ in range(PACKETS):
            buffer = read(now)
            if buffer is None:
                break
            for packet in sift(buffer):
                self._take(packet, now)
            if self._reads_at > now:
                break
        for packet in self._acks.rest():
            self._take(packet, now)
        self._drain(now)

    def _take(self, packet: memoryview, now: float) -> None:
        """Send it, or let it wait."""
        queue = self._queue
        if not queue and self._valve.opens(now) <= now:
            self.post(self._peer, packet, now)
            return
        before = queue.dropped
        queue.push(bytes(packet), room(self._peer.speed))
        if queue.dropped > before:
            # More comes than can be sent: the kernel drops it at less cost.
            self._reads_at = now + REST

    def _drain(self, now: float) -> None:
        """What waits, as long as there is room."""
        queue, valve = self._queue, self._valve
        while queue and valve.opens(now) <= now:
            self.post(self._peer, memoryview(queue.pop()), now)
        self.deliver(now)

    # Time.

    def _tick(self, now: float) -> float:
        due = self._sessions.due(now) if self._open else None
        if due is not None and due <= now:
            self._ask(now)
            due = self._sessions.due(now)
        if self._due <= now:
            self._tick_peer(now)
        if self._look_at <= now:
            self._look(now)
        self._drain(now)
        self._device.carry(self._connected, now)
        self._device.listen(self._reads_at <= now)
        found = min(self._due, self._look_at, due or self._look_at)
        if self._queue:
            found = min(found, self._valve.opens(now))
        return min(found, self._reads_at) if self._reads_at > now else found

    def _tick_peer(self, now: float) -> None:
        peer = self._peer
        try:
            datagrams, trains = peer.tick(now)
        except ExpiredError:
            self._expired(peer, now)
            datagrams, trains = [], []
        self.send(peer, datagrams, trains, now)
        self._due = max(peer.due(now), now + 0.001)
        if any(path.state is State.UP for path in peer.paths.values()):
            self._last_up = now
        current = self._sessions.current
        forgotten = current is not None and not current.confirmed and now - current.born > CONFIRM
        if forgotten or now - self._last_up > SILENCE or peer.wants_keys:
            peer.wants_keys = False
            self._sessions.rekey(now)
        if peer.ended is not None:
            self._ended(peer, now)

    def _ask(self, now: float) -> None:
        """A round of initiations: one of each link first, other streams the next time."""
        streams = chosen(list(self._open.values()), self._asked)
        self._asked += 1
        places = {stream.number: stream.place for stream in streams}
        for number, datagram in self._sessions.round(list(places), now):
            if (place := places[number]) is not None:
                self.send_handshake(place, datagram, now)

    def _expired(self, peer: Peer, now: float) -> None:
        peer.session = None
        self._sessions.rekey(now)

    def _ended(self, peer: Peer, now: float) -> None:
        """The server has said so."""
        refused = " by its configuration" if peer.ended == 2 else ""
        self.seldom("warning", f"{self._settings.name}: the server has ended the bond{refused}", now)
        peer.ended, peer.session = None, None
        self._sessions.forget()
        for path in peer.paths.values():
            path.heard = min(path.heard, now - SILENCE)
        self._due = now

    def _look(self, now: float) -> None:
        """What is looked at once a second."""
        self._look_at = now + LOOK
        most = self._sessions.answer.streams if self._sessions.answer is not None else STREAMS
        self._uplinks.want(self._connected, most, now)
        for gone in self._peer.paths.keys() - self._uplinks.streams.active.keys():
            self._peer.drop_path(gone, now)
        self._uplinks.check(self._is_up, now)
        self._fit(now)
        if (retry := self._device.tick(now)) is not None:
            self._look_at = min(self._look_at, retry)
        self._condition.judge(self._connected, self._sessions, self._peer, now)

    # Links.

    def _is_up(self, number: int) -> bool:
        path = self._peer.paths.get(number)
        return path is not None and path.state is State.UP

    def _stream_opened(self, stream: Stream) -> None:
        assert stream.socket is not None
        if stream.number not in self._open:
            self.listen(stream.socket)
        self._open[stream.number] = stream
        self._place(stream, time.monotonic())

    def _stream_closing(self, stream: Stream) -> None:
        now = time.monotonic()
        assert stream.socket is not None
        self._open.pop(stream.number, None)
        if (path := self._peer.paths.get(stream.number)) is not None:
            path.lost(now)
            self._due = now
        self.forget(stream.socket)
        if stream.problem is not None:
            self.log("warning", f"{self._settings.name}: link {stream.link.name}: {stream.problem}")

    def _place(self, stream: Stream, now: float) -> None:
        """The peer's path for a stream."""
        assert stream.socket is not None
        size, overhead = largest(stream), OVERHEAD[stream.socket.sock.family]
        path = self._peer.paths.get(stream.number)
        if path is None:
            self._peer.add_path(stream.number, stream.place, size, overhead, now, cap=stream.link.cap)
        else:
            path.moved(stream.place, size, overhead)
        self._due = now

    # The session and what it says.

    def _begin(self, now: float) -> None:
        """With nothing known of the server."""
        settings = self._settings
        static = X25519PrivateKey.from_private_bytes(settings.private_key)
        self._condition.begin(noise.public_bytes(static), now)
        self._sessions = ClientSessions(
            static,
            settings.server_key,
            os.urandom,
            psk=settings.preshared_key or NO_PSK,
            ciphers=transport.ciphers(settings.transport, _processor()),
        )
        self._asked = 0
        self._last_up = now
        self._new_peer(now)

    def _make_peer(self) -> Peer:
        settings = self._settings
        peer = transport.peer(settings.transport, settings.heartbeat, os.urandom, self._device.write, follows=True)
        peer.sender.rules = transport.rules(settings.rules)
        return peer

    def _new_peer(self, now: float) -> None:
        """All counting begins anew."""
        self._condition.retire(self._peer)
        self._peer = self._make_peer()
        self._valve = Valve(self._peer, now)
        for stream in self._open.values():
            self._place(stream, now)
        self._due = now

    def _answered(self, answer: Answer, now: float) -> None:
        """The server has told something new."""
        self.log("info", f"{self._settings.name}: keys agreed with the server, {status.cipher_name(answer.cipher)}")
        self._fitting.mtu = self._settings.mtu or min(self._fitting.mtu, answer.mtu)
        self._fitting.configure(self._settings, self._addresses(), now)

    def _addresses(self) -> list[str]:
        answer = self._sessions.answer
        return list(self._settings.addresses) or [inner.text(found) for found in (answer.client if answer else ())]

    def _fit(self, now: float) -> None:
        """The device follows the paths."""
        streams, paths, answer = self._uplinks.streams.active, self._peer.paths, self._sessions.answer
        named = [(f"link {stream.link.name}", paths[number]) for number, stream in streams.items() if number in paths]
        self._fitting.follow(self._settings, self._addresses(), named, answer.mtu if answer else None, now)

    @property
    def _connected(self) -> bool:
        return self._peer.session is not None and not self._peer.sender.scheduler.empty

    # Settings, status, end.

    def _hang_up(self, now: float) -> None:
        """SIGHUP."""
        settings = self._reload() if self._reload is not None else None
        if settings is None or settings == self._settings:
            return
        before, self._settings, self._uplinks.settings = self._settings, settings, settings
        self._peer.sender.rules = transport.rules(settings.rules)
        if _of_links(before) != _of_links(settings):
            self.log("notice", f"{settings.name}: new settings of more than links: the bond begins anew")
            self._bye(now)
            self._uplinks.renew(settings)
            self._veil = transport.veil(settings.transport, settings.server_key)
            self._begin(now)
        self._look(now)

    def _status(self, now: float) -> dict[str, Any]:
        came = status.strange(self.unknown, self.refused, self._sessions.rejected, 0)
        return self._condition.report(self._sessions, self._peer, came, self._queue.dropped, now)

    def _bye(self, now: float) -> None:
        try:
            self.send(self._peer, self._peer.farewell(now), [], now)
        except ExpiredError:
            self.log("debug", "the keys are too old to take leave")

    def _end(self, now: float) -> None:
        self._bye(now)
        self._uplinks.close()
        self._control.close()
        self._signals.close()
        self._device.close()
        self.loop.close()


def _of_links(settings: BondClient) -> BondClient:
    """Without what can change while the bond runs."""
    return replace(settings, links=(), automatic=False, streams=1, rules=())


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
