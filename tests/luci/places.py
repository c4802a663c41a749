# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the pages can be seen: on the stand-in of LuCI in front of a lab, or on the real LuCI of a booted OpenWrt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from netpath.lab import Lab
from netpath.lab.namespace import wait_until
from netpath.lab.web import READER, Web
from tests.luci.browser import Browser
from tests.openwrt.conftest import install
from tests.openwrt.openwrt_root import SERVER, Router
from tests.packages.ipk import Ipk

HOME = "/cgi-bin/luci"
OVERVIEW = "admin/network/netpath/overview"
NOTICES = "[data-part=notices]"
PHONE = 390
"""Pixels."""
FITS = f"document.scrollingElement.scrollWidth <= {PHONE}"
"""Once the style sheet has come too."""
NONE = "\N{EN DASH}"
"""What stands for a figure that nobody has."""
HOSTILE = "<img src=x onerror='window.hurt=1'>" + "<b>word</b> " * 60
PASSWORDS = {"root": "netpath", READER: "reader"}
START_SECONDS = 60.0

OPENWRT = f"""
config globals 'globals'
	option enabled '1'

config interface 'wan'
	option ifname 'eth1'
	list track_targets '{SERVER}'
	option interval '0.2'
	option failure_interval '0.1'
	option timeout '0.3'
	option down '3'
	option up '3'

config interface 'wanb'
	option ifname 'eth2'
	list track_targets '{SERVER}'
	option interval '0.2'
	option failure_interval '0.1'
	option timeout '0.3'
	option down '3'
	option up '3'

config member 'wan_m1_w3'
	option interface 'wan'
	option weight '3'

config member 'wanb_m1_w2'
	option interface 'wanb'
	option weight '2'

config policy 'all'
	list members 'wan_m1_w3'
	list members 'wanb_m1_w2'

config rule 'everything'
	option dest_ip '0.0.0.0/0'
	option policy 'all'
"""
READER_LOGIN = """
config login
	option username '{name}'
	option password '{password}'
	list read '*'
	list read 'unauthenticated'
"""


class Place(Protocol):
    """Two uplinks, `first` and `second`, both used by policy `all`, and a browser on the LAN."""

    first: str
    second: str
    server: str
    """Behind both of them."""
    browser: Browser
    monitor: Path
    """Where a monitor would listen; nobody does."""
    bonds: Path
    """The directory where bonds would; none does."""

    def visit(self, path: str, *, user: str = "root", width: int = 1200, dark: bool = False) -> None:
        """Log in anew and open a page."""

    def ask(self, method: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The ubus object's answer, not by the browser."""

    def cut(self) -> None:
        """Let nothing come back by `first`, its link still up."""

    def mend(self) -> None: ...

    def stop(self) -> None:
        """End the tracker."""

    def start(self) -> None: ...


def wait_status(place: Place, **wanted: str) -> None:
    """Until the tracker says that of interfaces."""

    def there() -> bool:
        rows = place.ask("status").get("interfaces", {})
        return all(rows.get(name, {}).get("status") == status for name, status in wanted.items())

    wait_until(there, START_SECONDS, f"interfaces to be {wanted}")


class StandIn:
    """The stand-in in front of the real plugin and a tracker in the lab."""

    first, second, server = "fibre", "cable", "203.0.113.201"

    def __init__(self, lab: Lab, web: Web, browser: Browser) -> None:
        self.lab, self.web, self.browser = lab, web, browser
        self.monitor = lab.socket.with_name("netpath-monitor.sock")
        self.bonds = lab.socket.parent

    def visit(self, path: str, *, user: str = "root", width: int = 1200, dark: bool = False) -> None:
        self.browser.fresh(width=width, dark=dark)
        self.browser.open(f"{self.web.address}{HOME}/{path}" + ("" if user == "root" else f"?user={user}"))

    def ask(self, method: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = self.web.ask(method, arguments or {})
        return reply

    def cut(self) -> None:
        self.lab.cut(self.first)

    def mend(self) -> None:
        self.lab.uncut(self.first)

    def stop(self) -> None:
        for process in self.lab.processes:
            if process.name == "netpath" and process.running:
                process.stop()

    def start(self) -> None:
        self.lab.start_netpath(self.lab.config(weights={self.first: 3, self.second: 2}, options={"timeout": 0.3}))
        wait_status(self, **{self.first: "online", self.second: "online"})


@contextmanager
def stand_in() -> Iterator[StandIn]:
    with Lab([StandIn.first, StandIn.second]) as lab, Web(lab.socket) as web, Browser() as browser:
        place = StandIn(lab, web, browser)
        place.start()
        yield place


class RealLuci:
    """LuCI on OpenWrt's own programs; the browser runs in the LAN's namespace."""

    first, second, server = "wan", "wanb", SERVER
    address = "http://192.168.1.1"

    def __init__(self, router: Router, browser: Browser) -> None:
        self.router, self.browser = router, browser
        self.monitor = router.root / "tmp/run/netpath-monitor.sock"
        self.bonds = self.monitor.parent

    def visit(self, path: str, *, user: str = "root", width: int = 1200, dark: bool = False) -> None:
        self.browser.fresh(width=width, dark=dark)
        # Not by the login page: it asks for what only those logged in may know, and complains.
        form = {"luci_username": user, "luci_password": PASSWORDS[user]}
        assert self.browser.post(f"{self.address}{HOME}/", **form) == 302, f"{user} cannot log in"
        self.browser.open(f"{self.address}{HOME}/{path}")

    def ask(self, method: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.router.ubus("netpath", method, arguments)

    def cut(self) -> None:
        self.router.spaces[self.first].ip(f"addr del {SERVER}/32 dev lo\n")

    def mend(self) -> None:
        self.router.spaces[self.first].ip(f"addr add {SERVER}/32 dev lo\n")

    def stop(self) -> None:
        self.router.run("/etc/init.d/netpath", "stop")
        wait_until(lambda: self.ask("status").get("running") is False, START_SECONDS, "the tracker to end")

    def start(self) -> None:
        self.router.run("/etc/init.d/netpath", "start")
        wait_status(self, **{self.first: "online", self.second: "online"})


@contextmanager
def real_luci(packages: Mapping[str, Ipk]) -> Iterator[RealLuci]:
    with Router(installed=False) as router:
        install(router, *(packages[name] for name in ("python3-nftables", "netpath", "luci-app-netpath")))
        hashed = subprocess.run(
            ["openssl", "passwd", "-1", PASSWORDS[READER]], capture_output=True, text=True, check=True
        )
        access = router.run("cat", "/etc/config/rpcd")
        router.write("/etc/config/rpcd", access + READER_LOGIN.format(name=READER, password=hashed.stdout.strip()))
        router.run("/etc/init.d/rpcd", "restart")
        for name in ("wan", "wanb"):
            router.wait(lambda at=f"network.interface.{name}": router.ubus(at, "status")["up"], name)
        router.write("/etc/config/netpath", OPENWRT)
        with Browser(before=router.spaces["lan"].argv([])) as browser:
            place = RealLuci(router, browser)
            router.wait(lambda: "netpath" in json.dumps(router.run("ubus", "list")), "object netpath")
            place.start()
            yield place
