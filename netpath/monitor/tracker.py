# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker as its clients in the monitor see it: requests, and events as they happen (docs/socket.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET
from struct import Struct
from typing import Any

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of a reply; the largest that the tracker gives are far below."""
ANSWER_TIME = 15.0
RETRY_TIME = 1.0
"""Seconds between attempts to reach a tracker that is not there."""
_UCRED = Struct("=iII")
"""struct ucred: process, user, group (linux/socket.h)."""


class TrackerError(Exception):
    """No answer, or an answer that is an error."""


class NotRunningError(TrackerError):
    """Nobody listens on the tracker's socket."""


@dataclass(slots=True)
class Position:
    """How far somebody has followed the events. The time tells whether `seq` is one of the tracker that runs now."""

    seq: int | None = None
    """None: nowhere yet."""
    time: float | None = None


class Tracker:
    """Each request is a connection of its own: a tracker that was restarted in between makes no difference."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.pid: int | None = None
        """The process that listened there when it was last asked."""

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The reply. Raises TrackerError."""
        reader, writer = await self._connect()
        try:
            return await self._exchange(reader, writer, {"cmd": command, **arguments})
        finally:
            writer.close()

    async def events(self, position: Position | None = None) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, without end and without a gap: when the tracker goes away it is asked again, and what has
        happened meanwhile comes then. Each has a number as `seq` and as `time`.

        Whoever stops and goes on later hands in the same `position` each time, and misses nothing in between either (as
        far as the tracker remembers: its last 500 events).
        """
        place = Position() if position is None else position
        while True:
            try:
                async with aclosing(self._events(place)) as following:
                    async for event in following:
                        yield event
            except TrackerError as error:  # only time helps, and whoever asks for something gets to know
                if isinstance(error, NotRunningError) and place.seq is None:
                    place.seq = 0  # all that a tracker has which starts later is from now on
            await asyncio.sleep(RETRY_TIME)

    async def _events(self, place: Position) -> AsyncGenerator[dict[str, Any]]:
        """Those of one connection."""
        reader, writer = await self._connect()
        try:
            request = {"cmd": "events", "follow": True, **({"limit": 1} if place.seq is None else {})}
            reply = await self._exchange(reader, writer, request)
            rows, newest = reply.get("events"), reply.get("newest")
            if not isinstance(rows, list) or not isinstance(newest, int):
                raise TrackerError("the tracker's answer to events has no events")
            events = [_checked(row) for row in rows]
            if place.seq is not None:
                for event in _later(events, place):
                    place.seq, place.time = event["seq"], event["time"]
                    yield event
            place.seq, place.time = newest, events[-1]["time"] if events else None
            while True:
                event = _checked(await self._line(reader))
                place.seq, place.time = event["seq"], event["time"]
                yield event
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(ANSWER_TIME):  # `wait_for` of Python 3.11 may overlook that it is cancelled
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=LINE_LIMIT)
        except TimeoutError:
            raise TrackerError(f"the tracker takes no connection ({self._socket}: no answer)") from None
        except OSError as error:
            why = error.strerror or str(error)
            raise NotRunningError(f"NetPath is not running ({self._socket}: {why}); start it: netpath start") from None
        peer = writer.get_extra_info("socket").getsockopt(SOL_SOCKET, SO_PEERCRED, _UCRED.size)
        self.pid = _UCRED.unpack(peer)[0]
        return reader, writer

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(ANSWER_TIME):
                reply = await self._line(reader)
        except TimeoutError:
            raise TrackerError(f"the tracker gave no answer to {request['cmd']} in {ANSWER_TIME:.0f} s") from None
        if "error" in reply:
            raise TrackerError(str(reply["error"]))
        return reply

    async def _line(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            line = await reader.readline()
        except (OSError, ValueError) as error:
            raise TrackerError(f"the connection to the tracker broke: {error}") from None
        if not line.endswith(b"\n"):
            raise TrackerError("the tracker has ended")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise TrackerError("the tracker's answer is no JSON object")
        return reply


def _checked(event: Any) -> dict[str, Any]:
    """The event, if it is one. Raises TrackerError."""
    if not isinstance(event, dict) or not isinstance(event.get("seq"), int):
        raise TrackerError("what the tracker sent is no event")
    if not isinstance(event.get("time"), int | float) or not isinstance(event.get("kind"), str):
        raise TrackerError("what the tracker sent is no event")
    return event


def _later(events: list[dict[str, Any]], place: Position) -> list[dict[str, Any]]:
    """Of all that the tracker remembers what came after `place`; everything from a tracker that has started anew, which
    is one whose event of that number is another one or is not there.
    """
    known = any((event["seq"], event["time"]) == (place.seq, place.time) for event in events)
    return [event for event in events if event["seq"] > (place.seq or 0)] if known else events
