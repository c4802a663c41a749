# SPDX-License-Identifier: GPL-2.0-or-later
"""The namespaces of a lab, their servers, and their end."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Self

from netpath.lab import layout, namespace
from netpath.lab.namespace import LabError, Namespace, Process
from netpath.lab.plan import (
    DNS_PORT,
    ECHO_PORTS,
    GUEST,
    HTTP_PORT,
    HTTPS_PORT,
    LAN,
    MAX_CLIENTS,
    SERVERS,
    Lan,
    Uplink,
    UplinkSpec,
    uplinks,
)

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
FATAL_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_count = itertools.count(1)
_open: list[World] = []


class World:
    """A router with uplinks, the providers and servers behind them and the LAN before it; see `netpath.lab.plan`.

    Use as a context manager. Also closed at the interpreter's exit and at SIGTERM and SIGHUP; what a SIGKILL leaves
    is removed by the next lab.
    """

    def __init__(
        self,
        wanted: int | Sequence[str | UplinkSpec] = 2,
        *,
        clients: int = 4,
        guest: bool = False,
        nat66: bool = True,
        rp_filter: int = 2,
        echo_ports: Sequence[int] = ECHO_PORTS,
    ) -> None:
        """`wanted`: how many uplinks, or their names or specs. `clients`: LAN addresses. `guest`: a second LAN.
        `nat66`: the router masquerades IPv6 too. `rp_filter`: of the router's devices (Debian 2, OpenWrt 0).

        Raises ValueError for what the plan of addresses cannot hold.
        """
        if not 1 <= clients <= MAX_CLIENTS:
            raise ValueError(f"{clients} clients: 1 to {MAX_CLIENTS}")
        self.uplinks = uplinks(wanted)
        self.clients = clients
        self.nat66, self.rp_filter, self.echo_ports = nat66, rp_filter, tuple(echo_ports)
        self.processes: list[Process] = []
        self.directory = Path(tempfile.gettempdir(), f"netpath-lab-{os.getpid()}-{next(_count)}")
        """Outputs of processes, configuration and socket of the daemon."""
        self.router = self._namespace("router")
        self.lan = self._namespace("lan")
        self.guest = self._namespace("guest") if guest else None
        self.internet = self._namespace("internet")
        self.isps = {uplink.number: self._namespace(f"isp{uplink.number}") for uplink in self.uplinks}
        self._handlers: dict[int, signal.Handlers] = {}

    def _namespace(self, role: str) -> Namespace:
        name = f"np-{os.getpid()}-{self.directory.name.rpartition('-')[2]}-{role}"
        return Namespace(name, role, self.directory, self.processes)

    @property
    def namespaces(self) -> list[Namespace]:
        return [ns for ns in (self.router, self.lan, self.guest, self.internet, *self.isps.values()) if ns]

    @property
    def lans(self) -> list[tuple[Namespace, Lan]]:
        return [(self.lan, LAN)] + ([(self.guest, GUEST)] if self.guest else [])

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces: run it as root")
        namespace.remove_leftovers()
        _open.append(self)
        self._catch_signals()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process and remove every trace; a second call does nothing."""
        if self not in _open:
            return
        namespace.stop_all(reversed(self.processes))
        namespace.remove([ns.name for ns in self.namespaces])
        shutil.rmtree(self.directory, ignore_errors=True)
        _open.remove(self)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _catch_signals(self) -> None:
        """Turn deadly signals that nobody handles into SystemExit, so that `with` blocks end properly."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in FATAL_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._handlers[number] = signal.SIG_DFL
                signal.signal(number, _leave)

    def _build(self) -> None:
        self.directory.mkdir(mode=0o700)
        namespace.add([ns.name for ns in self.namespaces])
        self._set_parameters()
        namespace.run(["ip", "-batch", "-"], stdin=self._cables())
        self.internet.ip(layout.internet_side(self.uplinks))
        servers = self._start_servers()
        lans = [lan for _, lan in self.lans]
        self.router.ip(layout.router_side(lans, self.uplinks))
        self.router.nft(layout.router_firewall(self.uplinks, self.nat66))
        for ns, lan in self.lans:
            ns.ip(layout.client_side(lan, self.clients))
        for uplink in self.uplinks:
            isp = self.isps[uplink.number]
            isp.ip(layout.provider_side(uplink, lans if not self.nat66 else ()))
            isp.nft(layout.provider_firewall(uplink))
        servers.wait_for("ready")

    def _cables(self) -> str:
        lans = {ns.name: lan for ns, lan in self.lans}
        isps = {self.isps[uplink.number].name: uplink for uplink in self.uplinks}
        return layout.cables(self.router.name, self.internet.name, lans, isps)

    def _set_parameters(self) -> None:
        for ns, _ in self.lans:
            ns.sysctl(layout.QUIET)
        self.internet.sysctl({**layout.QUIET, **layout.SERVER, **layout.FORWARDING})
        for isp in self.isps.values():
            isp.sysctl({**layout.QUIET, **layout.FORWARDING})
        self.router.sysctl({**layout.QUIET, **layout.FORWARDING, "ipv4/conf/default/rp_filter": self.rp_filter})

    def _start_servers(self) -> Process:
        return self.serve(self.internet, "--http", str(HTTP_PORT), name="servers")

    def python(self, ns: Namespace, module: str, *args: str, name: str = "") -> Process:
        """Start one of this package's programs with this interpreter in namespace `ns`."""
        argv = [sys.executable, "-m", f"netpath.lab.{module}", *args]
        return ns.popen(argv, name=name or module, env={"PYTHONPATH": str(PACKAGE_ROOT)})

    def serve(self, ns: Namespace, *args: str, name: str = "echo") -> Process:
        """Start echo servers (and by `args` others of `netpath.lab.servers`) somewhere, such as on a LAN host."""
        return self.python(ns, "servers", "--echo", *map(str, self.echo_ports), *args, name=name)

    def start_https(self) -> Path:
        """Start the HTTPS server on all server addresses; returns the certificate to trust (subject: all of them and
        `lab.example`). Raises Unavailable without openssl."""
        certificate, key = self.directory / "https.crt", self.directory / "https.key"
        names = [f"IP:{address}" for family in SERVERS.values() for address in family]
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        argv += ["-days", "2", "-subj", "/CN=lab.example"]
        argv += ["-addext", f"subjectAltName=DNS:lab.example,{','.join(names)}"]
        namespace.run([*argv, "-keyout", str(key), "-out", str(certificate)])
        listen = ["--https", str(HTTPS_PORT), str(certificate), str(key)]
        server = self.python(self.internet, "servers", *listen, name="https")
        server.wait_for("ready")
        return certificate

    def start_dns(self, records: Iterable[tuple[str, str]] = (("lab.example", SERVERS["ipv4"][0]),)) -> Process:
        """Start dnsmasq on all server addresses with (name, address) records. Raises Unavailable without dnsmasq."""
        if not shutil.which("dnsmasq"):
            raise namespace.Unavailable("dnsmasq is not installed")
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root"]
        argv += ["--no-resolv", "--no-hosts", "--pid-file=", f"--port={DNS_PORT}"]
        # Left to itself it hangs up on what comes by TCP by a device without an address of that family, as isp1 is.
        argv += ["--bind-interfaces", *(f"--listen-address={each}" for family in SERVERS.values() for each in family)]
        server = self.internet.popen([*argv, *(f"--host-record={name},{address}" for name, address in records)])
        server.wait_for("started, version")
        return server

    def uplink(self, which: int | str) -> Uplink:
        """An uplink by number or name. Raises LabError when there is none such."""
        for uplink in self.uplinks:
            if which in (uplink.number, uplink.name):
                return uplink
        raise LabError(f"no uplink {which!r}; there are {', '.join(u.name for u in self.uplinks)}")


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


@atexit.register
def _close_all() -> None:
    for world in list(_open):
        world.close()
