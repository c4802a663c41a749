# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules by domain in the kernel: the sets over reloads, and addresses that are in use."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from netpath.model import Rule
from netpath.steering.domains import sets
from tests.kernel.steering_site import LAN_HOST, MARK, Site, both, everything, internet, one_policy, site
from tests.unit.steering.steering_worlds import rule

pytestmark = pytest.mark.lab

FAMILIES = ("ipv4", "ipv6")
MAIN = 0x3F00


@pytest.fixture
def there() -> Iterator[Site]:
    with site() as made:
        yield made


def load(there: Site, *rules: Rule) -> None:
    there.load(one_policy(both("2")), [*rules, everything("default")])


def add(there: Site, of: Rule, family: str, options: str = "") -> None:
    """As dnsmasq does it."""
    name = next(n for n in sets([of]) if n.endswith(family[3]))
    there.router.nft(f"add element inet netpath {name} {{ {internet(family)} {options} }}\n")


def expiries(there: Site, of: Rule, family: str) -> list[int]:
    """Seconds that each element of the rule's set has left."""
    name = next(n for n in sets([of]) if n.endswith(family[3]))
    listed = json.loads(there.router.run("nft", "-j", "list", "set", "inet", "netpath", name))
    return [each["elem"]["expires"] for each in listed["nftables"][1]["set"].get("elem", [])]


def mark(there: Site, family: str) -> int:
    """What a new flow of the LAN gets."""
    key = there.send(LAN_HOST[family], internet(family))
    return there.router.marks(family)[key]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_dnsmasq_adds_decides_until_the_rule_has_other_domains(there: Site, family: str) -> None:
    video = rule("video", "bal", domains=["a.example", "b.example"])
    load(there, video)
    assert mark(there, family) == MAIN
    add(there, video, family)
    assert mark(there, family) == MARK[family, 2]
    load(there, rule("before", "default", proto=1), video)
    assert mark(there, family) == MARK[family, 2]
    less = rule("video", "bal", domains=["a.example"])
    load(there, less)
    assert mark(there, family) == MAIN
    assert {n for n in there.router.names("set") if n.startswith("dom_")} == set(sets([less]))
    load(there)
    assert not [n for n in there.router.names("set") if n.startswith("dom_")]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_address_in_use_is_not_forgotten(there: Site, family: str) -> None:
    """dnsmasq would not renew it: adding what is there changes nothing."""
    video = rule("video", "bal", domains=["a.example"])
    load(there, video)
    add(there, video, family, "expires 100s")
    add(there, video, family)
    assert expiries(there, video, family)[0] <= 100
    assert mark(there, family) == MARK[family, 2]
    assert expiries(there, video, family)[0] > 86000


def test_a_set_that_is_full_still_steers(there: Site) -> None:
    video = rule("video", "bal", domains=["a.example"])
    load(there, video)
    (_, name) = sets([video])
    some = ", ".join(f"2001:db8:9::{n:x}" for n in range(16384 - 1))
    there.router.nft(f"add element inet netpath {name} {{ {some} }}\n")
    add(there, video, "ipv6")
    with pytest.raises(AssertionError):
        there.router.nft(f"add element inet netpath {name} {{ 2001:db8:9:9:: }}\n")
    assert mark(there, "ipv6") == MARK["ipv6", 2]
