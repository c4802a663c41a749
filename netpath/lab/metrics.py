# SPDX-License-Identifier: GPL-2.0-or-later
"""`/metrics` of a lab's router without the rest of the monitor. Arguments: socket of the tracker, port, a file with the
monitor's reply (docs/monitor.md), addresses. Prints `ready`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from netpath.monitor.metrics import MetricsServer
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Listener
from netpath.tracker.journal import Log

TABLE = "netpath"


def main(socket: str, port: str, own: str, *addresses: str) -> None:
    reply = json.loads(Path(own).read_text(encoding="utf-8"))
    settings = Listener(addresses, int(port))
    server = MetricsServer(settings, Tracker(Path(socket)), lambda: reply, TABLE, Log())
    told: list[bool] = []

    def working() -> None:
        if not told:
            print("ready", flush=True)
            told.append(True)

    asyncio.run(server.run(working))


if __name__ == "__main__":
    main(*sys.argv[1:])
