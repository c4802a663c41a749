# SPDX-License-Identifier: GPL-2.0-or-later
"""What is still to be published. Of a retained topic only the newest payload waits, so that a slow broker makes nothing
pile up. Pure: the caller says what time it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

MOST_EVENTS = 100
"""Events that wait for a broker; older ones are dropped."""
MOST_UNDER_WAY = 20
"""Messages that the broker has not acknowledged yet."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: str
    retain: bool


class Outbox:
    """Retained topics and how they should be, and events. It outlives connections."""

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._soon: dict[str, None] = {}
        self._later: dict[str, None] = {}
        """Topics that wait, in order; those of `_later` only while there is nothing else."""
        self._events: deque[Message] = deque()
        self._under_way: dict[int, tuple[Message, float]] = {}
        self.dropped = 0
        """Events that found no room."""

    @property
    def topics(self) -> Iterable[str]:
        """Retained topics that have something in them, as far as is known."""
        return self._wanted.keys()

    def put(self, topic: str, payload: str, *, later: bool = False) -> None:
        """A retained topic should be like that; an empty payload removes it."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            (self._later if later else self._soon)[topic] = None

    def again(self, topics: Iterable[str]) -> None:
        """Publish these once more as they are."""
        self._later.update(dict.fromkeys(topic for topic in topics if topic in self._wanted))

    def event(self, topic: str, payload: str) -> None:
        self._events.append(Message(topic, payload, retain=False))
        self._bound()

    def take(self) -> Message | None:
        """The next message, unless enough are under way."""
        if len(self._under_way) >= MOST_UNDER_WAY:
            return None
        if self._events:
            return self._events.popleft()
        for waiting in (self._soon, self._later):
            if waiting:
                topic = next(iter(waiting))
                del waiting[topic]
                return Message(topic, self._wanted[topic], retain=True)
        return None

    def sent(self, number: int, message: Message, now: float) -> None:
        """`message` left under this number (of the connection)."""
        self._under_way[number] = (message, now)

    def acknowledged(self, number: int) -> bool:
        """The broker has it; False: there is no such message."""
        message, _ = self._under_way.pop(number, (None, 0.0))
        if message is None:
            return False
        if message.retain and not message.payload and not self._wanted.get(message.topic):
            self._wanted.pop(message.topic, None)
        return True

    def oldest(self) -> float | None:
        """When the message left that has waited longest for its acknowledgement."""
        return min((when for _, when in self._under_way.values()), default=None)

    def restart(self) -> None:
        """A new connection, perhaps to a broker that has forgotten everything: what was under way goes once more, and
        all that is retained.
        """
        lost = [message for message, _ in self._under_way.values() if not message.retain]
        self._events.extendleft(reversed(lost))
        self._bound()
        self._under_way.clear()
        self._soon.update(dict.fromkeys(topic for topic in self._wanted if topic not in self._later))

    def _bound(self) -> None:
        while len(self._events) > MOST_EVENTS:
            self._events.popleft()
            self.dropped += 1
