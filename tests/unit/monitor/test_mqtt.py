# SPDX-License-Identifier: GPL-2.0-or-later
"""MQTT without a network: names, what waits, what a broker may send, what Home Assistant is told."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor.mqtt import names
from netpath.monitor.mqtt.discovery import Announcer, is_own, own_filter
from netpath.monitor.mqtt.frames import LONGEST, FrameError, Frames, RefusedError
from netpath.monitor.mqtt.messages import Site, Topics, of_event, of_monitor, of_site
from netpath.monitor.mqtt.outbox import MOST_EVENTS, MOST_UNDER_WAY, Outbox
from netpath.monitor.mqtt.session import Session
from netpath.monitor.readings import ServiceError
from tests.monitor.mqtt.world import interface, member, own, settings

WELCOME = b"\x20\x02\x00\x00"


# -- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wan", "wan_6", "WAN-2", "x" * 64])
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert names.level(name) == names.identifier(name) == name


def test_a_dot_is_good_for_a_topic_and_not_for_an_id() -> None:
    assert names.level("wan.2") == "wan.2"
    assert re.fullmatch(r"wan_2-[0-9a-f]{8}", names.identifier("wan.2"))


@given(st.lists(st.text(alphabet="ab+#/ .\0-_\ud800é0123456789", max_size=80), unique=True, max_size=20))
def test_names_are_clean_short_and_stay_apart(texts: list[str]) -> None:
    levels, ids = [*map(names.level, texts)], [*map(names.identifier, texts)]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in levels)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in ids)
    assert len({*levels}) == len({*ids}) == len(texts)
    # A name that is the cleaned form of another one is not taken for that.
    assert not {*levels} & {names.level(name) for name in levels if name not in texts}


def test_every_broker_takes_our_client_id() -> None:
    assert re.fullmatch(r"[0-9a-zA-Z]{1,23}", names.client_id("netpath/router"))
    assert names.client_id("netpath/router") != names.client_id("home/router")


# -- what waits -------------------------------------------------------------------------------------------------


def test_of_a_topic_only_the_newest_payload_waits_and_events_go_first() -> None:
    box = Outbox()
    box.put("config", "c", later=True)
    for payload in ("online", "offline", "online", "offline"):
        box.put("state", payload)
    box.event("event", "e")
    taken = []
    while (message := box.take()) is not None:
        taken.append((message.topic, message.payload, message.retain))
    assert taken == [("event", "e", False), ("state", "offline", True), ("config", "c", True)]
    box.put("state", "offline")
    assert box.take() is None, "what the broker has is not published again"


def test_little_is_under_way_and_what_was_goes_once_more_by_the_next_connection() -> None:
    box = Outbox()
    for number in range(MOST_UNDER_WAY + 5):
        box.put(f"topic{number}", "x")
    box.event("event", "e")
    taken: list[object] = []
    while (message := box.take()) is not None:
        box.sent(len(taken), message, now=float(len(taken)))
        taken.append(message)
    assert len(taken) == MOST_UNDER_WAY
    assert box.oldest() == 0.0
    assert box.acknowledged(1) and not box.acknowledged(1) and not box.acknowledged(999)
    assert box.take() is not None
    box.restart()
    assert box.oldest() is None
    again = set()
    while (message := box.take()) is not None:
        again.add(message.topic)
        box.sent(0, message, 0.0)
        box.acknowledged(0)
    assert again == {"event", *(f"topic{number}" for number in range(MOST_UNDER_WAY + 5))}


def test_events_without_a_broker_are_bounded_and_the_oldest_go() -> None:
    box = Outbox()
    for number in range(MOST_EVENTS + 3):
        box.event("event", str(number))
    assert box.dropped == 3
    first = box.take()
    assert first is not None and first.payload == "3"


def test_a_topic_that_was_removed_is_forgotten() -> None:
    box = Outbox()
    box.put("topic", "")
    message = box.take()
    assert message is not None and (message.payload, message.retain) == ("", True)
    box.sent(1, message, 0.0)
    assert "topic" in box.topics
    box.acknowledged(1)
    assert "topic" not in box.topics


# -- what a broker may send -------------------------------------------------------------------------------------


def publish(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + payload
    length, head = len(body), bytearray(b"\x30")
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


@given(st.lists(st.integers(1, 40), max_size=60))
def test_packets_are_cut_alike_however_the_bytes_come(cuts: list[int]) -> None:
    long = publish(b"long", b"x" * (LONGEST + 1))
    good = [publish(b"a", b"1"), b"\xd0\x00", b"\x40\x02\x00\x07", publish(b"b", b"y" * 300)]
    stream = WELCOME + good[0] + good[1] + long + good[2] + good[3]
    frames, out = Frames(), b""
    for cut in cuts:
        out += frames.feed(stream[:cut])
        stream = stream[cut:]
    out += frames.feed(stream)
    assert out == WELCOME + b"".join(good), "all but the one that is too long"
    assert frames.messages == 3


def test_a_message_without_end_takes_no_memory() -> None:
    frames = Frames()
    frames.feed(WELCOME + b"\x30\xff\xff\xff\x7f")
    for _ in range(100):
        assert frames.feed(b"\0" * 65536) == b""
        assert len(frames._buffer) < 16


def test_refusals_say_what_to_look_at() -> None:
    with pytest.raises(RefusedError, match="mqtt_username and mqtt_password"):
        Frames().feed(b"\x20\x02\x00\x05")


class FakeTransport(asyncio.Transport):
    """Takes everything and sends nothing."""

    def write(self, data: Any) -> None: ...

    def abort(self) -> None: ...


class Listener:
    """Does nothing with what comes."""

    def message(self, topic: str, payload: bytes, retained: bool) -> None: ...

    def acknowledged(self, number: int) -> None: ...

    def room(self) -> None: ...


packets = st.one_of(
    st.binary(max_size=60),
    st.builds(publish, st.binary(max_size=5), st.binary(max_size=20)),
    st.builds(lambda kind, body: bytes([kind, len(body)]) + body, st.integers(0, 255), st.binary(max_size=6)),
)


@given(st.lists(packets, max_size=8))
def test_nothing_that_comes_makes_paho_or_us_stumble(sent: list[bytes]) -> None:
    async def go() -> None:
        session = Session(settings(1883), "netpath", "will", Listener())
        session.connection_made(FakeTransport())
        for data in (WELCOME, *sent):
            session.get_buffer(-1)[: len(data)] = data
            session.buffer_updated(len(data))
        if session.ended.done():
            with pytest.raises(ServiceError):
                session.ended.result()

    asyncio.run(go())


@given(st.binary(max_size=200))
def test_bytes_by_chance_are_refused_or_wait(data: bytes) -> None:
    frames = Frames()
    try:
        assert frames.feed(data) in (b"", data[:4])
    except (FrameError, RefusedError) as error:
        assert str(error).isprintable()


# -- what is published ------------------------------------------------------------------------------------------

QUOTA = {"used": 250, "limit": 1000, "resets": None, "since": 0.0}
SITE = Site(
    {"wan": interface("wan"), "wan 2": interface("wan 2", "offline")},
    {"wan": {"rx_rate": 1.5, "tx_rate": 2.0, "rx_bytes": 3, "tx_bytes": 4, "connections": 5}},
    (
        {
            "name": "balanced",
            "mode": "balanced",
            "last_resort": "unreachable",
            "members": [member("wan", 60), member("wan 2", 40, QUOTA)],
            "active": {"ipv4": ["wan"], "ipv6": []},
        },
    ),
)
SITE.policies[0]["members"][0]["ipv6"] = SITE.policies[0]["members"][1]["ipv6"] = 0
TOPICS = Topics("netpath/router.example.net")


def test_nothing_of_a_peer_comes_through_unbounded() -> None:
    monitor = own()
    monitor["sources"][0]["reason"] = "\x1b[31m" + "x" * 10_000
    assert len(of_monitor(monitor)) < 1000
    assert "\\u001b" not in of_monitor(monitor)
    assert len(of_event({"kind": "interface", "reason": "y" * 10_000})) < 300


def test_an_interface_without_figures_has_all_keys() -> None:
    """Templates of Home Assistant complain of a key that is missing."""
    rows = dict(of_site(TOPICS, SITE))
    known = json.loads(rows[TOPICS.interface("wan", "attributes")])
    unknown = json.loads(rows[TOPICS.interface("wan 2", "attributes")])
    assert known.keys() == unknown.keys()
    assert unknown["rx_rate"] is None


UNITS = {"data_rate": {"B/s"}, "data_size": {"B"}, "duration": {"ms"}}
"""Units that Home Assistant's documentation allows for a device class, of those that we use."""
KEYS = {
    *("name", "unique_id", "state_topic", "value_template", "device_class", "state_class", "unit_of_measurement"),
    *("availability", "availability_mode", "device", "origin", "options", "entity_category"),
    *("suggested_display_precision", "json_attributes_topic", "payload_on", "payload_off"),
}
"""Keys of sensor.mqtt and binary_sensor.mqtt that we use."""


def announced() -> list[tuple[str, dict[str, Any]]]:
    announcer = Announcer("homeassistant", TOPICS, "router.example.net")
    rows = [*announcer.of_site(SITE), *announcer.of_monitor(own())]
    return [(topic, json.loads(payload)) for topic, payload in rows]


def test_announcements_are_as_home_assistant_documents_them() -> None:
    published = {*dict(of_site(TOPICS, SITE)), TOPICS.monitor, TOPICS.availability, TOPICS.tracker}
    rows = announced()
    assert len({topic for topic, _ in rows}) == len({row["unique_id"] for _, row in rows}) == len(rows)
    for topic, row in rows:
        match = re.fullmatch(r"homeassistant/(sensor|binary_sensor)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", topic)
        assert match, topic
        assert row.keys() <= KEYS
        assert row["name"] and row["device"]["identifiers"] and row["origin"]["name"]
        assert {row["state_topic"], *(a["topic"] for a in row["availability"])} <= published
        assert row.get("json_attributes_topic", row["state_topic"]) in published
        kind = row.get("device_class")
        if match[1] == "binary_sensor":
            assert kind in ("connectivity", None)
            assert "state_class" not in row and "unit_of_measurement" not in row
        elif kind == "enum":
            assert row["options"] and "state_class" not in row and "unit_of_measurement" not in row
        elif kind is not None:
            assert row["unit_of_measurement"] in UNITS[kind]
            assert row["state_class"] == ("total_increasing" if kind == "data_size" else "measurement")
        template = row.get("value_template", "{{ value }}")
        assert template.startswith("{{ ") and template.endswith(" }}")


def test_keys_in_templates_are_in_the_payloads() -> None:
    payloads = {**dict(of_site(TOPICS, SITE)), TOPICS.monitor: of_monitor(own())}
    for _, row in announced():
        for key in re.findall(r"value_json\.(\w+)", row.get("value_template", "")):
            assert key in json.loads(payloads[row["state_topic"]]), row["name"]


def test_only_our_own_announcements_are_ever_removed() -> None:
    topics = [topic for topic, _ in announced()]
    assert all(is_own("homeassistant", TOPICS.base, topic) for topic in topics)
    assert not any(is_own("homeassistant", "netpath/router", topic) for topic in topics)
    for foreign in ("homeassistant/sensor/x/y/config", "homeassistant/status", "other/sensor/x/y/config"):
        assert not is_own("homeassistant", TOPICS.base, foreign)
    assert own_filter("homeassistant", TOPICS.base).count("+") == 2
