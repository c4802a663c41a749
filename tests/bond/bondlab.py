# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with two uplinks, one of them behind a NAT, a server, and a second client; real packets.

home --w0-- far          192.0.2.0/29, 2001:db8:1::/64
home --w1-- nat --x1-- far   198.51.100.0/24 (masqueraded to 203.0.113.2), 2001:db8:2::/64
other --w2-- far         192.0.2.8/29
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from netpath.bond.noise import public_bytes
from netpath.bonding import BondClient, BondMode, BondPeer, BondServer, Correction, Fec, LinkSpec, Transport
from tests.kernel.nsbox import Box

ROOT = Path(__file__).parents[2]
KEYS = {name: hashlib.sha256(name.encode()).digest() for name in ("home", "other", "far", "stranger")}
PUBLIC = {name: public_bytes(X25519PrivateKey.from_private_bytes(key)) for name, key in KEYS.items()}
PSK = bytes(range(32))
PORT, PORTS = 9001, 3
INNER = "10.99.0.1"
INNER6 = "2001:db8:99::1"
PLAIN = Transport(BondMode.AGGREGATE, 2, 0.7, 0.3, Correction(Fec.OFF, 10, 3), False, ())


def server_settings(**changes: Any) -> BondServer:
    clients = (
        BondPeer("home", PUBLIC["home"], PSK, ("10.99.0.2/24", "2001:db8:99::2/64"), ("10.77.0.0/24",), 8, None),
        BondPeer("other", PUBLIC["other"], None, ("10.99.0.3/24",), (), 8, None),
    )
    return replace(
        BondServer(
            name="far",
            device="bond0",
            addresses=(),
            port=PORT,
            ports=PORTS,
            private_key=KEYS["far"],
            inner=(f"{INNER}/24", f"{INNER6}/64"),
            masquerade=False,
            forward=True,
            table="netpath_bond",
            clients=clients,
            max_clients=10,
            mtu=None,
            heartbeat=0.1,
            transport=PLAIN,
        ),
        **changes,
    )


def client_settings(name: str = "home", **changes: Any) -> BondClient:
    links: tuple[LinkSpec, ...] = (LinkSpec("one", "w0", None, 2, None), LinkSpec("two", "w1", None, 1, None))
    if name == "other":
        links = (LinkSpec("only", "w2", None, 1, None),)
    return replace(
        BondClient(
            name=name,
            device="bond1",
            servers=(("192.0.2.9" if name == "other" else "192.0.2.1", PORT),),
            ports=PORTS,
            private_key=KEYS[name],
            server_key=PUBLIC["far"],
            preshared_key=PSK if name == "home" else None,
            automatic=False,
            links=links,
            streams=1,
            addresses=(),
            mtu=None,
            heartbeat=0.1,
            transport=PLAIN,
        ),
        **changes,
    )


_count = itertools.count()


class Running:
    """A process of the bond."""

    def __init__(self, box: Box, name: str, directory: Path, settings: Any, options: dict[str, Any]) -> None:
        self.box = box
        self.file = directory / f"{name}.settings"
        self.control = self.file.with_suffix(".sock")
        self.output = directory / f"{name}-{next(_count)}.log"
        self.change(settings, options)
        with self.output.open("wb") as output:
            self.popen = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{box.name}", sys.executable, "-m", "tests.bond.run", str(self.file)],
                stderr=output,
                cwd=ROOT,
            )

    def change(self, settings: Any, options: dict[str, Any] | None = None) -> None:
        self.file.write_bytes(pickle.dumps((settings, options or {})))

    def status(self) -> dict[str, Any]:
        return self.ask({"cmd": "bond"})

    def ask(self, request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(self.control))
            sock.sendall(json.dumps(request).encode() + b"\n")
            reply: dict[str, Any] = json.loads(sock.makefile().readline())
            return reply

    def wait(self, found: Callable[[dict[str, Any]], object], what: str, timeout: float = 15.0) -> dict[str, Any]:
        """The first status for which `found` is true."""
        end = time.monotonic() + timeout
        status: dict[str, Any] = {}
        while time.monotonic() < end:
            assert self.popen.poll() is None, self.log()
            try:
                status = self.status()
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)
                continue
            if found(status):
                return status
            time.sleep(0.02)
        raise AssertionError(f"in vain: {what}\n{json.dumps(status, indent=1)}\n{self.log()}")

    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def memory(self) -> int:
        """Bytes resident."""
        pages = Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


class World:
    """`with World() as world:` makes the networks and removes them with all that runs in them."""

    def __enter__(self) -> World:
        self._stack = ExitStack()
        self.directory = Path(tempfile.mkdtemp(prefix="netpath-bond-"))
        self._stack.callback(shutil.rmtree, self.directory)
        try:
            self.home, self.nat, self.far, self.other = (
                self._stack.enter_context(Box(role)) for role in ("home", "nat", "far", "other")
            )
            self._wire()
        except BaseException:
            self._stack.close()
            raise
        self._processes: list[Running] = []
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._stack.close()

    def _wire(self) -> None:
        home, nat, far, other = self.home, self.nat, self.far, self.other
        home.wire("w0", far, "w0")
        home.wire("w1", nat, "w1")
        nat.wire("x1", far, "x1")
        other.wire("w2", far, "w2")
        # Its addresses stay when an uplink's wire goes.
        far.up("lo", "192.0.2.1/32", "2001:db8:1::1/128")
        far.up("w0", "192.0.2.1/29", "2001:db8:1::1/64")
        far.up("x1", "203.0.113.1/24", "2001:db8:3::1/64")
        far.up("w2", "192.0.2.9/29")
        nat.up("w1", "198.51.100.1/24", "2001:db8:2::1/64")
        nat.up("x1", "203.0.113.2/24", "2001:db8:3::2/64")
        other.up("w2", "192.0.2.10/29")
        nat.ip("route", "add", "default", "via", "203.0.113.1")
        nat.ip("-6", "route", "add", "default", "via", "2001:db8:3::1")
        far.ip("-6", "route", "add", "2001:db8:2::/64", "via", "2001:db8:3::2")
        nat.nft(
            'table ip nat { chain post { type nat hook postrouting priority 100; oifname "x1" masquerade random\n}\n}\n'
        )
        home.up("w0", "192.0.2.2/29", "2001:db8:1::2/64")
        self.home.up("w1", "198.51.100.2/24", "2001:db8:2::2/64")
        self.home.ip("route", "replace", "default", "via", "198.51.100.1", "dev", "w1", "metric", "20")
        self.home.ip("-6", "route", "replace", "default", "via", "2001:db8:2::1", "dev", "w1", "metric", "20")

    def start(self, box: Box, name: str, settings: Any, **options: Any) -> Running:
        running = Running(box, name, self.directory, settings, options)
        self._processes.append(running)
        return running

    def server(self, **changes: Any) -> Running:
        running = self.start(self.far, "far", server_settings(**changes))
        running.wait(lambda status: status["running"], "the server to answer")
        return running

    def client(self, name: str = "home", **changes: Any) -> Running:
        return self.start(self.home if name == "home" else self.other, name, client_settings(name, **changes))

    def stop(self) -> None:
        """End all processes."""
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()

    @property
    def running(self) -> tuple[Running, Running]:
        """Client and server of `both`."""
        server, client = self._processes
        return client, server

    def both(
        self, *, paths: int = 3, server_alone: dict[str, Any] | None = None, **changes: Any
    ) -> tuple[Running, Running]:
        """Server and home's client, connected by all paths. `changes`: of both ends' settings."""
        server = self.server(**changes, **(server_alone or {}))
        client = self.client(**changes)
        client.wait(up(paths), f"{paths} paths")
        server.wait(lambda s: up(paths)({**s, "peers": s["peers"][:1]}), f"{paths} paths")
        return server, client

    def cut(self, device: str) -> None:
        """Silently, in both directions."""
        for box in (self.home, self.far):
            box.nft(
                f"table inet cut_{device} {{ chain i {{ type filter hook input priority -300; "
                f'iifname "{device}" drop\n}}\n}}\n'
            )

    def mend(self, device: str) -> None:
        for box in (self.home, self.far):
            box.nft(f"delete table inet cut_{device}")

    def ping(self, target: str = INNER, *, count: int = 3, box: Box | None = None) -> str:
        return (box or self.home).run("ping", "-c", str(count), "-i", "0.1", "-W", "2", target)


def up(paths: int) -> Callable[[dict[str, Any]], bool]:
    """Whether the first peer has so many paths, and they carry data."""

    def found(status: dict[str, Any]) -> bool:
        peer = status["peers"][0]
        return bool(peer["state"] == "up") and sum(path["state"] == "up" for path in peer["paths"]) == paths

    return found


class Transfer:
    """`size` random bytes by one TCP connection from home to a listener at `target`; hashes are compared."""

    def __init__(self, world: World, size: int, target: str = INNER, listening: Box | None = None) -> None:
        self.size = size
        self.received = 0
        self.error: BaseException | None = None
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with (listening or world.far).inside():
            self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((target, 0))
        self._listener.listen(1)
        with world.home.inside():
            self._sender = socket.socket(family, socket.SOCK_STREAM)
        self._sender.settimeout(30)
        self._listener.settimeout(30)
        self._hashes: list[str] = []
        self._threads = [threading.Thread(target=self._guard, args=(part,)) for part in (self._receive, self._send)]
        for thread in self._threads:
            thread.start()

    def until(self, part: float) -> None:
        """Wait until so much of it has arrived."""
        end = time.monotonic() + 30
        while self.received < part * self.size:
            assert self.error is None, repr(self.error)
            assert time.monotonic() < end, f"{self.received} of {self.size} bytes came"
            time.sleep(0.005)

    def finish(self) -> None:
        """All has arrived as it was sent."""
        for thread in self._threads:
            thread.join(60)
        assert self.error is None, repr(self.error)
        assert self.received == self.size
        assert len(set(self._hashes)) == 1 and len(self._hashes) == 2

    def _guard(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001 - it is told in the test's own thread
            self.error = error

    def _send(self) -> None:
        digest, block = hashlib.sha256(), os.urandom(65536)
        with self._sender as sock:
            sock.connect(self._listener.getsockname()[:2])
            sent = 0
            while sent < self.size:
                part = block[: self.size - sent]
                sock.sendall(part)
                digest.update(part)
                sent += len(part)
        self._hashes.append(digest.hexdigest())

    def _receive(self) -> None:
        digest = hashlib.sha256()
        sock, _ = self._listener.accept()
        with sock, self._listener:
            sock.settimeout(30)
            while part := sock.recv(1 << 18):
                digest.update(part)
                self.received += len(part)
        self._hashes.append(digest.hexdigest())
