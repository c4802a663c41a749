# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bond does to the machine: `netpath.bond.process.Surroundings` by netlink and nft.

Others take things away: OpenWrt's netifd addresses, a firewall's restart tables. So all of it is looked at once a
second, in a thread of its own, as the packets' loop must not wait for the kernel's lists.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from netpath.bond.device import Device, Wanted, client_routes
from netpath.bond.forwarding import Forwarding
from netpath.bond.process import SetupError
from netpath.bonding import BondClient, BondServer
from netpath.kernel.netlink import NetlinkError
from netpath.kernel.nft import NftError
from netpath.memory import tidy
from netpath.tracker.journal import Log

LOOK = 1.0
"""Seconds between two looks."""
TIDY = 60.0
"""Seconds between two times that memory is given back: of peers that are no more, of settings that were read."""
RETRY = 3.0
"""Seconds until what did not work is tried again: it reads all of the machine's firewalls."""


class Machine:
    """Of one bond. What cannot be done, and can be lived without, is logged once and in `problems` until mended."""

    def __init__(self, settings: BondClient | BondServer, state_dir: Path, log: Log) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._log = log
        self._lock = threading.Lock()
        self._device: Device | None = None
        self._wanted: Wanted | None = None
        self._forwarding: Forwarding | None = None
        self._wrong: dict[str, tuple[str, ...]] = {}
        """Part -> what is wrong with it now."""
        self._retry = 0.0
        self._rate: float | None = None
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="surroundings", daemon=True)

    def raised(self, device: str, addresses: Sequence[str], mtu: int) -> None:
        """The device is there (anew): give it exactly these addresses (with prefix length), MTU, and switch it on."""
        with self._lock:
            try:
                self._device = Device(device)
            except OSError as error:
                raise SetupError(f"{device}: {error.strerror}") from None
            self._wanted = Wanted(tuple(addresses), mtu, None, self._routes())
            self._apply()
            self._masquerade()
        if not self._watch.is_alive() and not self._ended.is_set():
            self._watch.start()

    def resized(self, device: str, mtu: int) -> None:
        """Another MTU fits now."""
        with self._lock:
            if self._wanted is None:
                raise SetupError(f"{device} is not set up yet")
            self._wanted = Wanted(self._wanted.addresses, mtu, None, self._wanted.routes)
            self._apply()
            self._filter()

    def served(self, settings: BondServer) -> None:
        """A server's routes to its clients, forwarding, nft table; after `raised`, and when its settings change."""
        with self._lock:
            self._settings = settings
            if self._wanted is None:
                raise SetupError(f"{settings.device} is not set up yet")
            self._wanted = Wanted(self._wanted.addresses, self._wanted.mtu, None, self._routes())
            self._apply()
            self._filter()

    def paced(self, rate: float | None) -> None:
        """Bytes a second of all paths; the thread sees to it."""
        self._rate = rate

    def ended(self) -> None:
        """Undo everything. The device is gone already."""
        self._ended.set()
        with self._lock:
            if self._forwarding is not None:
                self._tell("forwarding", self._forwarding.close())

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong now, in words."""
        return [problem for part in list(self._wrong.values()) for problem in part]

    # -- with the lock ----------------------------------------------------------------------------------------------

    def _routes(self) -> tuple[str, ...]:
        if not isinstance(self._settings, BondServer):
            return ()
        clients = self._settings.clients
        return client_routes(self._settings.inner, [(each.addresses, each.networks) for each in clients])

    def _apply(self) -> None:
        """Raises SetupError."""
        assert self._device is not None
        assert self._wanted is not None
        try:
            self._tell("device", self._device.apply(replace(self._wanted, rate=self._rate)))
        except (NetlinkError, OSError) as error:
            raise SetupError(f"{self._device.name} could not be set up: {error}") from None

    def _filter(self) -> None:
        """The table of this end, if it has one. Raises SetupError."""
        if isinstance(self._settings, BondServer):
            assert self._wanted is not None
            self._tell("forwarding", self._filtering().apply(self._settings, self._wanted.mtu))
        else:
            self._masquerade()

    def _masquerade(self) -> None:
        settings = self._settings
        if isinstance(settings, BondClient) and settings.table is not None:
            assert self._wanted is not None
            problems = self._filtering().masquerade(settings.device, settings.table, self._wanted.mtu)
            self._tell("forwarding", problems)

    def _filtering(self) -> Forwarding:
        if self._forwarding is None:
            try:
                self._forwarding = Forwarding(self._settings.name, self._state_dir)
            except NftError as error:
                raise SetupError(f"no nft table can be loaded: {error}") from None
        return self._forwarding

    def _tell(self, part: str, problems: Sequence[str]) -> None:
        before = self._wrong.get(part, ())
        for problem in problems:
            if problem not in before:
                self._log("warning", f"{self._settings.name}: {problem}")
        for problem in before:
            if problem not in problems:
                self._log("notice", f"{self._settings.name}: over: {problem}")
        self._wrong[part] = tuple(problems)

    def _again(self, now: float) -> None:
        """Whether what was wrong with the table, or a firewall, has been mended."""
        if self._wrong.get("forwarding") and now >= self._retry:
            self._retry = now + RETRY
            self._filter()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        tidied = time.monotonic()
        while not self._ended.wait(LOOK):
            if (now := time.monotonic()) - tidied >= TIDY:
                tidied = now
                tidy()
            with self._lock:
                if self._ended.is_set():
                    return
                try:
                    self._apply()
                    self._again(time.monotonic())
                    if self._forwarding is not None and not self._forwarding.intact(self._settings.table or ""):
                        self._log("notice", f"{self._settings.name}: its nft table is gone; it is loaded again")
                        self._filter()
                except (SetupError, NetlinkError) as error:
                    # The device is gone or changing: whoever owns it sees that itself, and calls `raised`.
                    self._log("debug", f"{self._settings.name}: {error}")
