# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of displays: who gets in, who is forgotten, and that nobody is owed more than a bounded multiple."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netpath.monitor import wire
from netpath.monitor.clients import (
    FACTOR,
    FIRST_FACTOR,
    KEEP_ALIVE,
    SHARE,
    Client,
    Clients,
    Networks,
    Source,
    Verdict,
    Way,
)
from netpath.monitor.udp import following
from netpath.monitoring import Format

HERE = Way(0)
ALL = Networks(["0.0.0.0/0", "::/0"])
V4, V6 = Source("192.0.2.7", 17891), Source("2001:db8::7", 17891)
REGISTRATION = b"\x01\x00"


def table(
    form: Format = Format.COMBINED,
    interval: float = 1.0,
    timeout: float = 15.0,
    limit: int = 8,
    networks: Networks = ALL,
) -> Clients:
    return Clients(networks, interval=interval, timeout=timeout, limit=limit, payloads=wire.sizes(form))


def weight(source: Source, payloads: tuple[int, ...]) -> int:
    """Bytes on the wire, from the headers' own documents (RFC 791, 768, 8200)."""
    return sum(payload + (40 if ":" in source.address else 20) + 8 for payload in payloads)


def answered(clients: Clients, now: float, payloads: tuple[int, ...] = (48,)) -> list[Source]:
    """Who gets an answer at a tick."""
    return [client.source for client in clients.due(now) if clients.spend(client, payloads, now)]


def register(clients: Clients, source: Source, now: float) -> Verdict:
    """A registration, and the answer to a new client, as the server sends it at once."""
    verdict, client = clients.received(REGISTRATION, source, HERE, now)
    if verdict is Verdict.NEW:
        assert client is not None
        assert clients.spend(client, (48,), now)
    return verdict


@pytest.mark.parametrize("source", [V4, V6], ids=["ipv4", "ipv6"])
def test_a_living_display_gets_an_answer_every_second_from_its_second_registration_on(source: Source) -> None:
    clients = table()
    got = []
    for second in range(60):
        if second % 5 == 0:
            register(clients, source, second + 0.3)
        got += [second + 1 for _ in answered(clients, second + 1.0)]
    assert got[-54:] == list(range(7, 61))
    assert len(got) >= 54 + 1, "and at first at least one more, half way to the second registration"


def test_a_display_that_asks_late_misses_nothing_once_it_is_known() -> None:
    clients = table()
    for at in (0.0, 5.0, 10.0):
        register(clients, V4, at)
        got = [at + second for second in range(1, 6) if answered(clients, at + second)]
    assert got == [11, 12, 13, 14, 15]
    assert answered(clients, 16.0) == [V4], "the spare one"
    assert answered(clients, 17.0) == []


def test_a_shorter_interval_is_for_those_who_ask_more_often() -> None:
    """Else it would be a larger multiple of what was asked."""
    clients = table(interval=0.2)
    for second in range(10):
        register(clients, V4, float(second))
        got = [tick for tick in range(1, 6) if answered(clients, second + tick * 0.2)]
    assert got == [1, 2, 3, 4, 5]
    got = [tick for tick in range(1, 200) if answered(clients, 10 + tick * 0.2)]
    assert len(got) <= FACTOR * 30 // 76


def test_a_tick_that_comes_a_little_early_is_not_left_out() -> None:
    """Timers are late by a few milliseconds, now more and now less."""
    clients = table()
    for number in range(1, 100):
        register(clients, V4, number - 0.6)
        late = 0.004 if number % 2 else 0.001
        assert bool(answered(clients, number + late)) == (number > 1)


def test_asking_again_brings_the_next_answer_nearer() -> None:
    clients = table(interval=0.2)
    register(clients, V4, 0.0)
    assert answered(clients, 0.2) == [], "two answers have to do for five seconds"
    register(clients, V4, 0.3)
    assert answered(clients, 0.4) == [V4]


@pytest.mark.parametrize("silence", [14.9, 15.0])
def test_a_client_is_forgotten_after_the_time_of_silence(silence: float) -> None:
    clients = table(timeout=15.0)
    register(clients, V4, 100.0)
    register(clients, V4, 105.0)
    clients.expire(105.0 + silence)
    assert (V4 in clients) == (silence < 15.0)


def test_only_a_registration_keeps_a_client() -> None:
    clients = table()
    register(clients, V4, 0.0)
    assert clients.received(b"\x01\x00\x00", V4, HERE, 14.0) == (Verdict.IGNORED, None)
    assert answered(clients, 15.0) == []
    assert len(clients) == 0


def test_the_newest_registration_says_how_answers_leave() -> None:
    clients = table()
    clients.received(REGISTRATION, V4, Way(0, b"\xc0\x00\x02\x01"), 0.0)
    _, client = clients.received(REGISTRATION, V4, Way(1, None), 5.0)
    assert client is not None
    assert client.way == Way(1, None)


def test_a_full_table_refuses_newcomers_and_keeps_whom_it_has() -> None:
    clients = table(limit=8)
    known = [Source(f"192.0.2.{host}", 17891) for host in range(1, 9)]
    assert [register(clients, source, 0.0) for source in known] == [Verdict.NEW] * 8
    assert register(clients, Source("192.0.2.9", 17891), 1.0) is Verdict.REFUSED
    assert [client.source for client in clients] == known
    assert register(clients, known[0], 14.0) is Verdict.RENEWED
    assert register(clients, Source("192.0.2.9", 17891), 15.0) is Verdict.NEW, "those who fell silent make room"
    assert len(clients) == 2


def test_one_address_holds_a_part_of_the_table() -> None:
    clients = table(limit=8)
    verdicts = [register(clients, Source("192.0.2.1", port), 0.0) for port in range(1, 9)]
    assert verdicts == [Verdict.NEW] * 2 + [Verdict.REFUSED] * 6
    assert register(clients, V4, 0.0) is Verdict.NEW
    clients.forget(Source("192.0.2.1", 1))
    assert register(clients, Source("192.0.2.1", 8), 0.0) is Verdict.NEW


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("192.0.2.7", 0),
        ("0.0.0.0", 17891),
        ("0.0.0.1", 17891),
        ("224.0.0.1", 17891),
        ("240.0.0.1", 17891),
        ("255.255.255.255", 17891),
        ("ff02::1", 17891),
        ("::", 17891),
        ("2001:db8::7", 0),
        ("nonsense", 17891),
    ],
)
def test_nobody_registers_for_a_group_or_for_no_host(address: str, port: int) -> None:
    assert register(table(), Source(address, port), 0.0) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("2001:db8:1:ffff::1", True),
        ("2001:db8:2::1", False),
        ("198.51.100.9", True),
        ("198.51.100.8", False),
        ("::c000:207", False),
    ],
)
def test_only_hosts_of_the_networks_register(address: str, allowed: bool) -> None:
    networks = Networks(["192.0.2.0/24", "2001:db8:1::/48", "198.51.100.9"])
    verdict = register(table(networks=networks), Source(address, 17891), 0.0)
    assert verdict is (Verdict.NEW if allowed else Verdict.REFUSED)


@pytest.mark.parametrize(
    ("source", "form", "first", "later"),
    [
        (V4, Format.COMBINED, 2 * 76, 6 * 76),
        (V6, Format.COMBINED, 3 * 96, 6 * 96),
        (V4, Format.PAIR, 2 * 104, 6 * 104),
        (V6, Format.PAIR, 2 * 144, 6 * 144),
    ],
    ids=["ipv4 combined", "ipv6 combined", "ipv4 pair", "ipv6 pair"],
)
def test_what_one_registration_brings_with_the_defaults(source: Source, form: Format, first: int, later: int) -> None:
    """The figures of docs/monitor.md."""
    clients = table(form, timeout=1000.0)
    for began, owed in ((0.0, first), (5.0, later)):
        _, client = clients.received(REGISTRATION, source, HERE, began)
        payloads = wire.sizes(form)
        at_once = int(client is not None and began == 0.0 and clients.spend(client, payloads, began))
        answers = at_once + sum(len(answered(clients, began + tick, payloads)) for tick in range(1, 5))
        rest = sum(len(answered(clients, began + 5 + tick / 10, payloads)) for tick in range(100) if began)
        assert (answers + rest) * weight(source, payloads) == owed


def test_repeating_at_once_proves_nothing() -> None:
    """What a stranger can send before the first error could come back."""
    clients = table(interval=0.01)
    for burst in range(5):
        clients.received(REGISTRATION, V4, HERE, burst / 1000)
    got = sum(len(answered(clients, tick / 100)) for tick in range(500))
    assert got * 76 <= FIRST_FACTOR * 30


@given(st.floats(0, 1e6), st.floats(0, 1e7), st.floats(0.05, 3600))
def test_ticks_that_were_slept_through_are_not_made_up_for(tick: float, pause: float, interval: float) -> None:
    """After a suspend there is one tick, and it is on the old beat."""
    now = tick + pause
    after = following(tick, now, interval)
    assert after > now - 1e-6 * interval
    assert after <= max(now, tick) + interval * (1 + 1e-6)


def test_ticks_do_not_drift() -> None:
    tick = 0.0
    for number in range(1, 1000):
        tick = following(tick, tick + 0.4, 1.0)
        assert tick == number


class AnySequence(RuleBasedStateMachine):
    """Datagrams of anybody at any time, ticks at any time: the bounds hold."""

    @initialize(
        form=st.sampled_from(Format), interval=st.sampled_from([0.05, 0.2, 1.0, 7.0, 60.0]), limit=st.integers(1, 12)
    )
    def begin(self, form: Format, interval: float, limit: int) -> None:
        self.limit = limit
        self.interval = interval
        self.payloads = wire.sizes(form)
        self.clients = table(form, interval, limit=limit)
        self.now = 1000.0
        self.registered: dict[Source, list[float]] = {}
        """Since it was last new."""
        self.into: Counter[Source] = Counter()
        self.out: Counter[Source] = Counter()
        self.allowance: Counter[Source] = Counter()

    def _charge(self, client: Client) -> bool:
        if not self.clients.spend(client, self.payloads, self.now):
            return False
        self.out[client.source] += weight(client.source, self.payloads)
        return True

    @rule(
        host=st.integers(1, 6),
        port=st.integers(0, 3),
        six=st.booleans(),
        data=st.sampled_from([REGISTRATION] * 5 + [b"", b"\x01", b"\x00\x01", b"\x01\x00\x00"]),
    )
    def datagram(self, host: int, port: int, six: bool, data: bytes) -> None:
        source = Source(f"2001:db8::{host}" if six else f"192.0.2.{host}", port)
        before = {client.source for client in self.clients if self.now - client.last < 15.0}
        verdict, client = self.clients.received(data, source, HERE, self.now)
        self.into[source] += 2 + (48 if six else 28)
        assert (verdict is Verdict.IGNORED) == (data != REGISTRATION)
        if data != REGISTRATION:
            return
        assert before <= {client.source for client in self.clients}, "nobody is displaced"
        assert (verdict is Verdict.RENEWED) == (source in before)
        assert port or verdict is Verdict.REFUSED
        if verdict is Verdict.REFUSED:
            return
        times = [] if verdict is Verdict.NEW else self.registered[source]
        times.append(self.now)
        self.registered[source] = times
        proven = self.now - times[0] >= KEEP_ALIVE / 2
        self.allowance[source] += (FACTOR if proven else FIRST_FACTOR) * (2 + (48 if six else 28))
        assert client is not None
        if verdict is Verdict.NEW:
            assert self._charge(client), "the first answer goes at once"

    @rule(after=st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 4.9, 5.0, 14.0, 1e5]))
    def pass_time(self, after: float) -> None:
        self.now += after

    @rule()
    def tick(self) -> None:
        for client in self.clients.due(self.now):
            assert self.now - self.registered[client.source][-1] < 15.0, "forgotten after silence"
            self._charge(client)

    @rule(host=st.integers(1, 6), port=st.integers(1, 3))
    def unreachable(self, host: int, port: int) -> None:
        source = Source(f"192.0.2.{host}", port)
        self.clients.forget(source)
        assert source not in self.clients

    @invariant()
    def the_table_is_bounded(self) -> None:
        held = Counter(client.source.address for client in self.clients)
        assert len(self.clients) == sum(held.values()) <= self.limit
        assert all(number <= max(1, self.limit // SHARE) for number in held.values())

    @invariant()
    def so_are_the_bytes(self) -> None:
        for source, out in self.out.items():
            assert out <= self.allowance[source] <= FACTOR * self.into[source]


TestAnySequence = AnySequence.TestCase
