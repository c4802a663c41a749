# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `apply`: bring the kernel to what the configuration and the uplinks' states ask for.

Request (all optional):
  source   "file" reads the configured file; "applied" (default) takes the copy that runs already
  states   {interface: state}: what the tracker knows; an interface not named there starts by its `initial_state`
  disabled [interface]: switched off by hand
  clock    epoch by the tracker's clock, this process's own unless given
  used     [[interface, reset day, bytes]] of the month that runs: both decide which members are closed
  ids      {interface: id} in use, which go before those of the state directory: that may have been full, or deleted

Reply: `handover.encode(...)`, or {"error": text, "problems": [problem]} with the kernel as it was.

Order (make before break): new routes and rules, then the ruleset in one transaction, then routes and rules that are
no longer wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netpath import handover, paths
from netpath.config import Loaded, loads
from netpath.config.problems import Problem
from netpath.kernel import cgroup, netifd, nftdump, routing, sysctl, uplinks
from netpath.kernel.nft import Nft, NftError
from netpath.kernel.snapshot import Snapshot
from netpath.model import Config, Rule, State
from netpath.statedir import DNSMASQ, IDS, RULESET, SYSCTLS, StateDir, overlay
from netpath.steering import schedule
from netpath.steering.marks import MarkSpace, assign_ids
from netpath.steering.policy import SteeringView, served, swap
from netpath.steering.routing import desired
from netpath.steering.ruleset import cgroup_rules, ruleset
from netpath.worker.devices import devices_of, with_devices
from netpath.worker.stop import stop
from netpath.worker.translation import translation_problems

MOST_PROBLEMS = 200
"""In a reply: the tracker has to hold it. `netpath check` lists all."""
LONGEST_REFUSAL = 1000
"""Characters: libnftables complains of each line."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration text and where it came from."""

    path: Path
    text: str
    loaded: Loaded


def apply(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do the job; never raises for a bad configuration or a refusing kernel, the reply says so."""
    state = StateDir(where.state_dir)
    state.create()
    source = read_source(where, state, from_file=request.get("source") == "file")
    if source.loaded.config is None:
        errors = [p for p in source.loaded.problems if p.severity == "error"]
        problems = foremost(source.loaded.problems, MOST_PROBLEMS)
        return {"error": str(errors[0]), "problems": [p.as_dict() for p in problems]}
    config = _with_closed(source.loaded.config, request)
    try:
        applied = (
            _bring_up(where, state, source, config, request) if config.globals.enabled else _switch_off(where, config)
        )
    except (NftError, OSError, ValueError) as error:
        why = str(error)[:LONGEST_REFUSAL]
        return {"error": f"{source.path}: the kernel refused this configuration: {why}", "problems": []}
    return handover.encode(applied)


def read_source(where: paths.Paths, state: StateDir, *, from_file: bool) -> Source:
    """Parse the configured file, or the copy of the one that runs."""
    applied = None if from_file else state.applied_config()
    path = applied or where.config
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        problem = Problem("error", str(path), None, "", "", "", f"cannot be read: {error.strerror}", "create the file")
        return Source(path, "", Loaded(None, (problem,)))
    return Source(path, text, loads(text, file=str(where.config), format="toml" if path.suffix == ".toml" else "uci"))


def uplink_ids(state: StateDir, config: Config) -> dict[str, int]:
    """Interface -> id of the configuration that runs, for reports."""
    known, capacity = state.numbers(IDS, "ids"), MarkSpace(config.globals.mark_mask).capacity
    return assign_ids([i.name for i in config.interfaces], known, capacity)


def foremost(problems: Sequence[Problem], limit: int) -> list[Problem]:
    """At most `limit` problems in their order; errors go before everything else when there are more."""
    if len(problems) <= limit:
        return list(problems)
    return sorted(problems, key=lambda p: p.severity != "error")[:limit]


def _with_closed(config: Config, request: Mapping[str, Any]) -> Config:
    """The configuration with the members closed that their schedule or quota keeps out now."""
    now = schedule.known(request.get("clock", time.time()))
    used = {(interface, reset): count for interface, reset, count in request.get("used", ())}
    found = schedule.standings(schedule.limited(config.policies).values(), now, used)
    closed = {name for name, each in found.items() if not each.open}
    return replace(config, policies=schedule.closing(config.policies, closed))


def _switch_off(where: paths.Paths, config: Config) -> handover.Applied:
    """`option enabled 0`: nothing of ours is left in the kernel, and nothing is tracked."""
    reply = stop(where, {})
    if "error" in reply:
        raise OSError(reply["error"])
    nothing = Config(config.globals, (), (), ())
    return handover.Applied(
        globals=config.globals,
        interfaces=(),
        view=SteeringView.of(nothing, {}),
        families=(),
        uplinks=(),
        up={},
        reasons={},
        usable=frozenset(),
        rules=len(config.rules),
        removed=0,
        warnings=(),
        sources={},
        load="",
        settle=False,
    )


def _bring_up(
    where: paths.Paths, state: StateDir, source: Source, config: Config, request: Mapping[str, Any]
) -> handover.Applied:
    marks = MarkSpace(config.globals.mark_mask)
    known = {**state.numbers(IDS, "ids"), **request.get("ids", {})}
    ids = assign_ids([i.name for i in config.interfaces], known, marks.capacity)
    snapshot, logical = Snapshot.read(), netifd.read()
    resolved = uplinks.resolve(config.interfaces, ids, snapshot, logical)
    links = [r.uplink for r in resolved]
    up = {r.uplink.name: r.up for r in resolved}
    usable = _usable(config, up, request.get("states", {}), request.get("disabled", ()))
    table = config.globals.nft_table
    steered, absent = with_devices(config, links, logical, str(source.path))
    load = f"{time.monotonic_ns():x}"
    existing_sets = nftdump.sets(table)
    text = ruleset(
        steered,
        links,
        usable,
        existing_chains=nftdump.chains(table),
        existing_sets=existing_sets,
        existing_counters=nftdump.counter_names(table),
        load=load,
        waiting=_waiting(config, steered),
    )
    text += overlay(state.root, load)
    wanted = desired(config, links)
    here = (table, config.globals.rule_priority)
    places = state.places()
    unsaved = _unsaved(state, lambda: state.keep_places([*(p for p in places if p != here), here]))
    settle = any(rule.domains for rule in config.rules) or bool(state.read_json(DNSMASQ))
    if settle:
        from netpath.worker import domains  # what it imports takes as long as a tenth of a load

        if domains.unmade(config, existing_sets):
            unsaved += _unsaved(state, lambda: domains.forget_restart(state))
    changes = routing.apply(wanted, phase="add")
    with Nft() as nft:
        try:
            nft.run(text + cgroup_rules(config, ids, _cgroups(config, ids)))
        except NftError:
            _back(where, state, known, snapshot, here)
            raise
        view = SteeringView.of(config, ids, links)
        if (latest := _latest(state, config, up, usable)) != usable:
            nft.run(swap(view, latest, [p.name for p in view.policies]))
        _retire([p for p in places if p != here], here, nft)
    removed = routing.apply(wanted, phase="remove").removed if wanted.rules else 0
    if not wanted.rules:
        routing.purge(config.globals.rule_priority)
    unsaved += _remember(state, source, text, {**known, **ids}, here)
    strict = _loosen(state, [u.device for u in links if u.device])
    absent += translation_problems(config, links, str(source.path))
    problems = [*source.loaded.problems, *absent, *_refused(source, [*changes.warnings, *unsaved[:1], *strict])]
    return handover.Applied(
        globals=config.globals,
        interfaces=config.interfaces,
        view=view,
        families=served(config),
        uplinks=tuple(links),
        up=up,
        reasons={r.uplink.name: r.reason for r in resolved},
        usable=usable,
        rules=len(config.rules),
        removed=removed,
        warnings=tuple(p.as_dict() for p in foremost(problems, MOST_PROBLEMS)),
        load=load,
        sources=devices_of(config, logical),
        settle=settle,
    )


def _latest(state: StateDir, config: Config, up: Mapping[str, bool], loaded: frozenset[str]) -> frozenset[str]:
    """Interfaces that policies may use by now, `loaded` when this worker began.

    What failed meanwhile must not be used again, not even until the tracker hears of the load. The tracker writes its
    states down before it switches policies: whatever it switched in the ruleset that has just been replaced is in that
    file. It takes over from here, and is told what was loaded: connections that went astray in between are its to move.
    """
    states, disabled = state.states()
    return _usable(config, up, states, sorted(disabled)) if states or disabled else loaded


def _waiting(config: Config, steered: Config) -> list[Rule]:
    """Rules that are left out while their device is away."""
    here = {rule.name for rule in steered.rules}
    return [rule for rule in config.rules if rule.name not in here]


def _back(
    where: paths.Paths, state: StateDir, ids: Mapping[str, int], snapshot: Snapshot, here: tuple[str, int]
) -> None:
    """The ruleset was refused: take the routes and rules back that only the refused configuration wants."""
    if state.applied_config() is None:
        for table, priority in state.places() or [here]:
            if not nftdump.table_exists(table):  # else something stands, and a full disk has lost what it is
                routing.purge(priority)
        return
    running = read_source(where, state, from_file=False).loaded.config
    if running is not None:
        resolved = uplinks.resolve(running.interfaces, ids, snapshot, netifd.read())
        routing.apply(desired(running, [r.uplink for r in resolved]), phase="remove")


def _usable(
    config: Config, up: Mapping[str, bool], states: Mapping[str, str], disabled: Sequence[str]
) -> frozenset[str]:
    """Interfaces that policies may use right after this load."""

    def fine(name: str, initial: State) -> bool:
        return State(states.get(name, initial)).usable

    return frozenset(
        i.name
        for i in config.interfaces
        if i.enabled and i.name not in disabled and up[i.name] and fine(i.name, i.initial_state)
    )


def _cgroups(config: Config, ids: Mapping[str, int]) -> dict[int, tuple[int, str]]:
    """Groups that `netpath use` made earlier: uplink id -> (level, path for nft)."""
    found = {}
    for interface in config.interfaces:
        group = cgroup.existing(cgroup.name_of(config.globals.nft_table, interface.name))
        if group:
            found[ids[interface.name]] = (group.level, group.nft_path)
    return found


def _refused(source: Source, warnings: Sequence[str]) -> list[Problem]:
    """Routes and rules that the kernel did not take, files that could not be written."""
    fix = "see `netpath diag`"
    return [Problem("warning", str(source.path), None, None, None, None, text, fix) for text in warnings]


def _loosen(state: StateDir, devices: Sequence[str]) -> list[str]:
    """Strict reverse-path filtering would drop what comes in by any uplink but the main default one.

    Returns in words what could not be done: what has been loaded stands without it.
    """
    saved = state.numbers(SYSCTLS, "rp_filter")
    try:
        changed = sysctl.loosen_rp_filter(devices)
    except OSError as error:
        return [f"strict reverse-path filtering cannot be switched off: {error}"]
    if changed:
        with suppress(OSError):  # a full disk: then they stay loose after a stop, which harms nothing
            state.write_json(SYSCTLS, {"rp_filter": {**changed, **saved}})
    return []


def _retire(places: Sequence[tuple[str, int]], here: tuple[str, int], nft: Nft) -> None:
    """A reload may rename the table or move the block of priorities: the old ones go once the new ones stand."""
    for table, priority in places:
        if table != here[0] and nftdump.table_exists(table):
            nft.run(f"delete table inet {table}\n")
            cgroup.remove_all(table)
        if priority != here[1]:
            routing.purge_rules(priority)


def _remember(state: StateDir, source: Source, text: str, ids: Mapping[str, int], here: tuple[str, int]) -> list[str]:
    """Write down what stands now; what cannot be, in words."""
    writes: list[Callable[[], None]] = [
        lambda: state.write_json(IDS, {"ids": ids}),
        lambda: state.keep_places([here]),
        lambda: state.write_or_drop(RULESET, text),
        state.drop_policies,
        lambda: state.keep_config(source.path, source.text),
    ]
    return [each for write in writes for each in _unsaved(state, write)]


def _unsaved(state: StateDir, write: Callable[[], None]) -> list[str]:
    """A full disk must not undo what the kernel has, nor keep it from having it; it is said in words."""
    try:
        write()
    except OSError as error:
        return [f"{state.root}: cannot save the state: {error.strerror}"]
    return []
