# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed sections -> the model. What needs more than one option or section to be judged wrong in itself is judged here;
what is merely unwise is left to `check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netpath.config.parse import Parsed, Report, blank
from netpath.config.problems import nearest
from netpath.config.schema import SECTIONS, SPECIAL_POLICIES
from netpath.config.values import WITH_PORTS, address_number, target_fault
from netpath.model import (
    AddressSpec,
    Config,
    Globals,
    Interface,
    LastResort,
    Member,
    Mode,
    NameSpec,
    Nat6,
    Policy,
    Quality,
    Quota,
    RangeSpec,
    Rule,
    Schedule,
    State,
    Tracking,
    TrackMethod,
)

_FASTEST_FAILURE_INTERVAL = 0.1
"""With one target, whose probe may be due only 5 s after its last answer: 6 s are promised."""
_FASTEST_FAILURE_INTERVAL_OF_MORE = 0.3
"""Several targets take turns, so a cut is noticed earlier, and there is time to see that it was only a short gap. More
would break the promise where all targets but one are dead (docs/detection.md)."""
_FASTEST_KNOCKING = 0.5
"""A confirming burst is over within a second; keep_failure_interval goes on for as long as the outage."""
_FASTEST_RECOVERY_INTERVAL = 2.0
_RENAMED = tuple(
    (option.mwan3, option.name)
    for kind in SECTIONS.values()
    for option in kind.options
    if option.mwan3 and option.mwan3 != option.name and not option.ignored
)
"""Options that mwan3 calls differently: (its name, ours)."""
_INEXACT = {
    "nping-tcp": "the tcp method connects to tcp_port (443 unless set); nping's own port is 80",
    "nping-udp": "NetPath has no UDP probe and uses ping",
}


@dataclass(slots=True)
class Draft:
    """The model's objects with the sections they came from, under their names and in file order."""

    globals: tuple[Globals, Parsed | None]
    interfaces: dict[str, tuple[Interface, Parsed]] = field(default_factory=dict)
    members: dict[str, tuple[Member, Parsed]] = field(default_factory=dict)
    policies: dict[str, tuple[Policy, Parsed]] = field(default_factory=dict)
    rules: dict[str, tuple[Rule, Parsed]] = field(default_factory=dict)
    """Enabled rules."""

    def config(self) -> Config:
        return Config(
            self.globals[0],
            tuple(interface for interface, _ in self.interfaces.values()),
            tuple(policy for policy, _ in self.policies.values()),
            tuple(rule for rule, _ in self.rules.values()),
        )


def speaks_mwan3(sections: Sequence[Parsed]) -> bool:
    """True when the options that NetPath and mwan3 call differently all have mwan3's names."""
    written = {entry.name for section in sections for entry in section.entries.values()}
    return any(theirs in written for theirs, _ in _RENAMED) and not any(ours in written for _, ours in _RENAMED)


def build(sections: Sequence[Parsed], report: Report, *, mwan3: bool) -> Draft:
    """`mwan3`: an interface without `enabled` is off, as mwan3 has it."""
    draft = Draft(_globals(sections, report))
    for section in _of_kind(sections, "interface", report):
        draft.interfaces[section.name] = _interface(section, report, mwan3=mwan3), section
    for section in _of_kind(sections, "member", report):
        if (member := _member(section, draft, report)) is not None:
            draft.members[section.name] = member, section
    broken = {s.name for s in sections if s.kind.name == "member"} - draft.members.keys()
    for section in _of_kind(sections, "policy", report):
        draft.policies[section.name] = _policy(section, draft, broken, report), section
    for section in _of_kind(sections, "rule", report):
        rule = _rule(section, draft, report)
        if rule is not None and section.get("enabled", bool):
            draft.rules[section.name] = rule, section
    return draft


def _of_kind(sections: Sequence[Parsed], kind: str, report: Report) -> Iterator[Parsed]:
    """Sections of a kind; of several with one name only the first, with an error for the others."""
    first: dict[str, Parsed] = {}
    for section in sections:
        if section.kind.name != kind:
            continue
        before = first.setdefault(section.name, section)
        if before is section:
            yield section
        else:
            where = f" on line {before.line}" if before.line else ""
            report.error(section, None, f"the name is taken already{where}", "rename one of them or join the two")


def _globals(sections: Sequence[Parsed], report: Report) -> tuple[Globals, Parsed | None]:
    found = [section for section in sections if section.kind.name == "globals"]
    for section in found[1:]:
        report.error(section, None, "there is more than one globals section", "join them")
    section = found[0] if found else blank("globals")
    result = Globals(
        enabled=section.get("enabled", bool),
        nft_table=section.get("nft_table", str),
        mark_mask=section.get("mark_mask", int),
        rule_priority=section.get("rule_priority", int),
        rt_table_lookup=section.get("rt_table_lookup", tuple),
        logging=section.get("logging", bool),
        loglevel=section.get("loglevel", str),
        dns_failover=section.get("dns_failover", bool),
        dnsmasq_dir=section.get("dnsmasq_dir", str),
        dnsmasq_restart=section.get("dnsmasq_restart", str),
    )
    return result, found[0] if found else None


def _interface(section: Parsed, report: Report, *, mwan3: bool) -> Interface:
    enabled = section.get("enabled", bool)
    if mwan3 and "enabled" not in section.entries:
        enabled = False
        message = "enabled is not set, so the interface is off, as in mwan3"
        report.warning(section, None, message, "add option enabled '1' or '0'")
    family = section.get("family", str)
    gateway = section.maybe("gateway", str)
    if gateway is not None and (address_number(gateway) or (family,))[0] != family:
        report.error(section, "gateway", f"not an {family} address", f"write an {family} address, or change family")
    for resolver in section.get("dns", tuple):
        if (address_number(resolver) or (family,))[0] != family:
            fix = f"write it in the {'ipv4' if family == 'ipv6' else 'ipv6'} interface of this uplink"
            report.error(section, "dns", f"not an {family} address", fix, item=resolver)
    for option in ("nat6", "nat6_prefix", "nat6_from") if family != "ipv6" else ():
        if option in section.entries and section.values.get(option) not in ("off", ()):
            report.error(section, option, f"the interface is {family}", "write option family 'ipv6', or remove this")
    return Interface(
        name=section.name,
        enabled=enabled,
        device=section.maybe("ifname", str),
        family=family,
        gateway=gateway,
        initial_state=State(section.get("initial_state", str)),
        tracking=_tracking(section, family, report),
        flush_conntrack=section.get("flush_conntrack", tuple),
        metered=section.get("metered", bool),
        resolvers=section.get("dns", tuple),
        nat6=Nat6(section.get("nat6", str)),
        nat6_prefix=section.get("nat6_prefix", tuple),
        nat6_from=section.get("nat6_from", tuple),
    )


def _tracking(section: Parsed, family: str, report: Report) -> Tracking:
    method = section.get("track_method", str)
    targets = section.get("track_targets", tuple)
    entry = section.entries.get("track_method")
    if entry and (difference := _INEXACT.get(entry.values[0])):
        report.warning(section, "track_method", difference, f"write option track_method '{method}' if that will do")
    for target in targets if method != "none" else ():
        if fault := target_fault(target, method, family):
            report.error(section, "track_targets", fault[0], fault[1], item=target)
    interval = section.get("interval", float)
    keep = section.get("keep_failure_interval", bool)
    fastest = _FASTEST_FAILURE_INTERVAL_OF_MORE if len(set(targets)) > 1 else _FASTEST_FAILURE_INTERVAL
    if keep:
        fastest = _FASTEST_KNOCKING
    return Tracking(
        method=TrackMethod(method),
        targets=targets,
        reliability=section.get("reliability", int),
        count=section.get("count", int),
        size=section.get("size", int),
        max_ttl=section.get("max_ttl", int),
        timeout=section.maybe("timeout", float),
        interval=interval,
        failure_interval=section.maybe("failure_interval", float) or min(interval, fastest),
        recovery_interval=section.maybe("recovery_interval", float) or min(interval, _FASTEST_RECOVERY_INTERVAL),
        keep_failure_interval=keep,
        down=section.get("down", int),
        up=section.get("up", int),
        stable_time=section.get("stable_time", float),
        quality=_quality(section) if section.get("check_quality", bool) else None,
        httping_ssl=section.get("httping_ssl", bool),
        dns_query=section.get("dns_query", str),
        tcp_port=section.get("tcp_port", int),
    )


def _quality(section: Parsed) -> Quality:
    return Quality(
        failure_latency=section.get("failure_latency", float),
        recovery_latency=section.get("recovery_latency", float),
        failure_loss=section.get("failure_loss", float),
        recovery_loss=section.get("recovery_loss", float),
        failure_jitter=section.maybe("failure_jitter", float),
        recovery_jitter=section.maybe("recovery_jitter", float),
    )


def _member(section: Parsed, draft: Draft, report: Report) -> Member | None:
    interface = section.maybe("interface", str)
    if interface is None:
        return None  # missing or malformed, reported by parse
    if interface not in draft.interfaces:
        _undefined(section, "interface", interface, list(draft.interfaces), report)
        return None
    windows, weekdays = section.get("time", tuple), section.get("weekdays", tuple)
    limit = section.maybe("quota", int)
    return Member(
        section.name,
        interface,
        section.get("metric", int),
        section.get("weight", int),
        schedule=Schedule(windows, weekdays) if windows or weekdays else None,
        quota=None if limit is None else Quota(limit, section.get("quota_reset", int)),
    )


def _policy(section: Parsed, draft: Draft, broken: set[str], report: Report) -> Policy:
    if section.name in SPECIAL_POLICIES:
        report.error(section, None, f"{section.name} has a meaning of its own in rules", "choose another name")
    members: list[Member] = []
    for name in section.get("members", tuple):
        if name in draft.members:
            members.append(draft.members[name][0])
        elif name not in broken:  # what is wrong with a broken member has been said
            _undefined(section, "members", name, list(draft.members), report)
    mode, last_resort = Mode(section.get("mode", str)), LastResort(section.get("last_resort", str))
    return Policy(section.name, tuple(members), mode, last_resort)


def _undefined(section: Parsed, option: str, name: str, known: list[str], report: Report) -> None:
    what = "member" if option == "members" else option
    like = nearest(name, known)
    fix = f"did you mean {like}?" if like else f"add config {what} '{name}'" + (f", or use {known[0]}" if known else "")
    report.error(section, option, f"there is no {what} named {name}", fix, item=name)


def _rule(section: Parsed, draft: Draft, report: Report) -> Rule | None:
    policy = section.maybe("policy", str)
    if policy is not None and policy not in SPECIAL_POLICIES and policy not in draft.policies:
        _undefined(section, "policy", policy, [*draft.policies, *SPECIAL_POLICIES], report)
    check_ports(section, report)
    _check_domains(section, report)
    if policy is None:
        return None  # missing or malformed, reported by parse
    return Rule(
        name=section.name,
        family=_family(section, report),
        policy=policy,
        proto=section.get("proto", RangeSpec),
        src_ip=section.get("src_ip", AddressSpec),
        dest_ip=section.get("dest_ip", AddressSpec),
        src_port=section.get("src_port", RangeSpec),
        dest_port=section.get("dest_port", RangeSpec),
        src_iface=section.get("src_iface", NameSpec),
        src_mac=section.get("src_mac", NameSpec),
        dscp=section.get("dscp", RangeSpec),
        nft_set=section.maybe("nft_set", str),
        domains=section.get("domain", tuple),
        sticky=section.get("sticky", bool),
        timeout=section.get("timeout", int),
        logging=section.get("logging", bool),
    )


def _family(section: Parsed, report: Report) -> str:
    """As given; else what the addresses leave: a rule with only IPv4 addresses is an IPv4 rule."""
    given = section.get("family", str)
    possible = {"ipv4", "ipv6"} if given == "any" else {given}
    for option in ("src_ip", "dest_ip"):
        spec = section.get(option, AddressSpec)
        written = {match.family for match in (*spec.any_of, *spec.none_of)}
        matched = {match.family for match in spec.any_of or spec.none_of}
        if given != "any" and written - {given}:
            report.error(section, option, f"the rule is for {given} only", f"use {given} addresses, or remove family")
        elif matched and not possible & matched:
            report.error(section, option, "source and destination are of different families", "use one family")
        elif matched:
            possible &= matched
    return possible.pop() if len(possible) == 1 else "any"


def check_ports(section: Parsed, report: Report) -> None:
    """Ports need protocols that have them, whatever the section is."""
    if "proto" in section.broken:
        return
    proto = section.get("proto", RangeSpec)
    with_ports = proto.any_of and all(n in WITH_PORTS for low, high in proto.any_of for n in range(low, high + 1))
    for option in ("src_port", "dest_port"):
        ports = section.get(option, RangeSpec)
        if (ports.any_of or ports.none_of) and not with_ports:
            message = "ports need a protocol that has them"
            report.error(section, option, message, "add option proto 'tcp' or 'udp' (or both: 'tcp udp')")


def _check_domains(section: Parsed, report: Report) -> None:
    if not section.get("domain", tuple):
        return
    for option in ("dest_ip", "nft_set"):
        if option in section.entries:
            message = "domain names the destination already"
            report.error(section, option, message, "write two rules with the same policy, one for each")
    for written in section.entries["domain"].values:
        for word in written.split():
            if word.startswith("*."):
                message = f"{word[2:]} itself matches too, as dnsmasq knows no difference"
                report.warning(section, "domain", message, f"write {word[2:]}", item=word)
