# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker as its clients in the monitor see it: requests, and events as they happen (docs/socket.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of a reply; the largest that the tracker gives are far below."""
ANSWER_TIME = 15.0
RETRY_TIME = 1.0
"""Seconds between attempts to reach a tracker that is not there."""


class TrackerError(Exception):
    """No answer, or an answer that is an error."""


class Tracker:
    """Each request is a connection of its own: a tracker that was restarted in between makes no difference."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The reply. Raises TrackerError."""
        reader, writer = await self._connect()
        try:
            return await self._exchange(reader, writer, {"cmd": command, **arguments})
        finally:
            writer.close()

    async def events(self, after: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, or those after a `seq`, without end and without a gap: when the tracker goes away it is
        asked again, and what has happened meanwhile comes then.
        """
        newest = after
        while True:
            try:
                async for event in self._events(newest):
                    newest = event["seq"]
                    if "kind" in event:
                        yield event
            except TrackerError:
                await asyncio.sleep(RETRY_TIME)

    async def _events(self, after: int | None) -> AsyncIterator[dict[str, Any]]:
        """One connection's events after `after`; for None the newest seq comes first, alone, as {"seq": n}."""
        reader, writer = await self._connect()
        try:
            request = {"cmd": "events", "follow": True, **({"limit": 1} if after is None else {"after": after})}
            reply = await self._exchange(reader, writer, request)
            if after is None:
                yield {"seq": reply["newest"]}
            else:
                for event in reply["events"]:
                    yield event
            while True:
                yield await self._line(reader)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
            async with asyncio.timeout(ANSWER_TIME):
                return await asyncio.open_unix_connection(str(self._socket), limit=LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            what = getattr(error, "strerror", None) or "no answer"
            raise TrackerError(f"NetPath is not running ({self._socket}: {what}); start it: netpath start") from None

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
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise TrackerError("the tracker's answer is no JSON object")
        return reply
