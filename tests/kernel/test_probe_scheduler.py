# SPDX-License-Identifier: GPL-2.0-or-later
"""Scheduler, probers and state machine together, on real uplinks that are cut and mended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from netpath.health import InterfaceHealth, Transition
from netpath.model import State, Tracking, TrackMethod, Uplink
from netpath.probe import Scheduler
from tests.kernel.probe_lab import FAR, FAR6, FAST, MARK, WAN1, WAN1_6, WAN2, ProbeLab, probe_lab, run

pytestmark = pytest.mark.lab


@dataclass
class Watch:
    """A scheduler in a lab, and a way to wait for what it tells."""

    lab: ProbeLab
    told: list[tuple[str, Transition]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    healths: dict[str, InterfaceHealth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.lab.loop, self._note)

    def _note(self, name: str, transition: Transition) -> None:
        self.told.append((name, transition))
        self.changed.set()

    def add(self, uplink: Uplink, config: Tracking = FAST, initial: State = State.OFFLINE) -> InterfaceHealth:
        health = InterfaceHealth(config, now=self.lab.loop.time(), initial=initial, enabled=True)
        self.healths[uplink.name] = health
        self.scheduler.set_interface(uplink.name, health, config, uplink, MARK)
        return health

    def wait(self, name: str, state: State) -> None:
        async def reached() -> None:
            while self.healths[name].state is not state:
                self.changed.clear()
                await self.changed.wait()

        self.lab.loop.run_until_complete(asyncio.wait_for(reached(), 20.0))

    def states(self, name: str) -> list[State]:
        return [transition.new for who, transition in self.told if who == name]


@pytest.fixture
def lab() -> Iterator[ProbeLab]:
    with probe_lab() as made:
        yield made


@pytest.fixture
def watch(lab: ProbeLab) -> Iterator[Watch]:
    watch = Watch(lab)
    yield watch
    watch.scheduler.close()


def test_a_silent_cut_takes_out_one_uplink_until_it_is_mended(lab: ProbeLab, watch: Watch) -> None:
    watch.add(WAN1, replace(FAST, targets=(FAR, "192.0.2.1")))
    watch.add(WAN2)
    watch.add(WAN1_6, replace(FAST, targets=(FAR6,)))
    for uplink in (WAN1, WAN2, WAN1_6):
        watch.wait(uplink.name, State.ONLINE)
    watch.told.clear()
    lab.drop("iifname isp1 meta protocol ip")
    watch.wait("wan1", State.OFFLINE)
    assert watch.told[-1][1].reason == f"{FAR}: no answer; 192.0.2.1: no answer"
    lab.heal()
    watch.wait("wan1", State.ONLINE)
    assert watch.states("wan1") == [State.DISCONNECTING, State.OFFLINE, State.CONNECTING, State.ONLINE]
    assert watch.states("wan2") == watch.states("wan1v6") == []
    snapshot = watch.healths["wan2"].snapshot(lab.loop.time())
    assert snapshot.loss == 0.0
    assert snapshot.latency is not None


def test_a_device_that_is_deleted_and_made_again(lab: ProbeLab, watch: Watch) -> None:
    """Even when nobody tells the scheduler of the link."""
    watch.add(WAN2)
    watch.wait("wan2", State.ONLINE)
    run(f"ip -n {lab.router} link del wan2")
    watch.wait("wan2", State.OFFLINE)
    assert watch.told[-1][1].reason == f"{FAR}: no such device"
    lab.wire(2, "198.51.100", "2001:db8:2")
    watch.wait("wan2", State.ONLINE)


@pytest.mark.parametrize(
    "config",
    [
        replace(FAST, method=TrackMethod.ARPING, targets=()),
        replace(FAST, method=TrackMethod.TCP, targets=(f"{FAR}:9",)),
        replace(FAST, method=TrackMethod.PING, count=3, targets=(FAR, "198.51.100.1", "203.0.113.99"), reliability=2),
    ],
    ids=["arping", "tcp", "ping"],
)
def test_methods_bring_an_uplink_online_and_notice_its_loss(lab: ProbeLab, watch: Watch, config: Tracking) -> None:
    watch.add(WAN2, config)
    watch.wait("wan2", State.ONLINE)
    run(f"ip -n {lab.provider} link set isp2 down")
    watch.wait("wan2", State.OFFLINE)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_nothing_stays_open(lab: ProbeLab) -> None:
    before = open_descriptors()
    watch = Watch(lab)
    for method, targets in ((TrackMethod.PING, (FAR,)), (TrackMethod.ARPING, ()), (TrackMethod.TCP, (FAR,))):
        watch.add(replace(WAN1, name=method.value), replace(FAST, method=method, targets=targets))
        watch.wait(method.value, State.ONLINE)
    for method in (TrackMethod.DNS, TrackMethod.HTTPING):
        watch.add(replace(WAN1, name=method.value), replace(FAST, method=method), initial=State.ONLINE)
        watch.wait(method.value, State.OFFLINE)
    watch.scheduler.close()
    assert open_descriptors() == before
