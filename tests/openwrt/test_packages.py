# SPDX-License-Identifier: GPL-2.0-or-later
"""Installation, upgrade and removal by the real opkg, with OpenWrt's own maintainer scripts; apk's order of events."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tests.openwrt.conftest import NETPATH, attempt, install, sh
from tests.openwrt.openwrt_root import Router
from tests.openwrt.test_procd import CONFIG, answers, ours, pid, table_handle
from tests.packages.conftest import ROOT
from tests.packages.ipk import Ipk, read

MWAN3 = "config interface 'wan'\n\toption enabled '1'\n\tlist track_ip '192.0.2.1'\n"
POSTINST = "/usr/lib/opkg/info/netpath.postinst-pkg"


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ipk_builder", ROOT / "tools/ipk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Ipk:
    """The same package as version 99, with another file in it."""
    ipk = builder()
    package = ipk.Recipe(ROOT / "openwrt.mk").package("netpath", "99", ipk.netpath_files())
    files = {**package.files, "usr/lib/netpath/netpath/__init__.py": ipk.File(b'__version__ = "99"\n', 0o644)}
    path = tmp_path_factory.mktemp("newer") / f"netpath_{package.version}_all.ipk"
    path.write_bytes(ipk.build(replace(package, files=files), 1700000001))
    return read(path)


@pytest.fixture
def running(router: Router, packages: dict[str, Ipk]) -> Iterator[int]:
    """NetPath in its first version running, whatever the test before has left; its process id."""
    if attempt(router, "netpath version | grep -qx 'netpath 99' || ! command -v netpath")[0] == 0:
        attempt(router, "opkg remove netpath")
        install(router, packages["netpath"])
    router.write(CONFIG, NETPATH)
    attempt(router, "netpath start")
    router.wait(lambda: answers(router), "its answer")
    yield pid(router)
    attempt(router, "netpath stop")


def test_the_routers_python_has_its_bytecode(router: Router) -> None:
    sources = {p.relative_to(router.root) for p in (router.root / "usr/lib/netpath").rglob("*.py")}
    assert len(sources) > 80
    bare = [p for p in sources if not list((router.root / p.parent / "__pycache__").glob(f"{p.stem}.cpython-*.pyc"))]
    assert bare == []
    assert not (router.root / "etc/uci-defaults/90-netpath").exists()


def test_an_upgrade_by_opkg_keeps_steering_and_the_configuration(router: Router, running: int, newer: Ipk) -> None:
    before, handle = sh(router, f"cat {CONFIG}"), table_handle(router)
    printed = install(router, newer)
    assert "Upgrading netpath" in printed
    router.wait(lambda: answers(router), "the new tracker")
    assert pid(router) not in (0, running)
    assert table_handle(router) == handle
    assert sh(router, f"cat {CONFIG}") == before
    assert "netpath 99" in sh(router, "netpath version"), "the bytecode of the old version must not be used"


def test_after_an_upgrade_by_apk_the_new_code_runs(router: Router, running: int) -> None:
    """apk runs no script of the old package; `start`, then this postinst, with PKG_UPGRADE=1."""
    handle = table_handle(router)
    sh(router, "PKG_UPGRADE=1 /etc/init.d/netpath start")
    assert pid(router) == running
    sh(router, f"PKG_UPGRADE=1 sh {POSTINST}")
    assert pid(router) not in (0, running)
    router.wait(lambda: answers(router), "the new tracker")
    assert table_handle(router) == handle


def test_an_upgrade_starts_nothing_that_was_stopped(router: Router, running: int) -> None:
    sh(router, f"netpath stop; PKG_UPGRADE=1 sh {POSTINST}")
    assert pid(router) == 0


def test_removal_leaves_the_users_files_only(router: Router, running: int) -> None:
    assert ours(router)
    router.run("opkg", "remove", "netpath")
    assert ours(router) == []
    assert pid(router) == 0
    left = sh(router, "find / -xdev -name '*netpath*'")
    assert set(left.split()) <= {CONFIG, f"{CONFIG}-opkg", "/usr/lib/netpath"}
    assert sh(router, "find /usr/lib/netpath -type f -name '*.py'").split() == ["/usr/lib/netpath/nftables.py"]


def test_an_mwan3_configuration_is_offered_and_not_taken(router: Router, packages: dict[str, Ipk]) -> None:
    attempt(router, f"opkg remove netpath; rm -f {CONFIG}")
    router.write("/etc/config/mwan3", MWAN3)
    try:
        install(router, packages["netpath"])
        assert "there is an mwan3 configuration; to take it over: netpath import mwan3" in router.log()
        assert attempt(router, "uci -q show netpath | grep interface")[0] == 1
        assert ours(router) == []
        sh(router, f"netpath import mwan3 -o {CONFIG} --force")
        assert "netpath.wan=interface" in sh(router, "uci show netpath")
    finally:
        Path(router.root / "etc/config/mwan3").unlink()


def test_luci_gets_its_menu_and_rights(router: Router, packages: dict[str, Ipk]) -> None:
    install(router, packages["luci-app-netpath"])
    menu = sh(router, "cat /usr/share/luci/menu.d/luci-app-netpath.json")
    assert "admin/network/netpath" in menu
    session = router.ubus("session", "login", {"username": "root", "password": "netpath"})["ubus_rpc_session"]
    granted = {"ubus_rpc_session": session, "scope": "ubus", "object": "netpath", "function": "status"}
    assert router.ubus("session", "access", granted)["access"] is True
    assert router.ubus("session", "access", {**granted, "function": "stop"})["access"] is False
