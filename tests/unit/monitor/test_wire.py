# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams byte by byte, as the seed's display reads them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor import wire
from netpath.monitor.readings import Proxy, Speeds, Wan
from netpath.monitoring import Format

PROXY = Proxy(direct_up=1, direct_down=0x0203, proxy_up=3, proxy_down=2**40, connections=9)
WAN = Wan(up=5, down=6, interfaces={"wan": (5, 6)})
PROXY_BYTES = bytes.fromhex("0100000000000000 0302000000000000 0300000000000000 0000000000010000")
WAN_BYTES = bytes.fromhex("0500000000000000 0600000000000000")
anything = st.integers(min_value=-(2**70), max_value=2**70)
speeds = st.builds(
    Speeds,
    st.none() | st.builds(Proxy, anything, anything, anything, anything, anything),
    st.none() | st.builds(Wan, anything, anything),
)


def test_the_fields_are_little_endian_in_the_order_of_the_document() -> None:
    assert wire.datagrams(Speeds(PROXY, WAN), Format.COMBINED, True) == (PROXY_BYTES + WAN_BYTES,)
    assert wire.datagrams(Speeds(PROXY, WAN), Format.PAIR, True) == (PROXY_BYTES, WAN_BYTES)


@pytest.mark.parametrize("form", Format)
def test_without_a_wan_there_are_32_bytes_and_nothing_else(form: Format) -> None:
    assert wire.datagrams(Speeds(PROXY, None), form, False) == (PROXY_BYTES,)


def test_a_source_without_figures_counts_as_0() -> None:
    assert wire.datagrams(Speeds(PROXY, None), Format.COMBINED, True) == (PROXY_BYTES + bytes(16),)
    assert wire.datagrams(Speeds(None, WAN), Format.COMBINED, True) == (bytes(32) + WAN_BYTES,)
    assert wire.datagrams(Speeds(None, None), Format.PAIR, True) == (bytes(32), bytes(16))
    assert wire.datagrams(Speeds(None, None), Format.COMBINED, False) == (bytes(32),)


def test_what_does_not_fit_is_the_nearest_that_does() -> None:
    (datagram,) = wire.datagrams(Speeds(Proxy(-1, 2**64, 2**64 - 1, 0, 0), None), Format.COMBINED, False)
    assert struct.unpack("<4Q", datagram) == (0, 2**64 - 1, 2**64 - 1, 0)


@given(speeds, st.sampled_from(Format), st.booleans())
def test_whatever_the_figures_are_the_lengths_tell_what_it_is(values: Speeds, form: Format, wan: bool) -> None:
    """The display tells datagrams apart by length; the credit of a client is counted by `sizes`."""
    lengths = tuple(map(len, wire.datagrams(values, form, wan)))
    if wan:
        assert lengths == wire.sizes(form) == ((48,) if form is Format.COMBINED else (32, 16))
    else:
        assert lengths == (32,)
