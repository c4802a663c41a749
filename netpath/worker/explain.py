# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `explain`: where would this connection go, and why. Follows the order of the packet path (docs/architecture.md).

Request: src, dst, proto, sport, dport, iface, mac, dscp as in docs/socket.md, and `usable`: the interfaces that the
tracker's policies use now (without a tracker: every one that is up in the kernel), `closed`: {member: until when it
is not used and why} (without a tracker: what the clock says).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from netpath import paths
from netpath.config.values import BadValueError, parse_protocol
from netpath.kernel import lookup, netifd
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import resolve
from netpath.model import Config, Nat6, Policy, Rule, Uplink
from netpath.statedir import StateDir
from netpath.steering import translate
from netpath.steering.interpret import PORT_PROTOCOLS, Flow, decide
from netpath.steering.jhash import nft_slot
from netpath.steering.marks import MarkSpace
from netpath.steering.names import part, sticky_set
from netpath.steering.policy import HASH_SEED, SteeringView, served
from netpath.steering.schedule import known, limited, standings
from netpath.steering.slots import active, plan, shares
from netpath.worker.apply import uplink_ids
from netpath.worker.devices import with_devices
from netpath.worker.reports import running
from netpath.worker.sets import holding

DNS_PROTOCOLS, DNS_PORTS = (6, 17), (53, 853)
"""As in `steering.resolvers.QUESTIONS`."""

Reply = dict[str, Any]


class QuestionError(ValueError):
    """The question cannot be answered as it was put."""


def explain(where: paths.Paths, request: Mapping[str, Any]) -> Reply:
    """Rule, policy, uplink and the reasons in plain sentences; {"error": text} for a question that makes no sense."""
    config = running(where)
    if config is None:
        return {"error": "nothing is configured yet; `netpath check` says what is wrong with the configuration"}
    try:
        flow = _flow(request)
    except QuestionError as error:
        return {"error": str(error)}
    ids = uplink_ids(StateDir(where.state_dir), config)
    logical = netifd.read()
    resolved = resolve(config.interfaces, ids, Snapshot.read(), logical)
    config, _ = with_devices(config, [r.uplink for r in resolved], logical, str(where.config))
    usable = frozenset(request["usable"] if "usable" in request else [r.uplink.name for r in resolved if r.up])
    links = [r.uplink for r in resolved]
    closed = request["closed"] if "closed" in request else _closed(config)
    case = _Case(config, SteeringView.of(config, ids, links).closing(closed), links, usable, flow)
    case.closed = closed
    return case.answer()


def _closed(config: Config) -> dict[str, str]:
    """What the clock alone says; nobody knows how much of a quota was used."""
    found = standings(limited(config.policies).values(), known(time.time()), {})
    return {name: each.words for name, each in found.items() if not each.open}


class _Case:
    """One flow on one machine."""

    def __init__(
        self, config: Config, view: SteeringView, uplinks: list[Uplink], usable: frozenset[str], flow: Flow
    ) -> None:
        self.config, self.view, self.uplinks, self.usable, self.flow = config, view, uplinks, usable, flow
        self.closed: Mapping[str, str] = {}
        """Member -> until when it is closed and why."""
        self.why: list[str] = []
        self.version = 4 if flow.family == "ipv4" else 6
        self.dst = str(_address(flow.dst, flow.family))

    def answer(self) -> Reply:
        flow = self.flow
        if flow.iface is not None and flow.iface in {u.device for u in self.uplinks}:
            self.why.append(f"it comes in by the uplink device {flow.iface}: its replies will leave there")
            return self._main()
        if flow.family not in served(self.config):
            self.why.append(f"no interface of family {flow.family} is configured: NetPath leaves it to the main table")
            return self._main()
        if (asked := self._resolver()) is not None:
            return asked
        marks = MarkSpace(self.config.globals.mark_mask)
        route = lookup.route_get(self.dst, flow.family, mark=marks.unreachable)
        if route is not None:
            self.why.append(f"{self.dst} is {_kind(route)}: connected and static routes win over every rule")
            return self._reply(device=route.device, gateway=route.gateway)
        return self._bound() or self._by_rules()

    def _resolver(self) -> Reply | None:
        """A question of the router to a DNS server of an uplink, other than one that its LAN or a VPN leads to."""
        flow = self.flow
        owners = [name for name, addresses in self.view.resolvers.items() if self.dst in addresses]
        asks = flow.proto in DNS_PROTOCOLS and flow.dport in DNS_PORTS and not self.usable.isdisjoint(self.view.ids)
        own = lookup.route_get(str(_address(flow.src, flow.family)), flow.family) if owners and asks else None
        way = lookup.route_get(self.dst, flow.family) if own is not None and own.local else None
        if way is None or way.device not in {u.device for u in self.uplinks}:
            return None
        usable = [name for name in owners if name in self.usable]
        if not usable:
            self.why.append(f"{self.dst} is a DNS server of {', '.join(owners)}, which cannot be used: refused")
            return self._reply()
        uplink = next(u for u in self.uplinks if u.name == usable[0])
        self.why.append(f"{self.dst} is a DNS server of {uplink.name}: asked by that uplink")
        return self._reply(uplink=uplink.name, device=uplink.device, gateway=uplink.gateway)

    def _bound(self) -> Reply | None:
        """The router's own traffic that is tied to an uplink: by a source address that the kernel would not choose
        itself, or because its routing leads by an uplink that is not the main default."""
        source = str(_address(self.flow.src, self.flow.family))
        own = lookup.route_get(source, self.flow.family)
        if own is None or not own.local:
            return None
        self.why.append(f"{source} is the router's own address")
        way = lookup.route_get(self.dst, self.flow.family)
        ours = [u for u in self.uplinks if u.family == self.flow.family and u.device]
        tied = next((u for u in ours if source in {a.partition("/")[0] for a in u.addresses}), None)
        if tied is not None and not tied.main_default:
            self.why.append(f"a program that binds an address of {tied.name} means that uplink")
            return self._reply(uplink=tied.name, device=tied.device, gateway=tied.gateway)
        if way is None or way.device not in {u.device for u in ours}:
            return self._main()
        tied = next((u for u in ours if u.device == way.device), None)
        if tied is not None and not tied.main_default:
            self.why.append(f"an ip rule of somebody else sends it by {tied.name} already")
            return self._reply(uplink=tied.name, device=tied.device, gateway=tied.gateway)
        return None

    def _by_rules(self) -> Reply:
        key = self.flow.dst.to_bytes(4 if self.version == 4 else 16)
        held = holding(self.config.rules, self.config.globals.nft_table, self.flow.family, key, self.dst)
        rule, rejected = decide(self.config.rules, replace(self.flow, sets=held.names))
        passed = {name for name, criterion in rejected if criterion == "domain"} | {rule.name if rule else ""}
        self.why += [sentence for name, sentence in held.words.items() if name in passed]
        if rule is None:
            self.why.append("no rule matches: the main table decides")
            return self._main(rejected=rejected)
        position = self.config.rules.index(rule) + 1
        self.why.append(f"rule {rule.name} is the first of {len(self.config.rules)} that matches (number {position})")
        policy = next((p for p in self.view.policies if p.name == rule.policy), None)
        if policy is None:
            if rule.policy == "default":
                self.why.append("its policy is default: the main table decides")
                return self._main(rule=rule, policy="default", rejected=rejected)
            self.why.append(f"its policy is {rule.policy}: the packet goes nowhere")
            return self._reply(rule=rule, policy=rule.policy, rejected=rejected)
        return self._by_policy(rule, policy, rejected)

    def _by_policy(self, rule: Rule, policy: Policy, rejected: list[tuple[str, str]]) -> Reply:
        view, flow = self.view, self.flow
        for member in policy.members:
            if member.closed and view.families[member.interface] == flow.family:
                self.why.append(f"member {member.name} ({member.interface}) is {self.closed[member.name]}")
        members = active(policy, view.families, self.usable, flow.family)
        percent = shares(policy, view.families, view.ids, self.usable, flow.family)
        if not members:
            self.why.append(
                f"no {flow.family} member of policy {policy.name} is usable: last_resort {policy.last_resort}"
            )
            if policy.last_resort == "default":
                return self._main(rule=rule, policy=policy.name, rejected=rejected)
            return self._reply(rule=rule, policy=policy.name, rejected=rejected)
        names = ", ".join(f"{n} {v} %" for n, v in percent.items() if v)
        self.why.append(f"policy {policy.name} ({policy.mode}) uses metric {members[0].metric}: {names}")
        chosen = self._sticky(rule, [m.interface for m in members]) or self._certain(policy)
        if chosen is None:
            self.why.append("which of them depends on the flows before it")
        uplink = next((u for u in self.uplinks if u.name == chosen), None)
        if uplink is not None:
            self._translated(uplink)
        return self._reply(
            rule=rule,
            policy=policy.name,
            rejected=rejected,
            uplink=chosen,
            device=uplink.device if uplink else None,
            gateway=uplink.gateway if uplink else None,
            shares=[{"interface": n, "percent": v} for n, v in percent.items() if v],
        )

    def _translated(self, uplink: Uplink) -> None:
        """What source address it leaves with, where `nat6` decides that."""
        interface = next(i for i in self.config.interfaces if i.name == uplink.name)
        if self.flow.family != "ipv6" or interface.nat6 is Nat6.OFF or uplink.device is None:
            return
        source = IPv6Address(self.flow.src)
        own = lookup.route_get(str(source), "ipv6")
        seen = translate.plan(interface, uplink).seen_as(source)
        if seen == source:
            self.why.append(f"{source} is an address of {uplink.name}: it leaves as it is")
        elif seen is None or (own is not None and own.local):
            self.why.append(f"{source} is no address of {uplink.name}: it leaves with one of the router")
        else:
            self.why.append(f"{source} is no address of {uplink.name}: it leaves as {seen}")

    def _sticky(self, rule: Rule, members: list[str]) -> str | None:
        """The uplink that a sticky rule remembers for this source."""
        if not rule.sticky:
            return None
        key = self.flow.src.to_bytes(4 if self.version == 4 else 16)
        for name in members:
            known = sticky_set(part(rule.name), self.flow.family, self.view.ids[name])
            if lookup.has_element(self.config.globals.nft_table, known, key):
                self.why.append(f"the rule is sticky and remembers this source on {name}")
                return name
        self.why.append("the rule is sticky, but does not know this source yet")
        return None

    def _certain(self, policy: Policy) -> str | None:
        """The uplink, where slots alone decide it."""
        slots = plan(policy, self.view.families, self.view.ids, self.usable, self.flow.family)
        if slots.kind == "single":
            return slots.slots[0][2]
        if slots.kind != "hash":
            return None
        key = self.flow.src.to_bytes(4 if self.version == 4 else 16)
        slot = nft_slot(key, slots.modulus, HASH_SEED)
        name = next(interface for first, last, interface in slots.slots if first <= slot <= last)
        self.why.append(f"the source address falls into slot {slot} of {slots.modulus}, which is at home on {name}")
        return name

    def _main(
        self, *, rule: Rule | None = None, policy: str | None = None, rejected: list[tuple[str, str]] | None = None
    ) -> Reply:
        """What the main table does with it."""
        route = lookup.route_get(self.dst, self.flow.family)
        device, gateway = (route.device, route.gateway) if route else (None, None)
        self.why.append(f"the main table sends it by {device}" if device else "the main table has no route for it")
        return self._reply(rule=rule, policy=policy, rejected=rejected, device=device, gateway=gateway)

    def _reply(
        self,
        *,
        rule: Rule | None = None,
        policy: str | None = None,
        rejected: list[tuple[str, str]] | None = None,
        uplink: str | None = None,
        device: str | None = None,
        gateway: str | None = None,
        shares: list[Reply] | None = None,
    ) -> Reply:
        return {
            "rule": rule.name if rule else None,
            "policy": policy,
            "uplink": uplink,
            "device": device,
            "gateway": gateway,
            "why": self.why,
            "rejected": [{"rule": name, "criterion": criterion} for name, criterion in (rejected or [])[:100]],
            "shares": shares or [],
        }


def _kind(route: lookup.Way) -> str:
    return "this router's own address" if route.local else f"reached by a route through {route.device}"


def _address(value: int, family: str) -> IPv4Address | IPv6Address:
    return IPv4Address(value) if family == "ipv4" else IPv6Address(value)


def _flow(request: Mapping[str, Any]) -> Flow:
    """The question as a flow. Raises QuestionError naming what is wrong."""
    src, dst = _parsed(request, "src"), _parsed(request, "dst")
    if src.version != dst.version:
        raise QuestionError("src and dst must be of one address family")
    try:
        proto, _ = parse_protocol(str(request.get("proto") or "tcp"))
    except BadValueError as bad:
        raise QuestionError(f"proto {request.get('proto')!r}: {bad.message}; {bad.fix}") from bad
    ports = proto in PORT_PROTOCOLS
    mac, iface = request.get("mac"), request.get("iface")
    if not isinstance(iface, str | None) or not isinstance(mac, str | None):
        raise QuestionError("iface and mac must be text")
    return Flow(
        family=f"ipv{src.version}",
        src=int(src),
        dst=int(dst),
        proto=proto,
        sport=_number(request, "sport", 65535) if ports else 0,
        dport=_number(request, "dport", 65535) if ports else 0,
        iface=iface,
        mac=mac.lower() if mac else None,
        dscp=_number(request, "dscp", 63),
        sets=frozenset(),
    )


def _parsed(request: Mapping[str, Any], key: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(str(request.get(key)))
    except ValueError:
        raise QuestionError(f"{key} {request.get(key)!r} is not an address") from None


def _number(request: Mapping[str, Any], key: str, largest: int) -> int:
    value = request.get(key) or 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise QuestionError(f"{key} {value!r}: a number from 0 to {largest}")
    return value
