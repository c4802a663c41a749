# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of `netpath.kernel` build and look at their namespace with, none of it our own code."""

from __future__ import annotations

import asyncio
import ctypes
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

CLONE_NEWNET = 0x40000000
PATIENCE = 10.0
"""Seconds until an awaited event counts as missing."""
T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


class World:
    """The namespace that the test is in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *argv: str, stdin: str = "") -> str:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{argv}: {done.stderr[:500]}"
        return done.stdout

    def ip(self, commands: str) -> None:
        """`ip -batch`, one command a line; those that start with -6 run after the others."""
        lines = commands.splitlines()
        self._batch("-4", [line for line in lines if not line.startswith("-6 ")])
        self._batch("-6", [line.removeprefix("-6 ") for line in lines if line.startswith("-6 ")])

    def _batch(self, family: str, lines: list[str]) -> None:
        if lines:
            self.run("ip", family, "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    def ip_json(self, *arguments: str) -> Any:
        return json.loads(self.run("ip", "-j", *arguments) or "[]")

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", stdin=text)

    def nft_json(self, *arguments: str) -> list[dict[str, Any]]:
        listing: list[dict[str, Any]] = json.loads(self.run("nft", "-j", *arguments))["nftables"]
        return listing

    def sysctl(self, path: str, value: object) -> None:
        Path("/proc/sys/net", path).write_text(f"{value}\n", encoding="ascii")

    def uplinks(self, count: int, *, ipv6: bool = True) -> None:
        """Devices wan1, wan2 ... with a /30 of 198.51.100.0/24 and 2001:db8:N::/64 each; farN is the other end."""
        lines = []
        for n in range(1, count + 1):
            lines += [
                f"link add wan{n} type veth peer name far{n}",
                f"link set far{n} up",
                f"link set wan{n} up",
                f"address add 198.51.100.{4 * n - 3}/30 dev wan{n}",
            ]
            lines += [f"-6 address add 2001:db8:{n}::2/64 dev wan{n} nodad"] * ipv6
        self.ip("\n".join(lines) + "\n")


def enter(handle: int) -> None:
    if _libc.setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


async def eventually(queue: asyncio.Queue[T], wanted: Callable[[T], bool]) -> T:
    """The first event for which `wanted` holds; fails when none comes."""
    async with asyncio.timeout(PATIENCE):
        while True:
            event = await queue.get()
            if wanted(event):
                return event
