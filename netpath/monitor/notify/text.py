# SPDX-License-Identifier: GPL-2.0-or-later
"""What a message says, in words and for programs. Pure, but for the time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any

from netpath.monitor.notify.pile import Fold, Pile
from netpath.monitor.notify.reach import USABLE
from netpath.monitor.notify.transition import Transition

NAMED = 20
"""Interfaces named in a list; of more than these only the number is told."""
IN_SUBJECT = 3
CLOCK_IS_SET = 1577836800.0
"""2020: a router without a battery shows an earlier year until it has asked for the time."""

_VERBS = {"online": "came online", "offline": "went offline", "disabled": "was disabled"}
_MEMBER_VERBS = {"open": "was opened", "closed": "was closed"}


@dataclass(frozen=True, slots=True)
class Message:
    ident: str
    """The same for the same content: what was received twice can be told by it."""
    router: str
    time: float
    """Epoch s."""
    subject: str
    body: str
    """Lines; the subject is not among them."""
    events: tuple[dict[str, Any], ...]
    """As docs/socket.md has them."""
    interfaces: Mapping[str, str]
    """Name -> state now; empty when the tracker does not answer."""

    @property
    def text(self) -> str:
        return f"{self.subject}\n{self.body}"


def compose(
    pile: Pile,
    interfaces: Mapping[str, str],
    router: str,
    now: float,
    *,
    outage: tuple[float, float] | None = None,
    zone: tzinfo | None = None,
) -> Message:
    """The message that tells of `pile` (not empty). `zone`: None for the router's own."""
    times = _Times(now, zone)
    lines = [_line(found, times) for found in pile.listed]
    lines += _folded(pile, times)
    if outage is not None:
        begin, end = outage
        lines.append(f"No uplink worked from {times.at(begin)} to {times.at(end)}{times.span(begin, end, ' ({})')}.")
    body = [*lines, "", *_state(interfaces), f"Router {router}, {times.full(now)}"]
    events = [found.row() for found in (*pile.listed, *(fold.last for fold in pile.folds.values()))]
    return Message(
        ident=_ident(router, pile),
        router=router,
        time=now,
        subject=f"{router}: {_subject(pile)}",
        body="\n".join(body),
        events=tuple(events),
        interfaces=interfaces,
    )


def _ident(router: str, pile: Pile) -> str:
    seen = [(found.seq, found.time, found.subject) for found in (*pile.listed, *pile.ends)]
    return sha256(repr((router, seen, len(pile))).encode()).hexdigest()[:32]


def _subject(pile: Pile) -> str:
    ends = pile.ends
    if len(pile) == 1:
        return f"{_who(ends[0])} {_verb(ends[0])}"
    if len(ends) <= IN_SUBJECT and not pile.more:
        return ", ".join(f"{_who(end)} {end.new}" for end in ends)
    return f"{len(pile)} transitions of {len({end.interface for end in ends})} interfaces"


def _who(found: Transition) -> str:
    return found.interface if found.member is None else f"member {found.member} of {found.interface}"


def _verb(found: Transition) -> str:
    return (_VERBS if found.member is None else _MEMBER_VERBS).get(found.new, f"became {found.new}")


def _line(found: Transition, times: _Times) -> str:
    span = times.span(found.since, found.time, f" after {{}} {found.old}")
    until = f", until {times.at(found.until)}" if found.until is not None else ""
    why = f": {found.reason}" if found.reason else ""
    return f"{_who(found)} {_verb(found)} at {times.at(found.time)} ({found.old} -> {found.new}{span}{until}){why}"


def _folded(pile: Pile, times: _Times) -> list[str]:
    rest = len(pile) - len(pile.listed)
    if not rest:
        return []
    folds = list(pile.folds.values())
    others = len(folds) - NAMED
    tail = [f"  and of {others} more"] if others > 0 else []
    return [f"and {rest} more transition{'s' if rest > 1 else ''}:", *(_fold(f, times) for f in folds[:NAMED]), *tail]


def _fold(fold: Fold, times: _Times) -> str:
    last = fold.last
    if fold.count == 1:
        return f"  {_line(last, times)}"
    span = f"from {times.at(fold.first)} to {times.at(last.time)}"
    why = f" ({last.reason})" if last.reason else ""
    return f"  {_who(last)}: {fold.count} {span}, at last {last.new}{why}"


def _state(interfaces: Mapping[str, str]) -> list[str]:
    if not interfaces:
        return ["What is online now is not known: NetPath's tracker does not answer."]
    usable = [name for name, state in interfaces.items() if state in USABLE]
    others = [f"{name} ({state})" for name, state in interfaces.items() if state not in USABLE]
    lines = [f"Online now: {_list(usable)}." if usable else "No uplink is online now."]
    return lines + ([f"Not online: {_list(others)}."] if others else [])


def _list(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


class _Times:
    """Dates for people who read at `now`."""

    def __init__(self, now: float, zone: tzinfo | None) -> None:
        self._zone = zone
        self._today = self._local(now).date()

    def _local(self, epoch: float) -> datetime:
        # What no calendar has becomes the end of it.
        return datetime.fromtimestamp(min(max(epoch, 0.0), 253370764800.0), self._zone).astimezone(self._zone)

    def at(self, epoch: float) -> str:
        if epoch < CLOCK_IS_SET:
            return "a time when the clock was not set"
        when = self._local(epoch)
        return when.strftime("%H:%M:%S" if when.date() == self._today else "%Y-%m-%d %H:%M:%S")

    def full(self, epoch: float) -> str:
        """With the zone, as its letters and as its distance from UTC."""
        when = self._local(epoch)
        away = when.strftime("%z")
        return when.strftime(f"%Y-%m-%d %H:%M:%S %Z (UTC{away[:3]}:{away[3:5]})")

    def span(self, begin: float | None, end: float, text: str) -> str:
        """`text` with the time between, "" where that is not known."""
        if begin is None or begin < CLOCK_IS_SET or end < begin:
            return ""
        return text.format(_duration(round(end - begin)))


def _duration(seconds: int) -> str:
    units: Iterable[tuple[str, int]] = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
