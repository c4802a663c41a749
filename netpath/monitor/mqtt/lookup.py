# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of the broker, without waiting in the event loop for name servers that do not answer."""

from __future__ import annotations

import asyncio
import socket
import threading

MOST_ADDRESSES = 4


class Lookup:
    """At most one look-up at a time, in a thread that nobody waits for at the end."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def addresses(self, host: str, port: int) -> list[str]:
        """Numeric addresses, best first. Raises OSError."""
        if self._thread is not None and self._thread.is_alive():
            raise OSError("the name server still has not answered")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def settle(result: list[str] | OSError) -> None:
            if found.done():
                return
            if isinstance(result, OSError):
                found.set_exception(result)
            else:
                found.set_result(result)

        def look() -> None:
            try:
                rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                result: list[str] | OSError = [str(row[4][0]) for row in rows][:MOST_ADDRESSES]
            except OSError as error:
                result = error
            except UnicodeError:  # labels too long for a name
                result = OSError("that cannot be a name")
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result)

        self._thread = threading.Thread(target=look, name="mqtt-lookup", daemon=True)
        self._thread.start()
        return await found
