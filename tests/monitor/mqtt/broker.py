# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's mosquitto on a free port, and somebody who reads there."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

PATIENCE = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """The broker; it may be stopped and started again. Without persistence: it forgets everything then."""

    def __init__(
        self, directory: Path, lines: Sequence[str] = (), *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if self.program is None:
            pytest.skip("mosquitto is not installed")
        self.address, self.port = address, port or free_port()
        self.config = directory / "mosquitto.conf"
        first = [f"listener {self.port} {address}", "user root", "persistence false", "connection_messages true"]
        self.config.write_text("\n".join([*first, *(lines or ["allow_anonymous true"]), ""]))
        self._ports = [self.port, *(int(line.split()[1]) for line in lines if line.startswith("listener "))]
        self.log = directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self.program is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([self.program, "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        waiting = list(self._ports)
        while True:
            with contextlib.suppress(OSError):
                while waiting:
                    socket.create_connection((self.address, waiting[-1]), 1).close()
                    waiting.pop()
                return
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Reader:
    """A client that reads everything, in a thread of its own."""

    def __init__(self, port: int, address: str = "127.0.0.1", **login: Any) -> None:
        self.retained: dict[str, str] = {}
        """Topics that somebody who comes now would get."""
        self.all: list[tuple[str, str, bool]] = []
        """Everything in its order: topic, payload, whether it was there before."""
        self._changed = threading.Condition()
        version = [paho.CallbackAPIVersion.VERSION2] if hasattr(paho, "CallbackAPIVersion") else []
        arguments: Any = version
        self.client = paho.Client(*arguments)
        if login:
            self.client.username_pw_set(**login)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_message = self._message
        self._subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect(address, port)
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE)

    def _message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            payload = message.payload.decode()
            self.all.append((message.topic, payload, bool(message.retain)))
            self.retained[message.topic] = payload
            if not payload:
                del self.retained[message.topic]
            self._changed.notify_all()

    def wait(self, condition: Callable[[], Any], what: str = "it") -> None:
        """Until it holds."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"{what} did not come; there is {sorted(self.retained)}"

    def payloads(self, topic: str) -> list[str]:
        return [payload for there, payload, _ in self.all if there == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextlib.contextmanager
def reading(port: int, address: str = "127.0.0.1", **login: Any) -> Iterator[Reader]:
    reader = Reader(port, address, **login)
    try:
        yield reader
    finally:
        reader.close()


def still_there(port: int) -> dict[str, str]:
    """What is retained, as a client sees it that comes now."""
    with reading(port) as reader:
        reader.client.publish("test/end", "x", qos=1)
        reader.wait(lambda: "test/end" in reader.retained)
        return {topic: payload for topic, payload, before in reader.all if before}
