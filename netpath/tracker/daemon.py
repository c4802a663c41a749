# SPDX-License-Identifier: GPL-2.0-or-later
"""The resident daemon: brings probes, link events, workers and the failover path together.

While an `apply` worker runs, failover goes on with the policies as they were; when it has finished, whatever it did not
know yet is switched at once. So a slow load delays nothing, and a stale one never wins.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from netpath.handover import Applied
from netpath.health import InterfaceHealth, Transition
from netpath.kernel.monitor import LinkEvent, LinkMonitor
from netpath.kernel.nft import Nft
from netpath.kernel.snapshot import Snapshot
from netpath.kernel.uplinks import Resolved, resolve
from netpath.model import Interface, State, Uplink
from netpath.paths import Paths
from netpath.probe.scheduler import Scheduler
from netpath.statedir import STATES, StateDir
from netpath.steering.marks import probe_marks
from netpath.steering.policy import SteeringView
from netpath.tracker.budget import Budget
from netpath.tracker.guard import TableGuard
from netpath.tracker.hints import Hints
from netpath.tracker.hooks import HookEvent, Hooks, hook_action
from netpath.tracker.journal import Journal, Log
from netpath.tracker.loads import Loads
from netpath.tracker.logical import LogicalInterfaces
from netpath.tracker.members import Members
from netpath.tracker.switch import Switch
from netpath.tracker.workers import Workers

SETTLE = 0.02
"""Seconds to gather link events before the kernel is read again: one cable event is a handful of messages."""
RETRY = 5.0
"""Seconds until a kernel that could not be read is read again."""


class Daemon:
    """State of the running tracker. Everything runs on one asyncio loop."""

    def __init__(self, where: Paths, log: Log, clock: Callable[[], float] = time.time) -> None:
        self.where = where
        self.log = log
        self.journal = Journal(log)
        self.state_dir = StateDir(where.state_dir)
        self.workers = Workers(where)
        self.loads = Loads(
            self.workers, self.journal, request=self._load_request, adopt=self._adopt, again=self._load_again
        )
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
        self._scheduler = Scheduler(asyncio.get_running_loop(), self._on_transition)
        self.hooks = Hooks(where.user_script, where.hooks_dir, log)
        self._nft = Nft()
        self._switch = Switch(self._nft, self.journal, self.state_dir)
        self._guard = TableGuard(
            self._switch,
            self.loads,
            self.journal,
            log,
            self.state_dir,
            current=lambda: self.applied if self.applied and self.applied.globals.enabled else None,
            spawn=self.spawn,
        )
        self._logical = LogicalInterfaces(log)
        budget = Budget(self.state_dir, where.usage, log)
        self.members = Members(budget, self.journal, clock, self._follow_states)
        self._links = LinkMonitor(self._on_link)
        self._hints = Hints(asyncio.get_running_loop(), self._refresh_soon)
        self._adopting = False
        """A finished load is being taken over: one switch at its end, not one an interface."""
        self._settle: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what stands, or load everything; a bad configuration leaves the tracker running and saying so."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        self._hints.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self.states, self.disabled = self.state_dir.states()
        self._links.start(loop)
        self._guard.start(loop)
        await self._logical.refresh()
        reply = await self.apply(from_file=True)
        if "error" in reply and not self.stopping.is_set() and self.state_dir.applied_config() is not None:
            self.journal.add("config", "error", message=f"{reply['error']}; the last good configuration runs on")
            await self.apply(from_file=False)

    def stop(self, *, keep: bool = False) -> None:
        """Ask for the end; with `keep` the kernel state stays for the next tracker."""
        self.keep_on_stop = keep
        self.stopping.set()
        self.loads.stop()

    async def close(self) -> None:
        """End probes, monitors and scripts; remove what is ours from the kernel unless it is to be kept."""
        self.stopping.set()
        self.loads.stop()
        if self._settle is not None:
            self._settle.cancel()
        self._links.close()
        self._hints.close()
        self._guard.close()
        self.members.close()
        self._scheduler.close()
        await self.hooks.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.loads.ended()
        if not self.keep_on_stop:
            here = [(self.applied.globals.nft_table, self.applied.globals.rule_priority)] if self.applied else []
            reply = await self.workers.run("stop", {"places": here})
            if "error" in reply:
                self.log("error", reply["error"])
        self._nft.close()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` beside everything else; its failure is logged."""

        def done(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.log.internal(task.exception())

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    # -- loading ------------------------------------------------------------------------------------------------

    async def apply(self, *, from_file: bool) -> dict[str, Any]:
        """Run the worker that brings the kernel to the configuration; its warnings, or {"error", "problems"}."""
        reply = await self.loads.load(from_file=from_file)
        if "error" in reply and self.applied is None:
            self.problem = reply["error"]
        return reply

    def _load_request(self) -> dict[str, Any]:
        """What a worker must know to load now."""
        self._switch.load_begins()
        return {
            "states": {name: str(state) for name, state in self.states.items()},
            "disabled": sorted(self.disabled),
            "ids": dict(self.applied.view.ids) if self.applied else {},
            **self.members.request(),
        }

    def _load_again(self, from_file: bool) -> None:
        if self.applied is None:
            self.spawn(self.apply(from_file=from_file))
        else:
            self._refresh_soon()

    def _adopt(self, applied: Applied) -> None:
        """Make a finished load ours, then catch up with what happened meanwhile."""
        was, self.applied, self.problem = self.applied, applied, None
        if not applied.globals.enabled:
            self.problem = f"NetPath is switched off: option enabled of section globals in {self.where.config}"
        self.log.set_level(applied.globals.loglevel)
        self.uplinks = {u.name: u for u in applied.uplinks}
        known = {i.name for i in applied.interfaces}
        for name in [n for n in self._health if n not in known]:
            self._scheduler.remove(name)
            for table in (self._health, self.states, self._up, self.reasons):
                table.pop(name, None)
            self._switch.forget(name, was)
            self.journal.add(
                "interface", interface=name, **{"from": "configured", "to": "removed"}, reason="configuration"
            )
        up = self._still_up(applied)
        marks = applied.view.marks
        probing = probe_marks([self.uplinks[i.name] for i in applied.interfaces if i.enabled], marks)
        self._adopting = True
        try:
            for interface in applied.interfaces:
                self._adopt_interface(
                    interface, applied, up[interface.name], probing.get(interface.name, marks.default)
                )
        finally:
            self._adopting = False
        self._save()
        sound = self._guard.adopt(applied) or not applied.load
        self.members.adopt(applied.view)
        if not self._switch.loaded(applied, self._wanted(), self.members.closed) or not sound:
            self.loads.damaged = True

    def _still_up(self, applied: Applied) -> dict[str, bool]:
        """What the worker found up, less what has gone down since: else a dead link would come back for a moment."""
        if not applied.interfaces or (self._settle is None and not self.loads.read_again):
            return dict(applied.up)
        try:
            found = {each.uplink.name: each.up for each in self.resolved(applied)}
        except OSError as error:
            self.log("error", f"the kernel could not be read: {error}")
            return dict(applied.up)
        return {name: up and found[name] for name, up in applied.up.items()}

    def _adopt_interface(self, interface: Interface, applied: Applied, up: bool, mark: int) -> None:
        name, now = interface.name, asyncio.get_running_loop().time()
        uplink = self.uplinks[name]
        enabled = interface.enabled and name not in self.disabled
        self.reasons[name] = applied.reasons[name]
        health = self._health.get(name)
        if health is None:
            initial = State.ONLINE if self.states.get(name, interface.initial_state).usable else State.OFFLINE
            health = InterfaceHealth(interface.tracking, now=now, initial=initial, enabled=enabled, link_up=up)
            self._health[name] = health
            self.states[name] = health.state
        self._scheduler.set_interface(name, health, interface.tracking, uplink, mark)
        self._scheduler.admin(name, enabled)
        self._link_state(name, up)

    def _link_state(self, name: str, up: bool) -> None:
        """Tell health whether the kernel has all that the interface needs; ifup and ifdown hooks on a change."""
        was, self._up[name] = self._up.get(name), up
        if was is not None and was != up:
            self._hook("ifup" if up else "ifdown", name)
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
            self.loads.removal()
        if event.kind == "overrun":  # removals of ours may have been among what was lost
            self.loads.damaged = True
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        if self._settle is None and not self.stopping.is_set():
            self._settle = asyncio.get_running_loop().call_later(SETTLE, self._read_again)

    def _read_again(self) -> None:
        if self._logical.busy:  # its answer may be older than what has changed; one more that waits tells no more
            self._settle = asyncio.get_running_loop().call_later(SETTLE, self._read_again)
            return
        self._settle = None
        self._hints.listen()
        if self._logical.present:
            self.spawn(self._read_all())
        else:
            self._read_kernel()

    async def _read_all(self) -> None:
        await self._logical.refresh()
        self._read_kernel()

    def _read_kernel(self) -> None:
        """Compare what the kernel has with what was loaded; downs act here, ups and changes go through a worker."""
        applied = self.applied
        if applied is None or not applied.globals.enabled:
            return
        try:
            found = self.resolved(applied)
            if not self.loads.running:
                self.loads.damaged = self.loads.damaged or not self._guard.is_sound()
        except OSError as error:
            self.log("error", f"the kernel could not be read: {error}; trying again")
            asyncio.get_running_loop().call_later(RETRY, self._refresh_soon)
            return
        for each in found:
            self.reasons[each.uplink.name] = each.reason
            if not each.up and self._up.get(each.uplink.name):
                self._link_state(each.uplink.name, False)
        if self.loads.running:
            self.loads.read_again = True
        elif self.loads.damaged or self._sources_moved(applied) or any(self._needs_load(each) for each in found):
            self.spawn(self.apply(from_file=False))

    def resolved(self, applied: Applied) -> list[Resolved]:
        """The uplinks as the kernel has them now."""
        return resolve(applied.interfaces, applied.view.ids, Snapshot.read(), self._logical.dump)

    def _sources_moved(self, applied: Applied) -> bool:
        """Whether a logical interface that rules name has another device than when they were loaded."""
        known = self._logical.dump
        return any(device != (known[n].device if n in known else None) for n, device in applied.sources.items())

    def _needs_load(self, found: Resolved) -> bool:
        name = found.uplink.name
        return found.uplink != self.uplinks.get(name) or found.up != self._up.get(name)

    def _on_transition(self, name: str, transition: Transition) -> None:
        """One path for every cause: carrier, probe, quality, admin, configuration."""
        self.states[name] = transition.new
        self._save()  # first: a worker that is loading just now goes by it, lest it uses again what has failed
        self._follow_states(f"{name} {transition.new}")
        moved = transition.new.usable != transition.old.usable or State.DISABLED in (transition.new, transition.old)
        self.journal.add(
            "interface",
            "notice" if moved else "info",  # a lossy line changes between online and disconnecting all day
            interface=name,
            **{"from": str(transition.old), "to": str(transition.new)},
            reason=transition.reason or self.reasons.get(name, ""),
        )
        action = hook_action(transition)
        if action:
            self._hook(action, name)

    def _wanted(self) -> frozenset[str]:
        """The interfaces that policies should use now."""
        return frozenset(n for n, s in self.states.items() if s.usable and self._up.get(n) and n not in self.disabled)

    def _follow_states(self, cause: str) -> None:
        """Let the policies use what is usable now.

        Also while a worker loads, for that may take long; what it makes of that is put right when it has finished.
        """
        if self.applied is None or self._adopting:
            return
        if not self._switch.to(self._wanted(), self.members.closed, cause):
            self.loads.damaged = True
            self._refresh_soon()

    # -- requests -----------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        if not self.stopping.is_set():
            self.spawn(self.reload())

    async def reload(self) -> dict[str, Any]:
        """Read the configuration file again; the old one runs on when it is bad."""
        reply = await self.apply(from_file=True)
        if "error" not in reply:
            self.journal.add("config", message=f"{self.where.config} loaded")
        return reply

    def set_admin(self, name: str, *, enabled: bool) -> dict[str, Any]:
        """mwan3's ifup and ifdown: holds until the other call, over reloads and crashes, not over a stop."""
        interface = self._interface(name)
        if interface is None:
            return {"error": f"no interface {name!r}; configured are: {', '.join(self._health) or 'none'}"}
        if enabled and not interface.enabled:
            return {"error": f"interface {name!r} is disabled in {self.where.config}: set enabled to 1 and reload"}
        if enabled == (name in self.disabled):
            (self.disabled.discard if enabled else self.disabled.add)(name)
            self._hook("ifup" if enabled else "ifdown", name)
            self._scheduler.admin(name, enabled)
            self._save()
        return {"result": "ok"}

    @property
    def usable(self) -> frozenset[str]:
        """The interfaces that the loaded policies use."""
        return self._switch.usable

    @property
    def view(self) -> SteeringView | None:
        """What the loaded policies are written from."""
        return self._switch.view

    def health(self, name: str) -> InterfaceHealth:
        return self._health[name]

    def link_up(self, name: str) -> bool:
        return self._up.get(name, False)

    def _interface(self, name: str) -> Interface | None:
        interfaces = self.applied.interfaces if self.applied else ()
        return next((i for i in interfaces if i.name == name), None)

    # -- helpers ------------------------------------------------------------------------------------------------

    def _hook(self, action: str, name: str) -> None:
        uplink, interface = self.uplinks.get(name), self._interface(name)
        device = uplink.device if uplink else None  # None while it is down: then the configured one is meant
        self.hooks.fire(HookEvent(action, name, device or (interface.device if interface else None) or name))

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What no callback or task has caught: never lost, and in the log of a detached tracker too."""
        del loop
        self.log.internal(context.get("exception"), context.get("message", ""))

    def _save(self) -> None:
        """Remember states for a tracker that takes over after a crash. A full disk must not stop failover."""
        try:
            self.state_dir.write_json(
                STATES, {"states": {n: str(s) for n, s in self.states.items()}, "disabled": sorted(self.disabled)}
            )
        except OSError as error:
            self.log("error", f"{self.state_dir.root}: cannot save states: {error.strerror}")
