# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's house with all of NetPath in it: tracker, monitor, and a bond to the servers' host; and its faults."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from netpath.lab import daemon, demo
from netpath.lab.lab import Lab
from netpath.lab.namespace import LabError, Process
from netpath.lab.plan import SERVERS
from netpath.lab.soak.schedule import Fault, Kind
from netpath.lab.traffic import Traffic
from netpath.lab.uci import FAST, section

START_SECONDS = 30.0
FLOW_SECONDS, BOND_SECONDS, STICKY_SECONDS, GIVE_UP_SECONDS = 0.1, 0.2, 0.5, 1.5
"""A new flow of each family, a request by the bond, a flow of a sticky rule that often; how long an answer is
awaited."""
INNER = {"server": "203.0.113.129/28", "client": "203.0.113.130/28"}
BONDED = SERVERS["ipv4"][3]
"""The server that the LAN reaches by the bond."""
STICKY = SERVERS["ipv4"][4]
"""The one whose rule is sticky, so that sets which packets fill are there too."""
OTHER_WEIGHTS = {"fibre": 2, "cable": 3}
MAIN = ("fibre", "cable")
"""The uplinks that new flows use while all is well."""


class Site:
    """Started by `start`. `ours` are the processes that are watched, by what they are."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ours: dict[str, Process] = {}
        self._traffic: dict[str, Traffic] = {}
        self._uplink_sections = [u.interface(family) for u in lab.uplinks for family in u.families]
        self._paths = 0
        private = [os.urandom(32) for _ in ("client", "server")]
        self._keys = [base64.b64encode(key).decode() for key in (*private, *map(_public, private))]

    def start(self) -> None:
        """Everything up, with traffic. Raises LabError when something does not come up."""
        lab = self.lab
        self._write(lab.config_file, self._config({}))
        self.ours["tracker"] = lab.start_netpath(file=lab.config_file)
        lab.wait_states(dict.fromkeys(self._uplink_sections, "online"), START_SECONDS)
        self._start_bond_server()
        self.ours["bond"] = lab.start_command("bond", "client", name="bond")
        self.ours["monitor"] = lab.start_command("monitor", name="monitor")
        self._traffic = {
            family: lab.pulse(family, proto, interval=FLOW_SECONDS, timeout=GIVE_UP_SECONDS, src=lab.clients_of(family))
            for family, proto in (("ipv4", "udp"), ("ipv6", "tcp"))
        }
        self._traffic["bond"] = lab.hold("ipv4", "tcp", dst=BONDED, interval=BOND_SECONDS, timeout=GIVE_UP_SECONDS)
        lab.pulse("ipv4", interval=STICKY_SECONDS, timeout=GIVE_UP_SECONDS, src=lab.clients_of(), dst=STICKY)
        lab.download("ipv4", rate=200_000, timeout=3.0)
        deadline = time.monotonic() + START_SECONDS
        while wrong := [*self.wrong(0.0)]:
            if time.monotonic() > deadline:
                raise LabError(f"not everything came up in {START_SECONDS:.0f} s: {', '.join(wrong)}")
            time.sleep(0.1)
        self._paths = self._bond_paths()

    def wrong(self, since: float) -> Iterator[str]:
        """What is not as it must be while no fault is in force. since: from then on (monotonic) flows must have gone
        by each uplink that is for them."""
        for what, process in self.ours.items():
            if not process.running:
                raise LabError(
                    f"the {what} has ended with code {process.popen.returncode}:\n{process.output()[-2000:]}"
                )
        rows = self.lab.call({"cmd": "status"})["interfaces"]
        for name in (*self._uplink_sections, "bond"):
            if rows[name]["status"] != "online":
                yield f"{name} is {rows[name]['status']} ({rows[name]['reason']})"
        if self._bond_paths() < max(1, self._paths):
            yield f"the bond has {self._bond_paths()} of {self._paths} paths"
        yield from self._wrong_monitor()
        for what, traffic in self._traffic.items():
            traffic.forget(since)
            seen = {record.outcome for record in traffic.records() if record.answered}
            missing = {INNER["client"].partition("/")[0]} if what == "bond" else {*MAIN}
            missing -= seen
            if missing:
                yield f"no {what} flow goes by {' and '.join(sorted(missing))}, but by {' and '.join(sorted(seen))}"

    def break_(self, fault: Fault) -> Callable[[], None]:
        """Do it; returns what heals it."""
        lab, name = self.lab, fault.uplink
        match fault.kind:
            case Kind.CUT:
                lab.cut(name)
                return lambda: lab.uncut(name)
            case Kind.CARRIER:
                lab.carrier(name, False)
                return lambda: self._plug_in(name)
            case Kind.LOSS:
                lab.loss(name, fault.percent)
                return lambda: lab.loss(name, 0)
            case Kind.RELOAD:
                self._reload(OTHER_WEIGHTS)
                return lambda: self._reload({})
            case Kind.DISABLE:
                interface = lab.uplink(name).interface(fault.family)
                self._done({"cmd": "disable", "interface": interface})
                return lambda: self._done({"cmd": "enable", "interface": interface})
            case Kind.ADDRESS:
                lab.change_address(name, fault.family)
                return lambda: _ignore(lab.change_address(name, fault.family))

    def _plug_in(self, name: str) -> None:
        self.lab.carrier(name, True)
        self.lab.ifup(name)

    def _reload(self, weights: dict[str, int]) -> None:
        """As a procd service does: the tracker by its socket, the others by SIGHUP."""
        self._write(self.lab.config_file, self._config(weights))
        self._done({"cmd": "reload"})
        for what in ("monitor", "bond", "bond server"):
            self.ours[what].signal(signal.SIGHUP)

    def _done(self, request: dict[str, Any]) -> None:
        reply = self.lab.call(request)
        if reply.get("result") != "ok":
            raise LabError(f"{request} was answered by {reply}")

    def _wrong_monitor(self) -> Iterator[str]:
        path = self.lab.socket.with_name(f"{self.lab.socket.stem}-monitor{self.lab.socket.suffix}")
        try:
            reply = daemon.call(path, {"cmd": "monitor"})
        except OSError as error:
            yield f"the monitor does not answer: {error}"
            return
        for source in reply["sources"]:
            if source["status"] != "healthy":
                yield f"the monitor's source {source['name']} is {source['status']} ({source['reason']})"
            missing = {*demo.ROLES, "bond"} - {*source["interfaces"]}
            if missing:
                yield f"the monitor does not know {' and '.join(sorted(missing))}"

    def _bond_paths(self) -> int:
        """Paths that the bond's client has up."""
        try:
            peers = daemon.call(self.lab.directory / "netpath-bond-far.sock", {"cmd": "bond"})["peers"]
        except OSError:
            return 0
        return sum(path["state"] == "up" for peer in peers for path in peer["paths"])

    def _start_bond_server(self) -> None:
        place = self.lab.directory / "bond-server"
        place.mkdir()
        _, private, public, _ = self._keys
        server = {"role": "server", "private_key": private, "address": INNER["server"], "device": "tun-far"}
        peer = {"bond": "far", "public_key": public, "addresses": INNER["client"]}
        self._write(place / "config", section("bond", "far", server) + section("bond_peer", "home", peer))
        where = ["--config", str(place / "config"), "--state-dir", str(place), "--socket", str(place / "sock")]
        self.ours["bond server"] = self.lab.start_command(
            *where, "bond", "server", name="bond", where=self.lab.internet
        )

    def _config(self, weights: dict[str, int]) -> str:
        private, _, _, public = self._keys
        bond = {"role": "client", "server": SERVERS["ipv4"][9], "private_key": private, "server_key": public}
        parts = [
            section("interface", "bond", {"enabled": 1, "ifname": "tun-bond", "track_targets": [BONDED], **FAST}),
            section("member", "by_bond", {"interface": "bond"}),
            section("policy", "by_bond_only", {"members": ["by_bond"]}),
            section("bond", "far", {**bond, "masquerade": 1}),
            section("monitor", "monitor", {"enabled": 1}),
        ]
        rules = section("rule", "bonded", {"dest_ip": BONDED, "family": "ipv4", "policy": "by_bond_only"})
        rules += section("rule", "sticky", {"dest_ip": STICKY, "family": "ipv4", "policy": "all", "sticky": 1})
        rules += section("rule", "everything", {"policy": "all"})
        more = {"weights": weights} if weights else {}
        return demo.config(self.lab, rules=rules, extra="\n".join(parts), **more)

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)


def _public(private: bytes) -> bytes:
    """Imported here: only a soak needs it, and not every machine has it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _ignore(_: object) -> None:
    """For a healing whose result nobody wants."""
