# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened: a bounded list of events, its followers, and the log.

Log lines go to standard error (systemd collects it) with the level in front, and to syslog when asked for: also there,
or only there. procd hands all of standard error to syslog at one level, so its service asks for syslog only.
"""

from __future__ import annotations

import sys
import syslog
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from netpath.tracker.clock import Clock

LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
KEEP = 500
"""Events held in memory; about 0.3 KiB each."""

Event = dict[str, Any]


class Log:
    """Levelled log lines; `level` may change at a reload."""

    def __init__(self, *, use_syslog: bool = False, use_stderr: bool = True, name: str = "netpath") -> None:
        self.level = LEVELS.index("notice")
        self._lost = 0
        """Lines that standard error did not take."""
        self._name = name
        self._stderr = use_stderr
        self._syslog = use_syslog
        if use_syslog:
            syslog.openlog(name, syslog.LOG_PID, syslog.LOG_DAEMON)

    def set_level(self, name: str) -> None:
        self.level = LEVELS.index(name)

    def __call__(self, level: str, message: str) -> None:
        number = LEVELS.index(level)
        if number > self.level:
            return
        line = _one_line(message)
        if self._stderr:
            self._print(level, line)
        if self._syslog:
            syslog.syslog(number, line)

    def _print(self, level: str, line: str) -> None:
        try:
            if self._lost:
                print(f"{self._name} warning: {self._lost} log lines were lost here", file=sys.stderr, flush=True)
                self._lost = 0
            print(f"{self._name} {level}: {line}", file=sys.stderr, flush=True)
        except (OSError, ValueError):  # its reader is gone, its disk full, it is closed: failover must go on
            self._lost += 1

    def internal(self, error: BaseException | None, message: str = "") -> None:
        """Log a failure that nobody foresaw, with its place."""
        at = error.__traceback__ if error else None
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = f" ({at.tb_frame.f_code.co_filename}:{at.tb_lineno})" if at else ""
        self("error", f"internal error: {message} {error!r}{where}")


class Journal:
    """Numbered events, oldest dropped; followers are called with each new one."""

    def __init__(self, log: Log) -> None:
        self._events: deque[tuple[float, Event]] = deque(maxlen=KEEP)
        """With their monotonic times."""
        self._clock = Clock()
        self._followers: list[Callable[[Event], None]] = []
        self._seq = 0
        self._log = log

    def add(self, kind: str, level: str = "notice", **fields: Any) -> Event:
        """Record one event; `fields` are JSON values. Returns it with `seq` and `time` (epoch s)."""
        self._seq += 1
        event = {"seq": self._seq, "time": round(time.time(), 3), "kind": kind, **fields}
        self._events.append((time.monotonic(), event))
        self._log(level, _sentence(kind, fields))
        for follower in list(self._followers):
            follower(event)
        return event

    @property
    def newest(self) -> int:
        """The number of the last event, 0 before the first."""
        return self._seq

    def since(self, epoch: float, after: int = 0) -> list[Event]:
        """Events at or after `epoch` (s, by what the clock says now) whose number is greater than `after`.

        A number that no event has reached is one of an earlier tracker's, and leaves none out.
        """
        at = self._clock.since(epoch)
        cursor = after if after <= self._seq else 0
        return [event for when, event in self._events if when >= at and event["seq"] > cursor]

    def follow(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` for each event from now on; the result ends that."""
        self._followers.append(callback)
        return lambda: self._followers.remove(callback)


def _one_line(text: str) -> str:
    """Control characters spelled out: what a server answered, or a name, must not move the cursor of who reads the log,
    nor look like a line of ours."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _sentence(kind: str, fields: dict[str, Any]) -> str:
    """One log line of an event."""
    if kind == "interface":
        return f"interface {fields['interface']} is {fields['to']} (was {fields['from']}): {fields['reason']}"
    if kind == "member":
        why = f": {fields['reason']}" if fields["reason"] else ""
        return f"member {fields['member']} of interface {fields['interface']} is {fields['to']}{why}"
    return " ".join([kind, *(f"{key}={value}" for key, value in fields.items() if value is not None)])
