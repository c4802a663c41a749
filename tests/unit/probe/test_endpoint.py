# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets of tcp and httping as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.probe.base import is_address
from netpath.probe.endpoint import Page, host_port, page
from netpath.probe.http import status_of
from netpath.probe.resolve import servers


@pytest.mark.parametrize(
    ("target", "tls", "expected"),
    [
        ("192.0.2.1", False, Page(False, "192.0.2.1", 80, "/", False)),
        ("192.0.2.1", True, Page(True, "192.0.2.1", 443, "/", False)),
        ("host.example:8080", False, Page(False, "host.example", 8080, "/", False)),
        ("http://host.example", True, Page(False, "host.example", 80, "/", False)),
        ("http://host.example/", True, Page(False, "host.example", 80, "/", False)),
        ("HTTPS://host.example/a?b=c#d", False, Page(True, "host.example", 443, "/a?b=c", True)),
        ("2001:db8::1", False, Page(False, "2001:db8::1", 80, "/", False)),
        ("https://[2001:db8::1]:8443/x", False, Page(True, "2001:db8::1", 8443, "/x", True)),
    ],
)
def test_pages(target: str, tls: bool, expected: Page) -> None:
    assert page(target, tls) == expected


def test_the_host_header_has_brackets_and_unusual_ports() -> None:
    assert page("http://[2001:db8::1]:8080/", False).authority == "[2001:db8::1]:8080"
    assert page("https://host.example/", False).authority == "host.example"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ftp://host.example",
        "http://",
        "host:0",
        "host:65536",
        "host:http",
        "[2001:db8::1",
        "a b",
        "a\r\nX: y",
        "h:٣",
    ],
)
def test_nonsense_is_refused(target: str) -> None:
    with pytest.raises(ValueError):
        page(target, False)


@given(st.text(max_size=40))
def test_any_text_is_either_a_page_or_refused(target: str) -> None:
    try:
        asked = page(target, False)
    except ValueError:
        return
    assert asked.host
    assert 0 < asked.port < 65536
    assert "\r" not in asked.authority + asked.path
    assert "\n" not in asked.authority + asked.path


def test_tcp_targets() -> None:
    assert host_port("192.0.2.1", 443) == ("192.0.2.1", 443)
    assert host_port("192.0.2.1:53", 443) == ("192.0.2.1", 53)
    assert host_port("2001:db8::1", 443) == ("2001:db8::1", 443)
    assert host_port("[2001:db8::1]:53", 443) == ("2001:db8::1", 53)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 204 No Content\r", 204),
        (b"HTTP/1.0 500", 500),
        (b"HTTP/2 200", None),
        (b"SSH-2.0-x 200 y", None),
        (b"HTTP/1.1 2000", None),
        (b"HTTP/1.1 2x0 OK", None),
        (b"HTTP/1.1", None),
        (b"\xff" * 50, None),
        (b"", None),
    ],
)
def test_status_lines(line: bytes, status: int | None) -> None:
    assert status_of(line) == status


def test_addresses_need_no_resolver_and_names_do() -> None:
    assert is_address("192.0.2.1", "ipv4")
    assert is_address("2001:db8::1", "ipv6")
    assert not is_address("2001:db8::1", "ipv4")
    assert not any(is_address(text, f) for text in ("host.example", "", "1", "a\0b") for f in ("ipv4", "ipv6"))


def test_remote_resolvers_go_before_the_local_one(tmp_path: Path) -> None:
    system, providers = tmp_path / "resolv.conf", tmp_path / "resolv.conf.auto"
    system.write_text("# comment\nsearch lan\nnameserver 127.0.0.1\nnameserver ::1\n")
    assert servers((system, providers)) == ["127.0.0.1", "::1"]
    providers.write_text("nameserver 192.0.2.53\nnameserver nonsense\nnameserver\nnameserver 2001:db8::53\n")
    assert servers((system, providers)) == ["192.0.2.53", "2001:db8::53"]
    system.write_text("".join(f"nameserver 198.51.100.{n}\n" for n in range(1, 9)))
    assert servers((system, providers)) == ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
    assert servers((tmp_path / "missing",)) == []
