# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedules and quotas of members with real packets: what closes and opens them, and what flows see of it."""

from __future__ import annotations

import calendar
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import Lab, Process
from netpath.lab.daemon import Events
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

QUOTA = 300_000
SLOW = {"interval": "5s"}
"""Probes count for a quota like everything else; here they should not be what uses it up."""
NOON = calendar.timegm((2026, 1, 14, 12, 0, 0))
OTHER_PORT = 5001


@pytest.fixture(autouse=True)
def no_usage(lab: Lab) -> None:
    """What an earlier test used is forgotten, as it would be in another month."""
    for file in (lab.usage_file, lab.state_dir / "usage.json"):
        file.unlink(missing_ok=True)


def text(lab: Lab, *, metered: int = 0, plain: bool = False, **options: str | int) -> str:
    """Failover from wan to wan2, where wan's IPv4 member has these options. `plain`: a second policy of wan's interface
    by a member without any, for one port."""
    lines = "".join(f"\toption {name} '{value}'\n" for name, value in options.items())
    head = "config member 'wan_m1_w1'\n"
    rules = section("rule", "everything", {"policy": "all"})
    if plain:
        rules = (
            section("rule", "other", {"policy": "other", "proto": "tcp", "dest_port": OTHER_PORT})
            + rules
            + section("member", "plain", {"interface": "wan"})
            + section("policy", "other", {"members": ["plain"]})
        )
    made = lab.config(mode="failover", options=SLOW, per_interface={"wan": {"metered": metered}}, rules=rules)
    return made.replace(head, head + lines)


def member(lab: Lab, name: str = "wan_m1_w1") -> dict[str, Any]:
    policies = lab.call({"cmd": "policies"})["policies"]
    row: dict[str, Any] = next(m for p in policies for m in p["members"] if m["name"] == name)
    return row


def turned(events: Events, to: str) -> dict[str, Any]:
    return events.wait_for(lambda e: e["kind"] == "member" and e["to"] == to, f"member {to}")


def used_up(lab: Lab, events: Events) -> None:
    """Pass the quota by a download through wan."""
    with lab.download(rate=400_000) as transfer:
        transfer.wait(lambda r: r.outcome == "wan")
        turned(events, "closed")


@pytest.mark.parametrize("metered", [0, 1])
def test_a_used_up_quota_moves_the_new_flows_of_its_policy_alone(lab: Lab, start: Start, metered: int) -> None:
    """The old ones stay, on a metered line as well, because another policy goes on using it."""
    start(text(lab, quota=QUOTA, metered=metered, plain=True))
    assert member(lab)["quota"]["used"] < QUOTA / 2
    assert lab.flows(5) == {"wan": 5}
    with lab.hold(proto="tcp") as held, lab.hold("ipv6", "tcp") as six, lab.events() as events:
        held.wait(lambda r: r.outcome == "wan")
        six.wait(lambda r: r.outcome == "wan")
        used_up(lab, events)
        events.wait_for(lambda e: e["kind"] == "switch", "the switch")
        assert lab.flows(20) == {"wan2": 20}
        assert lab.flows(5, "ipv6") == {"wan": 5}, "the other family's member has no quota"
        moment = time.monotonic()
        assert lab.flows(5, proto="tcp", dport=OTHER_PORT) == {"wan": 5}, "another policy, a member without quota"
        held.wait(lambda r: r.answered, since=moment)
        assert set(held.outcomes()) == {"wan"}, "what had begun goes on"
        assert set(six.outcomes()) == {"wan"}
    row = member(lab)
    assert (row["open"], row["ipv4"], row["status"]) == (False, 0, "online")
    assert row["reason"] == "its quota is used up"
    assert row["quota"]["used"] >= row["quota"]["limit"] == QUOTA
    assert row["until"] == row["quota"]["resets"] > time.time()


def test_flows_of_a_metered_line_move_when_no_policy_uses_it_any_more(lab: Lab, start: Start) -> None:
    start(text(lab, quota=QUOTA, metered=1))
    with lab.hold(proto="tcp") as held, lab.events() as events:
        held.wait(lambda r: r.outcome == "wan")
        used_up(lab, events)
        held.wait(lambda r: r.outcome == "wan2")


def test_what_was_used_survives_reload_crash_stop_and_reboot(lab: Lab, start: Start) -> None:
    process = start(text(lab, quota=QUOTA))
    with lab.events() as events:
        used_up(lab, events)
    used = member(lab)["quota"]["used"]
    assert "error" not in lab.call({"cmd": "reload"})
    assert lab.flows(5) == {"wan2": 5}, "a load knows it too"
    process.signal(9)
    process.wait()
    process = start(text(lab, quota=QUOTA))
    assert member(lab)["quota"]["used"] >= used
    assert lab.flows(5) == {"wan2": 5}
    lab.netpath("stop")
    process.wait()
    assert lab.usage_file.exists()
    (lab.state_dir / "usage.json").unlink()  # what a reboot does
    start(text(lab, quota=QUOTA))
    assert member(lab)["quota"]["used"] >= used
    assert lab.flows(5) == {"wan2": 5}
    with lab.events() as events:
        lab.config_file.write_text(text(lab, quota=QUOTA * 100))
        assert "error" not in lab.call({"cmd": "reload"})
        turned(events, "open")
    assert lab.flows(5) == {"wan": 5}


def test_a_damaged_file_is_said_and_steering_goes_on(lab: Lab, start: Start) -> None:
    lab.usage_file.write_text("{")
    process = start(text(lab, quota=QUOTA))
    assert lab.flows(5) == {"wan": 5}
    assert "damaged" in process.output()
    assert not lab.usage_file.exists()


class Clock:
    """The fake clock of a tracker that runs by `tests.lab.fake_clock`; its time zone is UTC."""

    def __init__(self, lab: Lab) -> None:
        self.file: Path = lab.directory / "ahead"
        self.lab = lab

    def set(self, epoch: float) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(str(epoch - time.time()))
        new.replace(self.file)

    def start(self, configuration: str) -> Process:
        program = [sys.executable, "-m", "tests.lab.fake_clock", str(self.file)]
        process = self.lab.start_netpath(configuration, program=program, TZ="UTC0")
        self.lab.wait_status(wan="online", wan2="online")
        return process


@pytest.mark.parametrize("metered", [0, 1])
def test_the_end_of_a_window_moves_new_flows_and_its_begin_brings_them_back(lab: Lab, metered: int) -> None:
    clock = Clock(lab)
    clock.set(NOON + 6 * 3600 - 5)
    clock.start(text(lab, time="08:00-18:00", weekdays="mon-fri", metered=metered))
    row = member(lab)
    assert (row["open"], row["until"], row["window"]) == (True, NOON + 6 * 3600, "08:00-18:00 mon-fri")
    with lab.hold(proto="tcp") as held, lab.pulse() as fresh, lab.events() as events:
        held.wait(lambda r: r.outcome == "wan")
        event = turned(events, "closed")
        assert (event["member"], event["interface"], event["until"]) == ("wan_m1_w1", "wan", NOON + 20 * 3600)
        fresh.wait(lambda r: r.outcome == "wan2")
        assert lab.flows(10) == {"wan2": 10}
        moment = time.monotonic()
        if metered:
            held.wait(lambda r: r.outcome == "wan2")
        else:
            held.wait(lambda r: r.answered, since=moment)
            assert set(held.outcomes()) == {"wan"}
        clock.set(NOON + 24 * 3600)
        turned(events, "open")
        assert lab.flows(10) == {"wan": 10}
        clock.set(NOON + 3 * 24 * 3600)  # a Saturday
        turned(events, "closed")
        assert lab.flows(10) == {"wan2": 10}


def test_a_closed_member_is_shown_explained_and_listed(lab: Lab) -> None:
    clock = Clock(lab)
    clock.set(NOON + 10 * 3600)
    clock.start(text(lab, time="08:00-18:00", quota="5G"))
    assert lab.flows(5) == {"wan2": 5}, "closed from the first packet on"
    reply = lab.call({"cmd": "explain", "src": "192.0.2.2", "dst": "203.0.113.201", "proto": "tcp", "dport": 7})
    assert reply["uplink"] == "wan2"
    said = "member wan_m1_w1 (wan) is closed until 2026-01-15 08:00: outside its window 08:00-18:00"
    assert said in reply["why"]
    row = lab.call({"cmd": "status"})["members"]["wan_m1_w1"]
    assert (row["interface"], row["open"], row["quota"]["limit"]) == ("wan", False, 5_000_000_000)
    assert "wan_m1_w1 (wan) is closed until " in lab.netpath("status")
    assert "wan_m1_w1 is closed until " in lab.netpath("policies")
    assert "member wan_m1_w1 (wan) open -> closed" in lab.netpath("events")


def test_a_router_whose_clock_is_not_set_uses_everything_until_it_is(lab: Lab) -> None:
    clock = Clock(lab)
    clock.set(1000.0)
    clock.start(text(lab, time="08:00-18:00"))
    row = member(lab)
    assert row["open"] is True
    assert "clock is not set" in row["reason"]
    assert lab.flows(5) == {"wan": 5}
    with lab.events() as events:
        clock.set(NOON + 10 * 3600)
        turned(events, "closed")
    assert lab.flows(5) == {"wan2": 5}


def test_a_window_that_ends_while_a_worker_loads_stays_closed(lab: Lab) -> None:
    clock = Clock(lab)
    clock.set(NOON)
    clock.start(text(lab, time="08:00-18:00"))
    with lab.events() as events:
        lab.call({"cmd": "reload"})
        clock.set(NOON + 10 * 3600)
        for _ in range(3):
            lab.call({"cmd": "reload"})
        turned(events, "closed")
    wait_until(lambda: lab.flows(3) == {"wan2": 3}, 10, "the window to be closed")
    lab.call({"cmd": "reload"})
    assert lab.flows(5) == {"wan2": 5}
