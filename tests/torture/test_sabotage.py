# SPDX-License-Identifier: GPL-2.0-or-later
"""Each rule of the torture can be broken, and is seen to be: one lab, in which the tests break something by hand."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from netpath.lab.namespace import wait_until
from netpath.statedir import IDS, StateDir
from tests.torture import foreign, invariants, runner
from tests.torture.capture import Gap
from tests.torture.invariants import Figures
from tests.torture.policies import MAIN, MASK, TABLE
from tests.torture.runner import Run, begin
from tests.torture.world import TorturedLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with TorturedLab() as lab:
        yield begin(lab, print)


@contextmanager
def frozen(lab: TorturedLab) -> Iterator[None]:
    """The tracker would mend what we break."""
    assert lab.tracker is not None
    os.kill(lab.tracker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(lab.tracker.pid, signal.SIGCONT)


def seen(look: Callable[[], list[str]], what: str) -> None:
    """Look until something is wrong in the way that is meant."""
    found: list[str] = []

    def there() -> bool:
        found.extend(look())
        return any(what in line for line in found)

    wait_until(there, 10, f"{what!r} to be reported")


def whole(run: Run) -> None:
    """Our table anew, and nothing wrong any more."""
    run.lab.reconfigure()
    run.lab.captures.gaps.append(Gap(0.0, time.time()))  # what began in between is left alone
    assert run.lab.all_online() == []
    run.watch()


def test_a_packet_that_nobody_steered(run: Run) -> None:
    assert run.watch() == []
    with frozen(run.lab):
        run.lab.router.nft(f"insert rule inet {TABLE} classify udp dport 5001 accept\n")
        seen(run.watch, "203.0.113.203 5001 (ttl 63) left main unsteered")
    whole(run)


def test_a_packet_that_left_by_a_forbidden_uplink(run: Run) -> None:
    ids = StateDir(run.lab.state_dir).numbers(IDS, "ids")
    with frozen(run.lab):
        run.lab.router.nft(f"insert rule inet {TABLE} r_single_6 goto w_{ids['wan3_6']}\n")
        seen(run.watch, "left wan3 by an uplink that its policy does not name")
    whole(run)


def test_a_gap_excuses_its_own_flows_only(run: Run) -> None:
    lab = run.lab
    gap = Gap(time.time())
    lab.captures.gaps.append(gap)
    with frozen(lab):
        lab.router.nft(f"insert rule inet {TABLE} classify udp dport 5001 accept\n")
        wait_until(lambda: lab.captures.strays() == [] and lab.captures.seen.get((MAIN, 5001), 0) > 20, 10, "strays")
        gap.end = time.time()
        seen(run.watch, "left main unsteered")
    whole(run)


def test_marks_of_others(run: Run) -> None:
    with frozen(run.lab):
        run.lab.router.nft(f"insert rule inet {TABLE} prerouting meta mark set meta mark & {MASK:#x}\n")
        seen(run.watch, "lost the marks")
    whole(run)
    run.lab.router.nft("delete table inet marks\n" + foreign.WATCHED)
    assert run.watch() == []


@pytest.mark.parametrize(
    ("thing", "breaking", "mending"),
    [
        ("rules -4", "rule del pref 6050", foreign.RULE),
        ("routes -4", "route del 192.0.2.200 table 1001", foreign.ROUTE),
    ],
)
def test_rules_and_routes_of_others(run: Run, thing: str, breaking: str, mending: str) -> None:
    run.lab.router.ip(f"{breaking}\n")
    found = invariants.differences("others", run.others, foreign.snapshot(run.lab.router))
    assert found
    assert all(thing in line for line in found)
    run.lab.router.ip(mending)
    assert foreign.snapshot(run.lab.router) == run.others


def test_tables_of_others(run: Run) -> None:
    run.lab.router.nft("delete element inet blocklist listed { 2001:db8:f:0::1 }\nadd chain inet fw4 more\n")
    found = invariants.differences("others", run.others, foreign.snapshot(run.lab.router))
    assert {line.split(": ")[1] for line in found} == {"elements", "table inet fw4"}
    run.lab.router.nft("add element inet blocklist listed { 2001:db8:f:0::1 }\ndelete chain inet fw4 more\n")
    assert foreign.snapshot(run.lab.router) == run.others


def test_a_kernel_that_is_not_as_a_fresh_start_makes_it(run: Run) -> None:
    lab = run.lab
    assert invariants.differences("kernel", run.fresh, lab.state()) == []
    with frozen(lab):
        lab.router.nft(f"add rule inet {TABLE} classify counter\nadd chain inet {TABLE} left_over\n")
        lab.router.ip("rule add pref 6103 fwmark 0x3c00/0x3f00 lookup 1060 protocol 78\n")
        found = invariants.differences("kernel", run.fresh, lab.state())
        assert {line.split(": ")[1] for line in found} == {"rule classify", "chain left_over", "rules -4"}
    whole(run)
    wait_until(lambda: not invariants.differences("kernel", run.fresh, lab.state()), 20, "everything to be as it was")


def test_flows_that_get_no_answers(run: Run) -> None:
    run.lab.router.nft("table inet deaf { chain c { type filter hook forward priority 0; tcp dport 5004 drop; }\n}\n")
    time.sleep(0.3)
    silent = run.traffic.silent(run.traffic.answers(), 2.0)
    assert silent == [f"lan {how}-tcp{family}-5004" for how in ("fresh", "hold") for family in (4, 6)]
    run.lab.router.nft("delete table inet deaf\n")
    assert run.traffic.silent(run.traffic.answers(), runner.ANSWER_SECONDS) == []


def test_memory_and_descriptors() -> None:
    was = Figures(descriptors=20, anonymous_kib=9000)
    assert invariants.level(was, Figures(21, 9100)) == []
    assert "descriptors" in invariants.level(was, Figures(40, 9000))[0]
    assert "KiB" in invariants.level(was, Figures(20, 20_000))[0]
    assert invariants.figures(os.getpid()).descriptors > 3


def test_a_tracker_that_ends_by_itself(run: Run) -> None:
    tracker = run.lab.tracker
    assert tracker is not None
    os.kill(tracker.pid, signal.SIGKILL)
    tracker.wait()
    seen(run.watch, "ended by itself")
    run.lab.start()
    assert run.watch() == []
