# SPDX-License-Identifier: GPL-2.0-or-later
"""`Lab`: a faulty world with traffic in it and NetPath on its router."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netpath.lab import daemon, uci
from netpath.lab.daemon import Events
from netpath.lab.faults import FaultyWorld
from netpath.lab.namespace import LabError, Namespace, Process, wait_until
from netpath.lab.plan import ECHO_PORT, HTTP_PORT, LAN, SERVERS
from netpath.lab.traffic import Capture, Record, Traffic
from netpath.lab.world import PACKAGE_ROOT

START_SECONDS = 20.0
FIRST_PORT, LAST_PORT = 10000, 65535
ENDLESS_PORTS = 2000
"""Source ports for traffic without an end; a flow that takes one again comes long after the one before."""


class Lab(FaultyWorld):
    """The lab that demo, tests and benchmarks share."""

    _next_port = FIRST_PORT

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self.directory / "netpath.sock"

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def usage_file(self) -> Path:
        """What the daemon remembers of quotas over a reboot."""
        return self.directory / "usage.json"

    @property
    def config_file(self) -> Path:
        return self.directory / "netpath.conf"

    def config(self, **choices: Any) -> str:
        """A configuration for this lab's uplinks; the keywords are those of `netpath.lab.uci.config`."""
        return uci.config(self.uplinks, **choices)

    def start_netpath(
        self, text: str | None = None, *, file: Path | None = None, program: Sequence[str] = (), **env: str
    ) -> Process:
        """Start the daemon on the router with this configuration text (default: `config()`), or with `file`, and wait
        until it answers. `program` stands for `netpath run`. Raises LabError with its output when it ends or stays
        silent."""
        if file is None:
            file = self.config_file
            file.write_text(self.config() if text is None else text, encoding="utf-8", errors="surrogateescape")
        argv = [*(program or self._netpath("run")), "--config", str(file), "--socket", str(self.socket)]
        argv += ["--state-dir", str(self.state_dir)]
        env = {"PYTHONPATH": str(PACKAGE_ROOT), "NETPATH_USAGE": str(self.usage_file), **env}
        process = self.router.popen(argv, name="netpath", env=env)
        wait_until(self._answers, START_SECONDS, "NetPath to answer on its socket", process)
        return process

    def start_command(self, *argv: str, name: str, where: Namespace | None = None) -> Process:
        """Start a `netpath` command that goes on, such as `monitor run`, beside the daemon, or elsewhere with files of
        its own that `argv` names."""
        return (where or self.router).popen(["env", *self.environment, *self._netpath(*argv)], name=name)

    def netpath(self, *argv: str, check: bool = True) -> str:
        """Run the `netpath` command on the router against this lab's daemon; its standard output."""
        return self.router.run(["env", *self.environment, *self._netpath(*argv)], check=check)

    @property
    def environment(self) -> list[str]:
        """`NAME=VALUE` of what every `netpath` command needs to find this lab's daemon."""
        names = {"CONFIG": self.config_file, "SOCKET": self.socket, "STATE_DIR": self.state_dir}
        return [f"PYTHONPATH={PACKAGE_ROOT}", *(f"NETPATH_{name}={path}" for name, path in names.items())]

    def _netpath(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "netpath", *argv]

    def _answers(self) -> bool:
        try:
            return "error" not in self.call({"cmd": "status"})
        except (FileNotFoundError, ConnectionRefusedError, LabError):
            return False

    def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the daemon; the reply as it is. Raises OSError when nobody listens."""
        return daemon.call(self.socket, request)

    def events(self) -> Events:
        """The daemon's events from now on."""
        return Events(self.socket)

    def wait_status(self, **wanted: str) -> None:
        """Wait until interfaces have these states: `wait_status(wan="online", wan2="offline")`."""
        self.wait_states(wanted)

    def wait_states(self, wanted: Mapping[str, str], timeout: float = 15.0) -> None:
        """The same for names in a mapping."""

        def there() -> bool:
            rows = self.call({"cmd": "status"})["interfaces"]
            return all(rows.get(name, {}).get("status") == state for name, state in wanted.items())

        wait_until(there, timeout, f"interfaces to be {wanted}")

    def uplink_of(self, seen: str) -> str:
        """The uplink whose public address a server saw; other words come back unchanged."""
        for uplink in self.uplinks:
            if seen in (uplink.public("ipv4"), uplink.public("ipv6")):
                return uplink.name
        return seen

    def clients_of(self, family: str = "ipv4") -> tuple[str, ...]:
        """The LAN's client addresses."""
        return tuple(LAN.client(number, family) for number in range(1, self.clients + 1))

    def traffic(
        self,
        mode: str,
        family: str = "ipv4",
        proto: str = "udp",
        *,
        src: str | Sequence[str] = (),
        dst: str = "",
        dport: int = ECHO_PORT,
        sport: int = 0,
        where: Namespace | None = None,
        **more: int | float | str,
    ) -> Traffic:
        """Start a client, on the LAN unless `where` says otherwise; `netpath.lab.client.Spec` has modes and `more`."""
        sources = (src,) if isinstance(src, str) else tuple(src)
        ports = (sport, 1) if sport else self._fresh_ports(int(more.get("count", 0)) or ENDLESS_PORTS)
        spec = {"mode": mode, "family": family, "proto": proto, "dst": dst or SERVERS[family][0], "dport": dport}
        process = self.python(where or self.lan, "client", json.dumps({**spec, "src": sources, "ports": ports, **more}))
        return Traffic(process, self.uplink_of)

    def _fresh_ports(self, count: int) -> tuple[int, int]:
        """Source ports that no flow of this lab has had (before the range is used up): a flow that got the port of an
        older one would be that flow to connection tracking, and go its way."""
        if self._next_port + count > LAST_PORT:
            self._next_port = FIRST_PORT
        self._next_port += count
        return self._next_port - count, count

    def flow_records(self, n: int, family: str = "ipv4", proto: str = "udp", **choices: Any) -> list[Record]:
        """Open `n` new flows, one request each, and return what became of them in the order of opening.

        `choices` are those of `traffic`; `concurrency=1` opens each one after the answer to the one before.
        """
        traffic = self.traffic("fresh", family, proto, count=n, **choices)
        if traffic.process.wait(60.0):
            raise LabError(f"the client failed:\n{traffic.process.output()}")
        return sorted(traffic.records(), key=lambda record: record.seq)

    def flows(self, n: int, family: str = "ipv4", proto: str = "udp", **choices: Any) -> Counter[str]:
        """How many of `n` new flows took which uplink, or failed how; see `flow_records`."""
        return Counter(record.outcome for record in self.flow_records(n, family, proto, **choices))

    def pulse(self, family: str = "ipv4", proto: str = "udp", *, interval: float = 0.01, **choices: Any) -> Traffic:
        """A new flow every `interval` seconds until stopped."""
        return self.traffic("fresh", family, proto, interval=interval, **choices)

    def hold(self, family: str = "ipv4", proto: str = "udp", *, interval: float = 0.02, **choices: Any) -> Traffic:
        """One long-lived flow with a request every `interval` seconds until stopped."""
        return self.traffic("hold", family, proto, interval=interval, **choices)

    def download(self, family: str = "ipv4", *, rate: int = 0, **choices: Any) -> Traffic:
        """An endless HTTP transfer of `rate` bytes a second (0: as fast as it goes) until stopped."""
        return self.traffic("download", family, "tcp", dport=HTTP_PORT, rate=rate, **choices)

    def capture(self, which: int | str) -> Capture:
        """Watch the router's device of an uplink (or any other device of the router, by its name)."""
        devices = {str(u.number): u.name for u in self.uplinks}
        return Capture(self.router, devices.get(str(which), str(which)))

    def port_forward(self, proto: str, port: int, client: int = 1) -> None:
        """Let the router's own firewall forward a port of every uplink to a LAN client, both families."""
        devices = ", ".join(f'"{uplink.name}"' for uplink in self.uplinks)
        self.router.nft(
            "".join(
                f"add rule inet home dstnat iifname {{ {devices} }} meta nfproto {family} {proto} dport {port} "
                f"dnat {short} to {LAN.client(client, family)}\n"
                for family, short in (("ipv4", "ip"), ("ipv6", "ip6"))
            )
        )
