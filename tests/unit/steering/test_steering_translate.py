# SPDX-License-Identifier: GPL-2.0-or-later
"""Which prefix of the LAN becomes which of the uplink, and the rules that say so."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.model import Interface, Nat6, Uplink
from netpath.steering.translate import Plan, leaving, plan
from tests.unit.steering.steering_worlds import interface, uplink

OWN = "2001:db8:b00::/56"
FOREIGN = "2001:db8:a00"


def line(nat6: str = "prefix", **more: Any) -> Interface:
    return replace(interface("six", "ipv6"), nat6=Nat6(nat6), **more)


def there(**facts: Any) -> Uplink:
    return uplink("six", 4, "eth1", "ipv6", **{"prefixes": [OWN], **facts})


def mapped(wanted: Plan) -> dict[str, str]:
    return {str(inner): str(outer) for inner, outer in wanted.pairs}


def test_a_subnet_keeps_its_number() -> None:
    wanted = plan(line(), there(lan=[f"{FOREIGN}:7::/64", f"{FOREIGN}:ff::/64"]))
    assert mapped(wanted) == {f"{FOREIGN}:7::/64": "2001:db8:b00:7::/64", f"{FOREIGN}:ff::/64": "2001:db8:b00:ff::/64"}


def test_what_the_lan_uses_of_the_uplinks_own_prefix_is_passed_over() -> None:
    wanted = plan(line(), there(lan=[f"{FOREIGN}:1::/64", "2001:db8:b00:1::/64", "2001:db8:b00:2::/64"]))
    assert mapped(wanted) == {f"{FOREIGN}:1::/64": "2001:db8:b00:3::/64"}


def test_the_search_goes_on_at_the_beginning() -> None:
    wanted = plan(line(), there(lan=[f"{FOREIGN}:ff::/64", "2001:db8:b00:ff::/64", "2001:db8:b00::/60"]))
    assert mapped(wanted) == {f"{FOREIGN}:ff::/64": "2001:db8:b00:10::/64"}


def test_unique_local_prefixes_keep_their_place_when_a_providers_comes_and_goes() -> None:
    lan = [f"{FOREIGN}:1::/64", "fd00:1:2:1::/64"]
    assert mapped(plan(line(), there(lan=lan)))["fd00:1:2:1::/64"] == "2001:db8:b00:1::/64"
    assert mapped(plan(line(), there(lan=lan[1:])))["fd00:1:2:1::/64"] == "2001:db8:b00:1::/64"


def test_a_longer_prefix_may_be_all_that_there_is() -> None:
    wanted = plan(line(), there(prefixes=["2001:db8:b00::/64"], lan=["fd00:1:2:1::/64", f"{FOREIGN}:1::/64"]))
    assert mapped(wanted) == {"fd00:1:2:1::/64": "2001:db8:b00::/64"}
    assert wanted.left == (IPv6Network(f"{FOREIGN}:1::/64"),)


def test_a_shorter_prefix_has_no_room_in_a_longer_one() -> None:
    wanted = plan(line(), there(prefixes=["2001:db8:b00::/60"], lan=["fd00:1:2::/56"]))
    assert (wanted.pairs, wanted.left) == ((), (IPv6Network("fd00:1:2::/56"),))


def test_the_network_of_an_ethernet_link_is_none_to_map_into() -> None:
    """The provider asks there for each address (neighbour discovery), and nobody would answer."""
    facts = {"addresses": ["2001:db8:b00::2/64"], "lan": [f"{FOREIGN}::/64"]}
    assert mapped(plan(line(), there(**facts))) == {f"{FOREIGN}::/64": "2001:db8:b00:1::/64"}
    assert plan(line(), there(prefixes=[], **facts)).pairs == ()


def test_a_mobile_lines_only_network_is_one_to_map_into() -> None:
    facts = {"addresses": ["2001:db8:b00::2/64"], "prefixes": ["2001:db8:b00::/64"], "lan": [f"{FOREIGN}::/64"]}
    assert mapped(plan(line(), there(**facts))) == {f"{FOREIGN}::/64": "2001:db8:b00::/64"}


def test_given_prefixes_are_all_that_is_mapped_and_mapped_into() -> None:
    given = line(nat6_from=("fd00:1:2::/56",), nat6_prefix=("2001:db8:c00::/56",))
    wanted = plan(given, there(prefixes=["2001:db8:c00::/56", OWN], lan=[f"{FOREIGN}::/64", "fd00:1:2:1::/64"]))
    assert mapped(wanted) == {"fd00:1:2::/56": "2001:db8:c00::/56"}
    assert set(wanted.own) == {IPv6Network(OWN), IPv6Network("2001:db8:c00::/56")}


def test_routes_of_a_vpn_are_no_part_of_the_lan() -> None:
    wanted = plan(line(), there(lan=["2000::/3", f"{FOREIGN}:1::/64", "2001:db8:aa::1/128", "2001:db8::/33"]))
    assert mapped(wanted) == {f"{FOREIGN}:1::/64": "2001:db8:b00:1::/64"}


def test_how_an_address_is_seen() -> None:
    wanted = plan(line(), there(lan=[f"{FOREIGN}:7::/64"]))
    seen = {
        source: wanted.seen_as(IPv6Address(source))
        for source in (f"{FOREIGN}:7:1:2:3:4", "2001:db8:b00:9::1", "2001:db8:c00::1")
    }
    assert [None if s is None else str(s) for s in seen.values()] == [
        "2001:db8:b00:7:1:2:3:4",
        "2001:db8:b00:9::1",
        None,
    ]


# -- any prefixes at all --------------------------------------------------------------------------------------------

BASES = (0x20010DB80A00 << 80, 0x20010DB80B00 << 80, 0xFD00 << 112)


@st.composite
def networks(draw: st.DrawFn, shortest: int = 44) -> str:
    """Prefixes that meet often: few bases, few subnets."""
    length = draw(st.integers(shortest, 66))
    number = draw(st.sampled_from(BASES)) + (draw(st.integers(0, 40)) << 62)
    return str(IPv6Network((number >> (128 - length) << (128 - length), length)))


worlds = st.builds(
    lambda nat6_from, nat6_prefix, prefixes, lan, links: (
        line(nat6_from=tuple(nat6_from), nat6_prefix=tuple(nat6_prefix)),
        there(prefixes=[*nat6_prefix, *prefixes], lan=sorted(set(lan)), addresses=links),
    ),
    st.lists(networks(), max_size=3),
    st.lists(networks(), max_size=1),
    st.lists(networks(), max_size=2),
    st.lists(networks(), max_size=8),
    st.lists(networks(), max_size=1),
)


def in_use(now: Uplink) -> list[IPv6Network]:
    """What the LAN has of the uplink's own prefixes, and the networks of links that are no mobile lines."""
    links = [IPv6Network(a) for a in now.addresses]
    own = [*map(IPv6Network, now.prefixes), *links]
    lan = [n for n in map(IPv6Network, now.lan) if any(n.subnet_of(o) for o in own)]
    return lan + [n for n in links if str(n) not in now.prefixes]


@given(worlds)
def test_the_mapping_is_injective_and_meets_nothing_that_is_in_use(world: tuple[Interface, Uplink]) -> None:
    how, now = world
    wanted = plan(how, now)
    targets = [IPv6Network(p) for p in how.nat6_prefix or now.prefixes]
    for number, (inner, outer) in enumerate(wanted.pairs):
        assert inner.prefixlen == outer.prefixlen
        assert any(outer.subnet_of(t) for t in targets)
        assert not any(inner.overlaps(o) for o in wanted.own), "sources of the uplink are not translated"
        assert not any(outer.overlaps(n) for n in in_use(now))
        for other_inner, other_outer in wanted.pairs[:number]:
            assert not inner.overlaps(other_inner)
            assert not outer.overlaps(other_outer)


@given(worlds)
def test_no_prefix_is_forgotten_and_order_does_not_matter(world: tuple[Interface, Uplink]) -> None:
    how, now = world
    wanted = plan(how, now)
    considered = [*(inner for inner, _ in wanted.pairs), *wanted.left]
    for text in how.nat6_from or now.lan:
        network = IPv6Network(text)
        if how.nat6_from or 48 <= network.prefixlen <= 64:
            assert any(network.overlaps(k) for k in (*considered, *wanted.own))
    turned = replace(now, lan=tuple(reversed(now.lan)))
    assert plan(replace(how, nat6_from=tuple(reversed(how.nat6_from))), turned).pairs == wanted.pairs


@given(worlds)
def test_where_there_is_room_it_is_used(world: tuple[Interface, Uplink]) -> None:
    how, now = world
    wanted = plan(how, now)
    targets = [IPv6Network(p) for p in how.nat6_prefix or now.prefixes]
    taken = in_use(now) + [outer for _, outer in wanted.pairs]
    for inner in wanted.left:
        for target in targets:
            if 0 <= inner.prefixlen - target.prefixlen <= 8:  # else there are too many to look at each
                assert not [s for s in target.subnets(new_prefix=inner.prefixlen) if not any(map(s.overlaps, taken))]


# -- rules ----------------------------------------------------------------------------------------------------------


def test_nothing_is_said_where_nothing_is_to_be_done() -> None:
    assert leaving([line("off")], [there()]) == ([], {})
    assert leaving([interface("wan")], [uplink("wan", 1, "eth1")]) == ([], {})


LAN_ADDRESS = "2001:db8:b00:1::1"


@pytest.mark.parametrize(("source", "way"), [(None, "masquerade"), (LAN_ADDRESS, f"snat ip6 to {LAN_ADDRESS}")])
def test_everything_that_is_not_of_the_uplink_gets_an_address_of_it(source: str | None, way: str) -> None:
    entry, chains = leaving([line("masquerade")], [there(source=source)])
    assert entry == ['meta nfproto ipv6 oifname vmap { "eth1" : goto nat6_4 }']
    assert chains == {"nat6_4": ["ip6 saddr { 2001:db8:b00::/56, fe80::/10 } accept", way]}


def test_the_routers_own_packets_are_put_right_without_the_option_too() -> None:
    other = uplink("other", 5, "eth2", "ipv6", prefixes=["2001:db8:a00::/56"], source="2001:db8:a00:1::1")
    _, chains = leaving([line("off"), replace(line("off"), name="other")], [there(), other])
    assert chains == {
        "nat6_4": [
            "ip6 saddr { 2001:db8:b00::/56, fe80::/10 } accept",
            "ip6 saddr 2001:db8:a00::/56 fib saddr type local masquerade",
        ],
        "nat6_5": [
            "ip6 saddr { 2001:db8:a00::/56, fe80::/10 } accept",
            "ip6 saddr 2001:db8:b00::/56 fib saddr type local snat ip6 to 2001:db8:a00:1::1",
        ],
    }
