# SPDX-License-Identifier: GPL-2.0-or-later
"""This router's own uplinks as a source, from a tracker's socket (a fake; its replies as docs/socket.md has them)."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from netpath.monitor.local import mean
from netpath.monitor.readings import Wan
from netpath.monitor.tracker import Tracker
from netpath.monitoring import SourceType
from tests.monitor.sources.running import failure, readings, source

DEVICES = {"wan": "eth1", "wan6": "eth1", "lte": "wwan0"}


@asynccontextmanager
async def tracker(answers: dict[str, Any]) -> AsyncIterator[Tracker]:
    """Answers by command."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        writer.write(json.dumps(answers[request["cmd"]]).encode() + b"\n")
        await writer.drain()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="netpath-local-") as directory:
        path = Path(directory) / "s"
        server = await asyncio.start_unix_server(serve, str(path))
        try:
            yield Tracker(path)
        finally:
            server.close()


def answers(rows: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    status = {"interfaces": {name: {"device": device} for name, device in DEVICES.items()}}
    columns = ["time", "rx_rate", "tx_rate", "latency", "loss"]
    return {"status": status, "history": {"columns": columns, "interval": 1, "interfaces": rows}}


ROWS: dict[str, list[list[float | None]]] = {
    "wan": [[100.0, 1000.0, 10.0, None, None]],
    "wan6": [[100.0, 1000.0, 10.0, 2.5, 0.0]],
    "lte": [[100.0, 300.0, 30.0, 40.0, 0.0]],
}


def test_uplinks_of_one_device_are_counted_once() -> None:
    async def scene() -> None:
        async with tracker(answers(ROWS)) as asked:
            assert await readings(source(SourceType.LOCAL), 1, asked) == [
                Wan(40, 1300, {"wan": (10, 1000), "lte": (30, 300)})
            ]
            some = source(SourceType.LOCAL, interfaces=("wan6",))
            assert await readings(some, 1, asked) == [Wan(10, 1000, {"wan6": (10, 1000)})]
            error = await failure(source(SourceType.LOCAL, interfaces=("wann",)), asked)
            assert error == "there is no uplink wann; there are: wan, wan6, lte"

    asyncio.run(scene())


def test_without_a_tracker_it_says_so() -> None:
    assert "start it: netpath start" in asyncio.run(failure(source(SourceType.LOCAL)))


@pytest.mark.parametrize("reply", [5, None, "x", [], {"wan": 5}, {"wan": [5]}, {"wan": [["x"] * 5]}])
def test_another_program_at_the_socket_is_one_clear_error(reply: Any) -> None:
    async def scene() -> None:
        async with tracker({**answers({}), "history": {"interfaces": reply}}) as asked:
            assert "not understood" in await failure(source(SourceType.LOCAL), asked)

    asyncio.run(scene())


def test_the_mean_of_the_seconds_since_the_last_reading() -> None:
    rows: list[list[float | None]] = [[float(second), second * 10.0, 1.0, None, None] for second in range(1, 8)]
    assert mean({"wan": rows}, 4.0, 10) == (7.0, {"wan": (1, 60)})
    assert mean({"wan": rows}, 7.0, 10) == (7.0, {"wan": (1, 70)}), "nothing new: what was last"
    assert mean({"wan": rows}, 99.0, 10) == (7.0, {"wan": (1, 70)}), "the clock was set back"
    assert mean({"wan": rows}, 0.0, 2) == (7.0, {"wan": (1, 65)}), "or forward"
    assert mean({}, 4.0, 10) == (4.0, {})
