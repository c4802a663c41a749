# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told: the tracker's events, bounded and checked, and which of them are wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from netpath.monitoring import Notify

LONGEST_NAME, LONGEST_REASON = 64, 300
LARGEST = 2**53
"""Numbers of events are below; NaN and infinity are not."""
SUBJECTS = 1024
"""Interfaces and members that are remembered; a router has at most 252 of the first."""
_NEARLY = {"disconnecting": "online", "connecting": "offline"}
"""What an interface counts as in a state that nobody wants to be told of."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One event of docs/socket.md of the kinds "interface" and "member"."""

    seq: int
    time: float
    """Epoch s, as the clock was then."""
    interface: str
    member: str | None
    """None: the interface itself has changed."""
    old: str
    new: str
    reason: str
    until: float | None = None
    """Member: epoch of its next change."""
    since: float | None = None
    """When `old` began, as far as it was seen; epoch s."""

    @property
    def subject(self) -> tuple[str, str]:
        """What has changed."""
        return ("member", self.member) if self.member is not None else ("interface", self.interface)

    def row(self) -> dict[str, Any]:
        """As docs/socket.md has it."""
        row: dict[str, Any] = {"seq": self.seq, "time": self.time, "kind": self.subject[0], "interface": self.interface}
        row |= {"from": self.old, "to": self.new, "reason": self.reason}
        if self.member is not None:
            row |= {"member": self.member, "until": self.until}
        return row


def clean(text: Any, longest: int) -> str:
    """One line without control characters."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: longest * 2]).split())
    return words if len(words) <= longest else words[: longest - 3] + "..."


def transition(event: Mapping[str, Any]) -> Transition | None:
    """The event as a transition; None for other kinds, and for what is none at all."""
    kind, seq, time = event.get("kind"), event.get("seq"), event.get("time")
    member = event.get("member") if kind == "member" else None
    texts = [event.get(key) for key in ("interface", "from", "to")]
    if kind not in ("interface", "member") or not _is_number(seq) or not _is_number(time):
        return None
    if not all(isinstance(text, str) and text for text in texts) or (kind == "member" and not isinstance(member, str)):
        return None
    interface, old, new = (clean(text, LONGEST_NAME) for text in texts)
    until = event.get("until")
    return Transition(
        seq=int(seq or 0),
        time=float(time or 0),
        interface=interface,
        member=None if member is None else clean(member, LONGEST_NAME),
        old=old,
        new=new,
        reason=clean(event.get("reason") or "", LONGEST_REASON),
        until=float(until) if _is_number(until) and until is not None else None,
        since=float(event["since"]) if _is_number(event.get("since")) else None,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


class Filter:
    """Picks what is wanted. States that nobody wants to be told of do not count as changes: with "online" and "offline"
    alone, an interface that was "disconnecting" for a moment and is online again has never been anything else.
    """

    def __init__(self, settings: Notify) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str], tuple[str, float | None]] = {}
        """Interface or member -> the last state that was wanted, and since when, if that was seen."""

    def pick(self, found: Transition) -> Transition | None:
        """The transition as it is to be told, from the state that was told last."""
        if self._settings.interfaces and found.interface not in self._settings.interfaces:
            return None
        first = found.old if found.old in self._settings.events else _NEARLY.get(found.old, found.old)
        old, since = self._known.pop(found.subject, (first, None))
        changed = found.new in self._settings.events and found.new != old
        self._known[found.subject] = (found.new, found.time) if changed else (old, since)
        if len(self._known) > SUBJECTS:
            del self._known[next(iter(self._known))]
        return replace(found, old=old, since=since) if changed else None
