# SPDX-License-Identifier: GPL-2.0-or-later
"""A firewall that includes our ruleset file and loads it whenever it likes, as fw4 does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netpath.lab import Lab, Process
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

ASK = (
    "import socket\n"
    "s = socket.create_connection(('203.0.113.201', 7), 3)\n"
    "s.send(b'x\\n'); print(s.recv(99).decode().split()[0])\n"
)


def reload(lab: Lab) -> None:
    """What fw4 loads: its own table anew, and whatever our fragment finds."""
    lab.router.nft(f'table inet fw {{ }}\nflush table inet fw\ninclude "{lab.state_dir}/ruleset*.nft"\n')


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


@pytest.fixture(autouse=True)
def no_firewall_left(lab: Lab) -> Iterator[None]:
    yield
    lab.router.nft("table inet fw { }\ndelete table inet fw\n")


def test_it_never_brings_back_an_uplink_that_failed(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})
    assert lab.flows(4) == {"wan2": 4}
    with frozen(process):  # the tracker would make it right; the file itself already is
        for _ in range(3):
            reload(lab)
            assert lab.flows(4) == {"wan2": 4}
    lab.call({"cmd": "enable", "interface": "wan"})
    wait_until(lambda: lab.flows(4) == {"wan": 4}, 10, "wan to be used again")
    with frozen(process):
        reload(lab)
        assert lab.flows(4) == {"wan": 4}


def test_it_may_load_the_file_of_a_tracker_that_is_dead(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})
    process.signal(signal.SIGKILL)
    process.wait()
    lab.router.nft("flush ruleset\n" + lab.router.run(["nft", "list", "table", "inet", "home"]))
    reload(lab)
    assert lab.flows(4) == {"wan2": 4}


def test_counters_and_sticky_clients_survive(lab: Lab, start: Start) -> None:
    process = start(mode="balanced", rules=section("rule", "web", {"sticky": 1, "policy": "all"}))
    home = lab.flows(6, proto="tcp")
    assert len(home) == 1
    before = {name: row["new_flows"] for name, row in lab.call({"cmd": "metrics"})["interfaces"].items()}
    with frozen(process):
        reload(lab)
        reload(lab)
        assert lab.flows(6, proto="tcp") == home, "the client stays"
    after = {name: row["new_flows"] for name, row in lab.call({"cmd": "metrics"})["interfaces"].items()}
    assert sum(after.values()) == sum(before.values()) + 6


def test_what_use_has_added_is_put_back(lab: Lab, start: Start) -> None:
    start(mode="failover")
    ask = ("use", "wan2", sys.executable, "-c", ASK)
    assert lab.uplink_of(lab.netpath(*ask).strip()) == "wan2"
    with lab.events() as events:
        reload(lab)
        events.wait_for(lambda e: e["kind"] == "table", "the load to be noticed")
        wait_until(lambda: lab.uplink_of(lab.netpath(*ask).strip()) == "wan2", 10, "the group to be served again")


def test_no_file_is_left_for_it_when_netpath_is_off(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})
    assert sorted(p.name.split("-")[0] for p in lab.state_dir.glob("*.nft")) == ["policies", "ruleset.nft"]
    process.stop()
    process.wait()
    assert list(lab.state_dir.glob("*.nft")) == []
    reload(lab)
    assert "table inet netpath" not in lab.router.run(["nft", "list", "tables"])


def test_a_reload_leaves_the_policies_of_no_earlier_load(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})
    lab.config_file.write_text(lab.config(mode="balanced"))
    assert lab.call({"cmd": "reload"}).get("result") == "ok"
    assert [p.name for p in lab.state_dir.glob("*.nft")] == ["ruleset.nft"]
    reload(lab)
    assert lab.flows(4) == {"wan2": 4}
