# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with two uplinks to one provider, in two network namespaces, for the tests of `netpath.probe`.

router: wan1 192.0.2.2/24 2001:db8:1::2/64 -- provider: isp1 192.0.2.1 2001:db8:1::1 fe80::1
        wan2 198.51.100.2/24 2001:db8:2::2/64 --        isp2 198.51.100.1 2001:db8:2::1
Behind the provider: 203.0.113.1 and 2001:db8:99::1; it refuses 203.0.113.66 and 2001:db8:99::66 (host unreachable).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyroute2 import netns  # type: ignore[import-untyped]

from netpath.model import Uplink
from netpath.probe.base import Context
from tests.tracking import tracking

MARK = 0x3F00

FAR = "203.0.113.1"
FAR6 = "2001:db8:99::1"
REFUSED = "203.0.113.66"
REFUSED6 = "2001:db8:99::66"

WAN1 = Uplink("wan1", 1, "ipv4", "wan1", "192.0.2.1", ("192.0.2.2/24",), True, ("192.0.2.0/24",))
WAN2 = Uplink("wan2", 2, "ipv4", "wan2", "198.51.100.1", ("198.51.100.2/24",), False, ("198.51.100.0/24",))
WAN1_6 = Uplink("wan1v6", 3, "ipv6", "wan1", "fe80::1", ("2001:db8:1::2/64",), True, ("2001:db8:1::/64",))

FAST = tracking(targets=(FAR,), interval=0.1, failure_interval=0.1, recovery_interval=0.1, up=2)


def run(command: str, stdin: str | None = None) -> str:
    """A command without quoting; fails with what it said."""
    done = subprocess.run(command.split(), input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass
class Outcome:
    """What a prober reported, in order, and a way to wait for it."""

    loop: asyncio.AbstractEventLoop
    replies: list[int] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, token: int) -> None:
        self.replies.append(token)
        self.changed.set()

    def failure(self, token: int, reason: str) -> None:
        self.failures[token] = reason
        self.changed.set()

    def wait(self, *tokens: int, limit: float = 10.0) -> None:
        """Until each of `tokens` was answered or failed."""

        async def all_done() -> None:
            while not set(tokens) <= {*self.replies, *self.failures}:
                self.changed.clear()
                await self.changed.wait()

        self.loop.run_until_complete(asyncio.wait_for(all_done(), limit))


class ProbeLab:
    """The two namespaces; this thread is inside the router."""

    def __init__(self, router: str, provider: str) -> None:
        self.router = router
        self.provider = provider
        self.loop = asyncio.new_event_loop()
        self._children: list[subprocess.Popen[str]] = []

    def context(self, uplink: Uplink = WAN1) -> tuple[Context, Outcome]:
        outcome = Outcome(self.loop)
        return Context(self.loop, uplink, MARK, outcome.reply, outcome.failure), outcome

    def at_provider(self, command: str, stdin: str | None = None) -> str:
        return run(f"ip netns exec {self.provider} {command}", stdin)

    def at_router(self, command: str, stdin: str | None = None) -> str:
        return run(f"ip netns exec {self.router} {command}", stdin)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A server at the provider; it must print a line when it is ready."""
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.provider, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline(), f"{command} did not start"
        return child

    def python(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-u", "-c", program, *arguments)

    def drop(self, what: str) -> None:
        """The provider drops what matches, as silently as a real one: `ip saddr 192.0.2.2`."""
        rule = f"flush table inet cut\nadd rule inet cut pre {what} drop"
        self.at_provider("nft -f -", f"add table inet cut\n{_CHAIN}\n{rule}")

    def heal(self) -> None:
        self.at_provider("nft -f -", "add table inet cut\nflush table inet cut")

    def wire(self, number: int, prefix: str, prefix6: str) -> None:
        """Connect uplink `number` (again)."""
        _wire(self.router, self.provider, number, prefix, prefix6)

    def stop(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        self.loop.close()


class Counter:
    """An nft counter; its table goes with the `with` block."""

    def __init__(self, namespace: str, hook: str, rule: str) -> None:
        self._nft = f"ip netns exec {namespace} nft"
        self._hook, self._rule = hook, rule

    def __enter__(self) -> Counter:
        chain = f"add chain inet seen c {{ type filter hook {self._hook} priority 300; }}"
        run(f"{self._nft} -f -", f"add table inet seen\n{chain}\nadd rule inet seen c {self._rule} counter\n")
        return self

    def __exit__(self, *_: object) -> None:
        run(f"{self._nft} delete table inet seen")

    @property
    def packets(self) -> int:
        words = run(f"{self._nft} list table inet seen").split()
        return int(words[words.index("packets") + 1])


_CHAIN = "add chain inet cut pre { type filter hook prerouting priority -300; }"


def _wire(router: str, provider: str, number: int, prefix: str, prefix6: str) -> None:
    wan, isp = f"wan{number}", f"isp{number}"
    run(f"ip -n {router} link add {wan} type veth peer name {isp} netns {provider}")
    for namespace, device, host in ((router, wan, 2), (provider, isp, 1)):
        run(f"ip -n {namespace} link set {device} addrgenmode none")
        run(f"ip -n {namespace} addr add {prefix}.{host}/24 dev {device}")
        run(f"ip -n {namespace} addr add {prefix6}::{host}/64 dev {device} nodad")
        run(f"ip -n {namespace} addr add fe80::{host}/64 dev {device} nodad")
        run(f"ip -n {namespace} link set {device} up")
    table = 1000 + number
    run(f"ip -n {router} route add default via {prefix}.1 dev {wan} table {table}")
    run(f"ip -n {router} -6 route add default via fe80::1 dev {wan} table {table}")
    for family in ("-4", "-6"):
        if f"oif {wan} " not in run(f"ip -n {router} {family} rule"):
            run(f"ip -n {router} {family} rule add oif {wan} lookup {table}")


_numbers = itertools.count()


@contextlib.contextmanager
def probe_lab() -> Iterator[ProbeLab]:
    """Make the namespaces, enter the router, and undo everything."""
    unique = f"{os.getpid()}-{next(_numbers)}"
    router, provider = f"npprobe-r{unique}", f"npprobe-p{unique}"
    lab = None
    try:
        for namespace in (router, provider):
            run(f"ip netns add {namespace}")
            run(f"ip -n {namespace} link set lo up")
        _wire(router, provider, 1, "192.0.2", "2001:db8:1")
        _wire(router, provider, 2, "198.51.100", "2001:db8:2")
        run(f"ip -n {router} route add default via 192.0.2.1")
        run(f"ip -n {router} -6 route add default via fe80::1 dev wan1")
        run(f"ip -n {provider} addr add {FAR}/32 dev lo")
        run(f"ip -n {provider} -6 addr add {FAR6}/128 dev lo")
        for knob in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            run(f"ip netns exec {provider} sysctl -qw {knob}=1")
        run(f"ip -n {provider} route add unreachable {REFUSED}")
        run(f"ip -n {provider} -6 route add unreachable {REFUSED6}")
        netns.pushns(router)
        try:
            lab = ProbeLab(router, provider)
            yield lab
        finally:
            if lab is not None:
                lab.stop()
            netns.popns()
    finally:
        for namespace in (router, provider):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
