# SPDX-License-Identifier: GPL-2.0-or-later
"""Interface names in src_iface become devices."""

from __future__ import annotations

import pytest

from netpath.config import loads
from netpath.kernel.netifd import Logical
from netpath.model import NameSpec, Uplink
from netpath.worker.devices import with_devices

CONFIG = """
config interface 'a_logical_name_longer_than_a_device'
	option ifname 'eth7'
	option track_method 'none'
config interface 'gone'
	option track_method 'none'
config rule 'r'
	list src_iface '{}'
	option policy 'default'
"""
UPLINKS = (
    Uplink("a_logical_name_longer_than_a_device", 1, "ipv4", "eth7", None, (), False, ()),
    Uplink("gone", 2, "ipv4", None, None, (), False, ()),
)
LOGICAL = {
    "lan": Logical("lan", True, "br-lan", (), (), (), ()),
    "guest": Logical("guest", False, None, (), (), (), ()),
    "gone": Logical("gone", True, "eth9", (), (), (), ()),
}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a_logical_name_longer_than_a_device", NameSpec(("eth7",))),
        ("br-lan", NameSpec(("br-lan",))),
        ("lan", NameSpec(("br-lan",))),
        ("!a_logical_name_longer_than_a_device", NameSpec((), ("eth7",))),
        ("!gone", NameSpec((), ())),
    ],
)
def test_names_become_devices(written: str, meant: NameSpec) -> None:
    config = loads(CONFIG.format(written)).config
    assert config is not None
    steered, problems = with_devices(config, UPLINKS, LOGICAL, "file")
    assert [r.src_iface for r in steered.rules] == [meant]
    assert problems == []


@pytest.mark.parametrize("written", ["gone", "guest", "no_device_can_have_such_a_long_name"])
def test_a_rule_whose_interface_is_not_there_matches_nothing_and_says_so(written: str) -> None:
    config = loads(CONFIG.format(written)).config
    assert config is not None
    steered, problems = with_devices(config, UPLINKS, LOGICAL, "file")
    assert steered.rules == ()
    assert [(p.severity, p.option, p.value) for p in problems] == [("warning", "src_iface", written)]


def test_rules_that_name_no_interface_are_left_as_they_are() -> None:
    """Thousands of them are not copied at each load."""
    config = loads(CONFIG.format("br-lan") + "config rule 'plain'\n\toption policy 'default'\n").config
    assert config is not None
    steered, _ = with_devices(config, UPLINKS, LOGICAL, "file")
    assert all(new is old for new, old in zip(steered.rules, config.rules, strict=True))
