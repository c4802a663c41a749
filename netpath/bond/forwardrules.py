# SPDX-License-Identifier: GPL-2.0-or-later
"""nft text of the bond's own table, loaded in one transaction, over whatever stands. Pure.

What a server lets through, with `forward`: from clients to anywhere but other clients; to clients what answers, what
the owner forwards to them (dnat), and what goes to networks that were declared to be behind one. Input is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from netpath.bonding import BondServer
from netpath.steering.names import device

MARKER = "netpath_bond"
"""An empty chain: the table is one of ours."""
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TCP_HEADERS = {"ipv4": 40, "ipv6": 60}


def server(settings: BondServer, mtu: int) -> str:
    """The whole table of a server whose device has this MTU. Raises ValueError for an impossible name."""
    ours = device(settings.device)
    clients = _open(settings) if settings.forward else _closed()
    masquerade = settings.forward and settings.masquerade
    return _table(
        settings.table,
        [
            *_chain(
                "forward",
                "type filter hook forward priority filter; policy accept;",
                [f"iifname != {ours} oifname != {ours} accept", *_clamp(), *_guard(ours), "goto clients"],
            ),
            *_chain("clients", None, [line.replace("DEVICE", ours) for line in clients]),
            *_chain("mss", None, _sizes(mtu)),
            *_chain(
                "postrouting",
                "type nat hook postrouting priority srcnat; policy accept;",
                [f"iifname {ours} oifname != {ours} masquerade"] if masquerade else [],
            ),
        ],
    )


def client(table: str, name: str, mtu: int) -> str:
    """The table of a client that masquerades what leaves by the bond's device `name`. Raises ValueError.

    The server drops what has another source than the client's inner addresses and networks.
    """
    ours = device(name)
    return _table(
        table,
        [
            *_chain(
                "forward",
                "type filter hook forward priority filter; policy accept;",
                [f"iifname != {ours} oifname != {ours} accept", *_clamp()],
            ),
            *_chain("mss", None, _sizes(mtu)),
            *_chain(
                "postrouting",
                "type nat hook postrouting priority srcnat; policy accept;",
                [f"oifname {ours} masquerade"],
            ),
        ],
    )


def checked(table: str) -> str:
    """`table` itself. Raises ValueError when it is no name for one."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"table {table!r}: letters, digits, - and _ only, a letter first, at most 64")
    return table


def _table(name: str, lines: Iterable[str]) -> str:
    """Made anew: what another version left may have chains of other kinds under the same names."""
    table = f"table inet {checked(name)}"
    body = [*_chain(MARKER, None, []), *lines]
    return "\n".join([f"add {table}", f"delete {table}", f"{table} {{", *(f"\t{line}" for line in body), "}", ""])


def _chain(name: str, hook: str | None, rules: Iterable[str]) -> list[str]:
    return [f"chain {name} {{", *([f"\t{hook}"] if hook else []), *(f"\t{rule}" for rule in rules), "}"]


def _clamp() -> list[str]:
    """TCP asks for packets that pass, as many networks drop the messages by which it would find out."""
    return ["tcp flags & (syn | rst) == syn jump mss"]


def _sizes(mtu: int) -> list[str]:
    """The kernel only ever makes the option's value smaller."""
    return [f"meta nfproto {f} tcp option maxseg size set {mtu - size}" for f, size in _TCP_HEADERS.items()]


def _guard(ours: str) -> list[str]:
    """Link-local addresses stay on their link (RFC 3927, 7): on a cloud's server that is where its secrets are."""
    return [f"iifname {ours} ip daddr 169.254.0.0/16 drop"]


def _open(settings: BondServer) -> list[str]:
    return [
        "ct state established,related accept",
        "oifname != DEVICE accept",
        "ct status dnat accept",
        *_declared(settings),
        *_closed(),
    ]


def _closed() -> list[str]:
    return ["iifname DEVICE reject with icmpx type admin-prohibited", "drop"]


def _declared(settings: BondServer) -> list[str]:
    networks = [ip_network(n, strict=False) for client in settings.clients for n in client.networks]
    lines = []
    if v4 := list(collapse_addresses(n for n in networks if isinstance(n, IPv4Network))):
        lines.append(f"ip daddr {{ {', '.join(map(str, v4))} }} accept")
    if v6 := list(collapse_addresses(n for n in networks if isinstance(n, IPv6Network))):
        lines.append(f"ip6 daddr {{ {', '.join(map(str, v6))} }} accept")
    return lines
