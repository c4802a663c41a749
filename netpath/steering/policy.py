# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of the chains that change at a transition: policies (`pol_*`), sticky rules (`sk_*`) and `resolvers`.

`swap` is the failover path. It flushes and refills chains and nothing else: element commands would make libnftables
read every set of the machine. For rules that come within `add chain` it reads the names of the tables, for `add rule`
(before 1.1.1) all chains of the machine and all counters of the table as well: the greater part of the time with
thousands of rules. The tracker loads this module: no heavy imports.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netpath.model import Config, LastResort, Member, Mode, Policy, Quota, Rule, Schedule, Uplink
from netpath.steering.marks import MarkSpace
from netpath.steering.names import part, policy_chain, sticky_chain, sticky_set
from netpath.steering.resolvers import CHAIN, resolver_lines
from netpath.steering.schedule import closing
from netpath.steering.slots import SlotPlan, active, plan

FAMILIES = ("ipv4", "ipv6")
HASH_SEED = 0x6E657470
"""Fixed, because another seed would move every client at each load."""
ADDRESS = {"ipv4": "ip saddr", "ipv6": "ip6 saddr"}
ADDRESS_TYPE = {"ipv4": "ipv4_addr", "ipv6": "ipv6_addr"}
_STICKY_CLIENTS = 65536
_LAST_RESORT = {LastResort.UNREACHABLE: "w_rej", LastResort.BLACKHOLE: "w_drop", LastResort.DEFAULT: "w_def"}


@dataclass(frozen=True, slots=True)
class StickyRule:
    """A sticky rule: `key` names its chains and sets, `timeout` is in seconds, `families` are those it can match in."""

    key: str
    policy: str
    timeout: int
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SteeringView:
    """What the tracker must know to rewrite policies: all of it survives JSON."""

    table: str
    marks: MarkSpace
    ids: Mapping[str, int]
    """Interface -> uplink id."""
    families: Mapping[str, str]
    """Interface -> "ipv4" or "ipv6"."""
    policies: tuple[Policy, ...]
    sticky: tuple[StickyRule, ...]
    resolvers: Mapping[str, tuple[str, ...]]
    """Interface -> its DNS servers, in the order of the configuration; empty without `dns_failover`."""

    @classmethod
    def of(cls, config: Config, ids: Mapping[str, int], uplinks: Sequence[Uplink] = ()) -> SteeringView:
        """The view of a configuration whose interfaces have `ids`; `uplinks` know their resolvers."""
        enabled = {i.name for i in config.interfaces if i.enabled and config.globals.dns_failover}
        policies = {p.name for p in config.policies}
        return cls(
            table=config.globals.nft_table,
            marks=MarkSpace(config.globals.mark_mask),
            ids={i.name: ids[i.name] for i in config.interfaces},
            families={i.name: i.family for i in config.interfaces},
            policies=config.policies,
            sticky=tuple(_sticky(r) for r in config.rules if r.sticky and r.policy in policies),
            resolvers={u.name: u.resolvers for u in uplinks if u.resolvers and u.name in enabled},
        )

    @property
    def closed(self) -> frozenset[str]:
        """Names of the members that their schedule or quota keeps out."""
        return frozenset(m.name for p in self.policies for m in p.members if m.closed)

    def closing(self, closed: Collection[str]) -> SteeringView:
        """The same with exactly these members closed."""
        return replace(self, policies=closing(self.policies, closed))

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return {
            "table": self.table,
            "mask": self.marks.mask,
            "ids": dict(self.ids),
            "families": dict(self.families),
            "policies": [
                {
                    "name": p.name,
                    "members": [_member_json(m) for m in p.members],
                    "mode": str(p.mode),
                    "last_resort": str(p.last_resort),
                }
                for p in self.policies
            ],
            "sticky": [[s.key, s.policy, s.timeout, list(s.families)] for s in self.sticky],
            "resolvers": {name: list(addresses) for name, addresses in self.resolvers.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SteeringView:
        """Inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            table=data["table"],
            marks=MarkSpace(data["mask"]),
            ids=dict(data["ids"]),
            families=dict(data["families"]),
            policies=tuple(
                Policy(
                    name=p["name"],
                    members=tuple(_member(m) for m in p["members"]),
                    mode=Mode(p["mode"]),
                    last_resort=LastResort(p["last_resort"]),
                )
                for p in data["policies"]
            ),
            sticky=tuple(StickyRule(key, policy, timeout, tuple(f)) for key, policy, timeout, f in data["sticky"]),
            resolvers={name: tuple(addresses) for name, addresses in data["resolvers"].items()},
        )


def _member_json(member: Member) -> list[Any]:
    schedule, quota = member.schedule, member.quota
    return [
        *(member.name, member.interface, member.metric, member.weight),
        [[list(w) for w in schedule.windows], list(schedule.weekdays)] if schedule else None,
        [quota.limit, quota.reset] if quota else None,
        member.closed,
    ]


def _member(data: Sequence[Any]) -> Member:
    name, interface, metric, weight, when, quota, closed = data
    schedule = Schedule(tuple((begin, end) for begin, end in when[0]), tuple(when[1])) if when else None
    return Member(name, interface, metric, weight, schedule, Quota(*quota) if quota else None, closed)


def swap(view: SteeringView, usable: frozenset[str], policies: Iterable[str], *, blocks: bool = False) -> str:
    """One nft transaction: `policies` (names) and the sticky rules that use them go to `usable` interfaces only.

    So do questions to resolvers, where there are any.
    blocks: rules as the body of their chain: faster, for a library that does not drop them (`Nft.fills_chains`).
    """
    names = set(policies)
    text = []
    if blocks:
        text += [
            f"add set inet {view.table} {name} {{ {definition} }}" for name, definition in sticky_sets(view, names)
        ]
    for chain, lines in chains(view, usable, names):
        text.append(f"flush chain inet {view.table} {chain}")
        if blocks:
            text += [f"add chain inet {view.table} {chain} {{", *lines, "}"]
        else:
            text += [f"add rule inet {view.table} {chain} {line}" for line in lines]
    return "\n".join(text) + "\n" if text else ""


def sticky_definition(family: str) -> str:
    """Body of the definition of a sticky set."""
    # No timeout of its own: the rule gives one with each element, so that it may change while the set stands.
    return f"type {ADDRESS_TYPE[family]}; size {_STICKY_CLIENTS}; flags dynamic,timeout;"


def sticky_sets(view: SteeringView, policies: Collection[str]) -> Iterator[tuple[str, str]]:
    """Name and definition of each sticky set of these policies' rules.

    Declared in a transaction, libnftables knows them without having read them.
    """
    members = {p.name: dict.fromkeys(m.interface for m in p.members) for p in view.policies if p.name in policies}
    for rule in view.sticky:
        for family in rule.families:
            for interface in members.get(rule.policy, ()):
                if view.families.get(interface) == family:
                    yield sticky_set(rule.key, family, view.ids[interface]), sticky_definition(family)


def chains(view: SteeringView, usable: Collection[str], policies: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Name and rules of each chain that `swap` writes."""
    by_name = {p.name: p for p in view.policies if p.name in policies}
    for policy in by_name.values():
        for family in FAMILIES:
            yield policy_chain(policy.name, family), policy_lines(view, policy, usable, family)
    for rule in view.sticky:
        if rule.policy in by_name:
            for family in rule.families:
                yield sticky_chain(rule.key, family), sticky_lines(view, rule, by_name[rule.policy], usable, family)
    if view.resolvers:
        yield CHAIN, resolver_lines(view.resolvers, view.ids, view.marks.mask, usable)


def policy_lines(view: SteeringView, policy: Policy, usable: Collection[str], family: str) -> list[str]:
    """Rules of a policy chain. The last one is unconditional: no packet falls through, whatever the slots say."""
    picked = plan(policy, view.families, view.ids, usable, family)
    if picked.kind == "none":
        return [f"goto {_LAST_RESORT[policy.last_resort]}"]
    otherwise = f"goto w_{view.ids[picked.slots[0][2]]}"
    if picked.kind == "single":
        return [otherwise]
    return [f"{_generator(picked, family)} vmap {{ {_elements(view, picked)} }}", otherwise]


def sticky_lines(
    view: SteeringView, rule: StickyRule, policy: Policy, usable: Collection[str], family: str
) -> list[str]:
    """Rules of a sticky chain: a known client goes on, anybody else is decided by the policy and remembered."""
    chosen = policy_chain(policy.name, family)
    now = [view.ids[m.interface] for m in active(policy, view.families, usable, family)]
    if not now:
        return [f"goto {chosen}"]
    everyone = dict.fromkeys(view.ids[m.interface] for m in policy.members if view.families.get(m.interface) == family)
    address = ADDRESS[family]

    def remember(uplink: int) -> str:
        return f"update @{sticky_set(rule.key, family, uplink)} {{ {address} timeout {rule.timeout}s }}"

    mark = f"meta mark & {view.marks.mask:#x}"
    return [
        *(f"{address} @{sticky_set(rule.key, family, uplink)} {remember(uplink)} goto w_{uplink}" for uplink in now),
        # A client whose uplink went away must not jump back when it returns: it is forgotten there, then decided anew.
        *(f"delete @{sticky_set(rule.key, family, uplink)} {{ {address} }}" for uplink in everyone),
        f"jump {chosen}",
        *(f"{mark} == {view.marks.of(uplink):#x} {remember(uplink)}" for uplink in now),
    ]


def rule_families(rule: Rule) -> tuple[str, ...]:
    """Families in which a rule can match, going by `family` and by the addresses that it asks for."""
    return tuple(
        family
        for family in FAMILIES
        if rule.family in (family, "any")
        and all(not s.any_of or any(a.family == family for a in s.any_of) for s in (rule.src_ip, rule.dest_ip))
    )


def served(config: Config) -> tuple[str, ...]:
    """Families that NetPath steers: those of its interfaces, and those that a rule names itself.

    Any other family is left to the main table: somebody whose IPv6 works must not lose it by a configuration that only
    speaks of IPv4 uplinks.
    """
    named = {i.family for i in config.interfaces} | {r.family for r in config.rules}
    return tuple(family for family in FAMILIES if family in named)


def _sticky(rule: Rule) -> StickyRule:
    return StickyRule(part(rule.name), rule.policy, rule.timeout, rule_families(rule))


def _generator(picked: SlotPlan, family: str) -> str:
    match picked.kind:
        case "hash":
            return f"jhash {ADDRESS[family]} mod {picked.modulus} seed {HASH_SEED:#x}"
        case kind:
            return f"numgen {kind} mod {picked.modulus}"


def _elements(view: SteeringView, picked: SlotPlan) -> str:
    return ", ".join(
        f"{first if first == last else f'{first}-{last}'} : goto w_{view.ids[interface]}"
        for first, last, interface in picked.slots
    )
