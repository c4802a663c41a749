# SPDX-License-Identifier: GPL-2.0-or-later
"""A tracker that is made up, and what stands for the monitor around the publisher."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from netpath.monitor.mqtt import Publisher
from netpath.monitor.mqtt.names import level
from netpath.monitor.readings import ServiceError
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Broker
from tests.lines import Lines

BASE = f"netpath/{level(os.uname().nodename)}"
PATIENCE = 15.0


def settings(port: int, **changes: Any) -> Broker:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "username": "",
        "password": "",
        "tls": False,
        "ca": "",
        "verify": True,
        "topic": "netpath",
        "discovery": "homeassistant",
        "interval": 3600.0,
    }
    return Broker(**{**values, **changes})


def interface(name: str, status: str = "online") -> dict[str, Any]:
    """A row of `status`, as far as it is published."""
    return {
        "status": status,
        "family": "ipv4",
        "device": name,
        "gateway": "198.51.100.1",
        "reason": "just started",
        "since": 1795275887.681,
        "latency": 9.752,
        "jitter": None,
        "packetloss": 0.0,
    }


def member(name: str, share: int, quota: dict[str, Any] | None = None) -> dict[str, Any]:
    """A row of `policies`."""
    return {
        "name": f"{name}_m1",
        "interface": name,
        "ipv4": share,
        "open": True,
        "reason": "",
        "until": None,
        "window": None,
        "quota": quota,
    }


def own(sources: int = 1) -> dict[str, Any]:
    """The monitor's own reply, as far as it is published."""
    speeds = {"direct_up": 1, "direct_down": 2, "proxy_up": 3, "proxy_down": 4, "wan_up": None, "wan_down": None}
    row = {"name": "clash", "type": "clash", "status": "healthy", "uptime": 99.5, "reason": None, "connections": 7}
    return {"speeds": speeds, "sources": [row] * sources}


class FakeTracker:
    """A stand-in for the tracker: its socket and the requests of docs/socket.md that the publisher makes."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.interfaces = {name: interface(name) for name in ("wan", "wan2")}
        quota = {"used": 250, "limit": 1000, "resets": None, "since": 1795275887.0}
        self.policies: list[dict[str, Any]] = [
            {
                "name": "balanced",
                "mode": "balanced",
                "last_resort": "unreachable",
                "members": [member("wan", 60), member("wan2", 40, quota)],
                "active": {"ipv4": ["wan", "wan2"]},
            }
        ]
        self.problem: str | None = None
        self.events: list[dict[str, Any]] = []
        self._followers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            self.socket.unlink()
            self._server = None

    def happens(self, name: str, to: str) -> None:
        """An interface goes into another state."""
        before, self.interfaces[name]["status"] = self.interfaces[name]["status"], to
        event = {"seq": len(self.events) + 1, "time": 1795275890.0, "kind": "interface", "interface": name}
        event |= {"from": before, "to": to, "reason": "a test said so"}
        self.events.append(event)
        for writer in self._followers:
            writer.write(json.dumps(event).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                writer.write(json.dumps(self._answer(request)).encode() + b"\n")
                if request.get("follow"):
                    self._followers.append(writer)
        finally:
            self._writers.discard(writer)
            if writer in self._followers:
                self._followers.remove(writer)
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["cmd"] == "status":
            assert request["section"] == "interfaces"
            return {"interfaces": self.interfaces, **({"problem": self.problem} if self.problem else {})}
        if request["cmd"] == "metrics":
            row = {"rx_rate": 1234.5, "tx_rate": 10.0, "rx_bytes": 5, "tx_bytes": 6, "connections": 3}
            return {"interfaces": dict.fromkeys(self.interfaces, row), "time": 0.0}
        if request["cmd"] == "policies":
            return {"families": ["ipv4"], "policies": self.policies, "total": len(self.policies)}
        assert request["cmd"] == "events"
        after = request.get("after") or 0
        return {"events": [e for e in self.events if e["seq"] > after], "newest": len(self.events)}


class Service:
    """The publisher as the monitor runs it: again and again; what became of it."""

    def __init__(self, publisher: Publisher, log: Lines) -> None:
        self.publisher = publisher
        self.failures: list[str] = []
        self.worked = 0
        self.log = log
        self._task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        while True:
            try:
                await self.publisher.run(self._working)
            except ServiceError as error:
                self.failures.append(str(error))
                await asyncio.sleep(0.05)

    def _working(self) -> None:
        self.worked += 1

    async def failure(self) -> str:
        """The reason of the first failure."""
        await until(lambda: self.failures)
        return self.failures[0]

    def begin(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """As at the monitor's end; a fault of the publisher shows here."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@contextlib.asynccontextmanager
async def tracker(tmp_path: Path) -> AsyncIterator[FakeTracker]:
    fake = FakeTracker(tmp_path / "netpath.sock")
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()


@contextlib.asynccontextmanager
async def publishing(socket: Path, broker: Broker) -> AsyncIterator[Service]:
    log = Lines()
    service = Service(Publisher(broker, Tracker(socket), own, log), log)
    service.begin()
    try:
        yield service
    finally:
        await service.stop()


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
