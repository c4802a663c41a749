# SPDX-License-Identifier: GPL-2.0-or-later
"""Two machines with any number of links of given speeds between them, and a bond over these, as people start it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netpath.lab.namespace import Namespace, Unavailable, add, remove, run, stop_all, wait_until

SERVER = "203.0.113.1"
INNER_CLIENT, INNER_SERVER = "10.99.0.2", "10.99.0.1"
START_SECONDS = 20.0
_OFFLOADS = ("tso", "gso", "tx-udp-segmentation")
"""What would pass a rate's limit as packets of 64 KiB."""
_count = itertools.count()


class Site:
    """`rates` in Mbit/s, one for each link, 0: unlimited."""

    def __init__(self, rates: Sequence[int], options: Mapping[str, str] | None = None, *, loss: int = 0) -> None:
        """`options`: of section bond, at both ends. `loss`: percent of what arrives, both ways."""
        if shutil.which("ethtool") is None:
            raise Unavailable("ethtool is not installed")
        self._rates, self._options, self._loss = rates, options or {}, loss
        self._directory = Path(tempfile.mkdtemp(prefix=f"netpath-lab-{os.getpid()}-bond-"))
        names = [f"np-{os.getpid()}-{next(_count)}-{role}" for role in ("near", "far")]
        self._names = names
        self.near, self.far = (Namespace(n, n.rpartition("-")[2], self._directory, []) for n in names)

    def __enter__(self) -> Self:
        add(self._names)
        try:
            self._wire()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Everything of it goes."""
        stop_all([*self.near.processes, *self.far.processes])
        remove(self._names)
        shutil.rmtree(self._directory, ignore_errors=True)

    def cut(self, link: int) -> None:
        """Nothing goes by this link any more, and nobody is told."""
        rule = f'iifname "w{link}" drop'
        for end in (self.near, self.far):
            end.nft(f"table inet cut {{ chain in {{ type filter hook prerouting priority -500; {rule}; }}; }}\n")

    @property
    def client(self) -> int:
        """Process id of the bond's client."""
        return int(self.near.processes[0].pid)

    def _wire(self) -> None:
        for end in (self.near, self.far):
            end.sysctl({"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0})
            end.run(["ip", "link", "set", "lo", "up"])
        self.far.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"])
        for n, rate in enumerate(self._rates):
            ends = ("netns", self.near.name, "type", "veth", "peer", "name", f"w{n}", "netns", self.far.name)
            run(["ip", "link", "add", f"w{n}", *ends])
            for end, host in ((self.near, 2), (self.far, 1)):
                end.run(["ip", "address", "add", f"198.51.100.{n * 8 + host}/29", "dev", f"w{n}"])
                end.run(["ip", "link", "set", f"w{n}", "up"])
                self._limit(end, f"w{n}", rate)
            via = ("via", f"198.51.100.{n * 8 + 1}", "dev", f"w{n}", "metric", str(n + 1))
            self.near.run(["ip", "route", "add", SERVER, *via])
        if self._loss:
            drop = f'iifname "w*" numgen random mod 100 < {self._loss} drop'
            for end in (self.near, self.far):
                end.nft(f"table inet loss {{ chain in {{ type filter hook prerouting priority -500; {drop}; }}; }}\n")

    def _limit(self, end: Namespace, device: str, rate: int) -> None:
        if not rate:
            end.run(["ethtool", "-K", device, "gro", "on", "rx-udp-gro-forwarding", "on"], check=False)
            return
        # What arrives is put together again, as every driver of a network card has the kernel do; but not before each
        # packet had its chance to be lost.
        offloads = {**dict.fromkeys(_OFFLOADS, "off"), "gro": "off" if self._loss else "on"}
        end.run(["ethtool", "-K", device, *itertools.chain(*offloads.items())])
        # What passes between two ticks of the kernel, and 50 ms of queue, as an access line has.
        burst = max(32_000, rate * 125_000 // 250)
        limit = ("rate", f"{rate}mbit", "burst", str(burst), "latency", "50ms")
        end.run(["tc", "qdisc", "add", "dev", device, "root", "tbf", *limit])

    def _start(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        from netpath.bond.noise import public_bytes

        keys = [os.urandom(32) for _ in range(2)]
        publics = [public_bytes(X25519PrivateKey.from_private_bytes(key)) for key in keys]
        private, public = ([base64.b64encode(key).decode() for key in each] for each in (keys, publics))
        common = [("device", "bond-bench"), *self._options.items()]
        far = [("role", "server"), ("private_key", private[1]), ("address", f"{INNER_SERVER}/24")]
        server = _section("bond", "far", [*far, *common])
        server += _section(
            "bond_peer", "near", [("bond", "far"), ("public_key", public[0]), ("addresses", f"{INNER_CLIENT}/24")]
        )
        mine = [("role", "client"), ("server", SERVER), ("server_key", public[1]), ("private_key", private[0])]
        client = _section("bond", "near", [*mine, *common])
        for n in range(len(self._rates)):
            client += _section("bond_link", f"l{n}", [("bond", "near"), ("interface", f"w{n}")])
        for end, role, text in ((self.far, "server", server), (self.near, "client", client)):
            file = self._directory / f"{role}.uci"
            file.write_text(text)
            file.chmod(0o600)
            where = ["--config", str(file), "--socket", str(self._directory / f"{role}.sock")]
            where += ["--state-dir", str(self._directory / role)]
            end.popen([sys.executable, "-m", "netpath", *where, "bond", role], name=role)
        wait_until(self._answers, START_SECONDS, "the bond to be up on every link", self.near.processes[0])

    def _answers(self) -> bool:
        status = ["--socket", str(self._directory / "client.sock"), "bond", "status", "near", "--json"]
        told = self.near.run([sys.executable, "-m", "netpath", *status], check=False)
        if not told.startswith("{"):
            return False
        peers = json.loads(told).get("peers", [])
        up = [path for peer in peers for path in peer["paths"] if path["state"] == "up" and path["mtu"] > 1400]
        return len(up) == len(self._rates)


def _section(kind: str, name: str, options: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"\toption {option} '{value}'\n" for option, value in options)
    return f"config {kind} '{name}'\n{lines}\n"
