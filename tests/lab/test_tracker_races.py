# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that hang or die, reloads in heaps, stops at bad moments: failover goes on and nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import Lab, Process
from netpath.lab.daemon import Connection, call
from netpath.lab.namespace import LabError, wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start
from tests.lab.test_control import world

pytestmark = pytest.mark.lab


def children(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def frozen_worker(process: Process) -> int:
    """Stop the next load of the tracker as soon as it runs; its pid.

    Not before it has its name: then it has parted from the tracker.
    """

    found: list[int] = []

    def loading() -> bool:
        for pid in children(process):
            with suppress(OSError):  # another child may have ended by now
                if Path(f"/proc/{pid}/comm").read_text() == "netpath-apply\n":
                    found.append(pid)
        return bool(found)

    wait_until(loading, 10, "a load to start")
    pid = found[0]
    os.kill(pid, signal.SIGSTOP)
    return pid


def in_background(lab: Lab, request: dict[str, Any]) -> tuple[threading.Thread, list[dict[str, Any]]]:
    replies: list[dict[str, Any]] = []

    def ask() -> None:
        with suppress(LabError):  # the tracker may end first
            replies.append(call(lab.socket, request))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, replies


def test_a_hanging_worker_delays_neither_failover_nor_answers_nor_the_stop(lab: Lab, start: Start) -> None:
    before = world(lab)
    process = start(mode="failover")
    thread, replies = in_background(lab, {"cmd": "reload"})
    frozen_worker(process)
    with lab.events() as events:
        lab.cut("wan")
        events.wait("wan", "offline")
        assert lab.flows(5) == {"wan2": 5}
        lab.carrier("wan2", False)
        events.wait("wan2", "offline", 2)
    assert lab.call({"cmd": "status"})["interfaces"]["wan2"]["status"] == "offline"
    lab.carrier("wan2", True)
    lab.ifup("wan2")
    lab.call({"cmd": "stop"})
    assert process.wait(8) == 0, "a worker that hangs must not hold the stop up"
    thread.join(5)
    assert "stopping" in replies[0]["error"]
    after = world(lab)
    assert (after["ruleset"], after["rules"], after["rules6"]) == (before["ruleset"], before["rules"], before["rules6"])


def test_a_worker_killed_at_a_reload_leaves_the_old_configuration_running(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    second = section("policy", "second", {"members": ["wan2_m1_w1"]}) + section("rule", "r", {"policy": "second"})
    lab.config_file.write_text(lab.config(rules=second))
    thread, replies = in_background(lab, {"cmd": "reload"})
    os.kill(frozen_worker(process), signal.SIGKILL)
    thread.join(20)
    assert "failed" in replies[0]["error"]
    lab.cut("wan")
    lab.wait_status(wan="offline")
    assert lab.flows(5) == {"wan2": 5}
    lab.restore("wan")
    lab.wait_status(wan="online")
    assert lab.flows(5) == {"wan": 5}
    assert "error" not in lab.call({"cmd": "reload"})
    assert [r["name"] for r in lab.call({"cmd": "rules"})["rules"]] == ["r"]


def test_a_link_that_comes_up_during_a_refused_reload_is_not_forgotten(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.carrier("wan", False)
    lab.wait_status(wan="offline")
    wait_until(lambda: not children(process), 10, "the load for it to end")
    lab.config_file.write_text("config interface 'wan'\n\toption interval 'soon'\n")
    thread, replies = in_background(lab, {"cmd": "reload"})
    pid = frozen_worker(process)
    lab.carrier("wan", True)
    lab.ifup("wan")
    lab.lan.run(["sleep", "0.2"])  # the kernel bundles link events
    os.kill(pid, signal.SIGCONT)
    thread.join(20)
    assert "interval" in replies[0]["error"]
    lab.wait_status(wan="online", wan_6="online")


def test_many_reloads_at_once_are_few_loads(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    with lab.pulse() as fresh, lab.events() as events:
        fresh.wait(lambda r: r.outcome == "wan")
        threads = [in_background(lab, {"cmd": "reload"}) for _ in range(20)]
        for _ in range(50):
            os.kill(process.pid, signal.SIGHUP)
        for thread, _ in threads:
            thread.join(20)
        assert all(replies[0]["result"] == "ok" for _, replies in threads)
        events.wait_for(lambda e: e["kind"] == "config", "a reload to be told")
        wait_until(lambda: not children(process), 10, "the last load to end")
        assert set(fresh.outcomes()) == {"wan"}
    ended = [e for e in lab.call({"cmd": "events"})["events"] if e["kind"] == "config"]
    assert ended


def test_a_reload_that_comes_with_a_stop_leaves_nothing(lab: Lab, start: Start) -> None:
    before = world(lab)
    for _ in range(3):
        process = start(mode="failover")
        with Connection(lab.socket) as one, Connection(lab.socket) as two:
            one.send({"cmd": "reload"})
            two.send({"cmd": "stop"})
            for _ in range(3):
                one.send({"cmd": "reload"})
            os.kill(process.pid, signal.SIGHUP)
        assert process.wait() == 0
        assert world(lab) == before
        assert "internal error" not in process.output()


def test_signals_during_the_first_load_are_heeded(lab: Lab) -> None:
    before = world(lab)
    lab.config_file.write_text(lab.config())
    argv = [*lab._netpath("run"), "--config", str(lab.config_file), "--socket", str(lab.socket)]
    process = lab.router.popen(
        [*argv, "--state-dir", str(lab.state_dir)], name="netpath", env={"PYTHONPATH": str(Path.cwd())}
    )
    frozen_worker(process)
    os.kill(process.pid, signal.SIGHUP)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(8) == 0
    after = world(lab)
    assert (after["ruleset"], after["rules"]) == (before["ruleset"], before["rules"])


def test_a_worker_ends_with_its_tracker(lab: Lab, start: Start) -> None:
    """Else it would put its older picture over what the next tracker has loaded."""
    process = start(mode="failover")
    lab.config_file.write_text(lab.config(mode="failover", globals_={"nft_table": "orphan"}))
    thread, replies = in_background(lab, {"cmd": "reload"})
    pid = frozen_worker(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, "the orphan to end")
    assert "orphan" not in world(lab)["ruleset"]
    thread.join(5)
    assert replies == []
    assert lab.flows(3) == {"wan": 3}


@pytest.mark.parametrize("after", ["nft", "remember"])
def test_what_a_load_has_begun_is_removed_by_a_stop_wherever_it_died(lab: Lab, after: str) -> None:
    """A table and priorities of the user's choice, and a kill before they are noted as running."""
    before = world(lab)
    lab.config_file.write_text(lab.config(globals_={"nft_table": "chosen", "rule_priority": 12000}))
    program = (
        "import os, sys\nfrom netpath.worker import apply\n"
        + {
            "nft": "apply._retire = lambda *a: os._exit(9)\n",
            "remember": "apply._remember = lambda *a: os._exit(9)\n",
        }[after]
        + "from netpath.worker.__main__ import main\nmain(sys.argv[1:])\n"
    )
    options = ["--config", str(lab.config_file), "--state-dir", str(lab.state_dir)]
    lab.router.run([sys.executable, "-c", program, "apply", *options], stdin='{"source":"file"}', check=False)
    assert "chosen" in world(lab)["ruleset"]
    lab.router.run([sys.executable, "-m", "netpath.worker", "stop", *options], stdin="{}")
    assert world(lab) == before


def test_two_uses_at_once_both_wait_for_the_ruleset(lab: Lab, start: Start) -> None:
    start(mode="failover")
    threads = [in_background(lab, {"cmd": "use", "interface": "wan2"}) for _ in range(2)]
    threads.append(in_background(lab, {"cmd": "reload"}))
    while any(thread.is_alive() for thread, _ in threads):
        for _, replies in threads[:2]:
            if replies:
                text = lab.router.run(["nft", "list", "table", "inet", "netpath"])
                assert Path(replies[0]["cgroup"]).name in text
    groups = {replies[0]["cgroup"] for _, replies in threads[:2]}
    assert len(groups) == 1


def test_switched_off_by_hand_holds_over_reload_and_crash(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})
    lab.call({"cmd": "reload"})
    process.signal(9)
    process.wait()
    process = lab.start_netpath(file=lab.config_file)
    row = lab.call({"cmd": "status"})["interfaces"]["wan"]
    assert (row["status"], row["enabled"]) == ("disabled", False)
    assert lab.flows(5) == {"wan2": 5}
    lab.call({"cmd": "enable", "interface": "wan"})
    lab.wait_status(wan="online")
    assert lab.flows(5) == {"wan": 5}


def test_initial_state_offline_must_prove_itself_first(lab: Lab) -> None:
    slow = {"wan": {"initial_state": "offline", "recovery_interval": 1, "failure_interval": 1}}
    lab.start_netpath(lab.config(mode="failover", per_interface=slow))
    assert lab.flows(5) == {"wan2": 5}
    lab.wait_status(wan="online")
    assert lab.flows(5) == {"wan": 5}


@pytest.mark.parametrize("name", ["state.json", "ids.json", "places.json", "sysctl.json"])
def test_a_damaged_state_file_stops_no_start(lab: Lab, start: Start, name: str) -> None:
    process = start(mode="failover")
    process.signal(9)
    process.wait()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    wrong = '"states":{"wan":"asleep"},"disabled":5,"ids":7,"places":[["x"]],"rp_filter":[]'
    (lab.state_dir / name).write_text(f'{{"boot_id":"{boot}",{wrong}}}')
    lab.start_netpath(file=lab.config_file)
    lab.wait_status(wan="online")
    assert lab.flows(5) == {"wan": 5}


def test_a_log_that_nobody_reads_stops_nothing(lab: Lab) -> None:
    """Standard error is a full disk: /dev/full refuses every line."""
    lab.config_file.write_text(lab.config(mode="failover"))
    argv = [*lab._netpath("run"), "--config", str(lab.config_file), "--socket", str(lab.socket)]
    shell = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", *argv, "--state-dir", str(lab.state_dir)]
    lab.router.popen(shell, name="netpath", env={"PYTHONPATH": str(Path.cwd())})
    wait_until(lab.socket.exists, 20, "the socket")
    lab.wait_status(wan="online", wan2="online")
    lab.cut("wan")
    lab.wait_status(wan="offline")
    assert lab.flows(5) == {"wan2": 5}
    lab.restore("wan")
    lab.wait_status(wan="online")


def test_after_a_flush_the_last_ruleset_is_back_before_any_worker_has_done_its_work(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.call({"cmd": "disable", "interface": "wan"})  # after the load: the file still sends everything by wan
    assert lab.flows(4) == {"wan2": 4}
    lab.router.nft("delete table inet netpath\n")
    worker = frozen_worker(process)
    try:
        assert lab.flows(20) == {"wan2": 20}
    finally:
        os.kill(worker, signal.SIGCONT)
    lab.call({"cmd": "enable", "interface": "wan"})
    wait_until(lambda: lab.flows(4) == {"wan": 4}, 10, "steering by the loaded rules")


def test_a_ruleset_that_cannot_be_loaded_again_is_made_anew(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    (lab.state_dir / "ruleset.nft").write_text("table inet netpath {\n\tchain broken { goto nowhere\n}\n}\n")
    with lab.events() as events:
        lab.router.nft("delete table inet netpath\n")
        events.wait_for(lambda e: e["kind"] == "table", "the loss to be noticed")
        wait_until(lambda: lab.flows(4) == {"wan": 4}, 10, "steering to be back")
    wait_until(lambda: "goto w_1" in (lab.state_dir / "ruleset.nft").read_text(), 10, "a sound file")
    assert "the last ruleset cannot be loaded again" in process.output()


def test_a_load_that_began_before_a_failure_never_uses_the_dead_uplink_again(lab: Lab, start: Start) -> None:
    """Not even until the tracker, which is stopped here, hears that it has finished."""
    process = start(mode="failover")

    def stands() -> str:
        return lab.router.run(["nft", "list", "chain", "inet", "netpath", "loaded"])

    before = stands()
    thread, replies = in_background(lab, {"cmd": "reload"})
    worker = frozen_worker(process)
    lab.call({"cmd": "disable", "interface": "wan"})
    assert lab.flows(4) == {"wan2": 4}
    os.kill(process.pid, signal.SIGSTOP)
    try:
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z", 10, "the worker to end")
        assert stands() != before
        assert lab.flows(4) == {"wan2": 4}
    finally:
        os.kill(process.pid, signal.SIGCONT)
    thread.join()
    assert replies[0].get("result") == "ok"
    assert lab.flows(4) == {"wan2": 4}
