# SPDX-License-Identifier: GPL-2.0-or-later
"""How to get around in a running lab, in words."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys

from netpath.lab.lab import Lab
from netpath.lab.plan import ECHO_PORT, SERVERS
from netpath.lab.web import FIRST_PAGE, READER, Web


def keep_up(lab: Lab) -> None:
    """Serve LuCI's pages, print the guide and wait for Ctrl-C."""
    with Web(lab.socket) as web, contextlib.suppress(KeyboardInterrupt):
        print(f"\n{guide(lab, web.address)}\n\nCtrl-C ends it and removes everything.", flush=True)
        signal.pause()


def guide(lab: Lab, address: str) -> str:
    """Commands to type in another terminal (as root), and the `address` of the pages."""
    first = lab.uplinks[0]
    router = shlex.join(lab.router.argv([]))
    lan = shlex.join(lab.lan.argv([]))
    isp = shlex.join(lab.isps[first.number].argv([]))
    commands = [
        ("a shell on the router", f"{router} bash"),
        ("what NetPath says", f"{router} env {shlex.join(lab.environment)} {sys.executable} -m netpath status"),
        ("its socket", f'echo \'{{"cmd":"status"}}\' | nc -N -U {lab.socket}'),
        ("a shell on the LAN", f"{lan} bash"),
        ("which uplink a new flow takes", f"{lan} curl -s http://{SERVERS['ipv4'][0]}/"),
        (f"cut {first.name} silently", f"{isp} nft add rule netdev faults down drop"),
        (f"mend {first.name}", f"{isp} nft flush chain netdev faults down"),
    ]
    seen = ", ".join(f"{uplink.public('ipv4')} = {uplink.name}" for uplink in lab.uplinks[:4])
    width = max(len(what) for what, _ in commands)
    lines = [f"  {what:{width}}  {command}" for what, command in commands]
    lines.append(
        f"  servers: {SERVERS['ipv4'][0]} and {SERVERS['ipv6'][0]} (HTTP, echo on port {ECHO_PORT}) see {seen}"
    )
    pages = [
        f"NetPath's pages for OpenWrt's LuCI, on a stand-in of it, in a browser on this machine: {address}",
        f"  the same for a user who may only read: {address}{FIRST_PAGE}?user={READER}",
        "",
    ]
    return "\n".join([*pages, "In another terminal, as root:", *lines])
