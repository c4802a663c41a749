# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole nft text of our table, loaded in one transaction (docs/architecture.md, "A packet's way").

It can be loaded when the table stands, when it does not, and twice: chains are declared, emptied and filled again, what
is no longer wanted is declared and deleted. Counters of uplinks and rules, sticky sets of living rules and user sets
stay as they are, whoever loads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from netpath.model import Config, Rule, Uplink
from netpath.steering import chains as fixed
from netpath.steering.compile import compile_rules
from netpath.steering.match import block_lines
from netpath.steering.names import (
    LOADED,
    default_chain,
    digit,
    domain_key,
    domain_set,
    is_counted,
    is_domain_set,
    part,
    policy_chain,
    quoted,
    rule_chain,
    sticky_chain,
    sticky_set,
    user_set,
)
from netpath.steering.policy import (
    ADDRESS_TYPE,
    FAMILIES,
    SteeringView,
    chains,
    rule_families,
    served,
    sticky_definition,
    sticky_sets,
)
from netpath.steering.translate import leaving

_BUILT_IN = {"default": "w_def", "unreachable": "w_rej", "blackhole": "w_drop"}
_DESTINATION = {"ipv4": "ip daddr", "ipv6": "ip6 daddr"}
_DOMAIN_ADDRESSES = 16384
"""Of one rule; a full set takes no more until some expire, and dnsmasq says so in its log."""
_DOMAIN_TIMEOUT = "1d"
"""Since dnsmasq found an address, or a new connection went there."""
_LOG_LIMIT = "limit rate 5/second burst 5 packets"
"""Per logging rule, so that a flood of connections is not one of log lines as well."""


def ruleset(
    config: Config,
    uplinks: Sequence[Uplink],
    usable: frozenset[str],
    *,
    existing_chains: Collection[str],
    existing_sets: Collection[str],
    existing_counters: Collection[str],
    load: str,
    waiting: Sequence[Rule] = (),
) -> str:
    """Text that brings our table to `config` while its interfaces are as `uplinks` says and policies may use `usable`.

    existing_chains, existing_sets, existing_counters: names of what stands in our table now; those no longer wanted are
    deleted, but of the sets only those of sticky rules and of rules with domains.
    load: a name for this text, to be found in the kernel as the comment in chain `loaded`.
    waiting: rules that are left out of `config` until their device is there; what others fill stays filled.
    Raises KeyError for an interface that has no uplink, ValueError for an id that does not fit the mask or an
    impossible device name.
    """
    view = SteeringView.of(config, {u.name: u.id for u in uplinks}, uplinks)
    enabled = {i.name for i in config.interfaces if i.enabled}
    there = [u for u in uplinks if u.name in enabled and u.device]
    more_tables, resolvers = bool(config.globals.rt_table_lookup), bool(view.resolvers)
    down = [u for u in uplinks if u.name in enabled and u.port and not u.device]
    standing = fixed.Standing(view.marks, uplinks, there, down, served(config), more_tables, resolvers)
    own = fixed.own_traffic(standing)
    others, translation = leaving(config.interfaces, there)
    own["source"] += others
    wanted = {
        **fixed.entry(standing),
        **own,
        **translation,
        **_user_rules(config),
        **dict(chains(view, usable, {p.name for p in view.policies})),
        **fixed.verdicts(standing),
        LOADED: [f'return comment "{quoted(load)}"'],
    }
    sets = _sets(config, view, waiting)
    counters = [f"wan_{number}" for number in view.ids.values()] + [c for c in wanted if is_counted(c)]
    gone_chains = sorted(set(existing_chains) - wanted.keys())
    gone_sets = sorted(s for s in existing_sets if s not in sets and _is_gone(s, view))
    gone_counters = sorted(set(existing_counters) - set(counters))
    table = f"inet {view.table}"
    return "\n".join(
        [
            f"table {table} {{",
            *_indented(_declarations(wanted, sets, [*counters, *gone_counters], gone_chains, gone_sets)),
            "}",
            f"flush table {table}",
            *(f"delete chain {table} {chain}" for chain in gone_chains),
            *(f"delete set {table} {name}" for name in gone_sets),
            *(f"delete counter {table} {name}" for name in gone_counters),
            f"table {table} {{",
            *_indented(line for chain, lines in wanted.items() for line in _block(f"chain {chain}", lines)),
            "}",
            "",
        ]
    )


def cgroup_rules(config: Config, ids: Mapping[str, int], cgroups: Mapping[int, tuple[int, str]]) -> str:
    """What `netpath use` adds to a ruleset: the traffic of these groups takes their uplinks.

    cgroups: uplink id -> level and path (relative to /sys/fs/cgroup). Not a part of the ruleset itself, because that
    must be loadable at any time, and this only is while the groups are there.
    """
    table, known = config.globals.nft_table, set(ids.values())
    return "".join(
        f'insert rule inet {table} use socket cgroupv2 level {level} "{quoted(path)}" goto w_{number}\n'
        for number, (level, path) in sorted(cgroups.items(), reverse=True)
        if number in known
    )


def _user_rules(config: Config) -> fixed.Chains:
    """Each of these chains has a counter of its own name; nft 1.0.2 does not take `rules` for the name of a chain."""
    wanted: fixed.Chains = {"by_family": ["meta nfproto ipv4 goto rules_4", "goto rules_6"]}
    for family in FAMILIES:
        names = [rule_chain(r.name, family) for r in config.rules]
        lines = [
            line
            for block in compile_rules(config.rules, family)
            for line in block_lines(block, family, names.__getitem__)
        ]
        wanted[f"rules_{digit(family)}"] = [*lines, f"goto {default_chain(family)}"]
        wanted[default_chain(family)] = [f"counter name {default_chain(family)} goto w_def"]
    targets = {(p.name, family): policy_chain(p.name, family) for p in config.policies for family in FAMILIES}
    for rule in config.rules:
        for family in rule_families(rule):
            chain = rule_chain(rule.name, family)
            target = _BUILT_IN.get(rule.policy) or targets[rule.policy, family]
            if rule.sticky and rule.policy not in _BUILT_IN:
                target = sticky_chain(part(rule.name), family)
            name = quoted(rule.name)
            wanted[chain] = [f'counter name {chain} goto {target} comment "{name}"']
            if rule.domains:
                wanted[chain].insert(0, _stay(rule, family))
            if rule.logging and config.globals.logging:
                wanted[chain].insert(0, f'{_LOG_LIMIT} log prefix "netpath {name}: " level info')
    return wanted


def _stay(rule: Rule, family: str) -> str:
    """An address that is in use stays in its set: dnsmasq adds it once, and a later answer does not renew it.

    A rule of its own: an update that fails (a full set) ends the rule that it stands in.
    """
    return f"update @{domain_set(domain_key(rule.name, rule.domains), family)} {{ {_DESTINATION[family]} }}"


def _sets(config: Config, view: SteeringView, waiting: Sequence[Rule]) -> dict[str, str]:
    """Name and definition of each set that we want."""
    wanted = {}
    for rule in (*config.rules, *waiting):
        if rule.nft_set is not None:
            for family in FAMILIES:
                wanted[user_set(rule.nft_set, family)] = f"type {ADDRESS_TYPE[family]}; flags interval;"
        if rule.domains:
            for family in rule_families(rule):
                name = domain_set(domain_key(rule.name, rule.domains), family)
                wanted[name] = _domain_definition(family)
    return {**wanted, **dict(sticky_sets(view, {p.name for p in view.policies}))}


def _domain_definition(family: str) -> str:
    return f"type {ADDRESS_TYPE[family]}; size {_DOMAIN_ADDRESSES}; flags dynamic,timeout; timeout {_DOMAIN_TIMEOUT};"


def _is_gone(name: str, view: SteeringView) -> bool:
    """Whether a set that no rule wants was made by us for one."""
    return is_domain_set(name) or (_is_sticky(name) and not _lives(name, view))


def _is_sticky(name: str) -> bool:
    pieces = name.rsplit("_", 2)
    return name.startswith("st_") and len(pieces) == 3 and pieces[1] in ("4", "6") and pieces[2].isdigit()


def _lives(sticky: str, view: SteeringView) -> bool:
    """Whether the rule of a sticky set is still configured: a member that left may be back before clients expire."""
    prefix = sticky.rpartition("_")[0]
    return any(sticky_set(s.key, f, 0).rpartition("_")[0] == prefix for s in view.sticky for f in s.families)


def _declarations(
    wanted: fixed.Chains,
    sets: Mapping[str, str],
    counters: Sequence[str],
    gone_chains: Sequence[str],
    gone_sets: Sequence[str],
) -> list[str]:
    """Everything that the rules refer to, and what is deleted later (deleting needs it to exist)."""
    lines = [f"counter {name} {{ }}" for name in counters]
    for name, definition in sets.items():
        lines += _block(f"set {name}", [definition])
    for name in gone_sets:
        of_domain = is_domain_set(name)
        family = "ipv4" if name.rsplit("_", 2)[2 if of_domain else 1] == "4" else "ipv6"
        lines += _block(f"set {name}", [_domain_definition(family) if of_domain else sticky_definition(family)])
    lines += [f"chain {chain} {{ {fixed.HOOKS[chain]} }}" for chain in wanted if chain in fixed.HOOKS]
    return lines + [f"chain {chain} {{ }}" for chain in [*wanted, *gone_chains] if chain not in fixed.HOOKS]


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{", *_indented(lines), "}"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"\t{line}" for line in lines]
