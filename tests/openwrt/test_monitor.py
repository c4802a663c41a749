# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's package and service on OpenWrt's own programs: opkg, procd, rpcd, uci."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.openwrt.conftest import NETPATH, attempt, install, sh, uci
from tests.openwrt.openwrt_root import Router
from tests.openwrt.test_packages import builder
from tests.packages.ipk import Ipk, read

INIT = "/etc/init.d/netpath-monitor"
CONFIG = "/etc/config/netpath"
MONITOR = "\nconfig monitor 'monitor'\n\toption enabled '{}'\n\toption loglevel 'info'\n"


@pytest.fixture(scope="module")
def libraries(root: None, tmp_path_factory: pytest.TempPathFactory) -> list[Ipk]:
    """What OpenWrt's feeds have, made of what is installed here: websockets and paho-mqtt, pure Python."""
    ipk = builder()
    made = []
    for module, name in (("websockets", "python3-websockets"), ("paho", "python3-paho-mqtt")):
        (place,) = importlib.import_module(module).__path__
        files = {n: f for n, f in ipk.tree(Path(place), f"usr/lib/netpath/{module}").items() if n.endswith(".py")}
        fields = {"Depends": "python3", "Section": "lang", "Description": "as in the feeds"}
        package = ipk.Package(name, "1-r1", fields, {}, (), files)
        path = tmp_path_factory.mktemp("libraries") / f"{name}.ipk"
        path.write_bytes(ipk.build(package, 1700000000))
        made.append(read(path))
    return made


@pytest.fixture(scope="module")
def monitored(router: Router, packages: dict[str, Ipk], libraries: list[Ipk]) -> Iterator[Router]:
    """A router with the monitor's package, switched off; without a tracker running."""
    install(router, *libraries, packages["python3-prometheus-client"], packages["netpath-monitor"])
    sh(router, "/etc/init.d/rpcd reload")
    yield router
    attempt(router, "opkg remove netpath-monitor")


@pytest.fixture
def running(monitored: Router) -> Iterator[int]:
    """The monitor running; its process id."""
    configure(monitored, on=True)
    sh(monitored, f"{INIT} start")
    monitored.wait(lambda: status(monitored)["running"], "the monitor's answer")
    yield pid(monitored)
    attempt(monitored, f"{INIT} stop")
    configure(monitored, on=False)


def configure(router: Router, *, on: bool) -> None:
    router.write(CONFIG, NETPATH + MONITOR.format(int(on)))
    sh(router, "reload_config")


def status(router: Router, **arguments: Any) -> dict[str, Any]:
    return router.ubus("netpath", "monitor", arguments)


def pid(router: Router) -> int:
    """Of the monitor's process; 0 when procd has none."""
    found = router.ubus("service", "list", {"name": "netpath-monitor"}).get("netpath-monitor", {})
    instance = found.get("instances", {}).get("monitor", {})
    return int(instance["pid"]) if instance.get("running") else 0


def test_before_its_package_is_there_ubus_says_what_to_install(router: Router) -> None:
    reply = status(router)
    assert (reply["running"], reply["installed"]) == (False, False)
    assert "opkg install netpath-monitor" in reply["remedy"]
    code, text = attempt(router, "netpath monitor status")
    assert (code, "opkg install netpath-monitor" in text) == (1, True)


def test_after_the_installation_it_is_enabled_and_off(monitored: Router) -> None:
    assert attempt(monitored, f"{INIT} enabled")[0] == 0
    assert pid(monitored) == 0
    reply = status(monitored)
    assert (reply["running"], reply["installed"]) == (False, True)
    assert "switched off" in attempt(monitored, f"{INIT} start")[1]
    assert list((monitored.root / "usr/lib/netpath/netpath/monitor/__pycache__").glob("daemon.cpython-*.pyc"))


def test_the_remedy_that_ubus_names_starts_it(monitored: Router) -> None:
    configure(monitored, on=False)
    sh(monitored, status(monitored)["remedy"])
    monitored.wait(lambda: status(monitored)["running"], "the monitor's answer")
    sh(monitored, f"{INIT} stop")
    assert pid(monitored) == 0


def test_it_answers_by_ubus_and_logs_under_its_name(monitored: Router, running: int) -> None:
    monitored.wait(lambda: status(monitored, history=True)["history"]["rows"], "a row of history")
    reply = status(monitored)
    assert "history" not in reply
    assert [row["name"] for row in reply["sources"]] == ["local"]
    assert "unknown argument" in status(monitored, cmd="stop")["error"]
    assert "netpath-monitor[" in monitored.log()
    assert attempt(monitored, "netpath monitor status")[0] == 0


def test_a_commit_is_a_reload_and_a_bad_one_changes_nothing(monitored: Router, running: int) -> None:
    uci(monitored, "set netpath.lines=source\nset netpath.lines.type=local\ncommit netpath\n")
    monitored.wait(lambda: [row["name"] for row in status(monitored)["sources"]] == ["lines"], "the new source")
    uci(monitored, "set netpath.monitor.wan=nowhere\ncommit netpath\n")
    monitored.wait(lambda: status(monitored)["problem"], "the problem")
    assert [row["name"] for row in status(monitored)["sources"]] == ["lines"]
    uci(monitored, "delete netpath.monitor.wan\ncommit netpath\n")
    monitored.wait(lambda: status(monitored)["problem"] is None, "the mended file")
    assert pid(monitored) == running


def test_switching_it_off_ends_it_and_on_starts_it(monitored: Router, running: int) -> None:
    uci(monitored, "set netpath.monitor.enabled=0\ncommit netpath\n")
    monitored.wait(lambda: pid(monitored) == 0, "its end")
    uci(monitored, "set netpath.monitor.enabled=1\ncommit netpath\n")
    monitored.wait(lambda: pid(monitored) not in (0, running), "its start")


def test_a_killed_one_comes_back(monitored: Router, running: int) -> None:
    sh(monitored, f"kill -9 {running}")
    monitored.wait(lambda: pid(monitored) not in (0, running) and status(monitored)["running"], "another one")


def test_a_removal_leaves_nothing(monitored: Router, packages: dict[str, Ipk], running: int) -> None:
    sh(monitored, "opkg remove netpath-monitor")
    assert not (monitored.root / "usr/lib/netpath/netpath/monitor").exists()
    assert (monitored.root / "usr/lib/netpath/netpath/monitoring.py").exists()
    assert not (monitored.root / "var/run/netpath-monitor.sock").exists()
    assert attempt(monitored, f"netpath check {CONFIG}")[0] == 0
    install(monitored, packages["netpath-monitor"])
