# SPDX-License-Identifier: GPL-2.0-or-later
"""What a unit of examples/ takes away from a service, done to a program without systemd: capabilities, new privileges,
writing to the file system, system calls, families of sockets, devices."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.security.somebody import ROOT

MOUNTS = """
keep=$1; places=$2; strict=$3; devices=$4; shift 4
mount --bind "$keep" "$keep"
if [ "$devices" != all ]; then
	mount -t tmpfs -o mode=755 none /mnt
	for at in null zero full random urandom tty $devices; do
		mkdir -p "$(dirname "/mnt/$at")" && touch "/mnt/$at" && mount --bind "/dev/$at" "/mnt/$at" || exit 1
	done
	mount --move /mnt /dev || exit 1
fi
if [ "$strict" = yes ]; then
	mount --bind /run /run
	while read -r _ _ _ _ at _; do
		case $at in /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/* | "$keep") continue ;; esac
		mount -o remount,bind,ro "$at" || exit 1
	done </proc/self/mountinfo
else
	for at in $places; do mount --bind "$at" "$at" && mount -o remount,bind,ro "$at" || exit 1; done
fi
exec "$@"
"""
"""$1 is a directory that stays writable (the lab's, in the place of /run), $2 what is only read, $3 whether all is, $4
the devices that there are beside those that everybody has (or all)."""


class Unit:
    """The settings of one unit file; of a setting that is there several times, all values."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / f"examples/{name}.service"
        self.text = self.path.read_text()

    def values(self, setting: str) -> list[str]:
        return " ".join(re.findall(rf"^{setting}=(.*)$", self.text, re.MULTILINE)).split()

    def argv(self, program: Sequence[str], keep: Path) -> list[str]:
        """The command line that runs a program under them; `keep` stays writable."""
        known = {"yes": "/usr", "full": "/usr /etc", "strict": "/usr"}
        (protect,) = self.values("ProtectSystem")
        mounts = ["/bin/sh", "-c", MOUNTS, "sh", str(keep), known[protect], "yes" if protect == "strict" else "no"]
        devices = [each.removeprefix("/dev/") for each in self.values("DeviceAllow")[::2]]
        mounts += [" ".join(devices) if self.values("DevicePolicy") == ["closed"] else "all"]
        powers = [f"+{each.removeprefix('CAP_').lower()}" for each in self.values("CapabilityBoundingSet")]
        drop = ["setpriv", f"--bounding-set=-all,{','.join(powers)}", "--inh-caps=-all"]
        drop += ["--no-new-privs"] if self.values("NoNewPrivileges") == ["yes"] else []
        filtered = []
        if groups := self.values("SystemCallFilter"):
            names = sorted({name for group in groups for name in syscalls(group)} | {"execve"})
            filtered = [sys.executable, str(Path(__file__).with_name("filtered.py")), ",".join(names)]
            filtered += [",".join(self.values("RestrictAddressFamilies")) or "-"]
        return ["unshare", "--mount", "--propagation", "private", "--", *mounts, *drop, "--", *filtered, *program]


@cache
def syscalls(group: str) -> frozenset[str]:
    """Names of the system calls in a group of systemd's, such as @system-service."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    words = {line.strip() for line in shown.stdout.splitlines()[1:] if line.strip() and "#" not in line}
    return frozenset().union(*(syscalls(word) if word.startswith("@") else {word} for word in words))
