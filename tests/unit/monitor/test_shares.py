# SPDX-License-Identifier: GPL-2.0-or-later
"""Clash's totals divided into direct and proxied: the specification is the docstring of netpath/monitor/shares.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.monitor.shares import Connection, Moved, Pair, Shares, Snapshot, Speedometer, divide

amounts = st.integers(0, 10**12)
connections = st.builds(Connection, amounts, amounts, st.booleans())
snapshots = st.builds(Snapshot, amounts, amounts, st.dictionaries(st.sampled_from("abcdef"), connections))
"""As a hostile or broken peer might have them: nothing adds up, ids come and go with any history."""


def test_an_upload_and_a_download_that_stay_open() -> None:
    shares = Shares()
    assert shares.update(Snapshot(100, 900, {"a": Connection(60, 0, True), "b": Connection(40, 900, False)})) is None
    after = Snapshot(107, 1400, {"a": Connection(67, 0, True), "b": Connection(40, 1400, False)})
    assert shares.update(after) == Moved(direct_up=7, direct_down=0, proxy_up=0, proxy_down=500)


def test_what_a_connection_moved_before_it_ended_goes_to_its_kind() -> None:
    shares = Shares()
    shares.update(Snapshot(0, 0, {"a": Connection(0, 0, True), "b": Connection(0, 0, False)}))
    shares.update(Snapshot(0, 1500, {"a": Connection(0, 1000, True), "b": Connection(0, 500, False)}))
    # `a` ended after 800 bytes more, `b` moved 500 as before.
    assert shares.update(Snapshot(0, 2800, {"b": Connection(0, 1000, False)})) == Moved(0, 800, 0, 500)


def test_connections_that_nobody_saw_are_divided_like_the_others() -> None:
    shares = Shares()
    shares.update(Snapshot(0, 0, {"a": Connection(0, 0, True), "b": Connection(0, 0, False)}))
    # 400 bytes more than a and b have moved, and nothing has ended that was known.
    now = {"a": Connection(0, 300, True), "b": Connection(0, 100, False)}
    assert shares.update(Snapshot(0, 800, now)) == Moved(0, 600, 0, 200)
    # Nothing but unseen ones: as before.
    assert shares.update(Snapshot(0, 1200, now)) == Moved(0, 300, 0, 100)


def test_an_idle_connection_that_ended_decides_where_nothing_else_does() -> None:
    shares = Shares()
    shares.update(Snapshot(0, 0, {"a": Connection(0, 0, True)}))
    assert shares.update(Snapshot(0, 70, {})) == Moved(0, 70, 0, 0)


def test_without_any_sign_it_is_proxied() -> None:
    shares = Shares()
    shares.update(Snapshot(0, 0, {}))
    assert shares.update(Snapshot(3, 70, {})) == Moved(0, 0, 3, 70)


def test_history_of_a_connection_does_not_take_what_others_moved() -> None:
    """One that comes with gigabytes of history (it was away for a snapshot) gets what the known ones leave."""
    shares = Shares()
    shares.update(Snapshot(0, 0, {"a": Connection(0, 0, False)}))
    back = {"a": Connection(0, 900, False), "b": Connection(0, 10**10, True)}
    assert shares.update(Snapshot(0, 1000, back)) == Moved(0, 100, 0, 900)


def test_counters_that_are_ahead_of_the_totals_are_made_up_for() -> None:
    shares = Shares()
    shares.update(Snapshot(0, 0, {"a": Connection(0, 0, True)}))
    assert shares.update(Snapshot(0, 100, {"a": Connection(0, 130, True)})) == Moved(0, 100, 0, 0)
    assert shares.update(Snapshot(0, 200, {"a": Connection(0, 200, True)})) == Moved(0, 100, 0, 0)


def test_a_restart_begins_anew() -> None:
    shares = Shares()
    shares.update(Snapshot(500, 500, {"a": Connection(500, 500, True)}))
    assert shares.update(Snapshot(500, 499, {"a": Connection(500, 499, True)})) is None
    assert shares.update(Snapshot(501, 500, {"a": Connection(501, 500, True)})) == Moved(1, 1, 0, 0)


@given(st.lists(snapshots, max_size=8))
def test_whatever_comes_the_parts_are_the_growth_of_the_totals(sequence: list[Snapshot]) -> None:
    shares = Shares()
    last: Snapshot | None = None
    for snapshot in sequence:
        moved = shares.update(snapshot)
        fresh = last is None or snapshot.up < last.up or snapshot.down < last.down
        assert (moved is None) == fresh
        if moved is not None and last is not None:
            assert moved.direct_up + moved.proxy_up == snapshot.up - last.up
            assert moved.direct_down + moved.proxy_down == snapshot.down - last.down
            assert min(moved) >= 0
        last = snapshot


@given(amounts, st.lists(st.builds(Pair, amounts, amounts), max_size=3), st.builds(Pair, amounts, amounts))
def test_a_division_loses_nothing(growth: int, steps: list[Pair], habit: Pair) -> None:
    direct, proxy = divide(growth, steps, Pair(0, 0), habit)
    assert direct + proxy == growth
    assert min(direct, proxy) >= 0


@dataclass
class FakeClash:
    """Counts as mihomo does, and knows the truth."""

    up: int = 0
    down: int = 0
    open: dict[str, Connection] = field(default_factory=dict)
    truth: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def move(self, key: str, up: int, down: int, direct: bool) -> None:
        before = self.open.get(key, Connection(0, 0, direct))
        self.open[key] = Connection(before.up + up, before.down + down, before.direct)
        self.up, self.down = self.up + up, self.down + down
        kind = 0 if before.direct else 2
        self.truth[kind] += up
        self.truth[kind + 1] += down

    def snapshot(self) -> Snapshot:
        return Snapshot(self.up, self.down, dict(self.open))


few = st.integers(0, 10**6)
moves = st.tuples(st.just("move"), st.sampled_from("abcdef"), few, few)
ends = st.tuples(st.just("end"), st.sampled_from("abcdef"), st.just(0), st.just(0))
looks = st.tuples(st.just("look"), st.just(""), st.just(0), st.just(0))


@given(st.lists(moves | ends | looks, max_size=40), st.booleans())
def test_over_time_the_sum_is_what_clash_has_moved(steps: list[tuple[str, str, int, int]], mixed: bool) -> None:
    """Also of connections that ended, and of those that nobody ever saw; and no part is direct where none was."""
    clash, shares = FakeClash(), Shares()
    shares.update(clash.snapshot())
    total = [0, 0, 0, 0]
    for what, key, up, down in [*steps, ("look", "", 0, 0)]:
        if what == "move":
            clash.move(key, up, down, direct=mixed and key in "abc")
        elif what == "end":
            clash.open.pop(key, None)
        else:
            moved = shares.update(clash.snapshot())
            assert moved is not None
            total = [a + b for a, b in zip(total, moved, strict=True)]
    assert total[0] + total[2] == clash.up
    assert total[1] + total[3] == clash.down
    if not mixed:
        assert total == clash.truth


@given(st.lists(moves | looks, max_size=40))
def test_while_nothing_ends_it_is_the_truth(steps: list[tuple[str, str, int, int]]) -> None:
    clash, shares = FakeClash(), Shares()
    shares.update(clash.snapshot())
    total = [0, 0, 0, 0]
    for what, key, up, down in [*steps, ("look", "", 0, 0)]:
        if what == "move":
            clash.move(key, up, down, direct=key in "abc")
        else:
            total = [a + b for a, b in zip(total, shares.update(clash.snapshot()) or (), strict=True)]
    assert total == clash.truth


def test_a_speed_is_bytes_by_seconds() -> None:
    speeds = Speedometer(1.0)
    assert speeds.update(None, 10.0) is None
    assert speeds.update(Moved(100, 0, 50, 10**9), 12.0) == Moved(50, 0, 25, 5 * 10**8)


def test_snapshots_that_arrive_together_make_no_spike_and_lose_nothing() -> None:
    speeds = Speedometer(1.0)
    speeds.update(None, 0.0)
    assert speeds.update(Moved(900, 0, 0, 0), 0.9) == Moved(1000, 0, 0, 0)
    assert speeds.update(Moved(1000, 0, 0, 0), 0.91) is None
    assert speeds.update(Moved(1000, 0, 0, 0), 1.9) == Moved(2000, 0, 0, 0)
    assert speeds.update(Moved(5, 0, 0, 0), 1.9) is None, "not even by a clock that stands"


@settings(max_examples=50)
@given(st.lists(st.tuples(few, st.floats(0, 3)), min_size=1, max_size=30))
def test_speed_by_time_is_what_was_moved(rows: list[tuple[int, float]]) -> None:
    speeds = Speedometer(1.0)
    now = last = 5.0
    speeds.update(None, now)
    reported, moved = 0.0, 0
    pending = 0
    for amount, wait in rows:
        now += wait
        pending += amount
        speed = speeds.update(Moved(amount, 0, 0, 0), now)
        if speed is not None:
            reported += speed.direct_up * (now - last)
            moved, pending, last = moved + pending, 0, now
    assert abs(reported - moved) <= now - 5.0, "no more than the rounding to whole bytes a second"
