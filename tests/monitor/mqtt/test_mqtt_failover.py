# SPDX-License-Identifier: GPL-2.0-or-later
"""A broker in the Internet, and the uplink by which it is reached is cut: the real tracker in the lab."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from tests.monitor.mqtt.broker import PATIENCE, Mosquitto, Reader
from tests.monitor.mqtt.world import BASE, publishing, settings

pytestmark = pytest.mark.lab
PORT = 1883


def test_the_retained_state_changes_though_the_connections_uplink_died_silently(tmp_path: Path) -> None:
    address = SERVERS["ipv4"][0]
    broker = Mosquitto(tmp_path, address=address, port=PORT)
    assert broker.program is not None
    with Lab(2) as lab:
        lab.start_netpath(lab.config(mode="failover"))
        lab.internet.popen([broker.program, "-c", str(broker.config)], name="mosquitto")
        lab.wait_status(wan="online", wan2="online")
        reader = lab.internet.inside(lambda: patient_reader(address))
        try:
            lab.router.inside(lambda: asyncio.run(scenario(lab, reader, address)))
        finally:
            reader.close()


def patient_reader(address: str) -> Reader:
    found: list[Reader] = []

    def come() -> bool:
        try:
            found.append(Reader(PORT, address))
        except ConnectionRefusedError:
            return False
        return True

    wait_until(come, PATIENCE, "the broker to listen")
    return found[0]


async def scenario(lab: Lab, reader: Reader, address: str) -> None:
    state = f"{BASE}/interface/{{}}/state".format
    async with publishing(lab.socket, settings(PORT, host=address)) as service:
        await asyncio.to_thread(reader.wait, lambda: reader.retained.get(state("wan")) == "online")
        await asyncio.to_thread(lab.cut, "wan")
        await asyncio.to_thread(reader.wait, lambda: reader.retained.get(state("wan")) == "offline")
        assert reader.retained[state("wan2")] == "online"
        assert service.failures, "the connection by the uplink that is dead cannot have told it"
        # What was told to nobody comes too.
        await asyncio.to_thread(
            reader.wait, lambda: any('"to":"offline"' in e for e in reader.payloads(f"{BASE}/event"))
        )
        await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{BASE}/availability") == "online")
