# SPDX-License-Identifier: GPL-2.0-or-later
"""Events on ubus: what is sent, in what order, and that nothing of it can harm. The `ubus` command is a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netpath.kernel import ubus as kernel_ubus
from netpath.model import Uplink
from netpath.tracker import ubus as module
from netpath.tracker.daemon import Daemon
from netpath.tracker.journal import Journal, Log
from netpath.tracker.ubus import UbusEvents
from tests.lines import Lines
from tests.unit.tracker.test_switch import FAILOVER, applied

Sent = list[tuple[str, dict[str, Any]]]
WAN = Uplink("wan", 1, "ipv4", "eth1", "192.0.2.1", ("192.0.2.10/24",), True, ("192.0.2.0/24",))


class Bus:
    """A directory with a `ubus` that writes down what it is given, and a daemon of two uplinks."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.socket, self.program = directory / "out", directory / "sock", directory / "ubus"
        self.socket.touch()
        self.install(
            '[ "$1" = -s ] && [ "$2" = "$SOCK" ] && [ "$3" = send ] || exit 9\nprintf "%s\\n%s\\n" "$4" "$5" >>$OUT'
        )
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
        monkeypatch.setenv("OUT", str(self.out))
        monkeypatch.setenv("SOCK", str(self.socket))
        monkeypatch.setenv("NETPATH_UBUS_SOCKET", str(self.socket))
        monkeypatch.setattr(kernel_ubus, "DIRECTORIES", ())
        self.log = Lines()
        made = applied(frozenset(), policies={"p": FAILOVER, "q": (("wan", 1),)})
        self.daemon = SimpleNamespace(
            journal=Journal(Log()),
            log=self.log,
            applied=made,
            view=made.view,
            usable=frozenset[str](),
            uplinks={"wan": WAN},
            stopping=asyncio.Event(),
        )

    def install(self, script: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{script}\n")
        self.program.chmod(0o755)

    def transition(self, name: str, old: str, new: str, usable: set[str]) -> None:
        """As the daemon does it: the switch first, then the event of the interface."""
        if self.daemon.usable != usable:
            self.daemon.usable = frozenset(usable)
            self.daemon.journal.add("switch", "info", cause=f"{name} {new}", policies=[])
        self.daemon.journal.add("interface", interface=name, **{"from": old, "to": new}, reason="said why")

    def run(self, work: Callable[[UbusEvents], Awaitable[None]]) -> Sent:
        """What was sent while `work` went on."""

        async def main() -> None:
            events = UbusEvents(cast(Daemon, self.daemon))
            events.start()
            await work(events)
            await settled(events)
            await events.close()

        asyncio.run(main())
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [(kind, json.loads(payload)) for kind, payload in zip(lines[::2], lines[1::2], strict=True)]


async def settled(events: UbusEvents) -> None:
    await asyncio.sleep(0)
    if events._task is not None:
        await asyncio.wait_for(asyncio.shield(events._task), 20)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    return Bus(tmp_path, monkeypatch)


def test_a_transition_and_the_policies_that_it_moved(bus: Bus) -> None:
    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "connecting", "online", {"wan"})

    sent = bus.run(work)
    assert [(kind, payload.get("policy"), payload.get("family")) for kind, payload in sent] == [
        ("netpath.policy", "p", "ipv4"),
        ("netpath.policy", "q", "ipv4"),
        ("netpath.interface", None, None),
    ]
    policy, interface = sent[0][1], sent[2][1]
    assert policy["members"] == ["wan", "lte"]
    assert policy["active"] == [{"interface": "wan", "percent": 100}]
    assert policy["cause"] == "wan online"
    assert interface.pop("time") >= policy["time"] > 1e9
    assert interface == {
        "interface": "wan",
        "device": "eth1",
        "from": "connecting",
        "to": "online",
        "reason": "said why",
        "seq": 2,
    }


def test_every_step_of_a_flapping_line_is_sent_in_order(bus: Bus) -> None:
    """Faster than they can be sent: none is merged with the next."""

    async def work(events: UbusEvents) -> None:
        for _ in range(3):
            bus.transition("wan", "connecting", "online", {"wan", "lte"})
            await asyncio.sleep(0)
            bus.transition("wan", "disconnecting", "offline", {"lte"})
            await asyncio.sleep(0)

    sent = bus.run(work)
    assert [payload["to"] for kind, payload in sent if kind == "netpath.interface"] == ["online", "offline"] * 3
    actives = [payload["active"] for _, payload in sent if payload.get("policy") == "p"]
    assert [each[0]["interface"] for each in actives] == ["wan", "lte"] * 3
    assert [payload["active"] for _, payload in sent if payload.get("policy") == "q"][1] == [], "nothing is left of q"
    numbers = [payload["seq"] for _, payload in sent]
    assert numbers == sorted(numbers)


def test_what_moves_nothing_says_nothing_of_policies(bus: Bus) -> None:
    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "connecting", "online", {"wan"})
        await settled(events)
        bus.out.unlink()
        bus.transition("wan", "online", "disconnecting", {"wan"})
        bus.daemon.journal.add("error", "error", message="no event for others")

    assert [kind for kind, _ in bus.run(work)] == ["netpath.interface"]


def test_another_configuration_is_a_cause_too(bus: Bus) -> None:
    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "connecting", "online", {"wan", "lte"})
        await settled(events)
        bus.out.unlink()
        bus.daemon.view = applied(frozenset(), policies={"p": (("wan", 2), ("lte", 1)), "q": (("wan", 1),)}).view
        bus.daemon.journal.add("config", message="loaded")

    ((kind, payload),) = bus.run(work)
    assert (kind, payload["policy"], payload["cause"]) == ("netpath.policy", "p", "configuration")
    assert payload["active"] == [{"interface": "lte", "percent": 100}]


def test_values_are_words_and_never_commands(bus: Bus, tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    async def work(events: UbusEvents) -> None:
        bus.transition(f"$(touch {trap});`touch {trap}`\n'\"", "connecting", "online", set())

    ((_, payload),) = bus.run(work)
    assert payload["interface"].startswith("$(touch")
    assert payload["device"] is None
    assert not trap.exists()


@pytest.mark.parametrize("fault", ["no ubusd", "refuses", "not executable", "hangs"])
def test_a_dead_ubusd_is_said_once_and_harms_nothing(bus: Bus, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.1)
    working = bus.program.read_text()

    async def work(events: UbusEvents) -> None:
        match fault:
            case "no ubusd":
                bus.socket.unlink()
            case "refuses":
                bus.install("exit 255")
            case "not executable":
                bus.program.write_text("#!/nonexistent/sh\n")
            case "hangs":
                bus.install("exec sleep 300")
        for to in ("online", "disconnecting", "online"):
            bus.transition("wan", "x", to, set())
        await settled(events)
        assert len(bus.log.lines) == 1, bus.log.lines
        assert "no events on ubus" in bus.log.lines[0]
        bus.socket.touch()
        bus.program.write_text(working)
        bus.transition("wan", "online", "offline", set())
        await settled(events)
        bus.install("exit 1")
        bus.transition("wan", "offline", "connecting", set())
        await settled(events)
        assert len(bus.log.lines) == 2, "it worked in between"

    assert [payload["to"] for _, payload in bus.run(work)] == ["offline"]


def test_a_slow_ubus_costs_the_oldest_and_no_memory(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE", 5)

    async def work(events: UbusEvents) -> None:
        for number in range(20):
            bus.transition("wan", "x", f"state {number}", set())

    sent = [payload["to"] for _, payload in bus.run(work)]
    assert sent == [f"state {number}" for number in range(15, 20)]
    assert len(bus.log.lines) == 15
    assert "too slow" in bus.log.lines[0]


def test_where_there_is_no_ubus_command_nobody_listens_or_speaks(bus: Bus) -> None:
    bus.program.unlink()

    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "x", "online", {"wan"})
        assert events._task is None

    assert bus.run(work) == []
    assert bus.log.lines == []


def test_the_end_does_not_wait_for_a_hanging_ubus(bus: Bus) -> None:
    pid = bus.out.with_name("pid")
    bus.install(f"echo $$ > {pid}\nexec sleep 300")

    async def main() -> None:
        events = UbusEvents(cast(Daemon, bus.daemon))
        events.start()
        bus.transition("wan", "x", "online", set())
        while not pid.exists() or not pid.read_text():
            await asyncio.sleep(0.01)
        await asyncio.wait_for(events.close(), 3)

    asyncio.run(main())
    assert not Path(f"/proc/{int(pid.read_text())}").exists()


def test_the_configured_device_of_an_uplink_that_is_down(bus: Bus) -> None:
    bus.daemon.uplinks = {"wan": replace(WAN, device=None)}
    (wan, *others) = bus.daemon.applied.interfaces
    bus.daemon.applied = replace(bus.daemon.applied, interfaces=(replace(wan, name="wan", device="eth7"), *others))

    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "online", "offline", set())

    ((_, payload),) = bus.run(work)
    assert payload["device"] == "eth7"


def test_a_member_that_its_schedule_closes_moves_a_policy(bus: Bus) -> None:
    async def work(events: UbusEvents) -> None:
        bus.transition("wan", "connecting", "online", {"wan", "lte"})
        await settled(events)
        bus.out.unlink()
        bus.daemon.view = bus.daemon.view.closing({"wan"})
        bus.daemon.journal.add("switch", "info", cause="wan closed", policies=["p"])

    sent = bus.run(work)
    assert [(payload["policy"], payload["active"]) for _, payload in sent] == [
        ("p", [{"interface": "lte", "percent": 100}]),
        ("q", []),
    ]
    assert {payload["cause"] for _, payload in sent} == {"wan closed"}
