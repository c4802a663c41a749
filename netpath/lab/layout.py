# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts that turn bare namespaces into the lab: `ip -batch` commands, rulesets and kernel parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netpath.lab.plan import SERVERS, Lan, Uplink

CUSTOMER, INTERNET = "cust", "inet"
"""A provider's devices: towards the router and towards the servers."""
SLOW = "slow"
SLOW_TABLE, SLOW_MARK = 100, 1

QUIET: Mapping[str, int | str] = {
    # Addresses are usable at once, and nothing configures itself.
    **{
        f"ipv6/conf/{scope}/{key}": value
        for scope in ("all", "default")
        for key, value in {"accept_dad": 0, "accept_ra": 0}.items()
    },
    "ipv6/conf/default/dad_transmits": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/rp_filter": 0,
}
FORWARDING: Mapping[str, int | str] = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
}
SERVER: Mapping[str, int | str] = {"core/somaxconn": 4096, "ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0}


def cables(router: str, internet: str, lans: Mapping[str, Lan], isps: Mapping[str, Uplink]) -> str:
    """Veth pairs, made in the namespaces where they belong; `lans` and `isps` go by namespace name."""
    lines = [
        f"link add name {lan.device} netns {router} type veth peer name eth0 address {lan.mac} netns {name}"
        for name, lan in lans.items()
    ]
    for name, uplink in isps.items():
        lines += [
            f"link add name {CUSTOMER} netns {name} type veth peer name {uplink.name} netns {router}",
            f"link add name {INTERNET} netns {name} type veth peer name isp{uplink.number} netns {internet}",
        ]
    return _batch(lines)


def client_side(lan: Lan, clients: int) -> str:
    """Addresses and default routes of the one LAN host that plays all clients."""
    lines = ["link set lo up", "link set eth0 up"]
    for number in range(1, clients + 1):
        lines += [
            f"addr add {lan.client(number, 'ipv4')}/25 dev eth0",
            f"addr add {lan.client(number, 'ipv6')}/64 dev eth0 nodad",
        ]
    lines += [
        f"route add default via {lan.router('ipv4')} dev eth0 src {lan.client(1, 'ipv4')}",
        f"route add default via {lan.router('ipv6')} dev eth0 src {lan.client(1, 'ipv6')}",
    ]
    return _batch(lines)


def router_side(lans: Iterable[Lan], uplinks: Iterable[Uplink]) -> str:
    lines = ["link set lo up"]
    for lan in lans:
        lines += [
            f"link set dev {lan.device} up",
            f"addr add {lan.router('ipv4')}/25 dev {lan.device}",
            f"addr add {lan.router('ipv6')}/64 dev {lan.device} nodad",
        ]
    for uplink in uplinks:
        lines.append(f"link set dev {uplink.name} up")
        for family in uplink.families:
            lines += router_uplink(uplink, family, uplink.addresses(family)[0], uplink.gateways(family)[0])
    return _batch(lines)


def router_uplink(uplink: Uplink, family: str, address: str, gateway: str) -> list[str]:
    """Address and default route of one family, as netifd sets them; right also when they are there already."""
    nodad = "" if family == "ipv4" else " nodad"
    return [
        f"addr replace {address}/{uplink.length(family)} dev {uplink.name}{nodad}",
        f"route replace default via {gateway} dev {uplink.name} metric {uplink.metric}",
    ]


def provider_side(uplink: Uplink, lans: Iterable[Lan]) -> str:
    """Everything of a provider's namespace except firewall and the customer's gateway addresses."""
    lines = [
        "link set lo up",
        f"link set {INTERNET} up",
        f"addr add {uplink.public('ipv4')}/32 dev {INTERNET}",
        f"addr add {uplink.public('ipv6')}/128 dev {INTERNET} nodad",
        f"addr add fe80::2/64 dev {INTERNET} nodad",
        f"route add default via 203.0.113.254 dev {INTERNET} onlink",
        f"route add default via fe80::1 dev {INTERNET}",
    ]
    return _batch([*lines, *customer_side(uplink, uplink.gateways4[0], uplink.gateways6[0], lans)])


def customer_side(uplink: Uplink, gateway4: str, gateway6: str, lans: Iterable[Lan]) -> list[str]:
    """The provider's device towards the router; the kernel forgets part of it at each carrier loss."""
    lines = [f"link set {CUSTOMER} up", f"addr replace {gateway4}/{uplink.length4} dev {CUSTOMER}"]
    lines += [
        f"addr replace {gateway6}/64 dev {CUSTOMER} nodad",
        f"route replace {uplink.subnet6} dev {CUSTOMER}",
    ]
    # Where the router does not translate IPv6 (nat66=False) the LAN's own prefixes come and go by every provider.
    lines += [f"route replace {lan.prefix6} via {uplink.addresses6[0]} dev {CUSTOMER} onlink" for lan in lans]
    return lines


def internet_side(uplinks: Iterable[Uplink]) -> str:
    """The servers' host: a link to each provider, unnumbered in IPv4."""
    lines = ["link set lo up", "addr add 203.0.113.254/32 dev lo"]
    lines += [f"addr add {address}/32 dev lo" for address in SERVERS["ipv4"]]
    lines += [f"addr add {address}/128 dev lo nodad" for address in SERVERS["ipv6"]]
    for uplink in uplinks:
        device = f"isp{uplink.number}"
        lines += [
            f"link set {device} up",
            f"addr add fe80::1/64 dev {device} nodad",
            f"route add {uplink.public('ipv4')}/32 dev {device}",
            f"route add {uplink.subnet4} via {uplink.public('ipv4')} dev {device}",
            f"route add {uplink.public('ipv6')}/128 via fe80::2 dev {device}",
            f"route add {uplink.subnet6} via fe80::2 dev {device}",
        ]
    return _batch(lines)


def provider_firewall(uplink: Uplink) -> str:
    """NAT to the public address; sources that are not the customer's are counted and dropped, as in BCP 38."""
    customers6 = f"fe80::/10, ::/128, 2001:db8:1::/48, {uplink.subnet6}"
    return f"""
table inet isp {{
  counter spoofed {{ }}
  chain raw {{ type filter hook prerouting priority raw; }}
  chain origin {{ type filter hook prerouting priority mangle;
    iifname "{CUSTOMER}" ip saddr != {uplink.subnet4} counter name spoofed drop
    iifname "{CUSTOMER}" ip6 saddr != {{ {customers6} }} counter name spoofed drop
  }}
  chain nat {{ type nat hook postrouting priority srcnat;
    oifname "{INTERNET}" meta nfproto ipv4 snat ip to {uplink.public("ipv4")}
    oifname "{INTERNET}" meta nfproto ipv6 snat ip6 to {uplink.public("ipv6")}
  }}
}}
table netdev faults {{
  chain up {{ type filter hook ingress device "{CUSTOMER}" priority 0; }}
  chain down {{ type filter hook ingress device "{INTERNET}" priority 0; }}
}}
"""


def router_firewall(uplinks: Iterable[Uplink], nat66: bool) -> str:
    """What a home router has of its own; NetPath must leave it alone."""
    devices = ", ".join(f'"{uplink.name}"' for uplink in uplinks)
    family = "" if nat66 else "meta nfproto ipv4 "
    masquerade = f"oifname {{ {devices} }} {family}masquerade" if devices else ""
    return f"""
table inet home {{
  chain dstnat {{ type nat hook prerouting priority dstnat; }}
  chain srcnat {{ type nat hook postrouting priority srcnat;
    {masquerade}
  }}
}}
"""


def fault_rules(*, cut: bool, gateway_alive: bool, loss: float) -> str:
    """The rules that break a provider; `loss` is the percentage of round trips that fail."""
    lines = ["flush chain netdev faults up", "flush chain netdev faults down"]
    if cut:
        lines.append("add rule netdev faults down drop")
        if not gateway_alive:
            lines.append("add rule netdev faults up drop")
    if loss:
        # A round trip survives when both ways do.
        one_way = round(10000 * (1 - (1 - loss / 100) ** 0.5))
        lines += [f"add rule netdev faults {way} numgen random mod 10000 < {one_way} drop" for way in ("up", "down")]
    return _batch(lines)


def slow_routes() -> str:
    """Routes into the delaying device, for marked packets; they come back from there and go their normal way."""
    routes = [f"route add {prefix} dev {SLOW} table {SLOW_TABLE}" for prefix in ("0.0.0.0/0", "::/0")]
    return _batch([f"link set {SLOW} up", *routes])


def slow_rule(verb: str) -> str:
    """`verb` "add" or "del"; to be run for each family."""
    return f"rule {verb} fwmark {SLOW_MARK} lookup {SLOW_TABLE} priority 100\n"


def slow_switch(on: bool) -> str:
    """Mark what comes from the customer, all at once, or no more.

    Connection tracking must see a delayed packet only on its second pass: the first one would settle "no NAT".
    """
    rule = f'add rule inet isp raw iifname "{CUSTOMER}" meta mark set {SLOW_MARK} notrack\n' if on else ""
    return f"flush chain inet isp raw\n{rule}"


def muted(addresses: Sequence[str]) -> str:
    """Server addresses that no longer answer."""
    lines = ["add table inet mute", "delete table inet mute", "add table inet mute"]
    lines.append("add chain inet mute in { type filter hook input priority 0; }")
    for address in addresses:
        lines.append(f"add rule inet mute in {'ip6' if ':' in address else 'ip'} daddr {address} drop")
    return _batch(lines)


def _batch(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
