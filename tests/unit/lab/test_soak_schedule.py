# SPDX-License-Identifier: GPL-2.0-or-later
"""Which faults a seed means."""

from __future__ import annotations

from itertools import islice

import pytest

from netpath.lab.soak.schedule import HOLD, PAUSE, Kind, faults, seconds

UPLINKS = ["fibre", "cable", "lte"]


def test_a_seed_means_the_same_faults_again_and_another_one_others() -> None:
    assert [*islice(faults(7, UPLINKS), 50)] == [*islice(faults(7, UPLINKS), 50)]
    assert [*islice(faults(7, UPLINKS), 50)] != [*islice(faults(8, UPLINKS), 50)]


def test_no_kind_and_no_uplink_is_spared() -> None:
    found = [*islice(faults(1, UPLINKS), 5 * len(Kind))]
    for start in range(0, len(found), len(Kind)):
        assert {fault.kind for fault in found[start : start + len(Kind)]} == set(Kind)
    for start in range(0, len(found), len(UPLINKS)):
        assert {fault.uplink for fault in found[start : start + len(UPLINKS)]} == set(UPLINKS)
    assert {(fault.kind, fault.family) for fault in islice(faults(1, UPLINKS), 200)} == {
        (kind, family) for kind in Kind for family in ("ipv4", "ipv6")
    }


def test_pace_stretches_every_time() -> None:
    for fault in islice(faults(1, UPLINKS, 0.1), 50):
        assert PAUSE[0] / 10 <= fault.pause <= PAUSE[1] / 10
        assert HOLD[0] / 10 <= fault.hold <= HOLD[1] / 10


@pytest.mark.parametrize(
    ("text", "found"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("1.5h", 5400), ("2d", 172800)]
)
def test_times_as_people_write_them(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1 week", "h", "1e9", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        seconds(text)
