# SPDX-License-Identifier: GPL-2.0-or-later
"""What Home Assistant is told, so that it finds everything by itself. Pure.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery (one retained message an entity, which all versions
understand, instead of one for the device), .../integrations/sensor.mqtt/, .../integrations/binary_sensor.mqtt/; device
classes and their units: .../integrations/sensor/#device-class.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netpath import __version__
from netpath.model import State
from netpath.monitor.mqtt.messages import SPEEDS, Site, Topics
from netpath.monitor.mqtt.names import identifier, level

Fields = dict[str, Any]

_RATE = {"device_class": "data_rate", "unit_of_measurement": "B/s", "state_class": "measurement"}
_BYTES = {"device_class": "data_size", "unit_of_measurement": "B", "state_class": "total_increasing"}
_TIME = {
    "device_class": "duration",
    "unit_of_measurement": "ms",
    "state_class": "measurement",
    "suggested_display_precision": 1,
}
_PERCENT = {"unit_of_measurement": "%", "state_class": "measurement", "suggested_display_precision": 1}
_SIDE = {"entity_category": "diagnostic"}

_FIGURES: Mapping[str, tuple[str, Fields]] = {
    "latency": ("latency", _TIME),
    "jitter": ("jitter", _TIME | _SIDE),
    "loss": ("loss", _PERCENT),
    "rx_rate": ("download", _RATE),
    "tx_rate": ("upload", _RATE),
    "rx_bytes": ("received", _BYTES),
    "tx_bytes": ("sent", _BYTES),
    "connections": ("connections", {"state_class": "measurement"}),
}
"""Of an interface: key of its attributes -> the end of the entity's name, fields."""
_USABLE = [str(state) for state in State if state.usable]
LONGEST_STATE = 255
"""Characters; Home Assistant takes no longer state."""


def node(base: str) -> str:
    """The router's id; other bases have others."""
    return identifier(base)


def own_filter(prefix: str, base: str) -> str:
    """A subscription to all that Home Assistant was ever told of this router."""
    return f"{prefix}/+/{node(base)}/+/config"


def is_own(prefix: str, base: str, topic: str) -> bool:
    """Whether `own_filter` fits."""
    parts = topic.removeprefix(f"{prefix}/").split("/")
    return topic.startswith(f"{prefix}/") and len(parts) == 4 and parts[1] == node(base) and parts[3] == "config"


class Announcer:
    """Makes the messages for one router."""

    def __init__(self, prefix: str, topics: Topics, host: str) -> None:
        self._prefix = prefix
        self._topics = topics
        self._node = node(topics.base)
        self._common = {
            "device": {
                "identifiers": [self._node],
                "name": host,
                "manufacturer": "NetPath",
                "model": "Multi-WAN router",
                "sw_version": __version__,
            },
            "origin": {"name": "NetPath", "sw_version": __version__},
        }

    def of_site(self, site: Site) -> Iterator[tuple[str, str]]:
        """Topics and payloads: entities of what the tracker knows."""
        for name in site.interfaces:
            yield from self._interface(name)
        for policy in site.policies:
            for family in policy["active"]:
                yield self._policy(policy["name"], family)
        for name, member in site.limited().items():
            yield from self._member(name, quota=member["quota"] is not None)

    def of_monitor(self, own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Topics and payloads: entities of what the monitor knows; only speeds that some source can have."""
        kinds = {"proxy" if row["type"] == "clash" else "wan" for row in own["sources"]}
        there = self._available(self._topics.availability)
        for speed in SPEEDS:
            if ("wan" if speed.startswith("wan") else "proxy") in kinds:
                fields = {**_RATE, "state_topic": self._topics.monitor, "value_template": _value(speed)}
                yield self._entity("sensor", f"speed_{speed}", speed.replace("_", " "), {**fields, **there})
        for row in own["sources"]:
            key = identifier(row["name"])
            healthy = f"{{{{ 'ON' if value_json.sources['{level(row['name'])}'].status == 'healthy' else 'OFF' }}}}"
            fields = {"device_class": "connectivity", "value_template": healthy, **_SIDE}
            fields["state_topic"] = self._topics.monitor
            yield self._entity("binary_sensor", f"source_{key}", f"source {row['name']}", {**fields, **there})

    def _interface(self, name: str) -> Iterator[tuple[str, str]]:
        state, attributes = self._topics.interface(name, "state"), self._topics.interface(name, "attributes")
        key, there = f"interface_{identifier(name)}", self._available(self._topics.availability, self._topics.tracker)
        link = {
            "device_class": "connectivity",
            "state_topic": state,
            "value_template": f"{{{{ 'ON' if value in {_USABLE!r} else 'OFF' }}}}",
            "json_attributes_topic": attributes,
        }
        yield self._entity("binary_sensor", key, name, {**link, **there})
        words = {"device_class": "enum", "options": [str(state) for state in State], "state_topic": state}
        yield self._entity("sensor", f"{key}_state", f"{name} state", {**words, **there})
        for figure, (title, fields) in _FIGURES.items():
            own = {"state_topic": attributes, "value_template": _value(figure)}
            yield self._entity("sensor", f"{key}_{figure}", f"{name} {title}", {**fields, **own, **there})

    def _policy(self, name: str, family: str) -> tuple[str, str]:
        topic, key = self._topics.policy(name, family), f"policy_{identifier(name)}_{family}"
        value = f"{{{{ (value_json.active | join(', ') or value_json.last_resort)[:{LONGEST_STATE}] }}}}"
        fields = {"state_topic": topic, "value_template": value, "json_attributes_topic": topic}
        there = self._available(self._topics.availability, self._topics.tracker)
        title = f"{name} {family.replace('ip', 'IP')}"
        return self._entity("sensor", key, title, {**fields, **there})

    def _member(self, name: str, *, quota: bool) -> Iterator[tuple[str, str]]:
        state, attributes = self._topics.member(name, "state"), self._topics.member(name, "attributes")
        key, there = f"member_{identifier(name)}", self._available(self._topics.availability, self._topics.tracker)
        opened = {"state_topic": state, "payload_on": "open", "payload_off": "closed"}
        opened["json_attributes_topic"] = attributes
        yield self._entity("binary_sensor", key, f"{name} open", {**opened, **there})
        if quota:
            for figure, title, fields in (("used", "quota used", _BYTES), ("percent", "quota", _PERCENT)):
                own = {"state_topic": attributes, "value_template": _value(figure)}
                yield self._entity("sensor", f"{key}_{figure}", f"{name} {title}", {**fields, **own, **there})

    def _available(self, *topics: str) -> Fields:
        return {"availability": [{"topic": topic} for topic in topics], "availability_mode": "all"}

    def _entity(self, component: str, key: str, name: str, fields: Fields) -> tuple[str, str]:
        payload = {"name": name, "unique_id": f"{self._node}_{key}", **fields, **self._common}
        return f"{self._prefix}/{component}/{self._node}/{key}/config", json.dumps(payload, separators=(",", ":"))


def _value(key: str) -> str:
    """A template; null becomes None, which Home Assistant takes for unknown."""
    return f"{{{{ value_json.{key} }}}}"
