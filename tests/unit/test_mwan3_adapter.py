# SPDX-License-Identifier: GPL-2.0-or-later
"""The pure part of `python -m bench mwan3`: files for mwan3 and netifd that say what NetPath's file says."""

from __future__ import annotations

import re

from bench import configurations, resident
from bench.mwan3 import FAST, configuration, rules_in_its_words
from bench.openwrt import network
from netpath.config import loads
from netpath.lab.plan import uplinks

UPLINKS = uplinks(resident.specs(2))


def test_rules_say_the_same_in_mwan3s_words() -> None:
    """NetPath reads mwan3's words too, so it can tell."""
    ours = configurations.rules(100, "all")
    theirs = rules_in_its_words(ours)
    read = loads(configuration(UPLINKS, theirs)).config
    wanted = loads(configuration(UPLINKS, ours)).config
    assert read is not None
    assert wanted is not None
    assert len(read.rules) == 100
    assert read.rules == wanted.rules


def test_mwan3_gets_no_port_range_that_iptables_refuses() -> None:
    theirs = rules_in_its_words(configurations.rules(1000, "all"))
    assert "option dest_port '14000:14003'" in theirs
    assert not re.search(r"_port '\d+-", theirs)
    assert "option policy " not in theirs


def test_names_fit_into_mwan3s_fifteen_characters() -> None:
    text = configuration(UPLINKS, configurations.rules(10_000, "all"))
    assert max(len(name) for name in re.findall(r"config (?:rule|policy) '(.*)'", text)) <= 15


def test_every_interface_has_the_options_and_without_any_nothing_is_tracked() -> None:
    rules = configurations.rules(10, "all")
    text = configuration(UPLINKS, rules, FAST)
    assert text.count("option down '3'") == len(UPLINKS)
    assert text.count("list track_ip ") == 4 * len(UPLINKS)
    assert "track_ip" not in configuration(UPLINKS, rules)


def test_netifd_gets_the_addresses_of_the_lab() -> None:
    text = network(UPLINKS)
    for uplink in UPLINKS:
        assert f"option ipaddr '{uplink.addresses4[0]}/{uplink.length4}'" in text
        assert f"option gateway '{uplink.gateways4[0]}'" in text
