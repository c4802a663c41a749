# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from the paths: the device's MTU, and which paths are too narrow for it."""

from __future__ import annotations

from typing import Any

from netpath.bond.dataframes import HEADER
from netpath.bond.fitting import MTU, Fitting, fitting, narrow
from netpath.bond.wire import HEAD, TAG
from tests.unit.bond.settings import server

IPV4 = ("203.0.113.1/24",)
BOTH = (*IPV4, "2001:db8:99::1/64")


def test_a_packet_with_its_headers_and_a_repair_fills_the_smallest_datagram() -> None:
    assert fitting([1472, 1400]) == 1400 - HEAD - TAG - HEADER - 2 - 12


def test_before_any_path_is_known_nothing_follows() -> None:
    assert fitting([]) is None
    assert narrow(None, {}, BOTH, corrected=True) == []


def test_a_path_too_small_for_ipv6_is_told_and_the_device_keeps_its_addresses() -> None:
    assert fitting([1472, 1200]) == 1280
    (problem,) = narrow(None, {"wan": 1472, "lte": 1200}, BOTH, corrected=False)
    assert "lte carries packets of 1160 bytes only" in problem
    assert narrow(None, {"wan": 1472, "lte": 1200}, IPV4, corrected=False) == []


def test_a_repair_needs_room_too() -> None:
    assert narrow(1432, {"wan": 1472}, BOTH, corrected=False) == []
    assert len(narrow(1432, {"wan": 1472}, BOTH, corrected=True)) == 1


def test_what_does_not_carry_a_configured_mtu_is_named() -> None:
    assert narrow(1500, {"wan": 1472, "fibre": 8972}, BOTH, corrected=False) == [
        "packets over 1432 bytes do not pass wan: unset `mtu` or make it 1432 or less"
    ]


def test_a_configured_mtu_below_what_ipv6_needs_is_not_used() -> None:
    found = narrow(1000, {"wan": 1472}, BOTH, corrected=False)
    assert found == ["mtu 1000 is too small for IPv6: 1280 is used"]
    assert narrow(1000, {"wan": 1472}, IPV4, corrected=False) == []


class Device:
    """Remembers its MTU."""

    def __init__(self) -> None:
        self.mtu: list[int] = []

    def configure(self, _addresses: object, mtu: int, _now: float, _server: object) -> None:
        self.mtu.append(mtu)

    def pace(self, rate: float | None) -> None:
        """No path is known."""


def test_an_mtu_that_is_configured_while_it_runs_is_that_of_the_device() -> None:
    device: Any = Device()
    found = Fitting(device, None)
    for mtu in (None, 1300, 1000):
        found.configure(server(mtu=mtu), BOTH, 0.0)
    assert device.mtu == [MTU, 1300, 1280], "IPv6 needs 1280"
    found.configure(server(mtu=1000), IPV4, 0.0)
    assert device.mtu[-1] == found.mtu == 1000
