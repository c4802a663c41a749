# SPDX-License-Identifier: GPL-2.0-or-later
"""Bonds' processes at their sockets: one that answers (a fake that speaks docs/bond.md), one that hangs, one killed."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from netpath.monitor.metrics import facts
from netpath.monitor.metrics.counts import Counts
from netpath.monitor.metrics.facts import Facts, Reader
from netpath.monitor.tracker import Tracker
from tests.monitor.metrics.own import OWN
from tests.unit.monitor.facts import bond


def test_every_bond_that_answers_is_read_whatever_the_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "BOND_TIME", 0.3)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "netpath-bond-killed.sock"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline()) == {"cmd": "bond"}
        writer.write(json.dumps(bond()).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def read() -> Facts:
        servers = [
            await asyncio.start_unix_server(answer, tmp_path / "netpath-bond-vps.sock"),
            await asyncio.start_unix_server(hang, tmp_path / "netpath-bond-stuck.sock"),
        ]
        try:
            reader = Reader(Tracker(tmp_path / "netpath.sock"), lambda: OWN, "netpath-absent", Counts(), tmp_path)
            return await reader.read()
        finally:
            for server in servers:
                server.close()

    found = asyncio.run(read())
    assert found.bonds == [bond()]
    assert "netpath-bond-stuck.sock" in found.failed["bonds"]
    assert "killed" not in found.failed["bonds"]
    assert not found.tracker_up
