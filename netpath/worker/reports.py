# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs that only read: `check`, `config`, `rules`, `connected`, `internal`. Each takes the places and a request, and
returns a reply as docs/socket.md shows it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netpath import __version__, paths
from netpath.config import Loaded, load
from netpath.config.bond import is_seed, load_bonds
from netpath.config.check import ForeignMark, mark_clashes
from netpath.config.describe import describe
from netpath.config.loading import sections_of, text_of
from netpath.config.masked import masked
from netpath.config.monitor import load_monitor
from netpath.config.problems import Problem
from netpath.kernel import conntrack, netifd, nftdump, rtnl
from netpath.kernel.nft import version
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import foreign_marks, resolve
from netpath.model import Config, Rule
from netpath.statedir import IDS, RULESET, StateDir
from netpath.steering.marks import MarkSpace
from netpath.steering.names import default_chain, rule_chain
from netpath.worker import domains
from netpath.worker.apply import foremost, read_source, uplink_ids
from netpath.worker.translation import translation_problems

FAMILIES = ("ipv4", "ipv6")
PAGE = 500
"""Rules in one reply; about 250 bytes each."""
MOST_BYTES = 512 * 1024
"""Of the long part of a reply; the socket takes 768 KiB, and some of it is for what stands around."""


MOST_PREFIXES = 5000
"""Of a family in `connected`; a BGP router has a million."""
MOST_MATCH = 4096
"""Characters of a rule's criteria."""


class ArgumentError(ValueError):
    """An argument of a report makes no sense; the text says what would."""


def check(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is wrong or unwise in a configuration file, and with what else is on this machine.

    With `limit` at most that many problems, errors first, and `truncated`.
    """
    named, limit = request.get("file"), request.get("limit")
    if not isinstance(named, str | None) or "\0" in (named or ""):
        return {"error": "file must be the name of a file"}
    path = Path(named) if named else where.config
    bonds = load_bonds(path, keys=where.keys_dir).problems
    if path.suffix == ".toml" and is_seed(text_of(path)[0]):
        return _as_reply(bonds, limit)
    loaded = load(path)
    # What is wrong with the text as a whole is in all of them.
    problems = list(dict.fromkeys((*loaded.problems, *load_monitor(path).problems, *bonds)))
    problems.sort(key=lambda p: (p.line is None, p.line or 0))
    if loaded.config is not None:
        snapshot = Snapshot.read()
        problems += mark_clashes(loaded.config, [ForeignMark(*each) for each in foreign_marks(snapshot)])
        problems += _translation(where, named, loaded.config, snapshot)
        faults = domains.review(StateDir(where.state_dir), loaded.config)
        problems += domains.as_problems(faults, named or str(where.config))
    return _as_reply(problems, limit)


def _as_reply(problems: Sequence[Problem], limit: int | None) -> dict[str, Any]:
    if limit is None:
        return {"problems": [p.as_dict() for p in problems]}
    return {"problems": [p.as_dict() for p in foremost(problems, limit)], "truncated": len(problems) > limit}


def config(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of the configuration file, without passwords: `netpath.config.masked`."""
    del request
    path = where.config
    text, problem = text_of(path)
    if problem is not None:
        return {"error": f"{path}: {problem.message}", "remedy": problem.fix}
    sections, _ = sections_of(text, str(path), "toml" if path.suffix == ".toml" else "uci")
    return {"sections": masked(sections)}


def _translation(where: paths.Paths, named: str | None, config: Config, snapshot: Snapshot) -> list[Problem]:
    ids = uplink_ids(StateDir(where.state_dir), config)
    uplinks = [r.uplink for r in resolve(config.interfaces, ids, snapshot, netifd.read())]
    return translation_problems(config, uplinks, named or str(where.config))


def rules(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """The running rules in match order with what has hit them."""
    try:
        offset, limit = _count(request, "offset", 0), min(PAGE, max(1, _count(request, "limit", PAGE)))
    except ArgumentError as error:
        return {"error": str(error)}
    config = running(where)
    if config is None:
        return {"rules": [], "total": 0, "default": {"packets": 0, "bytes": 0}, "truncated": False}
    counters = nftdump.counters(config.globals.nft_table)
    shown: list[dict[str, Any]] = []
    size = 0
    for rule in config.rules[offset : offset + limit]:
        row = _rule_row(rule, _sum(counters, partial(rule_chain, rule.name)))
        size += len(json.dumps(row))
        if size > MOST_BYTES and shown:
            break
        shown.append(row)
    return {
        "rules": shown,
        "total": len(config.rules),
        "default": _row_of(_sum(counters, default_chain)),
        "truncated": offset + len(shown) < len(config.rules),
    }


def _count(request: Mapping[str, Any], key: str, default: int) -> int:
    """A number that counts something. Raises ArgumentError."""
    value = request.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ArgumentError(f"{key} must be a whole number from 0")
    return value


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
        "match": _shortened(describe(rule)),
        "policy": rule.policy,
        "sticky": rule.sticky,
        **_row_of(hits),
    }


def _shortened(text: str) -> str:
    """A rule may have thousands of addresses; nobody reads them here."""
    return text if len(text) <= MOST_MATCH else text[:MOST_MATCH] + " ..."


def connections(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """How many connections each uplink has."""
    del request
    config = running(where)
    if config is None:
        return {"connections": {}}
    ids = uplink_ids(StateDir(where.state_dir), config)
    return {"connections": conntrack.count_all(MarkSpace(config.globals.mark_mask), ids)}


def connected(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Destinations that no rule can move: what the main table routes other than by a default route. Of each family
    `limit` from `offset` on."""
    del where
    try:
        offset, limit = _count(request, "offset", 0), min(MOST_PREFIXES, _count(request, "limit", MOST_PREFIXES))
    except ArgumentError as error:
        return {"error": str(error)}
    found = {
        family: sorted({r.dst for r in rtnl.routes(family, table=rtnl.MAIN_TABLE) if _specific(r.dst)})
        for family in FAMILIES
    }
    reply: dict[str, Any] = {family: prefixes[offset : offset + limit] for family, prefixes in found.items()}
    if any(len(prefixes) > offset + limit for prefixes in found.values()):
        reply |= {"truncated": True, "total": {family: len(prefixes) for family, prefixes in found.items()}}
    return reply


def _specific(prefix: str) -> bool:
    """Neither a default route nor link-local, which is everywhere."""
    return prefix != "default" and not prefix.startswith(("fe80:", "169.254."))


def internal(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a bug report needs: versions, addresses, routes, ip rules, our tables, our ruleset. mwan3's `internal`."""
    chosen = request.get("family")
    if chosen not in (None, *FAMILIES):
        return {"error": f"family must be one of {', '.join(FAMILIES)}"}
    state = StateDir(where.state_dir)
    ids = state.numbers(IDS, "ids")
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
    text = state.read_text(RULESET) or "none"
    reply["ruleset as loaded"] = text[:MOST_BYTES]
    if len(text) > MOST_BYTES:
        reply["truncated"] = True
    reply["configuration"] = str(where.config)
    return reply


def _link_words(link: rtnl.Link) -> str:
    return f"{link.name}: {'up' if link.up else 'down'}, {'carrier' if link.carrier else 'no carrier'}"


def _rule_words(rule: rtnl.RuleEntry) -> str:
    """Like a line of `ip rule`."""
    words = [f"{rule.priority}:", "not" if rule.invert else "", f"from {rule.src or 'all'}"]
    words += [f"to {rule.dst}" if rule.dst else "", f"fwmark {rule.mark:#x}/{rule.mask:#x}" if rule.mask else ""]
    words += [f"iif {rule.iif}" if rule.iif else "", f"oif {rule.oif}" if rule.oif else ""]
    where = {"lookup": rule.table, "goto": rule.target}.get(rule.action)
    words += [rule.action if where is None else f"{rule.action} {where}"]
    words += ["" if rule.suppress_prefixlength is None else f"suppress_prefixlength {rule.suppress_prefixlength}"]
    return " ".join(filter(None, [*words, f"proto {rule.protocol}"]))


def _route_words(route: rtnl.RouteEntry, names: Mapping[int, str]) -> str:
    """Like a line of `ip route`."""
    via = f" via {route.gateway}" if route.gateway else ""
    device = f" dev {names.get(route.oif, route.oif)}" if route.oif else ""
    return f"{route.dst}{via}{device} metric {route.metric} proto {route.protocol}"
