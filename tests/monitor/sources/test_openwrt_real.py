# SPDX-License-Identifier: GPL-2.0-or-later
"""The source for another router against OpenWrt's own uhttpd, rpcd, netifd and LuCI, from NETPATH_OPENWRT_ROOT."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.lab.namespace import wait_until
from tests.openwrt.openwrt_root import LAN, Router, openwrt_root

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import asyncio, sys
from netpath.monitor.readings import ServiceError
from tests.monitor.sources.running import source
from netpath.monitoring import SourceType
from netpath.monitor.feeds import feed
url, password, username, count = sys.argv[1:5]
asked = source(SourceType.OPENWRT, url, password=password, username=username, timeout=5.0, interval=0.2)
async def main():
    done = asyncio.Event()
    seen = 0
    def report(reading):
        nonlocal seen
        seen += 1
        print(seen, reading.up, reading.down, *reading.interfaces, flush=True)
        if seen == int(count):
            done.set()
    run = asyncio.create_task(feed(asked, None).run(report))
    await asyncio.wait({run, asyncio.create_task(done.wait())}, return_when="FIRST_COMPLETED")
    if run.done():
        try:
            run.result()
        except ServiceError as error:
            print("error", error)
asyncio.run(main())
"""
USER = """
config rpcd
	option socket /var/run/ubus/ubus.sock
	option timeout 30

config login
	option username 'root'
	option password '$p$root'
	list read '*'
	list write '*'

config login
	option username 'watcher'
	option password '{hash}'
	list read '{group}'
"""

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    openwrt_root()
    acl = (ROOT / "examples/rpcd-acl-netpath-monitor.json").read_text()
    assert json.loads(acl)
    files = {"/usr/share/rpcd/acl.d/netpath-monitor.json": acl}
    with Router(files, installed=False) as booted:
        for name in ("lan", "wan", "wanb"):
            booted.wait(lambda at=f"network.interface.{name}": booted.ubus(at, "status")["up"], name)
        yield booted


def watch(
    router: Router, *, path: str = "", password: str = "netpath", username: str = "root", count: int = 3
) -> list[str]:
    """Lines of the source, run in the router's LAN."""
    command = [sys.executable, "-c", PROGRAM, f"http://{LAN.format(1)}{path}", password, username, str(count)]
    argv = router.spaces["lan"].argv(command)
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_both_uplinks_are_found_and_counted(router: Router) -> None:
    ping = router.popen("ping", "-q", "-s", "1400", "-i", "1", "-I", "eth1", "198.51.100.1")
    try:
        lines = [line.split() for line in watch(router, path="/cgi-bin/luci", count=8)]
    finally:
        ping.stop()
    assert {tuple(line[3:]) for line in lines} == {("wan", "wanb")}
    assert max(int(line[1]) for line in lines) > 1400
    assert max(int(line[2]) for line in lines) > 1400


def test_a_wrong_password(router: Router) -> None:
    assert watch(router, password="wrong") == [
        "error the router refuses the login: check options username and password"
    ]


def test_an_account_with_the_access_list_of_the_examples_is_enough(router: Router) -> None:
    secret = router.run("uhttpd", "-m", "secret").strip()
    router.write("/etc/config/rpcd", USER.format(hash=secret, group="netpath-monitor"))
    router.run("/etc/init.d/rpcd", "restart")
    wait_until(lambda: "session" in router.run("ubus", "list"), 10, "rpcd")
    assert watch(router, username="watcher", password="secret")[-1].startswith("3 ")
    router.write("/etc/config/rpcd", USER.format(hash=secret, group="nothing"))
    router.run("/etc/init.d/rpcd", "restart")
    wait_until(lambda: "session" in router.run("ubus", "list"), 10, "rpcd")
    (line,) = watch(router, username="watcher", password="secret")
    assert "may not read the interfaces" in line


@pytest.mark.parametrize("what", ["session", "rpcd", "uhttpd"])
def test_it_goes_on_after(router: Router, what: str) -> None:
    """The session ends, or rpcd with all sessions; without uhttpd it fails, and works again with it."""
    command = [sys.executable, "-c", PROGRAM, f"http://{LAN.format(1)}/ubus", "netpath", "root", "10"]
    argv = router.spaces["lan"].argv(command)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        try:
            assert run.stdout.readline().startswith("1 ")
            if what == "session":
                listed = router.run("ubus", "call", "session", "list")
                for session in [line.split('"')[3] for line in listed.splitlines() if '"ubus_rpc_session"' in line]:
                    if session.strip("0"):  # that of those who have none cannot be ended
                        router.ubus("session", "destroy", {"ubus_rpc_session": session})
            else:
                router.run(f"/etc/init.d/{what}", "restart")
            lines = run.communicate(timeout=60)[0].splitlines()
        finally:
            run.kill()
    if lines[-1].startswith("error"):
        # Between two of its lives the answer may be that there is none; the supervisor tries again.
        assert what in ("rpcd", "uhttpd")
        wait_until(lambda: watch(router)[-1].startswith("3 "), 20, "another attempt to work")
    else:
        assert lines[-1].startswith("10 ")


def test_without_ubus_by_the_login_of_luci(router: Router) -> None:
    script = router.run("cat", "/etc/init.d/uhttpd")
    router.write("/etc/init.d/uhttpd", script.replace("uhttpd_ubus.so", "nothing.so"))
    try:
        router.run("/etc/init.d/uhttpd", "restart")
        wait_until(lambda: watch(router, path="/cgi-bin/luci")[-1].startswith("3 "), 20, "LuCI to answer")
        assert watch(router, password="wrong")[-1].startswith("error the router refuses the login")
    finally:
        router.write("/etc/init.d/uhttpd", script)
        router.run("/etc/init.d/uhttpd", "restart")
