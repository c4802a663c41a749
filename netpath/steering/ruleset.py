# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole nft text of our table, loaded in one transaction (docs/architecture.md, "A packet's way").

It can be loaded when the table stands, when it does not, and twice: chains are declared, emptied and filled again, what
is no longer wanted is declared and deleted. Counters of uplinks, sticky sets of living rules and user sets stay as they
are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from netpath.model import Config, Uplink
from netpath.steering import chains as fixed
from netpath.steering.compile import compile_rules
from netpath.steering.match import block_lines
from netpath.steering.names import (
    default_chain,
    digit,
    part,
    policy_chain,
    quoted,
    rule_chain,
    sticky_chain,
    sticky_set,
    user_set,
)
from netpath.steering.policy import FAMILIES, SteeringView, chains, rule_families, served
from netpath.steering.translate import leaving

_BUILT_IN = {"default": "w_def", "unreachable": "w_rej", "blackhole": "w_drop"}
_ADDRESS_TYPE = {"ipv4": "ipv4_addr", "ipv6": "ipv6_addr"}
_STICKY_CLIENTS = 65536
_LOG_LIMIT = "limit rate 5/second burst 5 packets"
"""Per logging rule, so that a flood of connections is not one of log lines as well."""


def ruleset(
    config: Config,
    uplinks: Sequence[Uplink],
    usable: frozenset[str],
    *,
    rule_counters: Mapping[str, tuple[int, int]],
    existing_chains: Collection[str],
    existing_sets: Collection[str],
    cgroups: Mapping[int, tuple[int, str]],
) -> str:
    """Text that brings our table to `config` while its interfaces are as `uplinks` says and policies may use `usable`.

    rule_counters: chain (`names.rule_chain`, `names.default_chain`) -> packets and bytes that its counter starts from.
    existing_chains, existing_sets: names of what stands in our table now; those no longer wanted are deleted, but of
    the sets only sticky ones.
    cgroups: uplink id -> level and path (relative to /sys/fs/cgroup) of the group whose traffic takes that uplink.
    Raises KeyError for an interface that has no uplink, ValueError for an id that does not fit the mask or an
    impossible device name.
    """
    view = SteeringView.of(config, {u.name: u.id for u in uplinks})
    enabled = {i.name for i in config.interfaces if i.enabled}
    there = [u for u in uplinks if u.name in enabled and u.device]
    standing = fixed.Standing(view.marks, uplinks, there, served(config), bool(config.globals.rt_table_lookup))
    own = fixed.own_traffic(standing, cgroups)
    others, translation = leaving(config.interfaces, there)
    own["source"] += others
    wanted = {
        **fixed.entry(standing),
        **own,
        **translation,
        **_user_rules(config, rule_counters),
        **dict(chains(view, usable, {p.name for p in view.policies})),
        **fixed.verdicts(standing),
    }
    sets = _sets(config, view)
    gone_chains = sorted(set(existing_chains) - wanted.keys())
    gone_sets = sorted(s for s in existing_sets if s not in sets and _is_sticky(s) and not _lives(s, view))
    table = f"inet {view.table}"
    return "\n".join(
        [
            f"table {table} {{",
            *_indented(_declarations(view, wanted, sets, gone_chains, gone_sets)),
            "}",
            f"flush table {table}",
            *(f"delete chain {table} {chain}" for chain in gone_chains),
            *(f"delete set {table} {name}" for name in gone_sets),
            *(f"delete counter {table} wan_{number}" for number in _gone_uplinks(gone_chains)),
            f"table {table} {{",
            *_indented(line for chain, lines in wanted.items() for line in _block(f"chain {chain}", lines)),
            "}",
            "",
        ]
    )


def _user_rules(config: Config, counters: Mapping[str, tuple[int, int]]) -> fixed.Chains:
    wanted: fixed.Chains = {"rules": ["meta nfproto ipv4 goto rules_4", "goto rules_6"]}
    for family in FAMILIES:
        names = [rule_chain(r.name, family) for r in config.rules]
        lines = [
            line
            for block in compile_rules(config.rules, family)
            for line in block_lines(block, family, names.__getitem__)
        ]
        wanted[f"rules_{digit(family)}"] = [*lines, f"goto {default_chain(family)}"]
        wanted[default_chain(family)] = [f"{_counter(counters.get(default_chain(family)))} goto w_def"]
    targets = {(p.name, family): policy_chain(p.name, family) for p in config.policies for family in FAMILIES}
    for rule in config.rules:
        for family in rule_families(rule):
            chain = rule_chain(rule.name, family)
            target = _BUILT_IN.get(rule.policy) or targets[rule.policy, family]
            if rule.sticky and rule.policy not in _BUILT_IN:
                target = sticky_chain(part(rule.name), family)
            name = quoted(rule.name)
            wanted[chain] = [f'{_counter(counters.get(chain))} goto {target} comment "{name}"']
            if rule.logging and config.globals.logging:
                wanted[chain].insert(0, f'{_LOG_LIMIT} log prefix "netpath {name}: " level info')
    return wanted


def _counter(start: tuple[int, int] | None) -> str:
    packets, octets = start or (0, 0)
    return f"counter packets {packets} bytes {octets}"


def _sets(config: Config, view: SteeringView) -> dict[str, str]:
    """Name and definition of each set that we want."""
    wanted = {}
    for rule in config.rules:
        if rule.nft_set is not None:
            for family in FAMILIES:
                wanted[user_set(rule.nft_set, family)] = f"type {_ADDRESS_TYPE[family]}; flags interval;"
    members = {p.name: dict.fromkeys(m.interface for m in p.members) for p in view.policies}
    for sticky in view.sticky:
        for family in sticky.families:
            for interface in members[sticky.policy]:
                if view.families.get(interface) == family:
                    wanted[sticky_set(sticky.key, family, view.ids[interface])] = _sticky_definition(family)
    return wanted


def _sticky_definition(family: str) -> str:
    # No timeout of its own: the rule gives one with each element, so that it may change while the set stands.
    return f"type {_ADDRESS_TYPE[family]}; size {_STICKY_CLIENTS}; flags dynamic,timeout;"


def _is_sticky(name: str) -> bool:
    pieces = name.rsplit("_", 2)
    return name.startswith("st_") and len(pieces) == 3 and pieces[1] in ("4", "6") and pieces[2].isdigit()


def _lives(sticky: str, view: SteeringView) -> bool:
    """Whether the rule of a sticky set is still configured: a member that left may be back before clients expire."""
    prefix = sticky.rpartition("_")[0]
    return any(sticky_set(s.key, f, 0).rpartition("_")[0] == prefix for s in view.sticky for f in s.families)


def _gone_uplinks(gone_chains: Iterable[str]) -> list[int]:
    return [int(c[2:]) for c in gone_chains if c.startswith("w_") and c[2:].isdigit()]


def _declarations(
    view: SteeringView,
    wanted: fixed.Chains,
    sets: Mapping[str, str],
    gone_chains: Sequence[str],
    gone_sets: Sequence[str],
) -> list[str]:
    """Everything that the rules refer to, and what is deleted later (deleting needs it to exist)."""
    numbers = [*view.ids.values(), *_gone_uplinks(gone_chains)]
    lines = [f"counter wan_{number} {{ }}" for number in dict.fromkeys(numbers)]
    for name, definition in sets.items():
        lines += _block(f"set {name}", [definition])
    for name in gone_sets:
        family = "ipv4" if name.rsplit("_", 2)[1] == "4" else "ipv6"
        lines += _block(f"set {name}", [_sticky_definition(family)])
    lines += [f"chain {chain} {{ {fixed.HOOKS[chain]} }}" for chain in wanted if chain in fixed.HOOKS]
    return lines + [f"chain {chain} {{ }}" for chain in [*wanted, *gone_chains] if chain not in fixed.HOOKS]


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{", *_indented(lines), "}"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"\t{line}" for line in lines]
