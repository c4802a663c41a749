# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands on a real broker (Debian's mosquitto) for a tracker that is made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netpath.monitor.mqtt import publisher
from tests.monitor.mqtt.broker import Mosquitto, reading, still_there
from tests.monitor.mqtt.world import BASE, interface, publishing, settings, tracker, until

WAN = f"{BASE}/interface/wan"
DISCOVERED = "homeassistant/sensor/"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(autouse=True)
def clean(broker: Mosquitto) -> Iterator[None]:
    """Nothing is left for the next test."""
    yield
    with reading(broker.port) as reader:
        for topic in still_there(broker.port):
            reader.client.publish(topic, "", qos=1, retain=True).wait_for_publish(5)


def discovered(retained: dict[str, str]) -> set[str]:
    return {topic for topic in retained if topic.startswith("homeassistant/")}


def test_states_figures_and_announcements_are_there_for_who_comes_later(broker: Mosquitto, tmp_path: Path) -> None:
    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port)) as service:
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29)
            found = await asyncio.to_thread(still_there, broker.port)
            await until(lambda: service.publisher.row()["published"] == len(found))
            assert service.publisher.row()["target"] == f"mqtt://127.0.0.1:{broker.port}"
            assert service.worked == len(found)
            assert not service.failures
            check(found)

    def check(found: dict[str, str]) -> None:
        assert found[f"{BASE}/availability"] == found[f"{BASE}/tracker"] == "online"
        assert found[f"{WAN}/state"] == "online"
        figures = json.loads(found[f"{WAN}/attributes"])
        assert figures["latency"] == 9.8
        assert figures["jitter"] is None
        assert (figures["rx_rate"], figures["tx_rate"], figures["connections"]) == (1234, 10, 3)
        assert figures["gateway"] == "198.51.100.1"
        policy = json.loads(found[f"{BASE}/policy/balanced/ipv4"])
        assert policy["active"] == ["wan", "wan2"]
        assert policy["shares"] == {"wan": 60, "wan2": 40}
        assert found[f"{BASE}/member/wan2_m1/state"] == "open"
        assert json.loads(found[f"{BASE}/member/wan2_m1/attributes"])["percent"] == 25.0
        assert f"{BASE}/member/wan_m1/state" not in found, "a member without quota and schedule is always open"
        speeds = json.loads(found[f"{BASE}/monitor"])
        assert (speeds["proxy_down"], speeds["wan_up"], speeds["sources"]["clash"]["status"]) == (4, None, "healthy")
        assert f"{BASE}/event" not in found
        # Whatever is announced refers to topics that are there.
        for topic in discovered(found):
            entity = json.loads(found[topic])
            assert {entity["state_topic"], *(a["topic"] for a in entity["availability"])} <= found.keys(), topic

    asyncio.run(go())


def test_a_transition_is_there_at_once_as_state_and_as_event(broker: Mosquitto, tmp_path: Path) -> None:
    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port)):
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29)
                fake.interfaces["wan"]["reason"] = "no answer"
                fake.policies[0]["active"] = {"ipv4": ["wan2"]}
                fake.happens("wan", "offline")  # figures are due in an hour
                await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{WAN}/state") == "offline")
                await asyncio.to_thread(reader.wait, lambda: "no answer" in reader.retained[f"{WAN}/attributes"])
                await asyncio.to_thread(
                    reader.wait, lambda: '"active":["wan2"]' in reader.retained[f"{BASE}/policy/balanced/ipv4"]
                )
                (event,) = reader.payloads(f"{BASE}/event")
                assert json.loads(event) == fake.events[0]
            assert f"{BASE}/event" not in await asyncio.to_thread(still_there, broker.port)

    asyncio.run(go())


def test_the_broker_says_offline_for_us_when_we_are_gone(broker: Mosquitto, tmp_path: Path) -> None:
    async def go() -> None:
        with reading(broker.port) as reader:
            async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port)):
                await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{BASE}/availability") == "online")
            await asyncio.to_thread(reader.wait, lambda: reader.retained.get(f"{BASE}/availability") == "offline")

    asyncio.run(go())


def test_a_tracker_that_is_gone_makes_its_states_unavailable_and_removes_nothing(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "GRACE", 0.2)

    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port, interval=0.2)) as service:
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29)
                await fake.stop()
                await asyncio.to_thread(reader.wait, lambda: reader.retained[f"{BASE}/tracker"] == "offline")
                fake.problem = "nothing is configured"
                fake.interfaces.clear()
                await fake.start()
                await asyncio.sleep(0.6)  # several readings; nothing may come of them
                assert reader.retained[f"{BASE}/tracker"] == "offline"
                assert reader.retained[f"{WAN}/state"] == "online"
                fake.problem = None
                fake.interfaces["wan"] = interface("wan", "connecting")
                await asyncio.to_thread(reader.wait, lambda: reader.retained[f"{WAN}/state"] == "connecting")
                await asyncio.to_thread(reader.wait, lambda: reader.retained[f"{BASE}/tracker"] == "online")
            assert not service.failures
            assert len(service.log.lines) == 1, "one line for one failure, however often it is met"

    asyncio.run(go())


def test_what_is_configured_no_more_is_removed_and_foreign_topics_stay(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "GRACE", 0.2)
    foreign = {"netpath/another/interface/wan2/state": "online", "homeassistant/sensor/x/y/config": "{}"}
    foreign[f"{DISCOVERED}netpath_another/interface_wan2_loss/config"] = "{}"

    async def go() -> None:
        broker_settings = settings(broker.port, interval=0.2)
        async with tracker(tmp_path) as fake:
            with reading(broker.port) as reader:
                for topic, payload in foreign.items():
                    reader.client.publish(topic, payload, qos=1, retain=True)
                async with publishing(fake.socket, broker_settings):
                    await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29 + 2)
                    # While it runs
                    fake.interfaces["wan3"] = interface("wan3")
                    await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 39 + 2)
                    assert f"{BASE}/interface/wan3/state" in reader.retained
                    del fake.interfaces["wan3"]
                    await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29 + 2)
                    await asyncio.to_thread(reader.wait, lambda: not [t for t in reader.retained if "wan3" in t])
                # While it did not
                del fake.interfaces["wan2"]
                fake.policies[0]["members"].pop()
                async with publishing(fake.socket, broker_settings):
                    await asyncio.to_thread(
                        reader.wait, lambda: not [t for t in reader.retained if "wan2" in t and t not in foreign]
                    )
                assert foreign.items() <= reader.retained.items()
                # Home Assistant is told of nothing any more
                async with publishing(fake.socket, settings(broker.port, interval=0.2, discovery="")):
                    await asyncio.to_thread(reader.wait, lambda: discovered(reader.retained) == discovered(foreign))
                    await asyncio.to_thread(reader.wait, lambda: reader.retained[f"{WAN}/state"] == "online")

    asyncio.run(go())


def test_home_assistant_is_told_again_when_it_starts_and_nothing_else_is_obeyed(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ANNOUNCE_GAP", 0.0)

    async def go() -> None:
        async with tracker(tmp_path) as fake, publishing(fake.socket, settings(broker.port)):
            with reading(broker.port) as reader:
                await asyncio.to_thread(reader.wait, lambda: len(discovered(reader.retained)) == 29)
                topic = sorted(discovered(reader.retained))[0]
                await until(lambda: len([t for t, _, _ in reader.all if t.startswith("homeassistant/")]) == 29)
                others = {
                    "homeassistant/status": "offline",
                    f"{BASE}/interface/wan/set": "offline",
                    f"{BASE}/marker": "x",
                    f"{topic}/set": "online",
                }
                for name, payload in others.items():
                    reader.client.publish(name, payload, qos=1)
                reader.client.publish("homeassistant/status", "online", qos=1)
                await asyncio.to_thread(reader.wait, lambda: len(reader.payloads(topic)) == 2)
                assert reader.payloads(topic)[0] == reader.payloads(topic)[1]
                assert reader.payloads(f"{WAN}/state") == ["online"]
                assert fake.events == []

    asyncio.run(go())


def test_a_section_with_a_strange_name_is_published_too(broker: Mosquitto, tmp_path: Path) -> None:
    names = ["a+b", "a#b", "a/b", "a b", "a.b", "a_b", "$x\0"]

    async def go() -> None:
        async with tracker(tmp_path) as fake:
            fake.interfaces = {name: interface(name) for name in names}
            fake.policies.clear()
            async with publishing(fake.socket, settings(broker.port)) as service:
                with reading(broker.port) as reader:
                    await asyncio.to_thread(
                        reader.wait, lambda: len(discovered(reader.retained)) == 10 * len(names) + 5
                    )
                    rows: list[Any] = [
                        json.loads(payload)
                        for topic, payload in reader.retained.items()
                        if topic.endswith("/attributes")
                    ]
                    assert sorted(row["name"] for row in rows) == sorted(names)
                assert not service.failures

    asyncio.run(go())
