# SPDX-License-Identifier: GPL-2.0-or-later
"""nft text of maps: what is asked of a packet before a map is."""

from __future__ import annotations

from typing import Any

import pytest

from netpath.steering.compile import compile_rules
from netpath.steering.match import block_lines
from tests.unit.steering.steering_worlds import rule


def lines(*criteria: dict[str, Any], family: str = "ipv4") -> list[str]:
    blocks = compile_rules([rule(f"r{i}", family=family, **each) for i, each in enumerate(criteria)], family)
    return [line for block in blocks for line in block_lines(block, family, "r{}".format)]


def test_a_map_with_intervals_is_asked_for_packets_only_that_a_set_of_single_values_knows() -> None:
    assert lines(
        {"dest_ip": "198.51.100.8", "proto": "udp", "dest_port": "5-9"},
        {"dest_ip": "198.51.100.7", "proto": "udp", "dest_port": "5-9"},
        {"dest_ip": "198.51.100.7", "proto": "udp", "dest_port": "15-19"},
    ) == [
        "meta l4proto 17 ip daddr { 198.51.100.7, 198.51.100.8 } ip daddr . th dport vmap "
        "{ 198.51.100.8 . 5-9 : goto r0, 198.51.100.7 . 5-9 : goto r1, 198.51.100.7 . 15-19 : goto r2 }"
    ]


def test_the_field_with_the_most_values_is_looked_at() -> None:
    (line,) = lines(
        *(
            {"src_ip": f"192.0.2.{i % 2}", "dest_ip": f"198.51.100.{i}", "proto": "udp", "dest_port": f"5-{9 + i}"}
            for i in range(4)
        )
    )
    known = "{ 198.51.100.0, 198.51.100.1, 198.51.100.2, 198.51.100.3 }"
    assert line.startswith(f"meta l4proto 17 ip daddr {known} ip saddr . ip daddr . th dport vmap")


@pytest.mark.parametrize(
    "criteria",
    [
        ({"dest_ip": "198.51.100.7", "dest_port": 5}, {"dest_ip": "198.51.100.8", "dest_port": 9}),  # a hash itself
        ({"proto": "tcp", "dest_port": "5-9"}, {"proto": "udp", "dest_port": "15-19"}),
        ({"src_iface": "lan0", "dest_port": "5-9"}, {"src_iface": "lan1", "dest_port": "15-19"}),
        ({"dest_ip": "198.51.100.0/25", "dest_port": "5-9"}, {"dest_ip": "198.51.100.128/25", "dest_port": "15-19"}),
    ],
    ids=["no interval", "protocols", "devices", "no single values"],
)
def test_a_look_that_would_spare_nothing_is_not_taken(criteria: tuple[dict[str, Any], ...]) -> None:
    (line,) = lines(*criteria)
    assert line.partition(" vmap ")[0].count("{") == 0
