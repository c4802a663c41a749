# SPDX-License-Identifier: GPL-2.0-or-later
"""How `netpath bond status` shows the reply of docs/bond.md."""

from __future__ import annotations

import time
from collections.abc import Iterator

from netpath.cli.client import Reply
from netpath.cli.text import (
    Style,
    clock,
    count,
    mapping,
    milliseconds,
    number,
    percent,
    rate,
    rows,
    show,
    size,
    words,
)
from netpath.cli.text import table as aligned

_STATE = 4
"""Column of the state."""
_HEAD = (">  path", "link", "device", "address", "state", ">RTT", ">varies", ">loss up", ">loss down", ">share", ">up",
         ">down", ">carries", ">MTU", ">queue")  # fmt: skip
_COUNTS = (
    ("dropped", "dropped"),
    ("given_up", "given up"),
    ("recovered", "recovered"),
    ("repairs_sent", "repairs sent"),
    ("sent_again", "sent again"),
)


def render_bonds(reply: Reply, style: Style) -> Iterator[str]:
    for at, (name, each) in enumerate(mapping(reply.get("bonds")).items()):
        if at:
            yield ""
        yield from _bond(name, mapping(each), style)


def _bond(name: str, reply: Reply, style: Style) -> Iterator[str]:
    if reply.get("error"):
        yield f"Bond {name}: " + style.paint(show(reply["error"]), "red")
        return
    port = f", port {count(reply['port'])}" if number(reply.get("port")) is not None else ""
    yield (
        f"Bond {name} ({show(reply.get('role'))} on {show(reply.get('device'))}{port}) runs for {_since(reply)}: "
        f"{show(reply.get('mode'))}, {_fec(mapping(reply.get('fec')))}, MTU {count(reply.get('mtu'))}"
    )
    yield f" public key {show(reply.get('public_key'))}"
    if reply.get("problem"):
        yield style.paint(" Problem: ", "red") + show(reply["problem"])
    if number(reply.get("unknown")) or number(reply.get("refused")):
        yield (
            f" datagrams dropped: {count(reply.get('unknown'))} of nothing that is known here, "
            f"{count(reply.get('refused'))} changed on the way or repeated"
        )
    if number(reply.get("rejected")):
        yield f" {count(reply['rejected'])} handshakes refused, {count(reply.get('strangers'))} of them of unknown keys"
    peers = rows(reply.get("peers"))
    for peer in peers:
        yield from _peer(peer, style)
    if not peers:
        yield " no client is configured"


def _since(row: Reply) -> str:
    since = number(row.get("since"))
    return clock(None if since is None else time.time() - since)


def _fec(fec: Reply) -> str:
    if fec.get("mode") == "off":
        return "no FEC"
    return f"FEC {show(fec.get('mode'))} {count(fec.get('group'))}+{count(fec.get('repairs'))}"


def _peer(peer: Reply, style: Style) -> Iterator[str]:
    addresses = words(peer.get("addresses"))
    details = [each for each in (peer.get("cipher"), ", ".join(addresses)) if each]
    about = f": {'; '.join(show(each) for each in details)}" if details else ""
    yield f" {show(peer.get('name'))} is {style.state(peer.get('state'))} for {_since(peer)}{about}"
    if peer.get("problem"):
        yield style.paint("  Problem: ", "red") + show(peer["problem"])
    figures = ", ".join(f"{count(peer.get(key))} {text}" for key, text in _COUNTS)
    yield f"  {size(peer.get('tx_bytes'))} sent, {size(peer.get('rx_bytes'))} received; packets: {figures}"
    if number(peer.get("headless")) or number(peer.get("faulty")):
        yield f"  of what came: {count(peer.get('headless'))} slices without a head, {count(peer.get('faulty'))} faulty"
    paths = rows(peer.get("paths"))
    if paths:
        yield from aligned(_HEAD, [_path(path) for path in paths], style, status=_STATE)


def _path(path: Reply) -> tuple[str, ...]:
    return (
        f"  {count(path.get('number'))}",
        show(path.get("link")),
        show(path.get("device")),
        show(path.get("address")),
        show(path.get("state")),
        milliseconds(path.get("rtt")),
        milliseconds(path.get("variance")),
        percent(path.get("loss_out")),
        percent(path.get("loss_in")),
        percent(path.get("share")),
        rate(path.get("tx_rate")),
        rate(path.get("rx_rate")),
        rate(path.get("rate")),
        count(path.get("mtu")),
        milliseconds(path.get("queue")),
    )
