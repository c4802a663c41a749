# SPDX-License-Identifier: GPL-2.0-or-later
"""The UDP server: displays register, and get the speeds until they fall silent.

What it does with a datagram is decided in `clients`, what it sends in `wire`; this is when and how. Nothing here waits
for a peer: a send that the kernel does not take at once has failed, and the client's next one is a new figure anyway.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from netpath.monitor import udp_socket, wire
from netpath.monitor.clients import Client, Clients, Networks, Source, Verdict, Way
from netpath.monitor.readings import ServiceError, Speeds
from netpath.monitor.udp_socket import Listener
from netpath.monitoring import Datagrams
from netpath.tracker.journal import Log

BATCH, REST = 64, 0.02
"""After so many datagrams without a pause nothing is read for so many seconds: 3,200 a second at most, where a table of
1,000 clients sends 200. What a flood sends beyond that the kernel drops, and the processor's time is left to others.
"""
CHUNK = 64
"""Clients that are served before others have their turn in the event loop."""
LINES, PERIOD = 10, 600.0
"""Log lines on peers in so many seconds: a stranger must not fill the log."""
_FULL = (errno.EAGAIN, errno.ENOBUFS)
"""The kernel takes nothing more at the moment; trying again at once would be in vain."""


class UdpServer:
    """A `Service` (netpath.monitor.readings). Raises ServiceError from `run` when it cannot listen any more."""

    def __init__(self, settings: Datagrams, speeds: Callable[[], Speeds], log: Log) -> None:
        """Raises ValueError for networks that are none."""
        self._settings = settings
        self._networks = Networks(settings.networks)
        self._speeds = speeds
        self._log = log
        self._info = _Sparing(log, "info")
        self._warning = _Sparing(log, "warning")
        self._listeners: Sequence[Listener] = ()
        self._resting: dict[Listener, asyncio.TimerHandle] = {}
        self._clients = self._table()
        self._wan = False
        """Some source has counted a WAN; should it fail later, a display must see 0 instead of the last figures."""
        self._refused = self._ignored = self._failed = 0

    async def run(self, working: Callable[[], None]) -> None:
        settings = self._settings
        self._clients = self._table()
        self._listeners = udp_socket.listen(settings.addresses, settings.port, settings.max_clients, self._log)
        loop = asyncio.get_running_loop()
        broken: asyncio.Future[None] = loop.create_future()
        try:
            for listener in self._listeners:
                self._watch(listener, broken)
            await self._ticks(working, broken)
        finally:
            for listener in self._listeners:
                if (timer := self._resting.pop(listener, None)) is not None:
                    timer.cancel()
                loop.remove_reader(listener.socket)
                listener.close()
            self._listeners = ()
            self._clients = self._table()

    def row(self) -> dict[str, Any]:
        """`server` of docs/monitor.md, without health."""
        # The wall clock may be set at any time, above all on a router without a battery.
        now = time.monotonic()
        zero = time.time() - now
        self._clients.expire(now)
        return {
            "addresses": [listener.address for listener in self._listeners] or list(self._settings.addresses),
            "port": self._settings.port,
            "limit": self._settings.max_clients,
            "refused": self._refused,
            "ignored": self._ignored,
            "failed": self._failed,
            "clients": [
                {
                    "address": _host(client.source),
                    "port": client.source.port,
                    "since": round(zero + client.since, 1),
                    "last": round(zero + client.last, 1),
                    "sent": client.sent,
                }
                for client in self._clients
            ],
        }

    async def serve(self) -> None:
        """One answer to each client whose turn it is."""
        now = time.monotonic()
        answer = self._answer()
        for number, client in enumerate(self._clients.due(now), 1):
            if client.source in self._clients:  # others may have had it forgotten meanwhile
                self._send(client, answer, now)
            if number % CHUNK == 0:
                await asyncio.sleep(0)

    def _table(self) -> Clients:
        settings = self._settings
        return Clients(
            self._networks,
            interval=settings.interval,
            timeout=settings.client_timeout,
            limit=settings.max_clients,
            payloads=wire.sizes(settings.format),
        )

    async def _ticks(self, working: Callable[[], None], broken: asyncio.Future[None]) -> None:
        tick = time.monotonic()
        while True:
            working()
            tick = following(tick, time.monotonic(), self._settings.interval)
            await asyncio.wait({broken}, timeout=tick - time.monotonic())
            if broken.done():
                return broken.result()
            await self.serve()

    def _watch(self, listener: Listener, broken: asyncio.Future[None]) -> None:
        self._resting.pop(listener, None)
        asyncio.get_running_loop().add_reader(listener.socket, self._readable, listener, broken)

    def _readable(self, listener: Listener, broken: asyncio.Future[None]) -> None:
        self._read_errors(listener)
        failures = 0
        for _ in range(BATCH):
            try:
                received = listener.receive()
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error: once each, and datagrams wait behind it
                failures += 1
                if failures == BATCH and not broken.done():
                    broken.set_exception(ServiceError(f"cannot read from {listener.address}: {error.strerror}"))
                continue
            if received is None:
                self._ignored += 1
            else:
                self._received(*received)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.socket)
        self._resting[listener] = loop.call_later(REST, self._watch, listener, broken)

    def _received(self, data: bytes, source: Source, way: Way) -> None:
        now = time.monotonic()
        verdict, client = self._clients.received(data, source, way, now)
        if verdict is Verdict.IGNORED:
            self._ignored += 1
        elif verdict is Verdict.REFUSED:
            self._refused += 1
            self._warning(f"display {_name(source)} was refused: {self._why(source)}")
        elif verdict is Verdict.NEW and client is not None:
            self._info(f"display {_name(source)} has registered")
            self._send(client, self._answer(), now)

    def _why(self, source: Source) -> str:
        if not self._networks.allow(source):
            return "its address is in none of the networks of the option clients"
        return f"there is room for {self._clients.limit} (max_clients), {self._clients.share} of them at one address"

    def _answer(self) -> tuple[bytes, ...]:
        speeds = self._speeds()
        self._wan = self._wan or speeds.wan is not None
        return wire.datagrams(speeds, self._settings.format, self._wan)

    def _send(self, client: Client, answer: tuple[bytes, ...], now: float) -> None:
        if not self._clients.spend(client, map(len, answer), now):
            return
        for datagram in answer:
            error = self._leaves(client, datagram)
            if error is not None:
                self._failed += 1
                if not client.failing:
                    self._info(f"nothing leaves for display {_name(client.source)}: {os.strerror(error)}")
                client.failing = True
                return
            client.failing = False
            client.sent += 1

    def _leaves(self, client: Client, datagram: bytes) -> int | None:
        """Hand it to the kernel. Returns the errno of a failure."""
        listener = self._listeners[client.way.listener]
        try:
            listener.send(datagram, client.source, client.way)
            return None
        except OSError as error:
            if error.errno in _FULL:
                return error.errno
        # It may be what came back for another client: read it, and what comes now is about this one.
        self._read_errors(listener)
        if client.source not in self._clients:
            return errno.ECONNREFUSED
        try:
            listener.send(datagram, client.source, client.way)
            return None
        except OSError as error:
            return error.errno

    def _read_errors(self, listener: Listener) -> None:
        for source, unwanted in listener.errors(BATCH):
            if unwanted and self._clients.forget(source) is not None:
                self._info(f"display {_name(source)} is gone: nobody listens there any more")


class _Sparing:
    """A log that says only so much at a time, and how much it did not say."""

    def __init__(self, log: Log, level: str) -> None:
        self._log = log
        self._level = level
        self._began = -PERIOD
        self._lines = 0

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if now - self._began >= PERIOD:
            if self._lines > LINES:
                self._log(self._level, f"{self._lines - LINES} more lines on displays were left out")
            self._began, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES:
            self._log(self._level, line)


def following(tick: float, now: float, interval: float) -> float:
    """The tick after `tick`, or the first one after `now` where some were slept through: they are not made up for."""
    return tick + interval * (1 + max(0, int((now - tick) / interval)))


def _host(source: Source) -> str:
    """Its address, with the device where it means nothing without."""
    if not source.scope:
        return source.address
    try:
        return f"{source.address}%{socket.if_indextoname(source.scope)}"
    except OSError:  # the device is gone
        return f"{source.address}%{source.scope}"


def _name(source: Source) -> str:
    host = _host(source)
    return f"[{host}]:{source.port}" if ":" in host else f"{host}:{source.port}"
