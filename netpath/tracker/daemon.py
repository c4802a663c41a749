# SPDX-License-Identifier: GPL-2.0-or-later
"""The resident daemon: brings probes, link events, workers and the failover path together.

While an `apply` worker runs, failover goes on with the policies as they were; when it has finished, whatever it did not
know yet is switched at once. So a slow load delays nothing, and a stale one never wins.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from netpath import handover
from netpath.handover import Applied
from netpath.health import InterfaceHealth, Transition
from netpath.kernel import nftdump
from netpath.kernel.monitor import LinkEvent, LinkMonitor
from netpath.kernel.nft import Nft
from netpath.kernel.uplinks import Resolved, Snapshot, resolve
from netpath.model import Interface, State, Uplink
from netpath.paths import Paths
from netpath.probe.scheduler import Scheduler
from netpath.statedir import STATES, StateDir
from netpath.tracker.hooks import HookEvent, Hooks
from netpath.tracker.journal import Journal, Log
from netpath.tracker.switch import Switch
from netpath.tracker.workers import Workers

SETTLE = 0.02
"""Seconds to gather link events before the kernel is read again: one cable event is a handful of messages."""
RETRY = 5.0
"""Seconds until a failed full load is tried again."""


class Daemon:
    """State of the running tracker. Everything runs on one asyncio loop."""

    def __init__(self, where: Paths, log: Log) -> None:
        self.where = where
        self.log = log
        self.journal = Journal(log)
        self.state_dir = StateDir(where.state_dir)
        self.workers = Workers(where)
        self.applied: Applied | None = None
        self.problem: str | None = None
        """Why nothing is configured, in words; None while something is."""
        self.disabled: set[str] = set()
        self.states: dict[str, State] = {}
        self.uplinks: dict[str, Uplink] = {}
        self.reasons: dict[str, str] = {}
        self.stopping = asyncio.Event()
        self.keep_on_stop = False
        self._up: dict[str, bool] = {}
        self._health: dict[str, InterfaceHealth] = {}
        self._scheduler: Scheduler | None = None
        self._probe_mark = 0
        self.hooks = Hooks(where.user_script, where.hooks_dir, log)
        self._nft = Nft()
        self._switch = Switch(self._nft, self.journal)
        self._links = LinkMonitor(self._on_link)
        self._generations = nftdump.GenerationMonitor(self._on_generation)
        self._applying = asyncio.Lock()
        self._settle: asyncio.TimerHandle | None = None
        self._read_again = False
        """A link event came while a worker was loading."""
        self._damaged = False
        """Somebody removed a route or rule of ours."""
        self._removals = 0
        """Removals of our routes and rules seen since the last load began; it tells how many were its own."""
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what stands, or load everything; a bad configuration leaves the tracker running and saying so."""
        loop = asyncio.get_running_loop()
        saved = self.state_dir.read_json(STATES)
        self.states = {name: State(value) for name, value in saved.get("states", {}).items()}
        self.disabled = set(saved.get("disabled", ()))
        self._links.start(loop)
        self._generations.start(loop)
        reply = await self.apply(from_file=True)
        if "error" in reply and self.state_dir.applied_config() is not None:
            self.journal.add("config", "error", message=f"{reply['error']}; the last good configuration runs on")
            await self.apply(from_file=False)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    def stop(self, *, keep: bool = False) -> None:
        """Ask for the end; with `keep` the kernel state stays for the next tracker."""
        self.keep_on_stop = keep
        self.stopping.set()

    async def close(self) -> None:
        """End probes, monitors and scripts; remove what is ours from the kernel unless it is to be kept."""
        if self._settle is not None:
            self._settle.cancel()
        self._links.close()
        self._generations.close()
        if self._scheduler is not None:
            self._scheduler.close()
        await self.hooks.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._applying:
            if not self.keep_on_stop:
                reply = await self.workers.run("stop", {})
                if "error" in reply:
                    self.log("error", reply["error"])
        self._nft.close()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` beside everything else; its failure is logged."""

        def done(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.log("error", f"internal error: {task.exception()!r}")

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    # -- loading ------------------------------------------------------------------------------------------------

    async def apply(self, *, from_file: bool) -> dict[str, Any]:
        """Run the worker that brings the kernel to the configuration; its warnings, or {"error", "problems"}."""
        async with self._applying:
            self._removals = 0
            reply = await self.workers.run(
                "apply",
                {
                    "source": "file" if from_file else "applied",
                    "states": {name: str(state) for name, state in self.states.items()},
                    "disabled": sorted(self.disabled),
                },
            )
            if "error" in reply:
                self.problem = None if self.applied else reply["error"]
                self.journal.add("config", "error", message=reply["error"])
                if not from_file:
                    asyncio.get_running_loop().call_later(RETRY, self._refresh_soon)
                elif self.applied is None and not reply.get("problems"):  # the kernel's fault, not the file's
                    asyncio.get_running_loop().call_later(RETRY, self._reload_soon)
                return {"error": reply["error"], "problems": reply.get("problems", [])}
            self._adopt(handover.decode(reply))
        self._damaged = self._damaged or self._removals > reply["removed"]
        if self._read_again or self._damaged:
            self._read_again = False
            self._refresh_soon()
        return {"result": "ok", "warnings": reply["warnings"]}

    def _adopt(self, applied: Applied) -> None:
        """Make a finished load ours, then catch up with what happened meanwhile."""
        was, self.applied, self.problem = self.applied, applied, None
        if not applied.globals.enabled:
            self.problem = f"NetPath is switched off: option enabled of section globals in {self.where.config}"
        self.log.set_level(applied.globals.loglevel)
        self._switch.loaded(applied)
        self.uplinks = {u.name: u for u in applied.uplinks}
        known = {i.name for i in applied.interfaces}
        scheduler = self._scheduler_for(applied.view.marks.default)
        for name in [n for n in self._health if n not in known]:
            scheduler.remove(name)
            for table in (self._health, self.states, self._up, self.reasons):
                table.pop(name, None)
            self._switch.forget(name, was)
            self.journal.add(
                "interface", interface=name, **{"from": "configured", "to": "removed"}, reason="configuration"
            )
        for interface in applied.interfaces:
            self._adopt_interface(interface, applied, scheduler)
        self._save()
        self._follow_states("load")

    def _scheduler_for(self, mark: int) -> Scheduler:
        """The scheduler of all probes; another mark, after a change of mark_mask, needs new sockets."""
        if self._scheduler is None or self._probe_mark != mark:
            if self._scheduler is not None:
                self._scheduler.close()
            self._scheduler = Scheduler(asyncio.get_running_loop(), self._on_transition, mark=mark)
            self._probe_mark = mark
        return self._scheduler

    def _adopt_interface(self, interface: Interface, applied: Applied, scheduler: Scheduler) -> None:
        name, now = interface.name, asyncio.get_running_loop().time()
        uplink, up = self.uplinks[name], applied.up[name]
        enabled = interface.enabled and name not in self.disabled
        self.reasons[name] = applied.reasons[name]
        health = self._health.get(name)
        if health is None:
            initial = State.ONLINE if self.states.get(name, interface.initial_state).usable else State.OFFLINE
            health = InterfaceHealth(interface.tracking, now=now, initial=initial, enabled=enabled, link_up=up)
            self._health[name] = health
            self.states[name] = health.state
        scheduler.set_interface(name, health, interface.tracking, uplink)
        scheduler.admin(name, enabled)
        self._link_state(name, up)

    def _link_state(self, name: str, up: bool) -> None:
        """Tell health whether the kernel has all that the interface needs; ifup and ifdown hooks on a change."""
        was, self._up[name] = self._up.get(name), up
        if was is not None and was != up:
            self._hook("ifup" if up else "ifdown", name)
        if self._scheduler is not None:
            self._scheduler.link(name, up, self.reasons.get(name, ""))

    # -- events -------------------------------------------------------------------------------------------------

    def _on_link(self, event: LinkEvent) -> None:
        """A hint from the kernel. A lost carrier acts at once; everything else after the kernel has been read."""
        if event.kind == "link" and event.ifname and (event.removed or not event.carrier or not event.up):
            for name, uplink in self.uplinks.items():
                if uplink.device == event.ifname and self._up.get(name):
                    self.reasons[name] = f"device {event.ifname} " + ("is gone" if event.removed else "has no carrier")
                    self._link_state(name, False)
        if event.ours and event.removed:
            self._removals += 1
            self._damaged = self._damaged or not self._applying.locked()
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        if self._settle is None and not self.stopping.is_set():
            self._settle = asyncio.get_running_loop().call_later(SETTLE, self._read_kernel)

    def _read_kernel(self) -> None:
        """Compare what the kernel has with what was loaded; downs act here, ups and changes go through a worker."""
        self._settle = None
        applied = self.applied
        if applied is None or not applied.globals.enabled:
            return
        try:
            found = self.resolved(applied)
            self._damaged = self._damaged or not nftdump.table_intact(applied.globals.nft_table)
        except OSError as error:
            self.log("error", f"the kernel could not be read: {error}; trying again")
            asyncio.get_running_loop().call_later(RETRY, self._refresh_soon)
            return
        for each in found:
            self.reasons[each.uplink.name] = each.reason
            if not each.up and self._up.get(each.uplink.name):
                self._link_state(each.uplink.name, False)
        if self._applying.locked():
            self._read_again = True
        elif self._damaged or any(self._needs_load(each) for each in found):
            self._damaged = False
            self.spawn(self.apply(from_file=False))

    def resolved(self, applied: Applied) -> list[Resolved]:
        """The uplinks as the kernel has them now."""
        return resolve(applied.interfaces, applied.view.ids, Snapshot.read())

    def _needs_load(self, found: Resolved) -> bool:
        name = found.uplink.name
        return found.uplink != self.uplinks.get(name) or found.up != self._up.get(name)

    def _on_generation(self, pid: int | None) -> None:
        """Somebody changed the ruleset: when our table suffered, put it back."""
        applied = self.applied
        if applied is None or not applied.globals.enabled or pid == os.getpid():
            return
        if self._applying.locked():
            self._read_again = True
        elif not nftdump.table_intact(applied.globals.nft_table):
            lost = f"table inet {applied.globals.nft_table} was removed or emptied by pid {pid}; loading it again"
            self.journal.add("table", "warning", message=lost)
            self.spawn(self.apply(from_file=False))

    def _on_transition(self, name: str, transition: Transition) -> None:
        """One path for every cause: carrier, probe, quality, admin, configuration."""
        self.states[name] = transition.new
        self._follow_states(f"{name} {transition.new}")
        self.journal.add(
            "interface",
            interface=name,
            **{"from": str(transition.old), "to": str(transition.new)},
            reason=transition.reason or self.reasons.get(name, ""),
        )
        self._save()
        action = _ACTIONS.get(transition.new)
        if action and not (transition.new == State.OFFLINE and transition.old == State.CONNECTING):
            self._hook(action, name)

    def _follow_states(self, cause: str) -> None:
        """Let the policies use what is usable now.

        Also while a worker loads, for that may take long; what it makes of that is put right when it has finished.
        """
        if self.applied is None:
            return
        usable = frozenset(n for n, s in self.states.items() if s.usable and self._up.get(n) and n not in self.disabled)
        if not self._switch.to(usable, cause) and not self._applying.locked():
            self.spawn(self.apply(from_file=False))

    # -- requests -----------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self.spawn(self.reload())

    async def reload(self) -> dict[str, Any]:
        """Read the configuration file again; the old one runs on when it is bad."""
        reply = await self.apply(from_file=True)
        if "error" not in reply:
            self.journal.add("config", message=f"{self.where.config} loaded")
        return reply

    def set_admin(self, name: str, *, enabled: bool) -> dict[str, Any]:
        """mwan3's ifup and ifdown: holds until the other call, over reloads and crashes, not over a stop."""
        interface = next((i for i in self.applied.interfaces if i.name == name), None) if self.applied else None
        if interface is None:
            return {"error": f"no interface {name!r}; configured are: {', '.join(self._health) or 'none'}"}
        if enabled and not interface.enabled:
            return {"error": f"interface {name!r} is disabled in {self.where.config}: set enabled to 1 and reload"}
        if enabled == (name in self.disabled):
            (self.disabled.discard if enabled else self.disabled.add)(name)
            self._hook("ifup" if enabled else "ifdown", name)
            if self._scheduler is not None:
                self._scheduler.admin(name, enabled)
            self._save()
        return {"result": "ok"}

    @property
    def usable(self) -> frozenset[str]:
        """The interfaces that the loaded policies use."""
        return self._switch.usable

    def health(self, name: str) -> InterfaceHealth:
        return self._health[name]

    def link_up(self, name: str) -> bool:
        return self._up.get(name, False)

    # -- helpers ------------------------------------------------------------------------------------------------

    def _hook(self, action: str, name: str) -> None:
        uplink = self.uplinks.get(name)
        self.hooks.fire(HookEvent(action, name, uplink.device or "" if uplink else ""))

    def _save(self) -> None:
        """Remember states for a tracker that takes over after a crash. A full disk must not stop failover."""
        try:
            self.state_dir.write_json(
                STATES, {"states": {n: str(s) for n, s in self.states.items()}, "disabled": sorted(self.disabled)}
            )
        except OSError as error:
            self.log("error", f"{self.state_dir.root}: cannot save states: {error.strerror}")


_ACTIONS: dict[State, str] = {
    State.ONLINE: "connected",
    State.OFFLINE: "disconnected",
    State.CONNECTING: "connecting",
    State.DISCONNECTING: "disconnecting",
}
"""New state -> mwan3's ACTION."""
