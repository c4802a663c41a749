# SPDX-License-Identifier: GPL-2.0-or-later
"""One path of a bond: whether it works, round trip, loss of both directions, what it carries. Pure.

Both ends keep the same books. All times are monotonic seconds of the caller; clocks of the two ends are never compared,
only differences of one clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from enum import StrEnum

from netpath.bond.addresses import NO_TOKEN, PeerAddress
from netpath.bond.frames import NO_ECHO, U32, Heartbeat
from netpath.bond.mtu import MtuSearch
from netpath.bond.rate import Rate, Report

INTERVAL = 0.1
"""Seconds between heartbeats."""
QUICK = ((250_000.0, 0.025), (60_000.0, 0.05))
"""(bytes a second that come in, seconds between heartbeats then): reports of a busy path come more often."""
DOWN = 0.45
"""Seconds of silence after which a path is down."""
PROOF = 3
"""Heartbeats that must be echoed, each within PROOF_TIME, before a path that was down is used."""
PROOF_TIME = 1.0
SUSPECT = 4
"""Heartbeats of the peer that are missing: no data goes there until one comes."""
QUIET = 8
"""Of the reports of a path that carries nothing, one in so many is looked at closely: they say what others said."""
PROBED = 2.0
"""Seconds for which a PROBE is told: what came earlier may not come any more."""
SMALL, LARGE = 400, 900
"""Bytes, with IP and UDP headers: what arrived is at most so large on average, what was lost at least so large."""
_WRAP = 1 << 32


class State(StrEnum):
    DOWN = "down"
    PROVING = "proving"
    UP = "up"


class Path:
    """One path of one session pair."""

    def __init__(
        self,
        number: int,
        address: PeerAddress,
        mtu: MtuSearch,
        rate: Rate,
        now: float,
        *,
        overhead: int = 28,
        interval: float = INTERVAL,
    ) -> None:
        """`overhead`: bytes of IP and UDP header of each datagram. `interval`: between heartbeats while there is little
        to report; the same at both ends.
        """
        self._calm = interval
        self.interval = interval
        """Seconds between heartbeats now."""
        self.slack = 1.0
        """By how much longer it takes until one is due."""
        self.number = number
        self.overhead = overhead
        self.address = address
        self.mtu = mtu
        self.rate = rate
        self.state = State.DOWN
        self.since = now
        """Of the state."""
        self.round_trip: float | None = None
        """Seconds, smoothed (RFC 6298)."""
        self.variance = 0.0
        self.loss_out = 0.0
        """Part of what we sent that did not arrive, smoothed over about a second."""
        self.loss_in = 0.0
        self.closing = False
        """The peer wants no data here."""
        self.received, self.received_bytes = 0, 0
        """Authentic datagrams; with IP and UDP headers."""
        self.sent_bytes = 0
        self.brought = 0
        """Data frames before this number (a count that does not wrap) are not under way here any more."""
        self.observed: tuple[int, int] | None = None
        """By the last heartbeat: (datagrams sent, of them lost) since the one before."""
        self._largest_probe, self._probed = 0, 0.0
        """Bytes, and when it came."""
        self.heard = now
        """When the last authentic datagram came."""
        self._reported = now
        self._gap = interval
        """Seconds between the peer's heartbeats, smoothed."""
        self._echoes = 0
        self._peer_beat: tuple[int, float] | None = None
        """The peer's newest heartbeat: (its `now`, when it came)."""
        self._peer_token = NO_TOKEN
        self._report: Heartbeat | None = None
        """The newest heartbeat: the next one's differences are to it."""
        self._sent: deque[tuple[float, int]] = deque([(now, 0)], maxlen=512)
        """(time, bytes sent until then), one entry for each few milliseconds."""
        self._incoming = (now, 0, 0, -1)
        """At our last heartbeat: (time, bytes received, datagrams received, highest counter)."""
        self._last_beat = -interval
        self._quiet = 0
        """Reports one after another of nothing but a heartbeat, which arrived."""

    @property
    def patience(self) -> float:
        """Seconds of silence after which it is down."""
        return DOWN / INTERVAL * self._calm

    # What the scheduler and the sender want to know.

    @property
    def speed(self) -> float:
        """Bytes a second that may be sent."""
        return self.rate.rate

    @property
    def way(self) -> float:
        """Seconds one way, as half a round trip."""
        return (self.round_trip or INTERVAL) / 2

    @property
    def uplink(self) -> Hashable:
        """What it shares with other paths that die with it, as far as its address tells."""
        return getattr(self.address.proven, "uplink", self.number)

    @property
    def loss(self) -> float:
        return self.loss_out

    @property
    def room(self) -> int:
        """Bytes of the largest datagram."""
        return self.mtu.size

    # What comes in.

    def arrived(self, size: int, now: float, count: int = 1) -> None:
        """Authentic datagrams, `count` of them, of `size` bytes in all, with their IP and UDP headers."""
        self.received += count
        self.received_bytes += size
        # Not back, by a stamp from before the clock jumped: that is no silence.
        self.heard = max(self.heard, now)

    def beat(self, frame: Heartbeat, now: float) -> bool:
        """A heartbeat of the peer. True when the path may carry data from now on."""
        if frame.token != NO_TOKEN:
            self._peer_token = frame.token
        newer = self._peer_beat is None or (frame.now - self._peer_beat[0]) % _WRAP < _WRAP // 2
        if not newer:
            return False
        self._peer_beat = frame.now, now
        self.closing = frame.closing
        self.mtu.confirmed(frame.largest)
        if frame.hold != NO_ECHO:
            self._measure(frame, now)
        self.observed = None
        before, self._report = self._report, frame
        if before is not None and frame.hold != NO_ECHO:
            self._learn(before, frame, now)
        self._gap += (min(now - self._reported, self._calm) - self._gap) / 4
        self._reported = now
        return self._prove(frame, now)

    def _measure(self, frame: Heartbeat, now: float) -> None:
        """Round trip (RFC 6298, 2)."""
        taken = ((microseconds(now) - frame.echo - frame.hold) % _WRAP) / 1e6
        if taken > 60.0:
            return  # an echo of before a suspend, or a clock of the peer's that went back
        if self.round_trip is None:
            self.round_trip, self.variance = taken, taken / 2
        else:
            self.variance += (abs(self.round_trip - taken) - self.variance) / 4
            self.round_trip += (taken - self.round_trip) / 8

    def _learn(self, before: Heartbeat, frame: Heartbeat, now: float) -> None:
        """What the time between two heartbeats says of the way out."""
        passed = ((frame.now - before.now) % _WRAP) / 1e6
        sent = (frame.highest - before.highest) % _WRAP
        got = (frame.received - before.received) % _WRAP
        if not 0.001 < passed < 60.0 or sent >= _WRAP // 2 or got >= _WRAP // 2:
            return  # new keys, or a peer that has made this path anew: counting has begun again
        # Late ones of the time before may make it more than was sent.
        loss = max(0.0, 1.0 - got / sent) if sent else 0.0
        if sent:
            self.loss_out += (loss - self.loss_out) * min(1.0, passed)
        self._quiet = self._quiet + 1 if sent == got == 1 else 0
        if self._quiet % QUIET:
            return
        end = now - (self.round_trip or 0.0) / 2
        # The way out alone: when ours arrived by the peer's clock, less when it was sent by ours.
        way = (frame.now - frame.hold - frame.echo) % _WRAP
        report = Report(
            passed=passed,
            delivered=(frame.bytes - before.bytes) % (1 << 48),
            sent=self._offered(end - passed, end),
            datagrams=sent,
            lost=max(0, sent - got),
            delay=(way - _WRAP if way >= _WRAP // 2 else way) / 1e6,
        )
        self.observed = report.datagrams, report.lost
        self._judge_size(report, got)
        self.rate.report(now, report)

    def probed(self, size: int, now: float) -> None:
        """A PROBE of that many bytes came."""
        self._largest_probe = max(size, self._largest_probe if now - self._probed < PROBED else 0)
        self._probed = now

    def forget_probes(self) -> None:
        """The peer's address is another one: what came from the one before says nothing of it."""
        self._largest_probe = 0

    def _judge_size(self, report: Report, got: int) -> None:
        """Whether what is large does not go through any more, though small datagrams do: the way has changed."""
        large_arrived = report.delivered > SMALL * got
        if large_arrived or (report.lost and report.sent - report.delivered >= LARGE * report.lost):
            self.mtu.vanished(not large_arrived)

    def _offered(self, begin: float, end: float) -> int:
        """Bytes that were sent between two times."""
        first = last = self._sent[0][1]
        later = True
        for time, total in reversed(self._sent):
            if later and time <= end:
                last, later = total, False
            if time <= begin:
                first = total
                break
        return max(0, last - first)

    def _prove(self, frame: Heartbeat, now: float) -> bool:
        """Count echoes of a path that is not up. True when it has just come up."""
        if self.state is State.UP:
            return False
        age = ((microseconds(now) - frame.echo) % _WRAP) / 1e6
        fresh = frame.hold != NO_ECHO and age <= max(PROOF_TIME, 3 * self._calm)
        self._echoes = self._echoes + 1 if fresh else 0
        if self.state is State.DOWN:
            self.state, self.since = State.PROVING, now
        if self._echoes < PROOF or self.address.proven is None:
            return False
        self.state, self.since = State.UP, now
        return True

    # What goes out.

    def sent(self, size: int, now: float) -> None:
        """A datagram, or many, of `size` bytes in all, with IP and UDP headers."""
        self.sent_bytes += size
        if now - self._sent[-1][0] >= 0.002:
            self._sent.append((now, self.sent_bytes))
        else:
            self._sent[-1] = (self._sent[-1][0], self.sent_bytes)

    def due(self) -> float:
        """When the next heartbeat is to go."""
        return self._last_beat + self.interval * self.slack

    def heartbeat(self, token: bytes, highest: int, number: int, now: float) -> Heartbeat:
        """The next one; `highest`: counter of this path that came in, `number`: of our next data frame."""
        self._look_back(highest, now)
        self._last_beat = now
        echo, came = self._peer_beat or (0, now)
        hold = NO_ECHO if self._peer_beat is None else microseconds(now - came)
        return Heartbeat(
            now=microseconds(now) & U32,
            echo=echo,
            hold=hold,
            token=token,
            returned=self._peer_token,
            received=self.received & U32,
            bytes=self.received_bytes,
            highest=max(highest, 0) & U32,
            number=number & U32,
            largest=self._largest_probe if now - self._probed < PROBED else 0,
            closing=False,
        )

    def _look_back(self, highest: int, now: float) -> None:
        """Speed and loss of what has come in since our last heartbeat."""
        time, size, count, before = self._incoming
        self._incoming = now, self.received_bytes, self.received, highest
        passed = now - time
        if passed <= 0:
            return
        speed = (self.received_bytes - size) / passed
        self.interval = next((seconds for least, seconds in QUICK if speed >= least), self._calm)
        if (meant := highest - before) > 0:  # less than before: new keys count anew
            loss = max(0.0, 1.0 - (self.received - count) / meant)
            self.loss_in += (loss - self.loss_in) * min(1.0, passed)

    # Time.

    def check(self, now: float) -> bool:
        """True when the path has just gone down."""
        if self.state is State.DOWN or now - self.heard < self.patience:
            return False
        was_up = self.state is State.UP
        self.state, self.since, self._echoes = State.DOWN, now, 0
        return was_up

    def lost(self, now: float) -> None:
        """Its socket is gone: nothing comes or goes until there is another."""
        self.heard = min(self.heard, now - self.patience)
        self.address.proven = self.address.candidate = None

    def moved(self, address: Hashable, largest: int, overhead: int) -> None:
        """There is a new socket, or another address of the peer that needs no proof."""
        self.address.proven, self.address.candidate = address, None
        self.mtu = MtuSearch(largest)
        self.overhead = overhead
        self.forget_probes()

    def suspect(self, now: float) -> bool:
        """Whether heartbeats are overdue: nothing should be risked on it. A busy path is known so in some 0.15 s."""
        wait = SUSPECT * self._gap + (self.round_trip or INTERVAL) + 4 * self.variance
        return now - self._reported > wait

    def usable(self, now: float) -> bool:
        """Whether data may go there."""
        return self.state is State.UP and not self.closing and not self.suspect(now)


def microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
