# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bond's device should be: packet sizes, routes."""

from __future__ import annotations

import pytest

from netpath.bond import device


@pytest.mark.parametrize("megabits", [1, 10, 50, 100, 1000, 10000])
def test_one_packet_is_short_and_a_full_ring_is_not_long(megabits: int) -> None:
    rate = megabits * 125_000
    size, ring = device.limits(rate, 1400)
    assert size <= max(2800, rate * 0.010)
    assert size <= 65536
    assert 128 <= ring <= 1000
    assert ring == 128 or size * ring / rate <= 0.4


def test_a_fast_bond_gets_packets_as_large_as_there_are() -> None:
    """A forwarded packet larger than that would be cut up by the kernel before it comes here."""
    assert device.limits(None, 1400)[0] == device.limits(250_000_000, 1400)[0] == 65536


def test_a_rate_that_wavers_changes_nothing() -> None:
    assert device.limits(12_500_000, 1400) == device.limits(11_000_000, 1400) == device.limits(14_000_000, 1400)


def test_a_server_routes_what_is_not_on_its_own_network() -> None:
    clients = [
        (("203.0.113.2/24", "2001:db8:99::2/64"), ("192.0.2.0/24", "2001:db8:5::1/56")),
        (("203.0.113.200/32",), ("192.0.2.0/24",)),
    ]
    found = device.client_routes(("203.0.113.1/25", "2001:db8:99::1/64"), clients)
    assert found == ("192.0.2.0/24", "2001:db8:5::/56", "203.0.113.200/32")
