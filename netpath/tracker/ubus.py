# SPDX-License-Identifier: GPL-2.0-or-later
"""Events on OpenWrt's ubus: `netpath.interface` at each transition, `netpath.policy` where it moved traffic.

Beside the failover path: the journal's call only takes note, and one task works the notes off in order. It starts
`ubus send`, 2 ms each, because a library for it would stay in memory for what happens a few times a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netpath.handover import Applied
from netpath.kernel import ubus
from netpath.model import Policy
from netpath.steering.policy import FAMILIES, SteeringView
from netpath.steering.slots import shares
from netpath.tracker.daemon import Daemon
from netpath.tracker.journal import Event

TIME_LIMIT = 5.0
"""Seconds after which `ubus send` is killed."""
QUEUE = 500
"""Notes of what happened; beyond that the oldest are dropped, with a log line."""

Payload = dict[str, Any]
_Shares = Mapping[tuple[str, str], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class _Note:
    """One event of the journal, and what the policies used after it."""

    event: Event
    device: str | None
    view: SteeringView
    families: Sequence[str]
    usable: frozenset[str]


class UbusEvents:
    """Sends from `start` to `close`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._notes: deque[_Note] = deque()
        self._task: asyncio.Task[None] | None = None
        self._known: _Shares = {}
        """(policy, family) -> interface -> percent, as last sent."""
        self._seen: tuple[SteeringView, frozenset[str]] | None = None
        """Of the note before: what makes these shares."""
        self._silent = False
        """That events cannot be sent has been said."""

    def start(self) -> None:
        """Follow the journal where there is a `ubus` command; elsewhere this is not OpenWrt."""
        if ubus.program() is not None:
            self._daemon.journal.follow(self._take)

    async def close(self) -> None:
        """What has not been sent stays unsent."""
        self._notes.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _take(self, event: Event) -> None:
        """Called by whatever happens, in the middle of it: look at the outcome once it is complete."""
        if event["kind"] in ("interface", "switch", "config"):
            asyncio.get_running_loop().call_soon(self._note, event)

    def _note(self, event: Event) -> None:
        applied, view = self._daemon.applied, self._daemon.view
        if applied is None or view is None or self._daemon.stopping.is_set():
            return
        if len(self._notes) >= QUEUE:
            lost = self._notes.popleft()
            self._daemon.log("warning", f"ubus is too slow: event {lost.event['seq']} was not sent")
        device = self._device(event.get("interface", ""), applied)
        self._notes.append(_Note(event, device, view, applied.families, self._daemon.usable))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def _device(self, name: str, applied: Applied) -> str | None:
        """The device that an interface has, or while it is down the configured one."""
        uplink = self._daemon.uplinks.get(name)
        configured = (i.device for i in applied.interfaces if i.name == name)
        return uplink.device if uplink and uplink.device else next(configured, None)

    async def _work(self) -> None:
        while self._notes:
            note = self._notes.popleft()
            if note.event["kind"] == "interface":
                await self._send("netpath.interface", interface_payload(note.event, note.device))
            if self._seen is not None and self._seen[0] is note.view and self._seen[1] == note.usable:
                continue
            now = await self._shares(note)
            for payload in policy_payloads(note.event, note.view.policies, self._known, now):
                await self._send("netpath.policy", payload)
            self._known, self._seen = now, (note.view, note.usable)

    async def _shares(self, note: _Note) -> dict[tuple[str, str], dict[str, int]]:
        """What every policy uses; lets a failover pass between two of them."""
        view, found = note.view, {}
        for policy in view.policies:
            for family in note.families:
                percent = shares(policy, view.families, view.ids, note.usable, family)
                found[policy.name, family] = {name: value for name, value in percent.items() if value}
            await asyncio.sleep(0)
        return found

    async def _send(self, kind: str, payload: Payload) -> None:
        argv = ubus.command("send", kind, json.dumps(payload, allow_nan=False))
        if argv is None:
            self._say("ubusd is not running" if ubus.program() else "the ubus command is gone")
            return
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*argv, stdin=null, stdout=null, stderr=null)
        except OSError as error:
            self._say(f"{argv[0]} cannot be run: {error}")
            return
        try:
            code = await asyncio.wait_for(process.wait(), TIME_LIMIT)
        except TimeoutError:
            await _kill(process)
            self._say(f"{argv[0]} was killed after {TIME_LIMIT:.0f} s")
        except asyncio.CancelledError:
            await _kill(process)
            raise
        else:
            if code:
                self._say(f"{argv[0]} send: exit code {code}")
            else:
                self._silent = False

    def _say(self, why: str) -> None:
        """Once, until one can be sent again."""
        if not self._silent:
            self._silent = True
            self._daemon.log("warning", f"no events on ubus: {why}")


def interface_payload(event: Event, device: str | None) -> Payload:
    """`netpath.interface`; `from` and `to` are states, `configured` or `removed`, `time` epoch seconds."""
    names = ("interface", "from", "to", "reason", "time", "seq")
    return {**{name: event[name] for name in names}, "device": device}


def policy_payloads(event: Event, policies: Sequence[Policy], before: _Shares, after: _Shares) -> Iterator[Payload]:
    """`netpath.policy` for each policy and family whose shares `event` changed."""
    for policy in policies:
        for family in FAMILIES:
            now = after.get((policy.name, family))
            if now is None or now == before.get((policy.name, family), {}):
                continue
            yield {
                "policy": policy.name,
                "family": family,
                "members": [m.interface for m in policy.members],
                "active": [{"interface": name, "percent": percent} for name, percent in now.items()],
                "cause": _cause(event),
                "time": event["time"],
                "seq": event["seq"],
            }


def _cause(event: Event) -> str:
    """In words: what happened."""
    if event["kind"] == "interface":
        return f"{event['interface']} {event['to']}"
    return str(event.get("cause") or "configuration")


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
