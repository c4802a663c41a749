# SPDX-License-Identifier: GPL-2.0-or-later
"""Transitions that wait, in bounded memory: the first ones whole, of the others what a person wants to know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from netpath.monitor.notify.transition import SUBJECTS, Transition, transition

LISTED = 20
"""Transitions that are told one by one."""


@dataclass(slots=True)
class Fold:
    """Several transitions of one interface or member in short."""

    first: float
    """Time of the first one, epoch s."""
    last: Transition
    count: int


@dataclass(slots=True)
class Pile:
    """In the order in which they came; what is folded came after all that is listed."""

    listed: list[Transition] = field(default_factory=list)
    folds: dict[tuple[str, str], Fold] = field(default_factory=dict)
    more: int = 0
    """Transitions of which only the number is left."""

    def __len__(self) -> int:
        return len(self.listed) + sum(fold.count for fold in self.folds.values()) + self.more

    def add(self, found: Transition) -> None:
        if not self.folds and not self.more and len(self.listed) < LISTED:
            self.listed.append(found)
        else:
            self._fold(found.subject, Fold(found.time, found, 1))

    def extend(self, later: Pile) -> None:
        """What came after all this."""
        for found in later.listed:
            self.add(found)
        for subject, fold in later.folds.items():
            self._fold(subject, fold)
        self.more += later.more

    def _fold(self, subject: tuple[str, str], later: Fold) -> None:
        fold = self.folds.get(subject)
        if fold is not None:
            fold.last = later.last
            fold.count += later.count
        elif len(self.folds) < SUBJECTS:
            self.folds[subject] = Fold(later.first, later.last, later.count)
        else:
            self.more += later.count

    @property
    def ends(self) -> tuple[Transition, ...]:
        """The last transition of each interface and member."""
        last = {found.subject: found for found in self.listed}
        return tuple((last | {subject: fold.last for subject, fold in self.folds.items()}).values())

    def row(self) -> dict[str, Any]:
        """For the file that outlives a restart."""
        return {
            "listed": [_kept(found) for found in self.listed],
            "folds": [[fold.first, fold.count, _kept(fold.last)] for fold in self.folds.values()],
            "more": self.more,
        }


def restored(row: Any) -> Pile:
    """The pile that `row` was made of; what is damaged in it is left out."""
    pile = Pile()
    if not isinstance(row, dict):
        return pile
    for found in _transitions(row.get("listed")):
        pile.add(found)
    folds = row.get("folds")
    for fold in folds if isinstance(folds, list) else ():
        match fold:
            case [int() | float() as first, int() as count, dict() as last] if count > 0:
                for found in _transitions([last]):
                    pile.extend(Pile(folds={found.subject: Fold(first, found, count)}))
    more = row.get("more")
    pile.more += more if isinstance(more, int) and more > 0 else 0
    return pile


def _kept(found: Transition) -> dict[str, Any]:
    return {**found.row(), "since": found.since}


def _transitions(rows: Any) -> Iterable[Transition]:
    for row in rows if isinstance(rows, list) else ():
        found = transition(row) if isinstance(row, dict) else None
        if found is not None:
            yield found
