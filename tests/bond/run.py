# SPDX-License-Identifier: GPL-2.0-or-later
"""A bond's process for tests: `python -m tests.bond.run SETTINGS`, with `ip` commands around it. SIGHUP reads again."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netpath.bond.client import Client
from netpath.bond.process import SetupError, run
from netpath.bond.server import Server
from netpath.bonding import BondClient, BondServer
from netpath.tracker.journal import Log


class IpCommands:
    """netpath.bond.process.Surroundings, as simple as can be."""

    def raised(self, device: str, addresses: Sequence[str], mtu: int) -> None:
        _ip("link", "set", device, "up", "mtu", str(mtu))
        for address in addresses:
            _ip("address", "replace", address, "dev", device, *(["nodad"] if ":" in address else []))

    def resized(self, device: str, mtu: int) -> None:
        _ip("link", "set", device, "mtu", str(mtu))

    def served(self, settings: BondServer) -> None:
        for peer in settings.clients:
            for network in peer.networks:
                _ip("route", "replace", network, "dev", settings.device)

    def paced(self, rate: float | None) -> None:
        """Sizes are those that the kernel gives."""

    def ended(self) -> None:
        """The device took everything with it."""

    @property
    def problems(self) -> Sequence[str]:
        return ()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def main() -> int:
    file = Path(sys.argv[1])
    log = Log()
    log.set_level("debug")

    def load() -> Any:
        return pickle.loads(file.read_bytes())

    settings, options = load()
    control = file.with_suffix(".sock")

    def again() -> Any:
        return load()[0]

    def make() -> Client | Server:
        if isinstance(settings, BondClient):
            return Client(settings, IpCommands(), log, control=control, reload=again, **options)
        return Server(settings, IpCommands(), log, control=control, reload=again)

    return run(make, settings.name, log)


if __name__ == "__main__":
    sys.exit(main())
