# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake of `netpath bond`: no tunnel behind it, only a socket that speaks docs/bond.md as a test tells it to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.luci.line_server import LineServer

KEYS = {
    "own": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    "peer": "zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=",
}


def path(number: int, link: str | None, **more: Any) -> dict[str, Any]:
    """A path that works, `more` over it."""
    return {
        "number": number, "link": link, "device": f"eth{number + 1}", "address": f"192.0.2.{7 + number}:9001",
        "state": "up", "since": time.time() - 3700, "rtt": 21.4, "variance": 1.25, "loss_out": 0.0, "loss_in": 0.4,
        "rate": 12_500_000, "capacity": 11_800_000, "tx_rate": 250_000, "rx_rate": 5_000_000, "share": 50.0,
        "mtu": 1452, "queue": 3.2, **more,
    }  # fmt: skip


def down(**more: Any) -> dict[str, Any]:
    """What `path` takes of one that fails."""
    return {"state": "down", "since": time.time() - 12, "rtt": None, "loss_out": 100.0, "loss_in": 100.0, "rate": 0,
            "tx_rate": 0, "rx_rate": 0, "share": 0.0, **more}  # fmt: skip


def peer(name: str, paths: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "name": name, "public_key": KEYS["peer"], "state": "up", "since": time.time() - 3600, "problem": None,
        "cipher": "aes-256-gcm", "addresses": ["192.0.2.130/24", "2001:db8:7::2/64"], "rx_bytes": 5_100_000_000,
        "tx_bytes": 310_000_000, "rx_packets": 3_900_000, "tx_packets": 1_200_000, "dropped": 0, "given_up": 3,
        "recovered": 812, "repairs_sent": 4321, "sent_again": 17, "headless": 21, "faulty": 5, "paths": paths,
        **more,
    }  # fmt: skip


class FakeBond(LineServer):
    """Listens at `socket` from `with` to its end. Tests change `reply` and `raw`."""

    def __init__(self, directory: Path, name: str = "home") -> None:
        self.name = name
        self.socket = directory / f"netpath-bond-{name}.sock"
        self.reply: dict[str, Any] = {}
        self.raw: bytes | None = None
        """Instead of any reply, when it is not None."""
        self.asked = 0
        self.whole()

    def whole(self) -> None:
        """A client with two links that work."""
        self.raw = None
        self.reply = {
            "running": True, "role": "client", "name": self.name, "device": "bond0", "since": time.time() - 7500,
            "problem": None, "public_key": KEYS["own"], "mtu": 1420, "mode": "aggregate",
            "fec": {"mode": "adaptive", "group": 10, "repairs": 3}, "port": None,
            "unknown": 0, "refused": 0, "rejected": 0, "strangers": 0,
            "peers": [peer("vps.example.com", [path(0, "fibre"), path(1, "cable", rtt=35.0)])],
        }  # fmt: skip

    def paths(self, *rows: dict[str, Any]) -> None:
        """Of the first peer."""
        self.reply["peers"][0]["paths"] = list(rows)

    def answer(self, _request: dict[str, Any]) -> bytes:
        """One line."""
        self.asked += 1
        return json.dumps(self.reply).encode() + b"\n" if self.raw is None else self.raw
