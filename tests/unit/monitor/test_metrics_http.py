# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests as they come, good and bad."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor.metrics import http
from netpath.monitor.metrics.http import BadRequestError

PROMETHEUS = (
    b"GET /metrics HTTP/1.1\r\nHost: 192.0.2.1:9919\r\nUser-Agent: Prometheus/2.42.0\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
)


def with_field(field: str) -> http.Request:
    return http.parse(f"GET /metrics HTTP/1.1\r\n{field}\r\n\r\n".encode())


def test_prometheus_gets_openmetrics_compressed() -> None:
    request = http.parse(PROMETHEUS)
    assert (request.method, request.path) == ("GET", "/metrics")
    assert request.open_metrics
    assert request.compressed


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Accept: text/plain;version=0.0.4", False),
        ("Accept: */*", False),
        ("Accept: application/openmetrics-text", True),
        ("ACCEPT: text/plain;q=0.5 , Application/OpenMetrics-Text ; version=1.0.0", True),
        ("Accept: application/openmetrics-text;q=0", False),
        ("Accept: application/openmetrics-text;version=x;q=", True),
        ("Accept: application/openmetrics-textual", False),
        ("X-Accept: application/openmetrics-text", False),
        ("Accept: text/html\r\nAccept: application/openmetrics-text", True),
    ],
)
def test_openmetrics_only_for_those_who_ask(field: str, expected: bool) -> None:
    assert with_field(field).open_metrics is expected


@pytest.mark.parametrize(("value", "expected"), [("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0", False)])
def test_compressed_only_for_those_who_ask(value: str, expected: bool) -> None:
    assert with_field(f"Accept-Encoding: {value}").compressed is expected
    assert not http.parse(b"GET / HTTP/1.0\r\n\r\n").compressed


def test_what_follows_a_question_mark_does_not_count() -> None:
    assert http.parse(b"HEAD /metrics?name=x?y HTTP/1.1\n\n").path == "/metrics"


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a b\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost : spaced\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n: nameless\r\n\r\n",
    ],
)
def test_garbage_is_a_bad_request(data: bytes) -> None:
    with pytest.raises(BadRequestError) as raised:
        http.parse(data)
    assert raised.value.status == HTTPStatus.BAD_REQUEST


def test_an_endless_request_is_too_long() -> None:
    assert not http.complete(b"GET /" + b"a" * 100)
    with pytest.raises(BadRequestError) as raised:
        http.complete(b"GET /" + b"a" * http.LONGEST_HEAD)
    assert raised.value.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@given(st.binary(max_size=300))
def test_nothing_but_a_bad_request_comes_of_garbage(data: bytes) -> None:
    try:
        request = http.parse(data + b"\r\n\r\n")
    except BadRequestError:
        return
    assert isinstance(request.open_metrics, bool)
    assert isinstance(request.compressed, bool)


def test_a_response_is_told_to_be_the_last_one() -> None:
    head = http.head(HTTPStatus.OK, 5, {"Content-Type": "text/plain"}).decode()
    assert head == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
