# SPDX-License-Identifier: GPL-2.0-or-later
"""netifd's answer to `ubus call network.interface dump`, as far as NetPath reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.kernel import netifd
from netpath.kernel.netifd import Logical, find, parse

ANY4 = {"target": "0.0.0.0", "mask": 0, "source": "0.0.0.0/0"}
ANY6 = {"target": "::", "mask": 0, "source": "::/0"}
PPPOE = {
    "interface": "wan",
    "up": True,
    "pending": False,
    "l3_device": "pppoe-wan",
    "device": "eth1",
    "proto": "pppoe",
    "ipv4-address": [{"address": "192.0.2.7", "mask": 32, "ptpaddress": "198.51.100.1"}],
    "ipv6-address": [],
    "ipv6-prefix": [{"address": "2001:db8:a::", "mask": 56, "preferred": 1800, "valid": 3600, "class": "wan"}],
    "ipv6-prefix-assignment": [],
    "route": [
        {"target": "198.51.100.9", "mask": 32, "nexthop": "198.51.100.1"},
        {**ANY4, "nexthop": "198.51.100.1"},
        {**ANY4, "nexthop": "198.51.100.2", "metric": 20},
    ],
    "dns-server": ["192.0.2.53", "2001:db8::53"],
    "inactive": {"ipv4-address": [], "ipv6-address": [], "route": [], "dns-server": []},
}


def dump(*interfaces: dict[str, Any]) -> bytes:
    return json.dumps({"interface": interfaces}).encode()


def only(entry: dict[str, Any]) -> Logical:
    return parse(dump(entry))[entry["interface"]]


def test_a_pppoe_line() -> None:
    assert only(PPPOE) == Logical(
        name="wan",
        up=True,
        device="pppoe-wan",
        defaults=(("ipv4", "198.51.100.1"),),
        addresses=("192.0.2.7/32",),
        prefixes=("2001:db8:a::/56",),
        resolvers=("192.0.2.53", "2001:db8::53"),
    )


def test_an_interface_that_is_down_has_no_device() -> None:
    assert only({"interface": "wan", "up": False, "pending": True}) == Logical("wan", False, None, (), (), (), ())


def test_what_netifd_must_not_use_itself_counts() -> None:
    """`defaultroute 0` and `peerdns 0`: the gateway is known all the same."""
    held_back = {"route": [{**ANY6, "nexthop": "fe80::1"}], "dns-server": ["2001:db8::53"]}
    found = only({"interface": "wan6", "up": True, "l3_device": "eth1", "inactive": held_back})
    assert found.defaults == (("ipv6", "fe80::1"),)
    assert found.routes("ipv6") and not found.routes("ipv4")
    assert found.resolvers == ("2001:db8::53",)


@pytest.mark.parametrize("hop", ["0.0.0.0", "", None])
def test_a_default_route_without_a_gateway_is_on_link(hop: str | None) -> None:
    assert only({"interface": "vpn", "up": True, "route": [{**ANY4, "nexthop": hop}]}).defaults == (("ipv4", None),)


def test_families_with_interfaces_of_their_own() -> None:
    known = parse(dump({"interface": "lte", "up": True}, {"interface": "lte_4", "up": True}, {"interface": "lte_6"}))
    assert find(known, "lte", "ipv4") == known["lte_4"]
    assert find(known, "lte", "ipv6") == known["lte"], "lte_6 is not up"
    assert find(known, "wan", "ipv4") is None


@pytest.mark.parametrize("text", [b"", b"not json", b"[]", b"3", b'{"interface": 7}', b'{"interface": [7, {}]}'])
def test_what_is_no_dump_is_no_interface(text: bytes) -> None:
    assert parse(text) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([*PPPOE, "target", "mask", "nexthop", "address"]), inner)
        ),
        max_leaves=20,
    )
)
def test_a_field_of_another_type_counts_as_absent(value: Any) -> None:
    for key in PPPOE:
        found = parse(dump({**PPPOE, key: value}))
        assert all(isinstance(each.up, bool) for each in found.values())


def test_a_bus_that_never_answers_is_no_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ubus"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("NETPATH_UBUS_SOCKET", str(tmp_path))
    monkeypatch.setattr(netifd, "LIMIT", 0.1)
    assert netifd.read() == {}
