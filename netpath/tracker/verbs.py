# SPDX-License-Identifier: GPL-2.0-or-later
"""What the socket answers (docs/socket.md). Arguments are checked here; nothing of a request reaches a shell or nft."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from netpath import __version__
from netpath.kernel import cgroup
from netpath.kernel.nft import NftError, version
from netpath.model import Interface, Policy, State, TrackMethod
from netpath.steering.policy import FAMILIES
from netpath.steering.slots import shares
from netpath.tracker.arguments import BadRequestError
from netpath.tracker.daemon import Daemon
from netpath.tracker.metrics import Metrics

Request = dict[str, Any]
Reply = dict[str, Any]


MOST_PROBLEMS = 500
"""Of `check`: the tracker must hold the reply."""
KEEP_ALL = 2**53
"""A limit that is none."""


class Verbs:
    """Answers requests of one daemon."""

    def __init__(self, daemon: Daemon, metrics: Metrics) -> None:
        self._daemon = daemon
        self._metrics = metrics
        self._used: set[str] = set()
        """Control groups that the ruleset knows since this tracker runs."""
        self._verbs: dict[str, Callable[[Request], Awaitable[Reply]]] = {
            "status": self._status,
            "interfaces": self._interfaces,
            "policies": self._policies,
            "metrics": self._metrics_reply,
            "history": self._history,
            "events": self._events,
            "enable": self._enable,
            "ifup": self._enable,
            "disable": self._disable,
            "ifdown": self._disable,
            "reload": self._reload,
            "use": self._use,
            "version": self._version,
            "stop": self._stop,
            "explain": self._explain,
            "diag": self._diag,
            "check": self._check,
            "import": self._import,
        } | {name: self._report(name) for name in ("rules", "connected", "internal", "config")}

    async def answer(self, request: Request) -> Reply:
        """The reply to one request; every failure is an {"error": text}."""
        verb = self._verbs.get(request["cmd"])
        if verb is None:
            return {"error": f"unknown cmd {request['cmd'][:40]!r}; known: {', '.join(sorted(self._verbs))}"}
        try:
            return await verb(request)
        except BadRequestError as error:
            return {"error": str(error)}
        except (OSError, NftError, cgroup.CgroupUnavailable) as error:
            return {"error": f"{request['cmd']}: {error}"}
        except Exception as error:  # noqa: BLE001 - one request must not end the connection, or worse
            self._daemon.log.internal(error, f"request {request['cmd']}:")
            return {"error": f"{request['cmd']}: internal error {error!r}; please report it with the log"}

    # -- state --------------------------------------------------------------------------------------------------

    async def _status(self, request: Request) -> Reply:
        section, only = _text(request, "section"), _text(request, "interface")
        if section not in (None, "interfaces", "connected", "policies", "members"):
            raise BadRequestError(f"section {section!r}: one of interfaces, connected, policies, members")
        reply: Reply = {} if self._daemon.problem is None else {"problem": self._daemon.problem}
        if section in (None, "interfaces"):
            reply["interfaces"] = {i.name: self._row(i) for i in self._configured() if only in (None, i.name)}
        if section in (None, "connected"):
            reply["connected"] = await self._daemon.workers.report("connected", {}) if section else self._prefixes()
        if section in (None, "policies"):
            reply["policies"] = {family: self._percentages(family) for family in FAMILIES}
        if section in (None, "members"):
            reply["members"] = self._daemon.members.rows()
        return reply

    async def _interfaces(self, request: Request) -> Reply:
        chosen = self._configured()[_page(request)]
        rows = [{"name": i.name, **self._row(i)} for i in chosen]
        return {"interfaces": rows, "total": len(self._configured())}

    def _row(self, interface: Interface) -> Reply:
        """mwan3's fields first, then ours."""
        daemon, name = self._daemon, interface.name
        now = asyncio.get_running_loop().time()
        health, uplink = daemon.health(name).snapshot(now), daemon.uplinks[name]
        age = max(0, round(now - health.since))
        tracked = interface.tracking.method != TrackMethod.NONE and bool(interface.tracking.targets)
        enabled = interface.enabled and name not in daemon.disabled
        return {
            "age": age,
            "online": age if health.state.usable else 0,
            "offline": age if health.state in (State.OFFLINE, State.CONNECTING) else 0,
            "uptime": age if daemon.link_up(name) and health.state.usable else 0,
            "score": health.score,
            "lost": health.lost,
            "turn": health.turn,
            "status": str(health.state),
            "enabled": enabled,
            "running": enabled and daemon.link_up(name),
            "tracking": ("active" if tracked else "none") if enabled else "disabled",
            "up": daemon.link_up(name),
            "track_ip": [
                {"ip": t.target, "status": t.status, "latency": round(t.latency or 0), "packetloss": round(t.loss or 0)}
                for t in health.targets
            ],
            "id": uplink.id,
            "family": interface.family,
            "metered": interface.metered,
            "device": uplink.device,
            "gateway": uplink.gateway,
            "addresses": list(uplink.addresses),
            "latency": None if health.latency is None else round(health.latency, 3),
            "jitter": None if health.jitter is None else round(health.jitter, 3),
            "packetloss": None if health.loss is None else round(health.loss, 2),
            "reason": health.reason or daemon.reasons.get(name, ""),
            "since": round(time.time() - (now - health.since), 3),
        }

    async def _policies(self, request: Request) -> Reply:
        page, applied = _page(request), self._daemon.applied
        view, usable = self._daemon.view, self._daemon.usable
        if applied is None or view is None:
            return {"families": [], "policies": [], "total": 0}
        rows = []
        for policy in view.policies[page]:
            percent = {f: shares(policy, view.families, view.ids, usable, f) for f in FAMILIES}
            rows.append(
                {
                    "name": policy.name,
                    "mode": str(policy.mode),
                    "last_resort": str(policy.last_resort),
                    "members": [
                        {
                            "name": m.name,
                            "interface": m.interface,
                            "metric": m.metric,
                            "weight": m.weight,
                            "status": str(self._daemon.states.get(m.interface, State.OFFLINE)),
                            **{f: 0 if m.closed else percent[f].get(m.interface, 0) for f in FAMILIES},
                            **self._daemon.members.row(m),
                        }
                        for m in policy.members
                    ],
                    "active": {f: [n for n, v in percent[f].items() if v] for f in FAMILIES},
                }
            )
        return {"families": list(applied.families), "policies": rows, "total": len(view.policies)}

    def _percentages(self, family: str) -> Reply:
        """Policy -> active interfaces; nothing for a family that is left to the main table."""
        applied, view, usable = self._daemon.applied, self._daemon.view, self._daemon.usable
        if applied is None or view is None or family not in applied.families:
            return {}

        def rows(policy: Policy) -> list[Reply]:
            percent = shares(policy, view.families, view.ids, usable, family)
            return [{"interface": n, "percent": v} for n, v in percent.items() if v]

        return {p.name: rows(p) for p in view.policies}

    def _prefixes(self) -> Reply:
        """On-link and static prefixes of the uplinks; the verb `connected` also has those of other devices."""
        uplinks = self._daemon.uplinks.values()
        return {f: sorted({p for u in uplinks if u.family == f for p in u.connected}) for f in FAMILIES}

    def _configured(self) -> tuple[Interface, ...]:
        return self._daemon.applied.interfaces if self._daemon.applied else ()

    async def _metrics_reply(self, request: Request) -> Reply:
        del request
        return await self._metrics.metrics()

    async def _history(self, request: Request) -> Reply:
        return self._metrics.history(
            _text(request, "interface"),
            _number(request, "since"),
            coarse=_flag(request, "coarse"),
            limit=_whole(request, "limit", KEEP_ALL),
        )

    async def _events(self, request: Request) -> Reply:
        _flag(request, "follow")  # the server follows; here only nonsense is refused
        journal = self._daemon.journal
        before, limit = _whole(request, "before", KEEP_ALL), _whole(request, "limit", KEEP_ALL)
        found = journal.since(_number(request, "since"), _whole(request, "after", 0))
        found = [e for e in found if e["seq"] < before]
        return {"events": found[max(0, len(found) - limit) :], "newest": journal.newest}

    # -- orders -------------------------------------------------------------------------------------------------

    async def _enable(self, request: Request) -> Reply:
        return self._daemon.set_admin(_interface(request), enabled=True)

    async def _disable(self, request: Request) -> Reply:
        return self._daemon.set_admin(_interface(request), enabled=False)

    async def _reload(self, request: Request) -> Reply:
        del request
        return await self._daemon.reload()

    async def _use(self, request: Request) -> Reply:
        """Make the cgroup of an interface and let the ruleset know it."""
        name, applied = _interface(request), self._daemon.applied
        if applied is None or name not in self._daemon.uplinks:
            raise BadRequestError(f"no interface {name!r}; configured are: {', '.join(self._daemon.uplinks) or 'none'}")
        group = cgroup.name_of(applied.globals.nft_table, name)
        new = cgroup.existing(group) is None
        if new:
            self._used.discard(group)
        made = cgroup.ensure(group)
        if group not in self._used:
            reply = await self._daemon.apply(from_file=False)
            if "error" in reply:
                if new:  # or every later load would trip over it as well
                    cgroup.remove(group)
                return _without_cgroups(reply)
            self._used.add(group)
        return {"cgroup": str(made.directory)}

    async def _version(self, request: Request) -> Reply:
        del request
        return {
            "version": __version__,
            "python": sys.version.split()[0],
            "kernel": os.uname().release,
            "nftables": version(),
        }

    async def _stop(self, request: Request) -> Reply:
        keep = _flag(request, "keep")
        asyncio.get_running_loop().call_soon(lambda: self._daemon.stop(keep=keep))
        return {"result": "ok"}

    async def _explain(self, request: Request) -> Reply:
        question = {k: v for k, v in request.items() if k != "cmd"}
        known = {"usable": sorted(self._daemon.usable), "closed": self._daemon.members.words()}
        return await self._daemon.workers.report("explain", {**question, **known})

    async def _diag(self, request: Request) -> Reply:
        del request
        rows = {i.name: self._row(i) for i in self._configured()}
        return await self._daemon.workers.report("diag", {"interfaces": rows})

    async def _check(self, request: Request) -> Reply:
        arguments = {"file": _text(request, "file"), "limit": MOST_PROBLEMS}
        return await self._daemon.workers.report("check", arguments)

    async def _import(self, request: Request) -> Reply:
        del request
        return await self._daemon.workers.report("preview", {})

    def _report(self, job: str) -> Callable[[Request], Awaitable[Reply]]:
        async def run(request: Request) -> Reply:
            return await self._daemon.workers.report(job, {k: v for k, v in request.items() if k != "cmd"})

        return run


def _without_cgroups(refused: Reply) -> Reply:
    """A load that `use` asked for failed: say so in words if the kernel has no `socket cgroupv2`."""
    if "socket cgroupv2" not in refused["error"]:
        return refused
    why = "this kernel cannot tell control groups apart in nft (nft_socket of Linux 5.13, kmod-nft-socket)"
    return {**refused, "error": f"{why}: {refused['error']}"}


def _text(request: Request, key: str) -> str | None:
    value = request.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequestError(f"{key} must be text")
    return value


def _flag(request: Request, key: str) -> bool:
    value = request.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadRequestError(f"{key} must be true or false")
    return bool(value)


def _number(request: Request, key: str) -> float:
    """Epoch seconds; 0 when it is not given."""
    value = request.get(key)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        raise BadRequestError(f"{key} must be a number (epoch seconds)")
    return float(value)


def _whole(request: Request, key: str, default: int) -> int:
    """A number that counts something."""
    value = request.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequestError(f"{key} must be a whole number from 0")
    return min(value, KEEP_ALL)


def _page(request: Request) -> slice:
    """What `offset` and `limit` choose of a list."""
    offset = _whole(request, "offset", 0)
    return slice(offset, offset + _whole(request, "limit", KEEP_ALL))


def _interface(request: Request) -> str:
    name = _text(request, "interface")
    if not name:
        raise BadRequestError(f'"interface" is missing; example: {{"cmd":"{request["cmd"]}","interface":"wan"}}')
    return name
