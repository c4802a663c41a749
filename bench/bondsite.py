# SPDX-License-Identifier: GPL-2.0-or-later
"""A bond over links of given speeds, as people start it."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping, Sequence

from bench.links import SERVER, Links
from netpath.lab.namespace import wait_until

INNER_CLIENT, INNER_SERVER = "10.99.0.2", "10.99.0.1"
START_SECONDS = 20.0


class Site(Links):
    """Links with a bond over all of them."""

    def __init__(self, rates: Sequence[int], options: Mapping[str, str] | None = None, *, loss: int = 0) -> None:
        """`options`: of section bond, at both ends."""
        super().__init__(rates, loss=loss)
        self._options = options or {}

    @property
    def client(self) -> int:
        """Process id of the bond's client."""
        return int(self.near.processes[0].pid)

    def start(self) -> None:
        """Both ends of the bond, and wait until it is up on every link."""
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
        for n in range(len(self.rates)):
            client += _section("bond_link", f"l{n}", [("bond", "near"), ("interface", self.device(n))])
        for end, role, text in ((self.far, "server", server), (self.near, "client", client)):
            file = self.directory / f"{role}.uci"
            file.write_text(text)
            file.chmod(0o600)
            where = ["--config", str(file), "--socket", str(self.directory / f"{role}.sock")]
            where += ["--state-dir", str(self.directory / role)]
            end.popen([sys.executable, "-m", "netpath", *where, "bond", role], name=role)
        wait_until(self._answers, START_SECONDS, "the bond to be up on every link", self.near.processes[0])

    def _answers(self) -> bool:
        status = ["--socket", str(self.directory / "client.sock"), "bond", "status", "near", "--json"]
        told = self.near.run([sys.executable, "-m", "netpath", *status], check=False)
        if not told.startswith("{"):
            return False
        peers = json.loads(told).get("peers", [])
        up = [path for peer in peers for path in peer["paths"] if path["state"] == "up" and path["mtu"] > 1400]
        return len(up) == len(self.rates)


def _section(kind: str, name: str, options: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"\toption {option} '{value}'\n" for option, value in options)
    return f"config {kind} '{name}'\n{lines}\n"
