# SPDX-License-Identifier: GPL-2.0-or-later
"""When which transitions go in a message. Pure: the caller says what time it is, by a monotonic clock."""

from __future__ import annotations

from netpath.monitor.notify.pile import Pile
from netpath.monitor.notify.transition import Transition

HOUR = 3600.0
SHARE = 4
"""A quarter of an hour's messages may go at once."""


class Bucket:
    """Never more than `limit` messages within an hour: a few at once, the others spread over the rest of it."""

    def __init__(self, limit: int, now: float) -> None:
        """`limit`: at least 1. Full at the beginning."""
        self._size = (limit + SHARE - 1) // SHARE
        self._pause = HOUR / (limit - self._size + 1)
        """Seconds in which room for one more comes."""
        self._room = float(self._size)
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until a message may go."""
        self._fill(now)
        return max(0.0, (1.0 - self._room) * self._pause)

    def take(self, now: float) -> None:
        self._fill(now)
        self._room -= 1.0

    def put_back(self) -> None:
        """The message did not go."""
        self._room = min(self._room + 1.0, float(self._size))

    def _fill(self, now: float) -> None:
        self._room = min(self._room + max(0.0, now - self._at) / self._pause, float(self._size))
        self._at = now


class Outbox:
    """Transitions in, messages out, one at a time and in order. Nothing is lost unless `refused` says so."""

    def __init__(self, gather: float, limit: int, now: float) -> None:
        self._gather = gather
        self._bucket = Bucket(limit, now)
        self._waiting = Pile()
        self._under_way: Pile | None = None
        self._first: float | None = None
        """When the first one of those that wait came."""
        self._not_before = now
        self.sent = 0
        """Messages."""
        self.dropped = 0
        """Transitions that are told nobody any more."""

    @property
    def held(self) -> int:
        """Transitions that wait."""
        return len(self._waiting) + (len(self._under_way) if self._under_way is not None else 0)

    def add(self, found: Transition, now: float) -> None:
        self._waiting.add(found)
        self._first = now if self._first is None else self._first

    def restore(self, earlier: Pile, now: float) -> None:
        """What an earlier process of the monitor had not sent."""
        if len(earlier):
            earlier.extend(self._waiting)
            self._waiting, self._first = earlier, now

    def wait(self, now: float) -> float | None:
        """Seconds until a message is to go; None: there is none, or one is under way."""
        if self._first is None or self._under_way is not None:
            return None
        return max(0.0, self._first + self._gather - now, self._not_before - now, self._bucket.wait(now))

    def take(self, now: float) -> Pile:
        """What the message is to tell; `delivered`, `failed` or `refused` follows."""
        self._bucket.take(now)
        self._under_way, self._waiting, self._first = self._waiting, Pile(), None
        return self._under_way

    def delivered(self) -> None:
        self._under_way = None
        self.sent += 1

    def failed(self, now: float, pause: float = 0.0) -> None:
        """It is to be tried again, not within `pause` seconds."""
        if self._under_way is not None:
            self._bucket.put_back()
            self._under_way.extend(self._waiting)
            # Those that wait have waited long enough.
            self._waiting, self._under_way, self._first = self._under_way, None, now - self._gather
            self._not_before = now + pause

    def refused(self) -> None:
        """The receiver does not want it, now or ever."""
        if self._under_way is not None:
            self.dropped += len(self._under_way)
            self._under_way = None

    def everything(self) -> Pile:
        """All that would be lost with this process."""
        pile = Pile()
        for part in (self._under_way, self._waiting):
            if part is not None:
                pile.extend(part)
        return pile
