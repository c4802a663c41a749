# SPDX-License-Identifier: GPL-2.0-or-later
"""How real flows spread over the uplinks in each mode, and what moves when one fails."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from netpath.steering.jhash import nft_slot
from netpath.steering.policy import HASH_SEED
from netpath.steering.slots import plan
from tests.kernel.nsbox import counts
from tests.kernel.steering_site import ALL, MARK, Site, both, everything, gateway, internet, one_policy, own, site

pytestmark = pytest.mark.lab

FAMILIES = ("ipv4", "ipv6")
Key = tuple[str, str, int, int, int]


@pytest.fixture
def there() -> Iterator[Site]:
    with site() as made:
        yield made


def client(family: str, number: int) -> str:
    return f"198.51.100.{number}" if family == "ipv4" else f"2001:db8:100::{number:x}"


def flows(there: Site, family: str, number: int) -> list[int]:
    """Marks of that many new flows of one client, in the order in which they were sent."""
    keys = [there.send(client(family, 7), internet(family)) for _ in range(number)]
    marks = there.router.marks(family)
    return [marks[key] for key in keys]


def homes(there: Site, family: str, clients: int, dport: int = 443) -> dict[str, int]:
    """Client -> mark of a new flow of it."""
    keys = [there.send(client(family, n), internet(family), dport=dport) for n in range(2, clients + 2)]
    marks = there.router.marks(family)
    return {key[0]: marks[key] for key in keys}


def without(*names: str) -> frozenset[str]:
    return ALL - frozenset(names)


@pytest.mark.parametrize("family", FAMILIES)
def test_balanced_is_exact_and_without_bursts_whatever_else_comes_in(there: Site, family: str) -> None:
    there.load(one_policy(both("1 3", "2 2")), [everything()])
    keys = []
    for number in range(300):
        keys.append(there.send(client(family, 7), internet(family)))
        # Inbound connections, packets for the router and packets of established flows have no turn in the sequence.
        there.send(internet(family, 9), client(family, 7), sport=1024 + number, via="wan2")
        there.send(client(family, 7), own(family, 1))
        there.send(*keys[-1][:2], sport=keys[-1][3])
    marks = there.router.marks(family)
    order = [marks[key] for key in keys]
    first, second = MARK[family, 1], MARK[family, 2]
    assert order == [first, second, first, second, first] * 60


def test_round_robin_ignores_weights(there: Site) -> None:
    there.load(one_policy(["wan1 9", "wan2 1", "wan3 4"], "round-robin"), [everything()])
    assert flows(there, "ipv4", 9) == [0x100, 0x200, 0x300] * 3


def test_failover_takes_the_first_of_the_lowest_metric(there: Site) -> None:
    there.load(one_policy(["wan3 1 2", "wan2 1 1", "wan1 1 1"], "failover"), [everything()])
    assert set(flows(there, "ipv4", 5)) == {0x200}
    there.swap(without("wan2"))
    assert set(flows(there, "ipv4", 5)) == {0x100}
    there.swap(frozenset(("wan3",)))
    assert set(flows(there, "ipv4", 5)) == {0x300}


def test_weighted_is_random_by_weight_and_random_ignores_it(there: Site) -> None:
    there.load(one_policy(["wan1 9", "wan2 1"], "weighted"), [everything()])
    spread = counts(flows(there, "ipv4", 600))
    assert spread[0x100] + spread[0x200] == 600
    assert 20 < spread[0x200] < 130  # expected 60; the bounds are more than five standard deviations away
    there.load(one_policy(["wan1 9", "wan2 1"], "random"), [everything()])
    spread = counts(flows(there, "ipv4", 600))
    assert 220 < spread[0x200] < 380  # expected 300


def foretold(there: Site, family: str, address: str) -> int:
    """The mark that our own reckoning of the kernel's hash gives a client."""
    assert there.config
    ids = {u.name: u.id for u in there.uplinks}
    families = {u.name: u.family for u in there.uplinks}
    slots = plan(there.config.policies[0], families, ids, ALL, family)
    slot = nft_slot(ip_address(address).packed, slots.modulus, HASH_SEED)
    return next(ids[name] << 8 for first, last, name in slots.slots if first <= slot <= last)


@pytest.mark.parametrize("family", FAMILIES)
def test_hash_moves_only_the_clients_of_a_failed_uplink_and_brings_them_back(there: Site, family: str) -> None:
    there.load(one_policy(both("1", "2", "3"), "hash"), [everything()])
    before = homes(there, family, 90)
    assert set(counts(before)) == {MARK[family, n] for n in (1, 2, 3)}
    assert before == {c: foretold(there, family, c) for c in before}
    assert homes(there, family, 90) == before
    there.swap(without("wan2", "six2"))
    during = homes(there, family, 90)
    assert MARK[family, 2] not in counts(during)
    assert {c for c in before if during[c] != before[c]} == {c for c in before if before[c] == MARK[family, 2]}
    there.swap(ALL)
    assert homes(there, family, 90) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_sticky_clients_stay_move_with_a_failure_and_stay_where_they_went(there: Site, family: str) -> None:
    policies, rules = one_policy(both("1", "2", "3")), [everything(sticky=True, timeout=600)]
    there.load(policies, rules)
    before = homes(there, family, 12)
    assert counts(before) == {MARK[family, n]: 4 for n in (1, 2, 3)}
    assert homes(there, family, 12) == before
    there.swap(without("wan2", "six2"))
    during = homes(there, family, 12)
    assert {c for c in before if during[c] != before[c]} == {c for c in before if before[c] == MARK[family, 2]}
    assert homes(there, family, 12) == during
    there.swap(ALL)
    assert homes(there, family, 12) == during
    there.load(policies, rules)  # a reload forgets nobody
    assert homes(there, family, 12) == during


def test_a_sticky_client_expires(there: Site) -> None:
    there.load(one_policy(["wan1", "wan2"]), [everything(sticky=True, timeout=1)])
    there.send(client("ipv4", 2), internet("ipv4"))
    text = there.router.run("nft", "list", "set", "inet", "netpath", "st_everything_4_1")
    assert "198.51.100.2 timeout 1s" in text


LAST_RESORTS = (("unreachable", None), ("blackhole", None), ("default", 0x3F00))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("last_resort", "mark"), LAST_RESORTS)
def test_last_resort_when_no_member_is_usable(there: Site, family: str, last_resort: str, mark: int | None) -> None:
    there.load(
        one_policy(both("2", "3"), "balanced", last_resort), [everything()], without("wan2", "wan3", "six2", "six3")
    )
    key = there.send(client(family, 7), internet(family), proto=6)
    assert there.router.marks(family).get(key) == mark
    if last_resort == "unreachable":
        assert is_reset(there.leaves("lan0", key[0], 443, key[3]))
    if last_resort == "default":
        there.leaves("wan1", internet(family), key[3])


def is_reset(packet: bytes) -> bool:
    head = 20 if packet[0] >> 4 == 4 else 40
    return bool(packet[head + 13] & 0x04)


def test_a_policy_of_one_family_is_the_last_resort_of_the_other(there: Site) -> None:
    """IPv6 must not leak by the main table past a policy that only names IPv4 uplinks."""
    there.load(one_policy(["wan2"]), [everything()])
    key = there.send(client("ipv6", 7), internet("ipv6"), proto=6)
    assert key not in there.router.marks("ipv6")
    assert is_reset(there.leaves("lan0", key[0], 443, key[3]))


def test_a_flow_keeps_its_uplink_when_the_policy_moves_on(there: Site) -> None:
    there.load(one_policy(["wan2", "wan3"], "failover"), [everything()])
    key = there.send(client("ipv4", 7), internet("ipv4"))
    there.leaves("wan2", internet("ipv4"), key[3])
    there.swap(without("wan2"))
    there.send(*key[:2], sport=key[3])
    there.leaves("wan2", internet("ipv4"), key[3])
    new = there.send(client("ipv4", 7), internet("ipv4"))
    there.leaves("wan3", internet("ipv4"), new[3])
    assert gateway("ipv4", 3) == "192.0.2.33"
