# SPDX-License-Identifier: GPL-2.0-or-later
"""The ubus object on OpenWrt's own ubusd and rpcd, from the root that NETPATH_OPENWRT_ROOT names."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.lab import Lab
from netpath.lab.namespace import LabError, wait_until
from netpath.lab.rpcd import PATH, Rpcd, root
from netpath.monitor.daemon import METHODS as MONITOR_METHODS
from netpath.tracker.arguments import METHODS
from netpath.tracker.bounded import UBUS_LIMIT
from tests.lab.test_ubus import MWAN3, holds
from tests.unit.rpcd.fake_tracker import FakeTracker

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def openwrt() -> None:
    """Skip before anything is built where there is no such root."""
    root()


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short: the name of a unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="netpath-rpcd-") as name:
        yield Path(name)


def test_every_method_is_listed_with_its_arguments(directory: Path) -> None:
    with Rpcd(directory / "netpath.sock") as rpcd:
        lines = rpcd.ubus("-v", "list", "netpath").splitlines()[1:]
        listed = {name: set(json.loads(types)) for name, _, types in (line.strip().partition(":") for line in lines)}
        wanted = {m: set(a) for m, a in {**METHODS, "monitor": MONITOR_METHODS["monitor"]}.items()}
        wanted |= {"bond": {"name"}, "bond_genkey": {"name"}}
        assert {name.strip('"'): known for name, known in listed.items()} == wanted
        assert "unknown" not in "".join(lines)
        with pytest.raises(LabError, match="Method not found"):
            rpcd.call("stop")


def test_without_a_tracker_the_answer_is_honest(directory: Path) -> None:
    with Rpcd(directory / "netpath.sock") as rpcd:
        status = rpcd.call("status", {"section": "interfaces"})
        assert (status["running"], status["interfaces"]) == (False, {})
        assert status["remedy"] == "/etc/init.d/netpath start"
        assert rpcd.call("rules")["running"] is False


def test_the_longest_reply_leaves_rpcd_alive(directory: Path) -> None:
    """The shape that grows most on its way into a message: rows of numbers, as in `history`."""
    row = "[1700000000.123,0.0,0.0,null,0.0],"
    count = UBUS_LIMIT // len(row) - 1
    answer = '{"interfaces":{"wan":[' + (row * count)[:-1] + "]}}\n"
    with FakeTracker(directory / "netpath.sock", answer.encode()) as tracker, Rpcd(tracker.path) as rpcd:
        assert len(rpcd.call("history")["interfaces"]["wan"]) == count
        assert "status" in rpcd.ubus("-v", "list", "netpath"), "the object is still there"


def test_a_real_tracker_through_real_programs() -> None:
    with Lab(2) as lab:
        lab.start_netpath(lab.config(mode="failover"))
        lab.wait_status(wan="online", wan2="online")
        with Rpcd(lab.socket) as rpcd:
            holds(rpcd.call("status"), MWAN3)
            question = {"src": "192.0.2.7", "dst": "203.0.113.201", "proto": "tcp", "dport": 443}
            assert rpcd.call("explain", question)["uplink"] == "wan"
            assert "interface must be text" in rpcd.call("status", {"interface": 5})["error"]
            assert rpcd.call("disable", {"interface": "wan"}) == {"result": "ok"}
            lab.wait_status(wan="disabled")
            assert rpcd.call("explain", question)["uplink"] == "wan2"
            for method in METHODS.keys() - {"explain", "enable", "disable"}:
                assert "error" not in rpcd.call(method), method


def lines(file: Path) -> list[str]:
    """The whole lines of a file that is being written, without their spaces."""
    text = file.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def with_ubus(lab: Lab, rpcd: Rpcd) -> dict[str, str]:
    """Environment of a tracker outside of the root that uses the `ubus` inside."""
    command = lab.directory / "bin/ubus"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPATH={PATH} exec {" ".join(rpcd.inside())} ubus "$@"\n')
    command.chmod(0o755)
    return {"PATH": f"{command.parent}:{PATH}", "NETPATH_UBUS_SOCKET": str(rpcd.socket)}


def test_listeners_hear_of_each_transition() -> None:
    with Lab(2) as lab, Rpcd(lab.socket) as rpcd:
        heard = lab.directory / "heard"
        with rpcd.listen(heard, "netpath.interface", "netpath.policy"):
            lab.start_netpath(lab.config(mode="failover"), file=None, **with_ubus(lab, rpcd))
            lab.wait_status(wan="online", wan2="online")
            lab.cut("wan")
            end = '"to":"offline"'
            wait_until(lambda: any(end in w and '"interface":"wan",' in w for w in lines(heard)), 20, "the event")
        events = [each for line in lines(heard) for each in json.loads(line).items()]
        journal = [e for e in lab.call({"cmd": "events"})["events"] if e.get("interface") == "wan"]
        told = [e for kind, e in events if kind == "netpath.interface" and e["interface"] == "wan"]
        assert [(e["seq"], e["to"], e["reason"]) for e in told] == [(e["seq"], e["to"], e["reason"]) for e in journal]
        assert any(e["cause"] == "wan offline" for kind, e in events if kind == "netpath.policy")


def test_ubusd_may_end_and_come_back() -> None:
    """Nothing of steering depends on it."""
    with Lab(2) as lab:
        with Rpcd(lab.socket) as rpcd:
            process = lab.start_netpath(lab.config(mode="failover"), file=None, **with_ubus(lab, rpcd))
            lab.wait_status(wan="online", wan2="online")
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(5) == {"wan2": 5}
        wait_until(lambda: "no events on ubus" in process.output(), 10, "one word about it")
        lab.restore("wan")
        lab.wait_status(wan="online")
        assert process.output().count("no events on ubus") == 1
