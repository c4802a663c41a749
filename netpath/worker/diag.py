# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `diag`: what is wrong and what to do about it, topic by topic: gateway, tracking, routes, rules, conflicts, ...

Request: `interfaces`, the tracker's status rows by name (absent when no tracker runs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netpath import paths
from netpath.config.check import ForeignMark, mark_clashes
from netpath.kernel import conntrack, netifd, nftdump, routing, rtnl, sysctl
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import Resolved, foreign_marks, resolve
from netpath.model import Config
from netpath.owners import executables, refusal
from netpath.statedir import StateDir
from netpath.steering.marks import MarkSpace
from netpath.steering.policy import served
from netpath.steering.routing import desired
from netpath.worker import domains, gateways
from netpath.worker.apply import uplink_ids
from netpath.worker.reports import running

Check = dict[str, str]
FULL = 0.9
"""Share of the connection table from which it is worth a warning."""


def diag(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """All checks, the good ones too, in the order in which one would look."""
    config = running(where)
    if config is None:
        missing = _check("configuration", "error", "nothing is configured", "run `netpath check`, then `netpath start`")
        return {"checks": [missing]}
    ids = uplink_ids(StateDir(where.state_dir), config)
    snapshot = Snapshot.read()
    resolved = resolve(config.interfaces, ids, snapshot, netifd.read())
    checks = [
        *_tracker(request),
        *_links(config, resolved),
        *_gateways(config, resolved),
        *_tracking(request.get("interfaces") or {}),
        *_routes(config, resolved),
        *_ruleset(config),
        *_domains(where, config),
        *_conflicts(config, snapshot, resolved),
        *_scripts(where),
        *_system(config),
    ]
    return {"checks": checks}


def _check(topic: str, status: str, message: str, remedy: str = "") -> Check:
    return {"topic": topic, "status": status, "message": message, "remedy": remedy}


def _tracker(request: Mapping[str, Any]) -> Iterator[Check]:
    if "interfaces" in request:
        yield _check("tracker", "ok", "the tracker is running")
    else:
        yield _check("tracker", "error", "the tracker is not running: nothing fails over", "run `netpath start`")


def _links(config: Config, resolved: Sequence[Resolved]) -> Iterator[Check]:
    enabled = {i.name for i in config.interfaces if i.enabled}
    for each in resolved:
        name = each.uplink.name
        if name not in enabled:
            yield _check("link", "ok", f"{name} is disabled in the configuration")
        elif each.up:
            yield _check("link", "ok", f"{name} is up on {each.uplink.device}")
        else:
            yield _check(
                "link", "error", f"{name} is down: {each.reason}", "check cable, modem and the network configuration"
            )


def _gateways(config: Config, resolved: Sequence[Resolved]) -> Iterator[Check]:
    """Whether the next hop answers on the link; a dead modem shows here first."""
    links = [r.uplink for r in resolved if r.up]
    dead = gateways.silent(links, MarkSpace(config.globals.mark_mask).default)
    for uplink in links:
        if uplink.gateway is None:
            continue
        where = f"{uplink.name}: the gateway {uplink.gateway} on {uplink.device}"
        if uplink.name in dead:
            remedy = "restart the modem, check the cable and the gateway option"
            yield _check("gateway", "error", f"{where} does not answer ({dead[uplink.name]})", remedy)
        else:
            yield _check("gateway", "ok", f"{where} answers")


def _tracking(rows: Mapping[str, Any]) -> Iterator[Check]:
    for name, row in rows.items():
        dead = [t["ip"] for t in row["track_ip"] if t["status"] == "down"]
        if row["status"] == "offline" and row["up"]:
            remedy = (
                "the line is down behind the gateway, or the targets do not answer this method: try other track_targets"
            )
            yield _check("tracking", "error", f"{name} is offline: {row['reason']}", remedy)
        elif dead and row["up"]:
            remedy = "replace them: fewer answering targets mean less certainty"
            yield _check("tracking", "warning", f"{name}: no answer from {', '.join(dead)}", remedy)
        elif row["status"] == "offline":
            yield _check("tracking", "warning", f"{name} is offline: its link is down", "see topic link")
        elif row["status"] in ("connecting", "disconnecting"):
            remedy = "wait: it is being probed faster, and the next seconds will tell"
            yield _check("tracking", "warning", f"{name} is {row['status']}: {row['reason']}", remedy)
        elif row["tracking"] == "none":
            remedy = "add track_targets, or a silent failure stays unnoticed"
            yield _check("tracking", "warning", f"{name} is not tracked: only a lost link takes it out", remedy)
        else:
            yield _check("tracking", "ok", f"{name} is {row['status']}")


def _routes(config: Config, resolved: Sequence[Resolved]) -> Iterator[Check]:
    missing = routing.missing(desired(config, [r.uplink for r in resolved]))
    for what in missing:
        yield _check("routes", "error", f"missing: {what}", "run `netpath reload`")
    if not missing:
        yield _check("routes", "ok", "every ip rule and route of ours stands")
    for family in served(config):
        if not any(r.dst == "default" for r in rtnl.routes(family, table=254)):
            yield _check(
                "routes",
                "warning",
                f"the main table has no {family} default route: the router's own traffic cannot start",
                "give the uplinks default routes with metrics",
            )


def _ruleset(config: Config) -> Iterator[Check]:
    table = config.globals.nft_table
    if nftdump.table_intact(table):
        yield _check("rules", "ok", f"table inet {table} stands, {len(config.rules)} rules")
    else:
        yield _check("rules", "error", f"table inet {table} is missing or empty", "run `netpath reload`")


def _domains(where: paths.Paths, config: Config) -> Iterator[Check]:
    """Whether dnsmasq can fill the sets of rules with `domain`."""
    faults = list(domains.review(StateDir(where.state_dir), config))
    for fault in faults:
        subject = f"rule {fault.rule}: " if fault.rule else ""
        yield _check("domains", "error", f"{subject}{fault.message}", fault.fix)
    count = sum(1 for rule in config.rules if rule.domains)
    if count and not faults:
        yield _check("domains", "ok", f"dnsmasq fills the sets of {count} rules")


def _conflicts(config: Config, snapshot: Snapshot, resolved: Sequence[Resolved]) -> Iterator[Check]:
    clashes = mark_clashes(config, [ForeignMark(*each) for each in foreign_marks(snapshot)])
    for problem in clashes:
        yield _check("conflicts", "warning", problem.message, problem.fix)
    if Path("/etc/init.d/mwan3").exists() and any(m[0] == "mwan3" for m in foreign_marks(snapshot)):
        yield _check("conflicts", "error", "mwan3 is running too", "/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable")
    strict = [r.uplink.device for r in resolved if r.uplink.device and sysctl.rp_filter(r.uplink.device) == 1]
    for device in strict:
        remedy = f"sysctl net.ipv4.conf.{device}.rp_filter=2"
        yield _check("conflicts", "error", f"strict reverse-path filtering on {device} drops replies", remedy)
    if not clashes and not strict:
        yield _check("conflicts", "ok", "nothing else uses our mark bits")


def _scripts(where: paths.Paths) -> Iterator[Check]:
    """The user's scripts that are not run, as others could have written them."""
    script = [where.user_script] if where.user_script.is_file() else []
    try:
        found = [*script, *executables(where.hooks_dir)]
    except OSError as error:
        remedy = f"see to what {where.hooks_dir} is: its programs are to be run at each change of an uplink"
        yield _check("scripts", "error", f"{where.hooks_dir}: cannot be read: {error.strerror}", remedy)
        found = script
    refused = [(path, why) for path in found if (why := refusal(path))]
    for path, why in refused:
        reason, _, remedy = why.removesuffix(")").partition(" (remedy: ")
        yield _check("scripts", "error", f"{path} is not run: {reason}", remedy or f"ls -l {path}")
    if found and not refused:
        yield _check("scripts", "ok", f"run at each change of an uplink: {', '.join(map(str, found))}")


def _system(config: Config) -> Iterator[Check]:
    for family, parameter in (("ipv4", "net.ipv4.ip_forward"), ("ipv6", "net.ipv6.conf.all.forwarding")):
        if family in served(config) and not sysctl.forwards(family):
            remedy = f"sysctl -w {parameter}=1"
            yield _check(
                "system", "warning", f"{family} forwarding is off: only the router's own traffic is steered", remedy
            )
    used, most = conntrack.count(), conntrack.maximum()
    if most and used > FULL * most:
        remedy = "raise net.netfilter.nf_conntrack_max"
        yield _check("system", "error", f"the connection table is nearly full ({used} of {most})", remedy)
    else:
        yield _check("system", "ok", f"{used} of {most} connections in use")
