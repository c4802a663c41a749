# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs that only read: `check`, `rules`, `connected`, `internal`. Each takes the places and a request, returns a reply
as docs/socket.md shows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from netpath import __version__, paths
from netpath.config import Loaded, load
from netpath.config.check import ForeignMark, mark_clashes
from netpath.config.describe import describe
from netpath.kernel import conntrack, nftdump, rtnl
from netpath.kernel.nft import version
from netpath.kernel.uplinks import Snapshot, foreign_marks
from netpath.model import Config, Rule
from netpath.statedir import IDS, RULESET, StateDir
from netpath.steering.marks import MarkSpace
from netpath.steering.names import default_chain, rule_chain
from netpath.worker.apply import read_source

FAMILIES = ("ipv4", "ipv6")
COUNTED = "r"
"""Prefix of the chains that count: those of rules (r_) and what no rule matched (rest_)."""
PAGE = 500
"""Rules in one reply; about 250 bytes each."""


def check(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is wrong or unwise in a configuration file, and with what else is on this machine."""
    named = request.get("file")
    loaded = load(Path(named) if named else where.config)
    problems = list(loaded.problems)
    if loaded.config is not None:
        marks = [ForeignMark(*each) for each in foreign_marks(Snapshot.read())]
        problems += mark_clashes(loaded.config, marks)
    return {"problems": [p.as_dict() for p in problems]}


def rules(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """The running rules in match order with what has hit them."""
    config = running(where)
    if config is None:
        return {"rules": [], "total": 0, "default": {"packets": 0, "bytes": 0}}
    counters = nftdump.rule_counters(config.globals.nft_table, COUNTED)
    offset = max(0, int(request.get("offset", 0)))
    limit = min(PAGE, max(1, int(request.get("limit", PAGE))))
    shown = config.rules[offset : offset + limit]
    return {
        "rules": [_rule_row(r, _sum(counters, partial(rule_chain, r.name))) for r in shown],
        "total": len(config.rules),
        "default": _row_of(_sum(counters, default_chain)),
        "truncated": offset + limit < len(config.rules),
    }


def running(where: paths.Paths) -> Config | None:
    """The configuration that the kernel runs, or None."""
    state = StateDir(where.state_dir)
    if state.applied_config() is None:
        return None
    loaded: Loaded = read_source(where, state, from_file=False).loaded
    return loaded.config


def _sum(counters: Mapping[str, tuple[int, int]], chain: Callable[[str], str]) -> tuple[int, int]:
    """Packets and bytes of both families of a chain."""
    each = [counters.get(chain(family), (0, 0)) for family in FAMILIES]
    return sum(p for p, _ in each), sum(b for _, b in each)


def _row_of(hits: tuple[int, int]) -> dict[str, int]:
    return {"packets": hits[0], "bytes": hits[1]}


def _rule_row(rule: Rule, hits: tuple[int, int]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "family": rule.family,
        "match": describe(rule),
        "policy": rule.policy,
        "sticky": rule.sticky,
        **_row_of(hits),
    }


def connections(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """How many connections each uplink has."""
    del request
    config = running(where)
    if config is None:
        return {"connections": {}}
    known = StateDir(where.state_dir).read_json(IDS).get("ids", {})
    ids = {i.name: known[i.name] for i in config.interfaces}
    return {"connections": conntrack.count_all(MarkSpace(config.globals.mark_mask), ids)}


def connected(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Destinations that no rule can move: what the main table routes other than by a default route."""
    del where, request
    return {
        family: sorted({r.dst for r in rtnl.routes(family, table=rtnl.MAIN_TABLE) if _specific(r.dst)})
        for family in FAMILIES
    }


def _specific(prefix: str) -> bool:
    """Neither a default route nor link-local, which is everywhere."""
    return prefix != "default" and not prefix.startswith(("fe80:", "169.254."))


def internal(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a bug report needs: versions, addresses, routes, ip rules, our tables, our ruleset. mwan3's `internal`."""
    chosen = request.get("family")
    state = StateDir(where.state_dir)
    ids: dict[str, int] = state.read_json(IDS).get("ids", {})
    names = {link.index: link.name for link in rtnl.links()}
    reply: dict[str, Any] = {
        "versions": {
            "netpath": __version__,
            "python": sys.version.split()[0],
            "kernel": os.uname().release,
            "nftables": version(),
        },
        "links": [_link_words(link) for link in rtnl.links()],
        "addresses": [f"{a.address}/{a.prefixlen} dev {names.get(a.index, a.index)}" for a in rtnl.addresses()],
    }
    for family in FAMILIES if chosen is None else [chosen]:
        reply[f"{family} ip rules"] = [_rule_words(r) for r in rtnl.rules(family)]
        reply[f"{family} main table"] = [_route_words(r, names) for r in rtnl.routes(family, table=rtnl.MAIN_TABLE)]
        for name, number in sorted(ids.items(), key=lambda each: each[1]):
            routes = rtnl.routes(family, table=1000 + number)
            reply[f"{family} table {1000 + number} ({name})"] = [_route_words(r, names) for r in routes]
    reply["ids"] = ids
    reply["ruleset as loaded"] = state.read_text(RULESET) or "none"
    reply["configuration"] = str(where.config)
    return reply


def _link_words(link: rtnl.Link) -> str:
    return f"{link.name}: {'up' if link.up else 'down'}, {'carrier' if link.carrier else 'no carrier'}"


def _rule_words(rule: rtnl.RuleEntry) -> str:
    """Like a line of `ip rule`."""
    words = [f"{rule.priority}:", "not" if rule.invert else "", f"from {rule.src or 'all'}"]
    words += [f"to {rule.dst}" if rule.dst else "", f"fwmark {rule.mark:#x}/{rule.mask:#x}" if rule.mask else ""]
    words += [f"iif {rule.iif}" if rule.iif else "", f"oif {rule.oif}" if rule.oif else ""]
    words += [f"lookup {rule.table}" if rule.action == "lookup" else rule.action]
    words += ["" if rule.suppress_prefixlength is None else f"suppress_prefixlength {rule.suppress_prefixlength}"]
    return " ".join(filter(None, [*words, f"proto {rule.protocol}"]))


def _route_words(route: rtnl.RouteEntry, names: Mapping[int, str]) -> str:
    """Like a line of `ip route`."""
    via = f" via {route.gateway}" if route.gateway else ""
    device = f" dev {names.get(route.oif, route.oif)}" if route.oif else ""
    return f"{route.dst}{via}{device} metric {route.metric} proto {route.protocol}"
