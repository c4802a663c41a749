# SPDX-License-Identifier: GPL-2.0-or-later
"""The service under a real procd: start, reload triggers, respawn, restart, stop, and what stands in its way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.openwrt.conftest import NETPATH, attempt, sh, uci
from tests.openwrt.openwrt_root import Router

INIT = "/etc/init.d/netpath"
CONFIG = "/etc/config/netpath"
MWAN3_STAND_IN = """#!/bin/sh /etc/rc.common
# A stand-in for mwan3's service: only that it is there and can be enabled.
START=19
USE_PROCD=1
start_service() {
	procd_open_instance
	procd_set_param command sleep 1000
	procd_close_instance
}
"""
HINT_STAND_IN = 'trap "echo hint >>/tmp/hints" URG; : >/tmp/hints; while :; do sleep 1; done'
CHANGES = {
    "netpath": """
        set netpath.mail=rule
        set netpath.mail.dest_port=25
        set netpath.mail.proto=tcp
        set netpath.mail.policy=failover
        commit netpath
    """,
    "network": "set network.lan.ip6assign=62\ncommit network\n",
    "firewall": "set firewall.@defaults[0].synflood_protect=0\ncommit firewall\n",
}


def instance(router: Router) -> dict[str, Any]:
    """procd's view of the tracker; {} when there is none."""
    found: dict[str, Any] = router.ubus("service", "list", {"name": "netpath"}).get("netpath", {})
    tracker: dict[str, Any] = found.get("instances", {}).get("tracker", {})
    return tracker


def pid(router: Router) -> int:
    """Of the running tracker, as the router sees it; 0 when there is none."""
    tracker = instance(router)
    return int(tracker["pid"]) if tracker.get("running") else 0


def answers(router: Router) -> bool:
    return attempt(router, "netpath status")[0] == 0


def ours(router: Router) -> list[str]:
    """What NetPath has in the kernel: ip rules, routes, its table."""
    rules = sh(router, "ip rule; ip -6 rule; ip route show table all").splitlines()
    tables = sh(router, "nft list tables").splitlines()
    return [line for line in rules if "proto 78" in line] + [line for line in tables if "netpath" in line]


def table_handle(router: Router) -> str:
    """Changes when the table is removed and made again."""
    handle = re.search(r"# handle (\d+)", sh(router, "nft -a list table inet netpath"))
    assert handle is not None
    return handle[1]


def loads(router: Router) -> int:
    return router.log().count(f"{CONFIG} loaded")


@pytest.fixture
def running(router: Router) -> Iterator[int]:
    """NetPath running with two uplinks; stopped afterwards, whatever the test has done. Its process id."""
    router.write(CONFIG, NETPATH)
    sh(router, "netpath start")
    yield pid(router)
    router.write(CONFIG, NETPATH)
    attempt(router, f"{INIT} stop")


def test_a_fresh_installation_is_inert(router: Router) -> None:
    assert sh(router, "uci get netpath.globals.enabled") == "0\n"
    assert ours(router) == []
    assert instance(router) == {}
    code, text = attempt(router, f"{INIT} start")
    assert code == 0
    assert "switched off by option enabled" in text
    assert attempt(router, f"{INIT} running")[0] != 0
    assert attempt(router, "netpath start")[0] == 1


def test_boot_order_is_after_the_firewall_and_before_the_network(router: Router) -> None:
    order = [name[3:] for name in sorted(sh(router, "ls /etc/rc.d").split()) if name.startswith("S")]
    assert order.index("firewall") < order.index("netpath") < order.index("network")


def test_start_steers_and_says_so(router: Router, running: int) -> None:
    assert running
    assert sh(router, f"{INIT} status").strip() == "running"
    assert sh(router, "netpath policies").count("100%") == 1
    assert "table inet netpath" in ours(router)
    code, text = attempt(router, "netpath start")
    assert code == 1
    assert "already running" in text
    sh(router, f"{INIT} start")
    assert pid(router) == running, "starting what runs must not disturb it"


def test_it_runs_within_limits(router: Router, running: int) -> None:
    limits = sh(router, f"cat /proc/{running}/limits")
    assert re.search(r"Max open files +4096 +4096", limits)
    assert re.search(r"Max address space +402653184 +402653184", limits)
    assert re.search(r"Max core file size +0 +0", limits)


def test_log_lines_have_their_levels_and_come_once(router: Router, running: int) -> None:
    ready = [line for line in router.log().splitlines() if f"netpath[{running}]: ready: " in line]
    assert len(ready) == 1
    assert "daemon.notice" in ready[0]
    router.write(CONFIG, NETPATH.replace("'none'", "'guess'"))
    assert attempt(router, f"{INIT} reload")[0] == 1
    errors = [line for line in router.log().splitlines() if f"netpath[{running}]:" in line and "track_method" in line]
    assert len(errors) == 1
    assert "daemon.err" in errors[0]


def test_after_a_crash_it_comes_back_and_the_kernel_steers_meanwhile(router: Router, running: int) -> None:
    before, handle = ours(router), table_handle(router)
    sh(router, f"kill -9 {running}")
    assert ours(router) == before
    router.wait(lambda: pid(router) not in (0, running) and answers(router), "a new tracker")
    assert table_handle(router) == handle, "the new tracker must take over what stands"
    assert ours(router) == before


@pytest.mark.parametrize("package", CHANGES)
def test_a_committed_configuration_is_loaded(router: Router, running: int, package: str) -> None:
    before = loads(router)
    uci(router, CHANGES[package])
    router.wait(lambda: loads(router) > before, "a reload")
    assert pid(router) == running, "a reload, not a restart"
    assert ("mail" in sh(router, "netpath rules")) == (package == "netpath")


def test_start_with_another_configuration_is_a_reload(router: Router, running: int) -> None:
    before = loads(router)
    router.write(CONFIG, NETPATH.replace("everything", "all_of_it"))
    sh(router, f"{INIT} start")
    router.wait(lambda: loads(router) > before, "a reload")
    assert pid(router) == running


def test_a_bad_file_is_told_and_changes_nothing(router: Router, running: int) -> None:
    before = ours(router)
    router.write(CONFIG, NETPATH.replace("option interface 'wanb'", "option interface 'wonb'"))
    code, text = attempt(router, f"{INIT} reload")
    assert code == 1
    assert f"{CONFIG}:" in text
    assert "wonb" in text
    assert ours(router) == before
    assert pid(router) == running


def test_switching_off_and_on_by_configuration(router: Router, running: int) -> None:
    uci(router, "set netpath.globals.enabled=0\ncommit netpath\n")
    router.wait(lambda: pid(router) == 0 and not ours(router), "nothing of NetPath")
    uci(router, "set netpath.globals.enabled=1\ncommit netpath\n")
    router.wait(lambda: pid(router) not in (0, running), "a tracker")
    router.wait(lambda: "table inet netpath" in ours(router), "its table")


@pytest.mark.parametrize("command", ["netpath restart", f"{INIT} restart"])
def test_restart_never_stops_steering(router: Router, running: int, command: str) -> None:
    handle = table_handle(router)
    sh(router, command)
    assert pid(router) not in (0, running)
    router.wait(lambda: answers(router), "its answer")
    assert table_handle(router) == handle


@pytest.mark.parametrize("command", ["netpath stop", f"{INIT} stop"])
def test_stop_leaves_nothing_and_nobody(router: Router, running: int, command: str) -> None:
    assert ours(router)
    sh(router, command)
    assert ours(router) == []
    assert instance(router) == {}
    assert attempt(router, f"kill -0 {running}")[0] == 1
    assert attempt(router, "netpath status")[0] == 3


def test_stop_cleans_up_behind_a_crashed_tracker_and_no_new_one_comes(router: Router, running: int) -> None:
    sh(router, f"kill -9 {running}")
    sh(router, "netpath stop")
    assert ours(router) == []
    assert instance(router) == {}


def test_it_refuses_to_start_beside_mwan3(router: Router) -> None:
    router.write(CONFIG, NETPATH)
    router.write("/etc/init.d/mwan3", MWAN3_STAND_IN)
    remedy = "/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable"
    try:
        sh(router, "chmod +x /etc/init.d/mwan3; /etc/init.d/mwan3 enable")
        for command in ("netpath start", f"{INIT} restart"):
            code, text = attempt(router, command)
            assert code == 1
            assert remedy in text
        assert ours(router) == []
        assert re.search(f"daemon.err netpath: not started: mwan3 .*{remedy}", router.log())
        sh(router, "/etc/init.d/mwan3 disable; /etc/init.d/mwan3 start")
        assert attempt(router, f"{INIT} start")[0] == 1, "running, though not enabled"
        sh(router, "/etc/init.d/mwan3 stop")
        sh(router, "netpath start")
        assert ours(router)
    finally:
        attempt(router, f"{INIT} stop; /etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable; rm /etc/init.d/mwan3")


def test_the_hotplug_hint_reaches_a_running_tracker_only(router: Router) -> None:
    hotplug = "ACTION={} INTERFACE=wan DEVICE=eth1 /sbin/hotplug-call iface"
    sh(router, hotplug.format("ifup"))  # nobody there: no error, no signal to anybody
    tracker = {"command": ["/bin/sh", "-c", HINT_STAND_IN]}
    router.ubus("service", "set", {"name": "netpath", "instances": {"tracker": tracker}})
    hints = router.root / "tmp/hints"
    try:
        router.wait(hints.exists, "the stand-in")
        for number, action in enumerate(("ifup", "ifdown", "ifupdate"), 1):
            sh(router, hotplug.format(action))
            router.wait(lambda wanted="hint\n" * number: hints.read_text() == wanted, f"the hint of {action}")
    finally:
        router.ubus("service", "delete", {"name": "netpath"})


def test_hints_before_the_tracker_listens_do_not_end_it(router: Router, running: int) -> None:
    sh(router, "netpath stop")
    first = sh(
        router,
        f"{INIT} start\n"
        'ubus call service list \'{"name":"netpath"}\' >/tmp/list\n'
        "first=$(jsonfilter -i /tmp/list -e '@.netpath.instances.tracker.pid'); echo $first\n"
        "until [ -S /var/run/netpath.sock ]; do kill -URG $first || exit 1; done",
    )
    router.wait(lambda: answers(router), "its answer")
    assert pid(router) == int(first)


def test_a_reload_right_after_the_start_waits_for_the_tracker(router: Router, running: int) -> None:
    sh(router, f"netpath stop; {INIT} start; sed -i s/everything/all_of_it/ {CONFIG}")
    first = pid(router)
    code, text = attempt(router, f"{INIT} reload")
    assert (code, pid(router)) == (0, first), text
    assert "all_of_it" in sh(router, "netpath rules")


def test_user_scripts_are_run_and_what_they_print_is_logged(router: Router, running: int) -> None:
    router.write("/etc/netpath.user", 'echo "user script: $ACTION $INTERFACE $DEVICE"\n')
    sh(router, "netpath ifdown wan")
    router.wait(lambda: "user script: disconnected wan eth1" in router.log(), "the script")
    sh(router, "netpath ifup wan")
