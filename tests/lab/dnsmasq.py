# SPDX-License-Identifier: GPL-2.0-or-later
"""The router's dnsmasq, as a distribution packages it: a directory of configuration files and a `systemctl`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from netpath.lab import Lab, Namespace
from netpath.lab.namespace import wait_until

ASK = """
import socket, sys, time
from netpath.probe.dns_message import query
server, name, kind, patience = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(patience)
start = time.monotonic()
try:
    s.connect((server, 53))
    s.send(query(7, name, kind))
    answer = s.recv(999)
except OSError as error:
    print(type(error).__name__)
else:
    size = 4 if kind == 1 else 16
    found = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, answer[-size:])
    print(found if answer[7] else "rcode %d" % (answer[3] & 15), "%.3f" % (time.monotonic() - start))
"""
"""One question; prints the last address of the answer (or what came instead) and how long it took."""


PATIENCE = 5.0
"""Seconds."""


class Dnsmasq:
    """dnsmasq in the lab's router, restarted by whoever runs `systemctl try-restart dnsmasq.service` with `path`."""

    def __init__(self, lab: Lab, servers: Sequence[str]) -> None:
        self._lab = lab
        self.home = lab.directory / "dnsmasq"
        self.directory = self.home / "conf.d"
        self.directory.mkdir(parents=True, exist_ok=True)
        for file in self.directory.iterdir():
            file.unlink()
        self.log = self.home / "log"
        self.restarts = self.home / "restarts"
        self.log.write_text("")
        self.restarts.write_text("")
        program = self.home / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        upstream = " ".join(f"--server={s}" for s in servers)
        program.write_text(
            "#!/bin/sh\n"
            f'echo "$@" >> {self.restarts}\n'
            f"[ -s {self.home}/pid ] && kill $(cat {self.home}/pid)\n"
            f"while [ -e {self.home}/pid ]; do sleep 0.01; done\n"
            f"exec dnsmasq --conf-file=/dev/null --conf-dir={self.directory},*.conf --pid-file={self.home}/pid "
            "--user=root --no-resolv --no-hosts --min-cache-ttl=600 --log-queries "
            f"--log-facility={self.log} {upstream}\n"
        )
        program.chmod(0o755)
        self.path = f"{program.parent}:{os.environ['PATH']}"

    @property
    def file(self) -> Path:
        return self.directory / "netpath.conf"

    @property
    def lines(self) -> list[str]:
        """Our file without its first line, which says whose it is."""
        return self.file.read_text().splitlines()[1:]

    @property
    def globals_(self) -> dict[str, str]:
        return {"dnsmasq_dir": str(self.directory), "dnsmasq_restart": "systemd"}

    def start(self) -> None:
        self._lab.router.run([f"{self.home}/bin/systemctl", "start"])
        wait_until(lambda: "started, version" in self.log.read_text(), 5, "dnsmasq to start")
        self.restarts.write_text("")

    def stop(self) -> None:
        self._lab.router.run(["sh", "-c", f"[ ! -s {self.home}/pid ] || kill $(cat {self.home}/pid)"])
        wait_until(lambda: not (self.home / "pid").exists(), 5, "dnsmasq to end")

    def told(self) -> list[str]:
        """How often, and how, it was asked to restart."""
        return self.restarts.read_text().splitlines()


def ask(lab: Lab, where: Namespace, server: str, name: str, family: str = "ipv4") -> list[str]:
    """[answer, seconds] of one question, asked in namespace `where`; [exception] when nothing came."""
    argv = ["env", *lab.environment, sys.executable, "-c", ASK, server, name, "1" if family == "ipv4" else "28"]
    return where.run([*argv, str(PATIENCE)]).split()
