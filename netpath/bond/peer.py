# SPDX-License-Identifier: GPL-2.0-or-later
"""One far end: its paths, and data both ways. The same for client and server, but for who makes sessions. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from netpath.bond import missing
from netpath.bond.addresses import NO_TOKEN, PeerAddress
from netpath.bond.fec import CODEC
from netpath.bond.fec.adaptive import policy
from netpath.bond.fec.encoder import Encoder, Policy
from netpath.bond.frames import (
    MOST_HOLES,
    SIZES,
    Bye,
    Control,
    FrameError,
    Heartbeat,
    Missing,
    Probe,
    Reason,
    Rekey,
    Type,
    pack,
    unpack,
)
from netpath.bond.limits import Bucket
from netpath.bond.mtu import MtuSearch
from netpath.bond.paths import INTERVAL, Path, State
from netpath.bond.rate import Rate
from netpath.bond.receiver import Receiver
from netpath.bond.rows import Row
from netpath.bond.schedule import Scheduler
from netpath.bond.sender import Sender, Train
from netpath.bond.session import ExpiredError, Session
from netpath.bond.unreported import Unreported
from netpath.bond.wire import HEAD, TAG
from netpath.bonding import BondMode

ANSWERS = (500.0, 50.0)
"""MISSING frames that are answered, a second and at once: each is a search."""
PAUSE = 0.002
"""Seconds from a tick to the next at least that is only for what is missing: it is asked for together."""
CHOOSE = 0.2
"""Seconds after which the ways of paths are compared again; that one comes or goes is seen at once."""
RETURN = 0.02
"""Seconds that something takes to come again, beside the way."""
LONGEST_RETURN = 0.4
"""Seconds from which on nothing is asked for again: later packets of the flow would wait for too long."""
TAIL = 0.005
"""Seconds after the last packet of the device: then a group that has begun ends, and gets its repairs."""
TOGETHER = 0.25
"""Part of the time between heartbeats by which one may go earlier, with those of other paths or just after the peer's:
fewer wake-ups."""
SLACK = 1.04
"""By so much one end's heartbeats take longer, until they fall upon the other's: from then on the process that sends
them wakes up once for both."""
_DATA = Type.PACKET << 4
SPREAD = (0.12, 0.5)
"""Seconds: the least and the most that frames wait for earlier ones of their flow. Loss is mostly known much sooner, by
what every path has brought; the least is more than a path's queue while its rate is being found."""


class Datagram(NamedTuple):
    path: int
    address: Hashable
    data: bytes


class Peer:
    """`opened` for each plaintext that came, `packet` for each packet of the device, `tick` when `due`."""

    def __init__(
        self,
        random: Callable[[int], bytes],
        scheduler: Scheduler,
        write: Callable[[Sequence[bytes | memoryview]], None],
        *,
        streams: int = 64,
        heartbeat: float = INTERVAL,
        correction: Policy | None = None,
        obfuscate: bool = False,
        follows: bool = False,
    ) -> None:
        """`correction`: how many repairs are sent, none unless given. `follows`: let heartbeats go with the peer's."""
        self._random = random
        self.session: Session | None = None
        """What is sent with."""
        self.paths: dict[int, Path] = {}
        self.sender = Sender(scheduler, Encoder(CODEC, correction or policy("off")))
        self.sender.pads = self._pads = obfuscate
        self.receiver = Receiver(write)
        self.streams = streams
        self._heartbeat_interval = heartbeat
        self._follows = follows
        self._asks = scheduler.way.mode is not BondMode.LOW_LATENCY
        """Whether what is lost is asked for again: later packets of its flow wait for it."""
        self.faulty = 0
        """Authentic plaintexts that broke the rules."""
        self.sent_again = 0
        """Data frames."""
        self.wants_keys = False
        """The peer has asked for a handshake."""
        self.ended: int | None = None
        """Reason of a BYE of the whole session."""
        self._unreported = Unreported()
        self._answers = Bucket(*ANSWERS, 0.0)
        self._lost = missing.Losses()
        self._again: list[Train] = []
        self._ticked = 0.0
        self._beaten = False
        """A heartbeat has come."""
        self._chosen: list[tuple[Path, bool]] = []
        """The paths that carry data, and whether it is known how large datagrams may be there."""
        self._choose_again = 0.0
        """When they are looked at even if they are the same."""
        self._last_packet = 0.0

    def add_path(
        self,
        number: int,
        address: Hashable | None,
        largest: int,
        overhead: int,
        now: float,
        *,
        cap: float | None = None,
    ) -> Path:
        """A path to where `address` says (None: it will be learned). `largest`: bytes of UDP payload at most."""
        path = Path(
            number,
            PeerAddress(self._random, address),
            MtuSearch(largest),
            Rate(cap),
            now,
            overhead=overhead,
            interval=self._heartbeat_interval,
        )
        if self._follows:
            path.slack = SLACK
        self.paths[number] = path
        return path

    def drop_path(self, number: int, now: float) -> None:
        """It is there no more: what was under way goes by others."""
        self._rescue(number, now)
        self.paths.pop(number, None)
        self.sender.encoder.policy.forget(number)
        self._choose(now)

    def use(self, session: Session) -> None:
        """Send with new keys from now on."""
        self.session = session
        self.wants_keys = False
        self.ended = None
        # Their counters are the old session's, of which there are no more reports.
        self._unreported.clear()

    # What comes in.

    def opened_all(
        self, path: Path, plaintexts: list[bytes] | Row, address: Hashable | None, session: Session, now: float
    ) -> None:
        """Authentic plaintexts of one batch. `address`: None when newer ones came before."""
        known = path.address
        if address is not None and (address != known.proven or known.candidate is not None):
            known.arrived(address, newest=session is self.session)
        if isinstance(plaintexts, Row):
            size, brought = plaintexts.size, self.receiver.row(plaintexts, now)
            single = plaintexts.plaintexts() if brought is None else []
        else:
            size, brought, single = sum(map(len, plaintexts)), None, plaintexts
        path.arrived(size + len(plaintexts) * (HEAD + TAG + path.overhead), now, len(plaintexts))
        frames = [plaintext for plaintext in single if plaintext[0] >= _DATA]
        if frames:
            brought = self.receiver.frames(frames, now)
        if brought is not None:
            path.brought = max(path.brought, brought)
        if session is self.session:
            self._lost.notice(path.number, session, now)
        if len(frames) < len(single):
            for plaintext in single:
                if plaintext[0] < _DATA:
                    self._mixed(path, plaintext, address, session, now)

    def _mixed(self, path: Path, plaintext: bytes, address: Hashable, session: Session, now: float) -> None:
        """A plaintext that begins with a control frame."""
        try:
            controls, at = unpack(plaintext)
        except FrameError:
            self.faulty += 1
            return
        for frame in controls:
            self._control(path, frame, address, session, now)
        if at < len(plaintext):
            self._data(path, plaintext[at:], now)

    def finish(self, now: float, *, expire: bool = False) -> None:
        """After a batch of datagrams: what is whole goes to the device. `expire`: all sockets have been read."""
        used = [path.brought for path in self.paths.values() if path.state is State.UP]
        self.receiver.look(min(used, default=None), now, expire=expire)

    def _data(self, path: Path, frame: bytes, now: float) -> None:
        take = self.receiver.repair if frame[0] >> 4 == Type.REPAIR else self.receiver.frame
        count = take(frame, now)
        path.brought = max(path.brought, count)

    def _control(self, path: Path, frame: Control, address: Hashable, session: Session, now: float) -> None:
        match frame:
            case Heartbeat():
                if path.address.returned(frame.returned, address):
                    path.forget_probes()
                self._beaten = True
                came_up = path.beat(frame, now)
                path.brought = max(path.brought, self.receiver.count(frame.number))
                if path.observed is not None:
                    self.sender.encoder.policy.observe(path.number, *path.observed, now)
                if session is self.session:
                    lossy = path.observed is not None and path.observed[1] > 0
                    self._unreported.reported(path.number, frame.highest, now, lossy=lossy)
                if came_up:
                    self._choose(now)
            case Probe():
                path.probed(frame.size, now)
            case Missing():
                if session is self.session and self._answers.take(1.0, now):
                    self._send_again(self._unreported.find(frame.holes), now)
            case Rekey() | Bye() if session is not self.session:
                pass  # somebody held it back: what it is about is over
            case Rekey():
                self.wants_keys = True
            case Bye(reason=Reason.NO_PATH):
                self.drop_path(path.number, now)
            case Bye():
                self.ended = frame.reason

    # What goes out.

    def packet(self, buffer: memoryview, now: float) -> list[Train]:
        """What is to be sent now that there is a packet of the device (virtio_net_hdr before it). When no more of them
        are there at the moment, `rest` has the rest. Raises ExpiredError."""
        if self.session is None:
            self.sender.counts.dropped += 1
            return []
        self._last_packet = now
        return self._noted(self.sender.packet(buffer, self.session, now), now)

    def rest(self, now: float) -> list[Train]:
        """What `packet` has kept to be sent with the next ones. Raises ExpiredError."""
        return [] if self.session is None else self._noted(self.sender.rest(self.session, now), now)

    @property
    def speed(self) -> float:
        """Bytes a second that may be sent, by all paths together."""
        return sum(path.speed for path in self.paths.values())

    def late(self) -> float | None:
        """When `tick` has something to do because of what came; None: it has not."""
        times = [self._ticked + PAUSE] if self._again else []
        if (due := self.receiver.due()) is not None:
            times.append(due)
        if (due := self._lost.due(self._patience)) is not None:
            times.append(max(due, self._ticked + PAUSE))
        return min(times, default=None)

    @property
    def _patience(self) -> float:
        """Seconds for which a datagram may be late before it is asked for."""
        return missing.REPAIRED if self.receiver.decoder.repaired else missing.LATE

    def answers(self, now: float) -> bool:
        """Whether heartbeats of the peer's have come and those of this end may go now, at one go. Asked once, it is no
        more."""
        beaten, self._beaten = self._beaten, False
        return (
            beaten
            and self._follows
            and any(path.due() <= now + TOGETHER * path.interval for path in self.paths.values())
        )

    def due(self, now: float) -> float:
        """When `tick` has something to do."""
        times = [path.due() for path in self.paths.values()]
        if (late := self.late()) is not None:
            times.append(late)
        if self.sender.encoder.pending:
            times.append(self._last_packet + TAIL)
        return min(times, default=now + 1.0)

    def tick(self, now: float) -> tuple[list[Datagram], list[Train]]:
        """Heartbeats and probes that are due, and what has to be sent again; after all sockets were read. Raises
        ExpiredError."""
        for path in self.paths.values():
            path.check(now)
        self._choose(now)
        found = []
        if self.session is not None:
            for path in list(self.paths.values()):
                if path.due() <= now + TOGETHER * path.interval:
                    found += self._heartbeat(path, self.session, now)
        self.finish(now, expire=True)
        self._ticked = now
        found += self._asked(now)
        trains, self._again = self._again, []
        if self.session is not None and self.sender.encoder.pending and now - self._last_packet >= TAIL:
            trains += self._noted(self.sender.flush(self.session, now), now)
        return found, trains

    def _heartbeat(self, path: Path, session: Session, now: float) -> list[Datagram]:
        found = []
        highest = session.highest(path.number)
        for address, token in path.address.targets() or [(None, NO_TOKEN)]:
            beat = path.heartbeat(token, highest, self.sender.number, now)
            if address is not None:
                found.append(self._seal(path, address, pack(beat), session, now))
        if path.state is State.UP and (size := path.mtu.probe(now, path.round_trip or 0.1)) is not None:
            plaintext = pack(Probe(size)).ljust(size - HEAD - TAG, b"\0")
            found.append(self._seal(path, path.address.proven, plaintext, session, now))
        return found

    def _asked(self, now: float) -> list[Datagram]:
        """What is missing is asked for by the two quickest paths, as that may be lost as well."""
        holes = self._lost.take(self._patience, now)
        if not holes or not self.receiver.order.grace or self.session is None:
            return []
        quickest = sorted(self.sender.outlets, key=lambda number: self.paths[number].way)[:2]
        plaintexts = [pack(Missing(tuple(holes[at : at + MOST_HOLES]))) for at in range(0, len(holes), MOST_HOLES)]
        return [
            self._seal(path, path.address.proven, plaintext, self.session, now)
            for path in map(self.paths.__getitem__, quickest)
            for plaintext in plaintexts
        ]

    def farewell(self, now: float, reason: Reason = Reason.END) -> list[Datagram]:
        """This end stops: say so by every path. Raises ExpiredError."""
        session = self.session
        if session is None:
            return []
        bye = pack(Bye(reason))
        return [
            self._seal(path, path.address.proven, bye, session, now)
            for path in self.paths.values()
            if path.address.proven is not None
        ]

    def tell(self, frame: Rekey, now: float) -> list[Datagram]:
        """By the path that was heard last. Raises ExpiredError."""
        paths = [path for path in self.paths.values() if path.address.proven is not None]
        if self.session is None or not paths:
            return []
        path = max(paths, key=lambda path: path.heard)
        return [self._seal(path, path.address.proven, pack(frame), self.session, now)]

    def _seal(self, path: Path, address: Hashable, plaintext: bytes, session: Session, now: float) -> Datagram:
        if self._pads:
            plaintext = plaintext.ljust(next((size for size in SIZES if size >= len(plaintext)), 0), b"\0")
        data = session.seal(path.number, plaintext, now)
        path.sent(len(data) + path.overhead, now)
        self.sender.scheduler.extra(path.number, len(data) + path.overhead, now)
        return Datagram(path.number, address, data)

    # Which paths carry data, and what becomes of what was under way.

    def _choose(self, now: float) -> None:
        """Paths that may carry data now; what was under way on others is sent again."""
        usable = [path for path in self.paths.values() if path.usable(now)]
        # One whose largest datagram is not known yet would make every packet small, for the whole bond.
        usable = [path for path in usable if path.mtu.known] or usable
        state = [(path, path.mtu.known) for path in usable]
        if state == self._chosen and now < self._choose_again:
            return
        self._chosen, self._choose_again = state, now + CHOOSE
        lost = self.sender.outlets.keys() - {path.number for path in usable}
        self._use(usable)
        for number in lost:
            self._rescue(number, now)
        ways = [path.way for path in usable]
        jitter = max((path.variance for path in usable), default=0.0)
        spread = SPREAD[0] + 2 * (max(ways) - min(ways)) + 4 * jitter if ways else SPREAD[1]
        order = self.receiver.order
        # There and back twice, with what both ends and their queues take: the first time may be in vain.
        grace = 2 * (2 * max(ways, default=0.0) + 4 * jitter + RETURN)
        order.grace = grace if grace < LONGEST_RETURN and self._asks else 0.0
        self.receiver.decoder.patience = min(spread, SPREAD[1])
        order.timeout = self.receiver.decoder.patience + order.grace
        # The other end sees the same paths, and is most often configured alike.
        self.sender.encoder.policy.asked = order.grace > 0

    def _use(self, paths: Sequence[Path]) -> None:
        self.sender.outlets = {path.number: path for path in paths}
        self.sender.settled = all(path.mtu.known for path in paths)
        self.sender.scheduler.use(paths)

    def _noted(self, trains: list[Train], now: float) -> list[Train]:
        """Trains that go out."""
        for train in trains:
            self._note(train, now)
        return trains

    def _note(self, train: Train, now: float) -> None:
        self.paths[train.path].sent(train.size, now)
        self._unreported.add(train.path, train.counter, train.frames, now)

    def _rescue(self, number: int, now: float) -> None:
        """The path is no longer used: what the peer has not reported goes by others."""
        frames = self._unreported.take(number)
        self._chosen = []
        if self.session is None:
            return
        self._use([path for path in self.paths.values() if path.number != number and path.usable(now)])
        self._send_again(frames, now)

    def _send_again(self, frames: Sequence[bytes], now: float) -> None:
        """By whatever path is best, with the next `tick`."""
        if self.session is None:
            return
        try:
            self._again += self._noted(self.sender.again(frames, self.session, now), now)
        except ExpiredError:
            return  # `tick` and `packet` say so; what comes in must not
        self.sent_again += len(frames)
