# SPDX-License-Identifier: GPL-2.0-or-later
"""What any bond's process needs around its engine: signals, work of other threads, the device and its loss."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from netpath.bond.loop import Loop
from netpath.bond.tun import Tun, TunError
from netpath.bonding import BondServer
from netpath.memory import settle
from netpath.tracker.journal import Log

DARK = 0.5
"""Seconds without a link until the device loses its carrier: for so long packets wait, and most outages end in it."""
DEVICE_RETRY = 1.0
"""Seconds until a device that is gone, or could not be set up, is tried again."""


class SetupError(Exception):
    """The machine could not be set up: `str()` says what, and what to do."""


class Surroundings(Protocol):
    """What a bond does to the machine beside its own sockets. All methods raise SetupError."""

    def raised(self, device: str, addresses: Sequence[str], mtu: int) -> None:
        """The device is there (anew): give it exactly these addresses (with prefix length), MTU, and switch it on."""

    def resized(self, device: str, mtu: int) -> None:
        """Another MTU fits now."""

    def served(self, settings: BondServer) -> None:
        """A server's routes to its clients, forwarding, nft table; after `raised`, and when its settings change."""

    def paced(self, rate: float | None) -> None:
        """Bytes a second of all paths together, as far as it is known: sizes of packets and queue follow within a
        second. Raises nothing, and does not wait."""

    def ended(self) -> None:
        """Undo everything. The device is gone already."""

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong now and can be lived without, in words. From any thread; raises nothing."""


class End(Protocol):
    """Of a bond: client or server."""

    def run(self) -> None:
        """Until a signal ends it."""


def run(make: Callable[[], End], name: str, log: Log) -> int:
    """Make an end of the bond `name` and run it. The exit code: 1 when it could not begin, which the log tells."""
    try:
        end = make()
    except (TunError, OSError) as error:
        log("error", f"{name}: {error}")
        return 1
    settle()  # or packets would wait for the collector now and then
    end.run()
    return 0


class Inbox:
    """Functions that other threads want to be called in the loop."""

    def __init__(self, loop: Loop) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._calls: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._loop = loop
        loop.add(self, self._drain)

    def fileno(self) -> int:
        return self._fd

    def post(self, call: Callable[[float], None]) -> None:
        """From any thread."""
        self._calls.put(call)
        os.eventfd_write(self._fd, 1)

    def run(self, work: Callable[[], None], name: str) -> None:
        """Do `work` in a thread of its own, which does not keep the process alive."""
        threading.Thread(target=work, name=name, daemon=True).start()

    def _drain(self, now: float) -> None:
        os.eventfd_read(self._fd)
        while not self._calls.empty():
            self._calls.get_nowait()(now)


class Signals:
    """SIGTERM and SIGINT stop the loop, SIGHUP calls `reload`. Until `close`."""

    def __init__(self, loop: Loop, reload: Callable[[float], None]) -> None:
        self._loop = loop
        self._reload = reload
        self._ours, self._pythons = socket.socketpair()
        for end in (self._ours, self._pythons):
            end.setblocking(False)
        loop.add(self._ours, self._came)
        self._old: dict[int, Any] = {
            number: signal.signal(number, _nothing) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        self._old_fd = signal.set_wakeup_fd(self._pythons.fileno(), warn_on_full_buffer=False)

    def _came(self, now: float) -> None:
        numbers = self._ours.recv(64)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._loop.stop()
        elif signal.SIGHUP in numbers:
            self._reload(now)

    def close(self) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._loop.remove(self._ours)
        self._ours.close()
        self._pythons.close()


def _nothing(_number: int, _frame: object) -> None:
    """The number comes by the wakeup descriptor."""


class Device:
    """The TUN device. When somebody removes it, it is made again."""

    def __init__(
        self,
        name: str,
        loop: Loop,
        log: Log,
        surroundings: Surroundings,
        readable: Callable[[float], None],
    ) -> None:
        """Raises TunError."""
        self.name = name
        self._loop = loop
        self._log = log
        self._surroundings = surroundings
        self._readable = readable
        self._wanted: tuple[tuple[str, ...], int] | None = None
        """Addresses and MTU."""
        self._server: BondServer | None = None
        self._retry: float | None = None
        """When something that failed is tried again."""
        self.problem: str | None = None
        self.tun: Tun | None = Tun(name)
        self.lost = 0
        """Packets that there was no device for."""
        self._carries = True
        self._dark: float | None = None
        """Since when there is no link."""
        loop.add(self.tun, readable)

    def complaint(self, *others: str | None) -> str | None:
        """All that is wrong: with the device, then `others`, then around it. None: nothing."""
        return "; ".join(text for text in (self.problem, *others, *self._surroundings.problems) if text) or None

    def read(self, now: float) -> memoryview | None:
        """A packet, or None."""
        if self.tun is None:
            return None
        try:
            return self.tun.read()
        except OSError as error:
            self._vanished(error, now)
            return None

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """A packet for the kernel."""
        if self.tun is None:
            self.lost += 1
            return
        try:
            self.tun.write(buffers)
        except OSError as error:
            self.lost += 1
            self._vanished(error, 0.0)

    def listen(self, on: bool) -> None:
        """Whether packets are taken at the moment."""
        if self.tun is not None:
            self._loop.listen(self.tun, on)

    def carry(self, on: bool, now: float) -> None:
        """Whether there is a link; to be called often. A carrier comes at once, and goes after DARK."""
        if on is self._carries:
            self._dark = None
            return
        if not on:
            if self._dark is None:
                self._dark = now
            if now - self._dark < DARK:
                return
        self._carries, self._dark = on, None
        self._light(now)

    def pace(self, rate: float | None) -> None:
        """Bytes a second of all paths together."""
        self._surroundings.paced(rate)

    def begin_dark(self, now: float) -> None:
        """There is no link yet."""
        self._carries = False
        self._light(now)

    def _light(self, now: float) -> None:
        if self.tun is None:
            return
        try:
            self.tun.carry(self._carries)
        except OSError as error:
            self._vanished(error, now)

    def configure(self, addresses: Sequence[str], mtu: int, now: float, server: BondServer | None = None) -> None:
        """Set it up so, now or as soon as it can be done."""
        before, self._wanted = self._wanted, (tuple(addresses), mtu)
        same_server, self._server = self._server == server, server
        if before == self._wanted and same_server and self.problem is None:
            return
        if before is not None and before[0] == self._wanted[0] and same_server and self.problem is None:
            self._try(lambda: self._surroundings.resized(self.name, mtu), now)
        else:
            self._try(self._set_up, now)

    def tick(self, now: float) -> float | None:
        """Try again what failed, when its time has come. When to call it next; None: nothing is wrong."""
        if self._retry is None or now < self._retry:
            return self._retry
        self._retry = None
        if self.tun is None:
            try:
                self.tun = Tun(self.name)
            except TunError as error:
                self._failed(str(error), now)
                return self._retry
            self._loop.add(self.tun, self._readable)
            if not self._carries:
                self._light(now)
            self._log("notice", f"the device {self.name} is there again")
        self._try(self._set_up, now)
        return self._retry

    def close(self) -> None:
        """The device goes, then what was done around it."""
        if self.tun is not None:
            self._loop.remove(self.tun)
            self.tun.close()
            self.tun = None
        try:
            self._surroundings.ended()
        except SetupError as error:
            self._log("error", str(error))

    def _set_up(self) -> None:
        if self._wanted is not None:
            self._surroundings.raised(self.name, *self._wanted)
            if self._server is not None:
                self._surroundings.served(self._server)

    def _try(self, work: Callable[[], None], now: float) -> None:
        if self.tun is None:
            return
        try:
            work()
        except SetupError as error:
            self._failed(str(error), now)
        else:
            self.problem = None

    def _failed(self, problem: str, now: float) -> None:
        if problem != self.problem:
            self._log("error", problem)
        self.problem = problem
        self._retry = now + DEVICE_RETRY

    def _vanished(self, error: OSError, now: float) -> None:
        assert self.tun is not None
        self._loop.remove(self.tun)
        self.tun.close()
        self.tun = None
        self._failed(f"the device {self.name} was removed ({error.strerror}); it is made again", now)
