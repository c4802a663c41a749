# SPDX-License-Identifier: GPL-2.0-or-later
"""How many handshakes are taken, from whom, and whose an inner address is."""

from __future__ import annotations

import ipaddress
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.bond.inner import CACHED, Table, destination, host, parse, source, text
from netpath.bond.limits import Bucket, HandshakeLimits, network_of


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = Bucket(10.0, 3.0, 100.0)
    assert [bucket.take(1.0, 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.opens() == pytest.approx(100.0)
    assert bucket.take(1.0, 100.05)
    assert not bucket.take(1.0, 100.06)
    assert sum(bucket.take(1.0, 101.0 + n / 1000) for n in range(1000)) == pytest.approx(13, abs=1)


def test_a_large_amount_is_a_debt_that_is_waited_for() -> None:
    bucket = Bucket(100.0, 10.0, 0.0)
    assert bucket.take(60.0, 0.0)
    assert not bucket.take(1.0, 0.4)
    assert bucket.opens() == pytest.approx(0.5)
    assert bucket.take(1.0, 0.51)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(10.0, 1.0, 100.0)
    assert bucket.take(1.0, 100.0)
    assert not bucket.take(1.0, 50.0)


def test_one_network_cannot_use_up_what_others_have() -> None:
    limits = HandshakeLimits(0.0, each=(1.0, 5.0), everyone=(10.0, 50.0))
    assert sum(limits.allow("192.0.2.1", 0.0) for _ in range(1000)) == 5
    assert limits.allow("192.0.2.2", 0.0)
    assert limits.refused == 995


def test_all_together_are_bounded() -> None:
    limits = HandshakeLimits(0.0, each=(1.0, 5.0), everyone=(10.0, 50.0))
    assert sum(limits.allow(f"192.0.2.{n}", 0.0) for n in range(250)) == 50


def test_addresses_of_one_64_are_one_network() -> None:
    limits = HandshakeLimits(0.0, each=(1.0, 5.0), everyone=(100.0, 500.0))
    assert sum(limits.allow(f"2001:db8::{n:x}", 0.0) for n in range(100)) == 5
    assert limits.allow("2001:db8:0:1::1", 0.0)
    assert network_of("fe80::1%eth0") == network_of("fe80::2")


def test_the_table_of_networks_is_bounded() -> None:
    limits = HandshakeLimits(0.0, everyone=(1e9, 1e9), most=100)
    tracemalloc.start()
    for n in range(200_000):
        limits.allow(str(ipaddress.IPv4Address(n)), 0.0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 100_000


def network(address: int, length: int, bits: int) -> str:
    made = ipaddress.IPv4Network if bits == 32 else ipaddress.IPv6Network
    return str(made((address, length), strict=False))


PREFIXES = st.one_of(
    st.builds(network, st.integers(0, 2**32 - 1), st.integers(0, 32), st.just(32)),
    st.builds(network, st.integers(0, 2**128 - 1), st.integers(0, 128), st.just(128)),
)


@given(st.lists(PREFIXES, max_size=8), st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16))
def test_the_longest_prefix_is_the_owner(prefixes: list[str], address: bytes) -> None:
    table = Table((prefix, prefix) for prefix in prefixes)
    known = ipaddress.ip_address(address)
    holding = [p for p in map(ipaddress.ip_network, prefixes) if p.version == known.version and known in p]
    expected = max(holding, key=lambda p: p.prefixlen, default=None)
    for _ in range(2):  # the second time it is remembered
        assert table.owner(address) == (str(expected) if expected else None)


def test_remembered_owners_are_bounded() -> None:
    table = Table([("10.0.0.0/8", "a")])
    tracemalloc.start()
    for n in range(20 * CACHED):
        table.owner((10 << 24 | n).to_bytes(4, "big"))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 3_000_000


def test_words_and_bytes() -> None:
    assert parse("192.0.2.7/24") == (bytes([192, 0, 2, 7]), 24)
    assert text(parse("2001:db8::7/64")[0] + bytes([64])) == "2001:db8::7/64"
    assert (host("192.0.2.7/24"), host("2001:db8::7/64")) == ("192.0.2.7/32", "2001:db8::7/128")
    with pytest.raises(ValueError, match="no prefix"):
        parse("192.0.2.7/33")


def test_addresses_of_packets() -> None:
    packet = bytes([0x45]) + bytes(11) + bytes([1, 2, 3, 4, 5, 6, 7, 8])
    assert (source(packet), destination(packet)) == (bytes([1, 2, 3, 4]), bytes([5, 6, 7, 8]))
    packet = bytes([0x60]) + bytes(7) + bytes(range(32))
    assert (source(packet), destination(packet)) == (bytes(range(16)), bytes(range(16, 32)))
    assert source(packet[:39]) == source(bytes(20)) == b""
