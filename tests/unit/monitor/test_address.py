# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor.address import HTTP, WEBSOCKET, clean, parse
from netpath.monitor.readings import ServiceError
from netpath.monitor.router_session import prefix


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "http://192.0.2.1"),
        ("192.0.2.1:8080/ubus", "http://192.0.2.1:8080/ubus"),
        ("https://router.example:443/cgi-bin/luci/", "https://router.example/cgi-bin/luci/"),
        ("http://root:s3cret@[2001:db8::1]:8080/x?token=s3cret#s3cret", "http://[2001:db8::1]:8080/x"),
    ],
)
def test_what_is_understood(text: str, shown: str) -> None:
    assert parse(text, HTTP).shown() == shown


@pytest.mark.parametrize(
    "text",
    ["", " ", "ftp://a", "http://", "http://a:0", "http://a:99999", "http://a:x", "http://[::1", "http://a b", "ä"],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ServiceError, match="write it as ws://host:port/path"):
        parse(text, WEBSOCKET)


@given(st.text())
def test_no_line_end_gets_into_a_request(text: str) -> None:
    try:
        found = parse(f"http://192.0.2.1/{text}", HTTP)
    except ServiceError:
        return
    assert found.request.isprintable()
    assert " " not in found.request


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("", ""),
        ("/", ""),
        ("/ubus", ""),
        ("/cgi-bin/luci", ""),
        ("/cgi-bin/luci/admin/status", ""),
        ("/attic/cgi-bin/luci/", "/attic"),
        ("/attic", "/attic"),
        ("/ubusx", "/ubusx"),
    ],
)
def test_where_a_router_is_behind_another_server(path: str, before: str) -> None:
    assert prefix(path) == before


def test_texts_of_peers_are_cut_and_cleaned() -> None:
    assert clean("wan\x1b[2J\n") == "wan?[2J?"
    assert clean("x" * 100, 5) == "xxxxx..."
