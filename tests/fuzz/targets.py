# SPDX-License-Identifier: GPL-2.0-or-later
"""All targets by name. A target gets any bytes, and raises only for what must not be: an exception that is not the
documented one, more output than allowed, a value out of its range. It keeps nothing from one input to the next."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

Target = Callable[[bytes], None]

CORPUS = Path(__file__).with_name("corpus")
TARGETS = {
    "uci": "configuration.uci",
    "toml": "configuration.toml",
    "load_uci": "configuration.load_uci",
    "load_toml": "configuration.load_toml",
    "mwan3": "configuration.mwan3",
    "bond_config": "configuration.bond_seed",
    "dotenv": "configuration.env",
    "values": "configuration.values",
    "socket": "requests.tracker_socket",
    "rpcd": "requests.rpcd",
    "bond_socket": "requests.bond_socket",
    "cli": "requests.cli_replies",
    "udp": "peers.udp_monitor",
    "clash": "peers.clash",
    "websocket": "peers.web_socket",
    "http": "peers.http_answer",
    "ubus": "peers.ubus",
    "metrics": "peers.metrics_http",
    "icmp": "probes.icmp",
    "dns": "probes.dns",
    "http_probe": "probes.http_reply",
    "neighbours": "probes.neighbours",
    "netlink": "netlink.messages",
    "bond_strangers": "bonding.strangers",
    "bond_handshakes": "bonding.handshakes",
    "bond_plaintexts": "bonding.plaintexts",
    "bond_repairs": "bonding.repairs",
    "bond_slices": "bonding.slices",
    "bond_packets": "bonding.packets",
}
"""Name -> module here and function in it: imported only when wanted, as atheris takes its time for each module."""


def target(name: str) -> Target:
    module, _, function = TARGETS[name].partition(".")
    found: Target = getattr(import_module(f"tests.fuzz.{module}"), function)
    return found


def seeds(name: str) -> list[Path]:
    """The corpus of a target: one that is usual, some at its edges, and what was found once."""
    return sorted((CORPUS / name).iterdir())
