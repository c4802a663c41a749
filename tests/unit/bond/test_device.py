# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bond's device should be: MTU, packet sizes, routes."""

from __future__ import annotations

import pytest

from netpath.bond import device
from netpath.bond.dataframes import HEADER
from netpath.bond.wire import HEAD, TAG


def test_a_packet_with_its_headers_fills_the_smallest_datagram() -> None:
    found = device.fit(None, {"wan": 1472, "lte": 1400}, ipv6=True, corrected=False)
    assert found == device.Fit(1400 - HEAD - TAG - HEADER - 2, ())


def test_a_repair_needs_room_too() -> None:
    plain = device.fit(None, {"wan": 1472}, ipv6=True, corrected=False).mtu
    assert device.fit(None, {"wan": 1472}, ipv6=True, corrected=True).mtu == plain - 12


def test_before_any_path_is_known_ipv6_works() -> None:
    assert device.fit(None, {}, ipv6=True, corrected=True) == device.Fit(1280, ())


def test_a_path_too_small_for_ipv6_is_told_and_the_device_keeps_its_addresses() -> None:
    found = device.fit(None, {"wan": 1472, "lte": 1200}, ipv6=True, corrected=False)
    assert found.mtu == 1280
    assert len(found.problems) == 1
    assert "lte carries packets of 1160 bytes only" in found.problems[0]
    assert device.fit(None, {"wan": 1472, "lte": 1200}, ipv6=False, corrected=False) == device.Fit(1160, ())


def test_a_configured_mtu_is_used_and_what_does_not_carry_it_is_named() -> None:
    found = device.fit(1500, {"wan": 1472, "fibre": 8972}, ipv6=True, corrected=False)
    assert found.mtu == 1500
    assert found.problems == ("packets over 1432 bytes do not pass wan: unset `mtu` or make it 1432 or less",)


def test_a_configured_mtu_below_what_ipv6_needs_is_not_used() -> None:
    found = device.fit(1000, {"wan": 1472}, ipv6=True, corrected=False)
    assert found == device.Fit(1280, ("mtu 1000 is too small for IPv6: 1280 is used",))
    assert device.fit(1000, {"wan": 1472}, ipv6=False, corrected=False) == device.Fit(1000, ())


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
