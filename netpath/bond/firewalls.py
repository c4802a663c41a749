# SPDX-License-Identifier: GPL-2.0-or-later
"""Firewalls of others that drop what comes to a bond or what it forwards, and what their owner has to do, in words.

A packet passes when no chain at the hook drops it: what we accept, a policy of another table may still drop, and we
change nothing of others. So it can only be told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from netpath.kernel import nftdump, xtables
from netpath.kernel.nft import Nft
from netpath.kernel.nftdump import Chain

_FAMILIES = {"inet": ("ipv4", "ipv6"), "ip": ("ipv4",), "ip6": ("ipv6",)}
_PROGRAM = {"ipv4": "iptables", "ipv6": "ip6tables"}
_FIREWALLD = "firewalld"
_PORTS = re.compile(r"\b(\d+)(?:-(\d+))?\b")


def obstacles(nft: Nft, device: str, table: str, families: Collection[str]) -> list[str]:
    """Who may drop what comes from or goes to `device`; `table` is our own. Raises NftError, OSError.

    A firewall that names the device anywhere is taken to know what it does.
    """
    found = {}
    chains = nftdump.all_chains()
    for chain in chains:
        concerned = any(family in families for family in _FAMILIES[chain.family])
        if concerned and _drops(chain, nftdump.HOOK_FORWARD) and (chain.family, chain.table) != ("inet", table):
            found[chain.family, chain.table] = chain
    problems = [
        advice(chain, {c.name for c in chains if (c.family, c.table) == place}, device)
        for place, chain in found.items()
        if f'"{device}"' not in nft.listing(*place)
    ]
    return list(dict.fromkeys((*problems, *_legacy(device, families))))


def advice(chain: Chain, beside: Collection[str], device: str) -> str:
    """What to do about a chain that drops; `beside`: the names of all chains of its table."""
    if chain.table == _FIREWALLD:
        commands = [
            f"firewall-cmd --permanent --zone=trusted --add-interface={device}",
            "firewall-cmd --reload",
        ]
        return _say("firewalld does not know the bond's device and may reject what its clients send", commands)
    if chain.table == "fw4":
        return (
            f"OpenWrt's firewall drops what the bond's clients send: add {device} to the devices of a zone in "
            f"/etc/config/firewall whose forwardings lead to wan, then `service firewall reload`"
        )
    if any(name.startswith(("ufw-", "ufw6-")) for name in beside):
        commands = [f"ufw route allow in on {device}", f"ufw route allow out on {device}"]
        return _say("ufw drops what the bond's clients send", commands)
    if chain.name == "FORWARD" and chain.table == "filter" and chain.family != "inet":
        program = _PROGRAM[_FAMILIES[chain.family][0]]
        docker = "DOCKER-USER" in beside
        return _iptables(program, "DOCKER-USER" if docker else "FORWARD", device, docker)
    where = f"{chain.family} {chain.table} {chain.name}"
    return _say(
        f"the policy of the nft chain {where} drops what the bond's clients send",
        [f"nft insert rule {where} {side} {device} accept" for side in ("iifname", "oifname")],
        "add to that firewall",
    )


def closed_ports(nft: Nft, first: int, count: int) -> list[str]:
    """Who may drop what clients send to the server's UDP ports. Raises NftError, OSError.

    A firewall that has a port in any rule or set, or a rule that nft cannot show, is taken to know what it does.
    """
    chains = nftdump.all_chains()
    problems = []
    for place in dict.fromkeys((c.family, c.table) for c in chains if _drops(c, nftdump.HOOK_INPUT)):
        text = nft.listing(*place)
        missing = [port for port in range(first, first + count) if not _mentions(text, port)]
        if missing:
            beside = {c.name for c in chains if (c.family, c.table) == place}
            problems.append(_open_advice(place, beside, missing))
    return list(dict.fromkeys(problems))


def _mentions(text: str, port: int) -> bool:
    for line in text.splitlines():
        if "multiport" in line:
            return True
        if "dport" in line or "elements" in line:
            values = line.partition("dport" if "dport" in line else "elements")[2].partition(" counter ")[0]
            for low, high in _PORTS.findall(values):
                if int(low) <= port <= int(high or low):
                    return True
    return False


def _open_advice(place: tuple[str, str], beside: Collection[str], missing: list[int]) -> str:
    ports = f"{missing[0]}-{missing[-1]}" if len(missing) > 1 else f"{missing[0]}"
    colon = ports.replace("-", ":")
    family, table = place
    what = f"UDP port {ports}, where clients come in, may be closed by"
    if table == _FIREWALLD:
        return _say(f"{what} firewalld", [f"firewall-cmd --permanent --add-port={ports}/udp", "firewall-cmd --reload"])
    if table == "fw4":
        return f"{what} OpenWrt's firewall: add a traffic rule for it (src wan, proto udp, dest_port {ports}, ACCEPT)"
    if any(name.startswith(("ufw-", "ufw6-")) for name in beside):
        return _say(f"{what} ufw", [f"ufw allow {colon}/udp"])
    if table == "filter" and family != "inet":
        program = _PROGRAM[_FAMILIES[family][0]]
        return _say(f"{what} {program}", [f"{program} -I INPUT -p udp --dport {colon} -j ACCEPT"])
    return f"{what} the nft table {family} {table}: let `udp dport {ports}` in there"


def _drops(chain: Chain, hook: int) -> bool:
    """firewalld rejects by a last rule, and has no policy."""
    return chain.hook == hook and (chain.drops or chain.table == _FIREWALLD)


def _legacy(device: str, families: Iterable[str]) -> list[str]:
    problems = []
    for family in families:
        chain = xtables.forward(family)
        if chain is not None and chain.drops and device.encode() + b"\0" not in chain.entries:
            docker = b"DOCKER-USER\0" in chain.entries
            problems.append(_iptables(_PROGRAM[family], "DOCKER-USER" if docker else "FORWARD", device, docker))
    return problems


def _iptables(program: str, chain: str, device: str, docker: bool) -> str:
    who = "Docker has set iptables to drop" if docker else f"the FORWARD policy of {program} is to drop"
    commands = [f"{program} -I {chain} {side} {device} -j ACCEPT" for side in ("-i", "-o")]
    return _say(f"{who} what the bond's clients send", commands, "run, and have it run at each start")


def _say(what: str, commands: Iterable[str], how: str = "run") -> str:
    return f"{what}: {how} {' and '.join(f'`{command}`' for command in commands)}"
