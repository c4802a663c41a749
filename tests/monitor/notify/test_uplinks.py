# SPDX-License-Identifier: GPL-2.0-or-later
"""Through the uplink that works: a real router with two uplinks, the receiver behind them or on the LAN."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import Namespace, Process, wait_until
from netpath.lab.plan import LAN
from netpath.monitor.notify import Notifier, dial
from netpath.monitor.readings import ServiceError
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Notify
from netpath.probe.resolve import Resolver
from tests.lines import Lines
from tests.monitor.notify.support import settings

pytestmark = pytest.mark.lab

PORT = 8080
ROOT = Path(__file__).parents[3]
SITE = f"http://{SERVERS['ipv4'][0]}:{PORT}/hook"
FOUR = ("wan", "wan_6", "wan2", "wan2_6")


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with Lab(2) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    already = list(shared.processes)
    yield shared
    for process in shared.processes:
        if process not in already and process.running:
            process.stop()
    for uplink in shared.uplinks:
        shared.restore(uplink.number)


class Remote:
    """The receiver in a namespace."""

    def __init__(self, where: Namespace) -> None:
        argv = [sys.executable, "-m", "tests.monitor.notify.remote", str(PORT)]
        self.process: Process = where.popen(argv, name="receiver", env={"PYTHONPATH": str(ROOT)})
        self.process.wait_for("ready")

    def got(self) -> list[dict[str, Any]]:
        lines = self.process.output().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait(self, count: int) -> dict[str, Any]:
        wait_until(lambda: len(self.got()) >= count, 15, f"{count} messages")
        return self.got()[count - 1]


class Service:
    """A notifier in the router's namespace, run as the monitor does."""

    def __init__(self, lab: Lab, wanted: Notify) -> None:
        self.log = Lines()
        self.notifier = Notifier(wanted, Tracker(lab.socket), self.log)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: lab.router.inside(self._play))
        self._thread.start()
        wait_until(lambda: self.notifier._position.seq is not None, 10, "the notifier to follow")

    def _play(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._go())

    async def _go(self) -> None:
        self._task = asyncio.ensure_future(self._again_and_again())
        await asyncio.wait({self._task})

    async def _again_and_again(self) -> None:
        while True:
            try:
                await self.notifier.run(lambda: None)
            except ServiceError as error:
                self.log("error", str(error))
                await asyncio.sleep(0.05)

    @property
    def held(self) -> int:
        return int(self.notifier.row()["held"])

    def stop(self) -> None:
        assert self._loop is not None and self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()


Serve = Callable[..., Service]


@pytest.fixture
def serve(lab: Lab) -> Iterator[Serve]:
    made: list[Service] = []

    def go(**changes: Any) -> Service:
        made.append(Service(lab, settings(**{"url": SITE, "timeout": 1.0, "gather": 0.2, **changes})))
        return made[-1]

    yield go
    for service in made:
        service.stop()


def start(lab: Lab, **choices: Any) -> None:
    lab.start_netpath(lab.config(**choices))
    lab.wait_states(dict.fromkeys(FOUR, "online"))


def test_the_message_about_a_silent_failure_leaves_by_the_other_uplink(
    lab: Lab, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = tmp_path / "resolv.conf"
    servers.write_text(f"nameserver {SERVERS['ipv4'][1]}\n")
    monkeypatch.setattr(dial, "Resolver", partial(Resolver, files=[servers]))
    monkeypatch.setattr(dial, "_resolve", lambda host: [])
    lab.start_dns([("hook.example", SERVERS["ipv4"][0])])
    start(lab)
    remote = Remote(lab.internet)
    serve(url=f"http://hook.example:{PORT}/hook", interfaces=("wan",))
    lab.cut(1)
    got = remote.wait(1)
    assert got["peer"] == lab.uplinks[1].public("ipv4")
    assert got["message"]["events"][0]["to"] == "offline"
    assert got["message"]["interfaces"]["wan"] == "offline"
    assert "Online now: wan2" in got["message"]["text"]


def test_an_uplink_that_only_seems_to_work_is_passed_over(lab: Lab, serve: Serve) -> None:
    slow = {"interval": "60s", "failure_interval": "60s", "recovery_interval": "100ms"}
    start(lab, per_interface={"wan": slow, "wan2": {"metered": "1"}})
    remote = Remote(lab.internet)
    service = serve(events=("disabled",))
    lab.cut(1)
    lab.call({"cmd": "disable", "interface": "wan_6"})
    got = remote.wait(1)
    assert got["message"]["interfaces"]["wan"] == "online", "the tracker has not seen it yet"
    assert got["peer"] == lab.uplinks[1].public("ipv4")
    assert any("by wan: no connection after 1 s" in line for line in service.log.lines)


def test_nothing_is_lost_while_no_uplink_works(lab: Lab, serve: Serve) -> None:
    start(lab)
    remote = Remote(lab.internet)
    service = serve(interfaces=("wan", "wan2"))
    lab.cut(1)
    lab.cut(2)
    lab.wait_states(dict.fromkeys(FOUR, "offline"))
    wait_until(lambda: any("waits for one" in line for line in service.log.lines), 10, "the notifier to wait")
    before = {event["interface"] for got in remote.got() for event in got["message"]["events"]}
    assert len(before) < 2, "the second one cannot have come through"
    lab.restore(1)
    wait_until(lambda: any(e["to"] == "online" for g in remote.got() for e in g["message"]["events"]), 15, "the news")
    messages = [got["message"] for got in remote.got()]
    told = [(event["interface"], event["to"]) for message in messages for event in message["events"]]
    assert {("wan", "offline"), ("wan2", "offline"), ("wan", "online")} <= set(told)
    assert told.index(("wan2", "offline")) < told.index(("wan", "online"))
    assert any("No uplink worked from " in message["text"] for message in messages)
    assert {got["peer"] for got in remote.got()} == {lab.uplinks[0].public("ipv4")}


def test_a_receiver_on_the_lan_needs_no_uplink(lab: Lab, serve: Serve) -> None:
    start(lab)
    remote = Remote(lab.lan)
    serve(url=f"http://{LAN.client(1, 'ipv4')}:{PORT}/", gather=1.0)
    lab.cut(1)
    lab.cut(2)
    got = remote.wait(1)
    assert got["peer"] == LAN.router("ipv4")
    lab.wait_states(dict.fromkeys(FOUR, "offline"))


def test_without_a_tracker_the_main_table_decides(lab: Lab, serve: Serve) -> None:
    start(lab)
    remote = Remote(lab.internet)
    service = serve(gather=2.0)
    lab.carrier(2, False)
    wait_until(lambda: service.held > 0, 10, "the event")
    next(p for p in lab.processes if p.name == "netpath" and p.running).stop()
    got = remote.wait(1)
    assert got["peer"] == lab.uplinks[0].public("ipv4")
    assert got["message"]["interfaces"] == {}
    lab.carrier(2, True)
