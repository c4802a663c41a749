# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots OpenWrt's own userland (procd, ubusd, netifd, fw4, rpcd, uci) from a directory, with NetPath in it.

NETPATH_OPENWRT_ROOT names that directory: a root file system of OpenWrt for this machine's processor, with Python,
libnftables and its binding, whose /etc/rc.local makes /tmp/.booted. It is never written to.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from netpath.lab.namespace import LabError, Namespace, Process, add, kill_userland, remove, run, stop_all, wait_until
from netpath.lab.world import PACKAGE_ROOT

VARIABLE = "NETPATH_OPENWRT_ROOT"
BOOT_SECONDS = 60.0
CAPABILITIES = "-sys_time,-sys_module,-syslog,-sys_rawio"
"""Boot scripts would set the machine's clock and load its modules."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root"}
ADDRESS = {"wan": "198.51.100.{}", "wanb": "203.0.113.{}"}
DEVICE = {"wan": "eth1", "wanb": "eth2", "lan": "eth0"}
SERVER = "192.0.2.1"
"""Behind both providers."""
LAN = "192.168.1.{}"  # OpenWrt's own default; it stays inside these namespaces
NETWORK = """
config interface 'loopback'
	option device 'lo'
	option proto 'static'
	option ipaddr '127.0.0.1/8'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'eth0'

config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.1.1/24'

config interface 'wan'
	option device 'eth1'
	option proto 'static'
	option ipaddr '198.51.100.2/24'
	option gateway '198.51.100.1'
	option metric '10'
	list dns '198.51.100.53'

config interface 'wanb'
	option device 'eth2'
	option proto 'dhcp'
	option metric '20'
"""
FIREWALL_ZONES = """
config zone
	option name 'wanb_too'
	list network 'wanb'
	option input 'REJECT'
	option output 'ACCEPT'
	option forward 'REJECT'
	option masq '1'

config forwarding
	option src 'lan'
	option dest 'wanb_too'
"""
_numbers = itertools.count()


def openwrt_root() -> Path:
    """The root file system; the test is skipped, saying so, where there is none."""
    name = os.environ.get(VARIABLE)
    if not name:
        pytest.skip(f"no OpenWrt userland: {VARIABLE} is not set")
    root = Path(name)
    if not (root / "sbin/procd").exists():
        raise LabError(f"{VARIABLE}={name}: there is no sbin/procd")
    return root


class Router:
    """A booted OpenWrt with a LAN and two providers: `wan` (static) and `wanb` (DHCP)."""

    def __init__(self, files: Mapping[str, str] | None = None, *, installed: bool = True) -> None:
        """files: path (absolute, on the router) -> content, before it boots. Not `installed`: without NetPath."""
        self.processes: list[Process] = []
        self.directory = Path(tempfile.mkdtemp(prefix=f"netpath-lab-{os.getpid()}-openwrt-"))
        number = next(_numbers)
        self._names = {role: f"np-{os.getpid()}-{900 + number}-ow{role}" for role in ("router", "lan", "wan", "wanb")}
        self._group = _own_cgroup(self._names["router"])
        self._files = dict(files or {})
        self._installed = installed
        self.pid = 0
        self._unshare: subprocess.Popen[bytes] | None = None
        self.spaces: dict[str, Namespace] = {}

    def __enter__(self) -> Router:
        try:
            self._wire()
            self._boot(openwrt_root())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop_all(self.processes)
        kill_userland(self.pid, self._unshare)
        remove(list(self._names.values()))
        if self._group:
            _remove_cgroup(self._group)
        shutil.rmtree(self.directory, ignore_errors=True)

    # what tests use

    @property
    def root(self) -> Path:
        """The router's file system, from outside."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        """Standard output of a program on the router. Raises LabError when it fails, unless `check` is False."""
        return run(self._inside(argv), stdin=stdin, check=check)

    def popen(self, *argv: str) -> Process:
        """Start a program on the router; it ends with it."""
        return self.spaces["router"].popen(["env", "-i", *self._inside(argv)], name=argv[0].rpartition("/")[2])

    def ubus(self, path: str, method: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to `ubus call`."""
        answer: dict[str, Any] = json.loads(self.run("ubus", "call", path, method, json.dumps(arguments or {})) or "{}")
        return answer

    def write(self, path: str, text: str) -> None:
        """Replace a file of the router."""
        there = self.root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)

    def log(self) -> str:
        """What logd has."""
        return self.run("logread")

    def wait(self, condition: Any, what: str, seconds: float = 20.0) -> None:
        try:
            wait_until(condition, seconds, what)
        except LabError as error:
            raise LabError(f"{error}\n{self.log()[-4000:]}") from None

    # making it

    def _inside(self, argv: Sequence[str]) -> list[str]:
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        return ["setpriv", "--bounding-set", CAPABILITIES, *enter, "/usr/bin/env", "-i", *_assignments(), *argv]

    def _wire(self) -> None:
        add(list(self._names.values()))
        for role, name in self._names.items():
            self.spaces[role] = Namespace(name, role, self.directory, self.processes)
            self.spaces[role].ip("link set lo up\n")
        for role, device in DEVICE.items():
            here = self._names["router"]
            self.spaces[role].ip(f"link add cable type veth peer name {device} netns {here}\nlink set cable up\n")
        self.spaces["lan"].ip(f"addr add {LAN.format(2)}/24 dev cable\nroute add default via {LAN.format(1)}\n")
        for role, pattern in ADDRESS.items():
            self.spaces[role].ip(f"addr add {pattern.format(1)}/24 dev cable\naddr add {SERVER}/32 dev lo\n")
        self.lease(10)

    def lease(self, first: int) -> None:
        """Let the provider of `wanb` give addresses from .first on."""
        for process in [p for p in self.processes if p.name == "dhcp"]:
            process.stop()
        pattern = ADDRESS["wanb"]
        self.spaces["wanb"].popen(
            [
                "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=cable", "--bind-interfaces",
                f"--dhcp-range={pattern.format(first)},{pattern.format(first + 5)},2m",
                f"--dhcp-option=3,{pattern.format(1)}", f"--dhcp-option=6,{pattern.format(53)}", "--dhcp-authoritative",
                f"--dhcp-leasefile={self.directory}/leases-{first}", f"--pid-file={self.directory}/dhcp.pid",
            ],
            name="dhcp",
        )  # fmt: skip

    def _boot(self, root: Path) -> None:
        files, scratch = self.directory / "files", self.directory / "scratch"
        scratch.mkdir()
        files.mkdir()
        if self._installed:
            _install(files)
        firewall = (root / "etc/config/firewall").read_text() + FIREWALL_ZONES
        for path, text in {"/etc/config/network": NETWORK, "/etc/config/firewall": firewall, **self._files}.items():
            place = files / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        space = self.spaces["router"]
        command = [
            *space.argv(["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]),
            *("setpriv", "--bounding-set", CAPABILITIES, "/bin/sh", str(Path(__file__).with_name("boot.sh"))),
            *(str(root), str(scratch), str(files)),
        ]
        if self._group:  # the router's groups are made below this one
            command = ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self._group), *command]
        with (self.directory / "boot.log").open("wb") as log:
            self._unshare = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        wait_until(lambda: bool(children.read_text().split()), 10, "the first process")
        self.pid = int(children.read_text().split()[0])
        booted = self.root / "tmp/.booted"
        try:
            wait_until(booted.exists, BOOT_SECONDS, "OpenWrt to boot")
        except (LabError, FileNotFoundError) as error:
            raise LabError(f"{error}\n{(self.directory / 'boot.log').read_text()}") from None


def _install(files: Path) -> None:
    """What the packages put on a router, without their maintainer scripts."""
    shutil.copytree(PACKAGE_ROOT / "files", files, dirs_exist_ok=True)
    library = files / "usr/lib/netpath/netpath"
    shutil.copytree(PACKAGE_ROOT / "netpath", library, ignore=shutil.ignore_patterns("lab"))


def _assignments() -> Iterator[str]:
    return (f"{name}={value}" for name, value in ENVIRONMENT.items())


def _own_cgroup(name: str) -> Path | None:
    """A control group for the router, so that those which it makes end with it; None without cgroup v2."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    root = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if root is None:
        return None
    (root / name).mkdir()
    return root / name


def _remove_cgroup(group: Path) -> None:
    def gone() -> bool:
        try:
            for each in sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
                each.rmdir()
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:  # its processes are still ending
            return False
        return True

    wait_until(gone, 10, f"control group {group} to become empty")
