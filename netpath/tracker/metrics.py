# SPDX-License-Identifier: GPL-2.0-or-later
"""Once a second: device counters -> rates and history. Connection counts only when somebody asks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from netpath.kernel import conntrack, nftdump, rtnl
from netpath.tracker.clock import Clock
from netpath.tracker.daemon import Daemon
from netpath.tracker.history import COARSE_INTERVAL, COLUMNS, FINE_INTERVAL, UNKNOWN, History, Rates

COUNT_AGE = 5.0
"""Seconds a connection count is served again before conntrack is read anew."""
MOST_ROWS = 12_000
"""Rows in one reply of `history`, about 60 bytes each; the newest of each uplink."""
IN_PROCESS = 20_000
"""Connections that the tracker counts itself, a hundred at a time; of more a worker does."""


class Metrics:
    """Samples of every configured uplink."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._rates: dict[str, Rates] = {}
        self._history: dict[str, History] = {}
        self._clock = Clock()
        self._connections: dict[str, int] = {}
        self._counted: float | None = None
        self._counting = False

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                self.sample(loop.time())
            except OSError as error:
                self._daemon.log("error", f"device counters cannot be read: {error}")
            due = max(due + FINE_INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())

    def sample(self, now: float) -> None:
        """One reading of the counters of all devices at monotonic time `now`."""
        totals = rtnl.statistics()
        uplinks = self._daemon.uplinks
        self._daemon.members.sample(totals, {name: uplink.device for name, uplink in uplinks.items()})
        for name in [n for n in self._rates if n not in uplinks]:
            del self._rates[name], self._history[name]
        for name, uplink in uplinks.items():
            rates = self._rates.setdefault(name, Rates())
            if uplink.device in totals:
                rates.update(totals[uplink.device], now, uplink.device)
            else:
                rates.gone()
            health = self._daemon.health(name).snapshot(now)
            self._history.setdefault(name, History()).add(
                (now, rates.rx_rate, rates.tx_rate, _or_unknown(health.latency), _or_unknown(health.loss))
            )

    async def metrics(self) -> dict[str, Any]:
        """Reply of the verb `metrics`."""
        connections = await self._count()
        applied = self._daemon.applied
        if applied is None:
            return {"interfaces": {}, "time": round(time.time(), 3)}
        now = asyncio.get_running_loop().time()
        table = applied.globals.nft_table
        counters = nftdump.some_counters(table, [f"wan_{u.id}" for u in self._daemon.uplinks.values()])
        rows = {}
        for name, uplink in self._daemon.uplinks.items():
            health = self._daemon.health(name).snapshot(now)
            rates = self._rates.get(name, Rates())
            flows, volume = counters.get(f"wan_{uplink.id}", (0, 0))
            rows[name] = {
                "status": str(health.state),
                "latency": _rounded(health.latency),
                "jitter": _rounded(health.jitter),
                "loss": _rounded(health.loss),
                "rx_bytes": rates.totals[0],
                "tx_bytes": rates.totals[1],
                "rx_packets": rates.totals[2],
                "tx_packets": rates.totals[3],
                "rx_rate": round(rates.rx_rate, 1),
                "tx_rate": round(rates.tx_rate, 1),
                "connections": connections.get(name),
                "new_flows": flows,
                "new_bytes": volume,
                "targets": [
                    {
                        "target": t.target,
                        "latency": _rounded(t.latency),
                        "jitter": _rounded(t.jitter),
                        "loss": _rounded(t.loss),
                        "sent": t.sent,
                        "lost": t.lost,
                        "sent_total": t.sent_total,
                        "answered_total": t.answered_total,
                    }
                    for t in health.targets
                ],
            }
        return {"interfaces": rows, "time": round(time.time(), 3)}

    def history(self, interface: str | None, since: float, *, coarse: bool, limit: int) -> dict[str, Any]:
        """Reply of the verb `history`, of at most `limit` rows in all; `since` in epoch s."""
        start, ahead = self._clock.since(since), self._clock.ahead()
        chosen = [n for n in self._history if interface in (None, n)]
        most = max(1, min(MOST_ROWS, limit) // max(1, len(chosen)))
        rows = {n: self._history[n].rows(start, coarse=coarse, most=most + 1, ahead=ahead) for n in chosen}
        return {
            "columns": list(COLUMNS),
            "interval": COARSE_INTERVAL if coarse else FINE_INTERVAL,
            "interfaces": {n: found[-most:] for n, found in rows.items()},
            "truncated": any(len(found) > most for found in rows.values()),
        }

    async def _count(self) -> dict[str, int]:
        """Connections of each uplink, a few seconds old; of a large table a worker's earlier count."""
        applied, now = self._daemon.applied, asyncio.get_running_loop().time()
        if applied is None or (self._counted is not None and now - self._counted < COUNT_AGE):
            return self._connections
        self._counted = now
        if conntrack.count() <= IN_PROCESS:
            found: Counter[int] = Counter()
            for _ in conntrack.count_marks(applied.view.marks.mask, found):
                await asyncio.sleep(0)  # let a failover pass
            self._connections = conntrack.of_uplinks(found, applied.view.marks, applied.view.ids)
        elif not self._counting:
            self._counting = True
            self._daemon.spawn(self._count_outside())
        return self._connections

    async def _count_outside(self) -> None:
        reply = await self._daemon.workers.report("connections", {})
        self._counting = False
        if "error" not in reply:
            self._connections = reply["connections"]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _or_unknown(value: float | None) -> float:
    return UNKNOWN if value is None else value
