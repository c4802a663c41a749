# SPDX-License-Identifier: GPL-2.0-or-later
"""NetPath on OpenWrt's own programs, installed as a user would: by opkg, from the packages of `make ipk`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openwrt.openwrt_root import Router, openwrt_root
from tests.packages.conftest import packages
from tests.packages.ipk import Ipk

__all__ = ["packages"]

FAILOVER = """
config member 'wan_first'
	option interface 'wan'

config member 'wanb_second'
	option interface 'wanb'
	option metric '2'

config policy 'failover'
	list members 'wan_first'
	list members 'wanb_second'
"""
NETPATH = f"""
config globals 'globals'
	option enabled '1'

config interface 'wan'
	option ifname 'eth1'
	option track_method 'none'

config interface 'wanb'
	option ifname 'eth2'
	option track_method 'none'
{FAILOVER}
config rule 'everything'
	option dest_ip '0.0.0.0/0'
	option policy 'failover'
"""


def sh(router: Router, script: str) -> str:
    """Standard output of lines of busybox's shell. Raises LabError when the last one fails."""
    return router.run("/bin/sh", "-c", script)


def attempt(router: Router, command: str) -> tuple[int, str]:
    """Exit code of a command, and all that it printed."""
    *text, code = sh(router, f"{command} 2>&1; echo $?").splitlines()
    return int(code), "\n".join(text)


def uci(router: Router, commands: str) -> None:
    """`uci batch` (one command a line), and `reload_config`, as LuCI's "Save & Apply" has it."""
    router.run("uci", "batch", stdin=commands)
    router.run("reload_config")


def install(router: Router, *packages: Ipk) -> str:
    """Install .ipk files with the router's opkg, which insists on all that they depend on; what it printed."""
    for ipk in packages:
        (router.root / "tmp" / ipk.path.name).write_bytes(ipk.path.read_bytes())
    return router.run("opkg", "install", *(f"/tmp/{ipk.path.name}" for ipk in packages))


@pytest.fixture(scope="session")
def root() -> None:
    """Nothing is built where there is no OpenWrt to try it on."""
    openwrt_root()


@pytest.fixture(scope="module")
def router(root: None, packages: dict[str, Ipk]) -> Iterator[Router]:
    """A booted router with two uplinks and NetPath as it is right after its installation."""
    with Router(installed=False) as booted:
        install(booted, packages["python3-nftables"], packages["netpath"])
        for name in ("wan", "wanb"):
            booted.wait(lambda at=f"network.interface.{name}": booted.ubus(at, "status")["up"], name)
        booted.run("reload_config")  # what has come since the boot counts as changed from the next time on only
        yield booted
