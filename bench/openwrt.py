# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenWrt's own userland (procd, ubusd, netifd, rpcd) on the router of a lab, for programs that want nothing less."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netpath.lab import Lab, LabError
from netpath.lab.namespace import kill_userland, run, wait_until
from netpath.lab.plan import Uplink
from netpath.lab.rpcd import root
from netpath.lab.uci import section
from netpath.lab.world import PACKAGE_ROOT

BOOT = PACKAGE_ROOT / "tests/openwrt/boot.sh"
BOOT_SECONDS = 60.0
CAPABILITIES = "-sys_time,-sys_module,-syslog,-sys_rawio"
"""Boot scripts would set the machine's clock and load its modules."""
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root")
IDLE = ("cron", "dnsmasq", "firewall", "odhcpd", "packet_steering", "sysctl", "uhttpd")
"""Services that stay off: the lab has its own firewall and parameters, and nothing else is to burn time."""
NOTHING = "#!/bin/sh /etc/rc.common\nSTART=99\nstart() {\n\t:\n}\n"


class CpuGroup:
    """A control group that tells the processor time of all processes that were ever in it."""

    def __init__(self, name: str) -> None:
        """Raises LabError without cgroup v2."""
        mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
        place = next((words[1] for words in mounts if words[2] == "cgroup2"), None)
        if place is None:
            raise LabError("no cgroup v2 is mounted here")
        self.path = Path(place, name)
        self.path.mkdir()

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in it."""
        return ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self.path), *argv]

    def seconds(self) -> float:
        """User and system time so far."""
        stat = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6

    def remove(self) -> None:
        """Once all of its processes have ended, or are about to."""
        wait_until(self._gone, 10, f"control group {self.path} to become empty")

    def _gone(self) -> bool:
        try:
            for each in sorted((p for p in self.path.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
                each.rmdir()
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:  # its processes are still ending
            return False
        return True


class Userland:
    """From `with` to its end; netifd has the lab's uplinks as static interfaces of the same names, without IPv6.

    `files` is a directory that is copied over the root before it boots. Raises Unavailable where NETPATH_OPENWRT_ROOT
    names no root.
    """

    def __init__(self, lab: Lab, files: Path) -> None:
        self._lab = lab
        self._files = files
        self._root = root()
        self._scratch = lab.directory / "scratch"
        self._unshare: subprocess.Popen[bytes] | None = None
        self.cpu = CpuGroup(f"{lab.router.name}-openwrt")
        self.pid = 0
        """Of its procd."""

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        kill_userland(self.pid, self._unshare)
        self.cpu.remove()

    @property
    def root(self) -> Path:
        """Its file system, from outside."""
        return Path(f"/proc/{self.pid}/root")

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in there; its time counts as that of the userland."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        clean = ["/usr/bin/env", "-i", *ENVIRONMENT]
        return self.cpu.argv(["setpriv", "--bounding-set", CAPABILITIES, *enter, *clean, *argv])

    def run(self, *argv: str, check: bool = True) -> str:
        """Standard output of a program in there. Raises LabError when it fails, unless `check` is False."""
        return run(self.argv(argv), check=check, timeout=120)

    def timed(self, *argv: str) -> tuple[float, float]:
        """(seconds, seconds of processor time of all that goes on in there) that a program takes."""
        before, began = self.cpu.seconds(), time.monotonic()
        self.run(*argv)
        return time.monotonic() - began, self.cpu.seconds() - before

    def write(self, path: str, text: str) -> None:
        """Replace a file in there."""
        (self.root / path.lstrip("/")).write_text(text)

    def _prepare(self) -> None:
        self._scratch.mkdir()
        services, config = self._files / "etc/init.d", self._files / "etc/config"
        for directory in (services, config):
            directory.mkdir(parents=True, exist_ok=True)
        for name in IDLE:
            (services / name).write_text(NOTHING)
            (services / name).chmod(0o755)
        (config / "network").write_text(network(self._lab.uplinks))

    def _boot(self) -> None:
        inside = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        inside += ["setpriv", "--bounding-set", CAPABILITIES, "/bin/sh", str(BOOT)]
        inside += [str(self._root), str(self._scratch), str(self._files)]
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *self.cpu.argv(self._lab.router.argv(inside))]
        report = self._lab.directory / "boot.log"
        with report.open("wb") as log:
            self._unshare = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        wait_until(lambda: bool(children.read_text().split()), 10, "the first process")
        self.pid = int(children.read_text().split()[0])
        try:
            wait_until((self.root / "tmp/.booted").exists, BOOT_SECONDS, "OpenWrt to boot")
        except (LabError, FileNotFoundError) as error:
            raise LabError(f"{error}\n{report.read_text()}") from None
        for uplink in self._lab.uplinks:
            self.run("ubus", "-t", "20", "wait_for", f"network.interface.{uplink.name}")
            wait_until(lambda uplink=uplink: self._is_up(uplink), 20, f"{uplink.name} to be up")  # type: ignore[misc]

    def _is_up(self, uplink: Uplink) -> bool:
        return '"up":true' in self.run("ubus", "-S", "call", f"network.interface.{uplink.name}", "status")


def network(uplinks: Sequence[Uplink]) -> str:
    """/etc/config/network with what the lab gave to the router's devices."""
    return "\n".join(
        section(
            "interface",
            uplink.name,
            {
                "device": uplink.name,
                "proto": "static",
                "ipaddr": f"{uplink.addresses('ipv4')[0]}/{uplink.length('ipv4')}",
                "gateway": uplink.gateways("ipv4")[0],
                "metric": uplink.metric,
                "force_link": 0,  # else a static interface, unlike one with DHCP, stays up without a carrier
            },
        )
        for uplink in uplinks
    )
