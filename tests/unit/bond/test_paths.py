# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ends of a path over a simulated way: liveness, round trip, loss, addresses, and the size of datagrams."""

from __future__ import annotations

import heapq
from random import Random

import pytest

from netpath.bond.addresses import PeerAddress
from netpath.bond.frames import Heartbeat
from netpath.bond.mtu import BASE, MtuSearch
from netpath.bond.paths import DOWN, Path, State
from netpath.bond.rate import FIRST, Rate

STEP = 0.005
SIZE = 1500


class Way:
    """Client and server of one path; `run` lets time pass."""

    def __init__(self, *, delay: float = 0.02, loss: float = 0.0, load: float = 0.0, skew: float = 5000.0) -> None:
        """`load`: datagrams a second from the client; `skew`: how far the server's clock is ahead."""
        random = Random(3)
        self.random, self.delay, self.loss, self.load, self.skew = random, delay, loss, load, skew
        self.now = 100.0
        self.cut = False
        self.source = "198.51.100.7:4000"
        make = [PeerAddress(random.randbytes, "203.0.113.1:9001"), PeerAddress(random.randbytes)]
        times = [self.now, self.now + skew]
        self.ends = [Path(0, a, MtuSearch(1472), Rate(), t) for a, t in zip(make, times, strict=True)]
        self.counters, self.highest = [0, 0], [-1, -1]
        self.wire: list[tuple[float, int, int, int, Heartbeat | None, str]] = []
        self.sequence = 0
        self.came_up = [0, 0]
        self.went_down = [0, 0]
        self.to_candidates = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self._step()

    def _clock(self, side: int) -> float:
        return self.now + (self.skew if side else 0.0)

    def _step(self) -> None:
        while self.wire and self.wire[0][0] <= self.now:
            _, _, side, counter, frame, source = heapq.heappop(self.wire)
            path, clock = self.ends[side], self._clock(side)
            newest = counter > self.highest[side]
            self.highest[side] = max(counter, self.highest[side])
            path.arrived(SIZE, clock)
            path.address.arrived(source, newest=newest)
            if frame is not None:
                path.address.returned(frame.returned, source)
                self.came_up[side] += path.beat(frame, clock)
        for side, path in enumerate(self.ends):
            clock = self._clock(side)
            self.went_down[side] += path.check(clock)
            if path.due() <= clock:
                for target, token in path.address.targets():
                    if target not in (self.source, "203.0.113.1:9001"):
                        self.to_candidates += 1
                    self._send(side, path.heartbeat(token, self.highest[side], 0, clock))
        for _ in range(round(self.load * STEP)):
            self._send(0, None)

    def _send(self, side: int, frame: Heartbeat | None) -> None:
        self.ends[side].sent(SIZE, self._clock(side))
        counter = self.counters[side]
        self.counters[side] += 1
        self.sequence += 1
        if not self.cut and self.random.random() >= self.loss:
            source = "203.0.113.1:9001" if side else self.source
            heapq.heappush(self.wire, (self.now + self.delay, self.sequence, 1 - side, counter, frame, source))


def test_a_path_comes_up_on_both_ends_and_knows_its_round_trip() -> None:
    way = Way()
    way.run(1.0)
    assert [path.state for path in way.ends] == [State.UP, State.UP]
    assert way.came_up == [1, 1]
    for path in way.ends:
        assert path.round_trip == pytest.approx(0.04, abs=0.012)
        assert path.loss_out == path.loss_in == 0.0


def test_silence_takes_it_down_and_only_proof_brings_it_back() -> None:
    way = Way()
    way.run(1.0)
    way.cut = True
    way.run(DOWN + way.delay + 3 * STEP)
    assert [path.state for path in way.ends] == [State.DOWN, State.DOWN]
    assert way.went_down == [1, 1]
    way.cut = False
    way.run(0.15)
    assert way.came_up == [1, 1]
    way.run(1.0)
    assert way.came_up == [2, 2]


def test_a_datagram_that_seems_late_is_no_silence() -> None:
    """It waited in a socket while the clock of its stamp jumped ahead."""
    way = Way()
    way.run(2)
    for path, clock in zip(way.ends, (way.now, way.now + way.skew), strict=True):
        assert path.state is State.UP
        path.arrived(SIZE, clock - 0.9)
        assert not path.check(clock)
        assert path.state is State.UP


def test_a_way_that_works_in_one_direction_only_is_not_used() -> None:
    way = Way()
    client, server = way.ends
    for _ in range(40):
        way.now += 0.05
        client.arrived(SIZE, way.now)
        beat = server.heartbeat(bytes(8), -1, 0, way.now + way.skew)
        client.beat(beat, way.now)
    assert client.state is not State.UP


@pytest.mark.parametrize("loss", [0.02, 0.1])
def test_loss_is_measured_in_both_directions(loss: float) -> None:
    way = Way(loss=loss, load=2000)
    way.run(8.0)
    client, server = way.ends
    assert client.loss_out == pytest.approx(loss, rel=0.4)
    assert server.loss_in == pytest.approx(loss, rel=0.4)


def test_a_busy_path_reports_more_often() -> None:
    way = Way(load=2000)
    way.run(1.0)
    assert way.ends[1].interval < way.ends[0].interval


def test_the_rate_learns_from_a_busy_path() -> None:
    way = Way(load=2000)
    way.run(3.0)
    assert 2 * 2000 * SIZE >= way.ends[0].rate.rate >= FIRST  # more was not asked for


def test_a_busy_path_without_reports_is_not_risked() -> None:
    way = Way(load=2000)
    way.run(2.0)
    client = way.ends[0]
    assert client.usable(way.now)
    way.cut = True
    way.run(0.4)
    assert not client.usable(way.now)


def test_a_nat_that_rebinds_is_followed_once_the_new_address_has_proved_itself() -> None:
    way = Way()
    way.run(1.0)
    server = way.ends[1]
    assert server.address.proven == way.source
    way.source = rebound = "198.51.100.7:5999"
    way.run(1.0)
    assert server.address.proven == rebound
    assert server.state is State.UP
    assert server.address.changes == 2


def test_an_address_that_does_not_answer_gets_no_data_and_few_heartbeats() -> None:
    random = Random(1)
    address = PeerAddress(random.randbytes)
    address.arrived("victim", newest=True)
    sent = [target for _ in range(50) for target, _ in address.targets()]
    assert sent == ["victim"]
    assert address.proven is None
    assert not address.returned(bytes(8), "victim")
    assert not address.returned(random.randbytes(8), "victim")


def test_an_old_datagram_from_elsewhere_changes_nothing() -> None:
    address = PeerAddress(Random(1).randbytes, "home")
    address.arrived("elsewhere", newest=False)
    assert address.targets() == [("home", bytes(8))]


@pytest.mark.parametrize("carried", [1472, 1452, 1400, 1373, 1280, 1200])
def test_the_largest_datagram_that_goes_through_is_found(carried: int) -> None:
    search, now, probes = MtuSearch(1472), 0.0, 0
    while now < 60:
        size = search.probe(now, 0.05)
        if size is not None:
            probes += 1
            if size <= carried:
                search.confirmed(size)
        now += 0.05
    assert carried - 8 < search.size <= carried
    assert probes < 40


def test_one_probe_is_enough_where_everything_goes_through() -> None:
    search = MtuSearch(1472)
    assert search.probe(0.0, 0.05) == 1472
    search.confirmed(1472)
    assert search.probe(1.0, 0.05) is None
    assert search.size == 1472


def test_large_datagrams_that_vanish_make_them_smaller() -> None:
    search = MtuSearch(1472)
    search.probe(0.0, 0.05)
    search.confirmed(1472)
    for _ in range(5):
        assert not search.vanished(True)
    assert not search.vanished(False)
    for _ in range(5):
        assert not search.vanished(True)
    assert search.vanished(True)
    assert search.size == BASE


def test_a_token_that_has_proved_an_address_does_nothing_more() -> None:
    address = PeerAddress(Random(1).randbytes)
    address.arrived("198.51.100.7:4000", newest=True)
    ((_, token),) = address.targets()
    assert address.returned(token, "198.51.100.7:4000")
    assert not address.returned(token, None)
    assert address.proven == "198.51.100.7:4000"


@pytest.mark.parametrize("interval", [0.05, 0.1, 1.0])
def test_silence_is_measured_by_the_heartbeats_that_were_agreed_on(interval: float) -> None:
    path = Path(0, PeerAddress(Random(1).randbytes, "peer"), MtuSearch(1472), Rate(), 100.0, interval=interval)
    path.state = State.UP
    path.arrived(SIZE, 100.0)
    assert path.interval == interval
    assert not path.check(100.0 + 4.4 * interval)
    assert path.check(100.0 + 4.6 * interval)
