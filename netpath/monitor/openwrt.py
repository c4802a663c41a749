# SPDX-License-Identifier: GPL-2.0-or-later
"""Another router with OpenWrt as a source: the counters of its uplinks' devices, over its web server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from netpath.monitor.address import HTTP, Address, clean, parse
from netpath.monitor.http_client import HttpClient
from netpath.monitor.netifd import Uplinks, counters, known, uplinks
from netpath.monitor.rates import Rates, one_each, together
from netpath.monitor.readings import Reading
from netpath.monitor.router_session import Session
from netpath.monitor.ubus_client import Call
from netpath.monitoring import Source

DUMP = Call("network.interface", "dump", {})


def address(source: Source) -> Address:
    """Raises ServiceError."""
    return parse(source.url, HTTP)


class OpenWrt:
    """A feed (readings.py)."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def run(self, report: Callable[[Reading], None]) -> None:
        source = self._source
        where = address(source)
        http = HttpClient(where, verify=source.verify, timeout=source.timeout)
        username, password = where.login or (source.username, source.password)
        try:
            await self._read(Session(http, username, password), report)
        finally:
            http.close()

    async def _read(self, session: Session, report: Callable[[Reading], None]) -> None:
        loop = asyncio.get_running_loop()
        wanted = self._source.interfaces
        (dump,) = await session.call([DUMP])
        rates = Rates()
        due = loop.time()
        while True:
            found = uplinks(dump or {}, wanted)
            devices = sorted(set(found.values()))
            asked = loop.time()
            # The devices first: their counters are then read nearest to the moment in the middle.
            *rows, dump = await session.call([*(_status(device) for device in devices), DUMP])
            at = (asked + loop.time()) / 2
            counted = counters(dict(zip(devices, rows, strict=True)))
            known(dump or {}, wanted, counted)
            speeds = rates.update(counted, at)
            if speeds is not None or not devices:
                report(together(_named(found, speeds or {})))
            due = max(due + self._source.interval, loop.time())
            await asyncio.sleep(due - loop.time())


def _status(device: str) -> Call:
    return Call("network.device", "status", {"name": device})


def _named(found: Uplinks, speeds: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {clean(name): speeds[found[name]] for name in one_each(found) if found[name] in speeds}
