# SPDX-License-Identifier: GPL-2.0-or-later
"""Short ways to write down configurations, and random rules and flows that meet at their edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from netpath.model import (
    AddressMatch,
    AddressSpec,
    Config,
    Globals,
    Interface,
    LastResort,
    Member,
    Mode,
    NameSpec,
    Policy,
    RangeSpec,
    Rule,
    State,
    TrackMethod,
    Uplink,
)
from netpath.steering.interpret import PORT_PROTOCOLS, Flow
from tests.tracking import tracking

GLOBALS: dict[str, Any] = {
    "enabled": True,
    "nft_table": "netpath",
    "mark_mask": 0x3F00,
    "rule_priority": 6000,
    "rt_table_lookup": (),
    "logging": True,
    "loglevel": "info",
    "dns_failover": True,
    "dnsmasq_dir": "",
    "dnsmasq_restart": "none",
}
UNTRACKED = tracking(method=TrackMethod.NONE, targets=())


def interface(name: str, family: str = "ipv4", device: str | None = None, enabled: bool = True) -> Interface:
    return Interface(name, enabled, device, family, None, State.ONLINE, UNTRACKED, (), False)


def uplink(name: str, number: int, device: str | None, family: str = "ipv4", **more: Any) -> Uplink:
    values = {"gateway": None, "addresses": (), "main_default": False, "connected": (), **more}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Uplink(name=name, id=number, family=family, device=device, **values)


def policy(name: str, members: Sequence[str], mode: str = "balanced", last_resort: str = "unreachable") -> Policy:
    """Members as "interface", "interface weight" or "interface weight metric"."""
    made = []
    for number, text in enumerate(members):
        words = [*text.split(), "1", "1"]
        made.append(Member(f"m{number}", words[0], int(words[-1 if len(words) < 5 else 2]), int(words[1])))
    return Policy(name, tuple(made), Mode(mode), LastResort(last_resort))


def config(
    interfaces: Sequence[Interface], policies: Sequence[Policy], rules: Sequence[Rule], **settings: Any
) -> Config:
    return Config(Globals(**{**GLOBALS, **settings}), tuple(interfaces), tuple(policies), tuple(rules))


def rule(name: str, use: str = "default", **options: Any) -> Rule:
    """A rule from the configuration's option names; lists of words, `!` negates."""
    spec: dict[str, Any] = {"name": name, "policy": use, "family": options.pop("family", "any")}
    for option, words in options.items():
        match option:
            case "src_ip" | "dest_ip":
                spec[option] = AddressSpec(*_split(words, _address))
            case "proto" | "src_port" | "dest_port" | "dscp":
                spec[option] = RangeSpec(*_split(words, _range))
            case "src_iface" | "src_mac":
                spec[option] = NameSpec(*_split(words, str))
            case "domains":
                spec[option] = tuple(words)
            case _:
                spec[option] = words
    return Rule(**spec)


def _split(words: Any, read: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    words = [words] if isinstance(words, str | int) else words
    texts = [str(w) for w in words]
    return tuple(read(t) for t in texts if t[0] != "!"), tuple(read(t[1:]) for t in texts if t[0] == "!")


def _range(text: str) -> tuple[int, int]:
    numbers = {"icmp": 1, "tcp": 6, "udp": 17}
    first, _, last = text.partition("-")
    return numbers.get(first) or int(first), numbers.get(last or first) or int(last or first)


def _address(text: str) -> AddressMatch:
    address, _, mask = text.partition("/")
    if "." in mask or ":" in mask:  # a mask with holes, as mwan3 allows
        return AddressMatch("ipv4" if "." in mask else "ipv6", int(ip_address(address)), int(ip_address(mask)))
    network = ip_network(text)
    return AddressMatch(f"ipv{network.version}", int(network.network_address), int(network.netmask))


# -- random rules and flows -----------------------------------------------------------------------------------------

DEVICES = ("lan0", "lan1")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
PROTOCOLS = (1, 6, 17, 58, 132)
SETS = ("near", "far")
_BASES = {"ipv4": ("192.0.2.0", "198.51.100.0"), "ipv6": ("2001:db8::", "2001:db8:1::")}
_BITS = {"ipv4": 32, "ipv6": 128}


def random_rules(random: Random, count: int, policies: Sequence[str]) -> list[Rule]:
    """Rules that overlap a lot: few addresses, ports and protocols, lists, negations, holed masks, both families."""
    return [_random_rule(random, f"rule{i}", policies) for i in range(count)]


def _random_rule(random: Random, name: str, policies: Sequence[str]) -> Rule:
    family = random.choice(("ipv4", "ipv4", "ipv6", "any"))
    options: dict[str, Any] = {}
    # Most rules are of few shapes, as in real configurations, so that blocks form.
    shape = random.choice(
        (
            ("dest_ip",),
            ("src_ip", "proto", "dest_port"),
            ("proto", "dest_port"),
            ("src_ip", "dest_ip"),
            ("src_iface", "src_ip"),
            ("src_mac", "proto", "dest_port"),
            tuple(o for o in _RANDOM if random.random() < 0.25),
        )
    )
    for option in shape:
        options[option] = _RANDOM[option](random, family)
    if "src_port" in options or "dest_port" in options:
        options["proto"] = random.choice((RangeSpec(((6, 6),)), RangeSpec(((6, 6), (17, 17))), RangeSpec(((6, 17),))))
    return Rule(name=name, family=family, policy=random.choice(policies), **options)


def _random_address(random: Random, family: str) -> AddressSpec:
    def one() -> AddressMatch:
        of = random.choice(("ipv4", "ipv6")) if family == "any" else family
        bits = _BITS[of]
        ones = (1 << bits) - 1
        base = int(ip_address(random.choice(_BASES[of]))) + random.randrange(16)
        mask = random.choice((1, 5)) if random.random() < 0.1 else ones ^ ((1 << random.choice((0, 0, 1, 2, 3, 8))) - 1)
        return AddressMatch(of, base & mask, mask)

    wanted, unwanted = random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (0, 1), (2, 1)))
    return AddressSpec(tuple(one() for _ in range(wanted)), tuple(one() for _ in range(unwanted)))


def _random_ports(random: Random, family: str) -> RangeSpec:
    del family

    def one() -> tuple[int, int]:
        first = random.choice((1, 5, 9, 80, 65530))
        return first, first + random.choice((0, 0, 1, 4, 5))

    wanted, unwanted = random.choice(((1, 0), (1, 0), (2, 0), (0, 1), (2, 1)))
    return RangeSpec(tuple(one() for _ in range(wanted)), tuple(one() for _ in range(unwanted)))


def _random_protocols(random: Random, family: str) -> RangeSpec:
    del family
    some = random.sample(PROTOCOLS, random.choice((1, 1, 2)))
    spans = tuple((p, p) for p in some)
    return RangeSpec(none_of=spans) if random.random() < 0.2 else RangeSpec(spans)


def _random_names(random: Random, names: Sequence[str]) -> NameSpec:
    some = tuple(random.sample(names, random.choice((1, 1, 2))))
    return NameSpec(none_of=some[:1]) if random.random() < 0.3 else NameSpec(some)


def _random_dscp(random: Random, family: str) -> RangeSpec:
    del family
    return random.choice((RangeSpec(((46, 46),)), RangeSpec(((8, 12), (46, 46))), RangeSpec(none_of=((0, 9),))))


_RANDOM: Mapping[str, Any] = {
    "src_ip": _random_address,
    "dest_ip": _random_address,
    "src_port": _random_ports,
    "dest_port": _random_ports,
    "proto": _random_protocols,
    "src_iface": lambda random, _: _random_names(random, DEVICES),
    "src_mac": lambda random, _: _random_names(random, MACS),
    "dscp": _random_dscp,
    "nft_set": lambda random, _: random.choice(SETS),
}


def random_flow(random: Random, rules: Sequence[Rule], ingress: Sequence[tuple[str | None, str | None]]) -> Flow:
    """A flow at or right beside the edges of some rule's criteria, by one of `ingress` (device, MAC address)."""
    near = random.choice(rules)
    family = near.family if near.family != "any" else random.choice(("ipv4", "ipv6"))
    protocol = _near_range(random, near.proto, 255, random.choice(PROTOCOLS))
    if near.src_port != RangeSpec() or near.dest_port != RangeSpec():
        protocol = random.choice((6, 6, 17))
    ports = protocol in PORT_PROTOCOLS
    iface, mac = random.choice(ingress)
    return Flow(
        family=family,
        src=_near_address(random, near.src_ip, family),
        dst=_near_address(random, near.dest_ip, family),
        proto=protocol,
        sport=_near_range(random, near.src_port, 65535, random.choice((1, 80, 1024))) if ports else 0,
        dport=_near_range(random, near.dest_port, 65535, random.choice((1, 80, 443))) if ports else 0,
        iface=iface,
        mac=mac,
        dscp=random.choice((0, 0, 7, 8, 9, 10, 12, 13, 46)),
        sets=frozenset(s for s in SETS if random.random() < 0.3),
    )


def _near_range(random: Random, spec: RangeSpec, highest: int, otherwise: int) -> int:
    spans = (*spec.any_of, *spec.none_of)
    if not spans or random.random() < 0.1:
        return otherwise
    return min(max(random.choice(random.choice(spans)) + random.choice((-1, 0, 0, 1)), 0), highest)


def _near_address(random: Random, spec: AddressSpec, family: str) -> int:
    ones = (1 << _BITS[family]) - 1
    matches = [m for m in (*spec.any_of, *spec.none_of) if m.family == family and m.mask & (ones ^ 0xFF)]
    if not matches or random.random() < 0.1:
        return int(ip_address(random.choice(_BASES[family]))) + random.randrange(24)
    chosen = random.choice(matches)
    last = chosen.value | (chosen.mask ^ ones)
    return min(max(random.choice((chosen.value, last)) + random.choice((-1, 0, 0, 1)), 0), ones)
