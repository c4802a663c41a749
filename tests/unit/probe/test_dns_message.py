# SPDX-License-Identifier: GPL-2.0-or-later
"""DNS messages: what a probe sends and what it believes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.probe.dns_message import TYPE_A, TYPE_AAAA, Answer, answer, encode_name, query

QUERY = query(0x1234, "host.example", TYPE_A)


def record(data: bytes, kind: int = TYPE_A, ttl: int = 300, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def response(*records: bytes, rcode: int = 0, asked: bytes = QUERY, flags: int = 0x8180) -> bytes:
    head = asked[:2] + struct.pack("!HHHHH", flags | rcode, 1, len(records), 0, 0)
    return head + asked[12:] + b"".join(records)


def test_the_query_is_what_rfc_1035_says() -> None:
    expected = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04host\x07example\x00\x00\x01\x00\x01"
    assert expected == QUERY


def test_addresses_of_the_family_asked_for_are_found_behind_aliases() -> None:
    alias = record(b"\x05other\xc0\x11", kind=5)
    first, second = record(b"\xc0\x00\x02\x07", ttl=60), record(b"\xc0\x00\x02\x08", ttl=30, name=b"\x01a\xc0\x0c")
    assert answer(response(alias, first, second), QUERY) == Answer(0, ("192.0.2.7", "192.0.2.8"), 30)
    asked = query(1, "host.example", TYPE_AAAA)
    six = record(bytes.fromhex("20010db8") + bytes(11) + b"\x09", kind=TYPE_AAAA)
    assert answer(response(six, first, asked=asked), asked) == Answer(0, ("2001:db8::9",), 300)


@pytest.mark.parametrize("rcode", [2, 3, 5])
def test_the_code_is_told(rcode: int) -> None:
    assert answer(response(rcode=rcode), QUERY) == Answer(rcode, (), 0)


def test_a_refusal_without_the_question_is_an_answer() -> None:
    assert answer(b"\x12\x34\x81\x05" + bytes(8), QUERY) == Answer(5, (), 0)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        QUERY,
        response(flags=0x0180),
        b"\x12\x35" + response()[2:],
        response(asked=query(0x1234, "other.example", TYPE_A)),
        response(asked=query(0x1234, "host.example", TYPE_AAAA)),
        b"\x12\x34\x81\x80" + bytes(8),
    ],
    ids=["empty", "our own query", "not a response", "other id", "other name", "other type", "no question"],
)
def test_what_does_not_answer_the_question_is_no_answer(message: bytes) -> None:
    assert answer(message, QUERY) is None


def test_the_case_of_the_name_does_not_matter() -> None:
    assert answer(response(asked=query(0x1234, "HOST.example", TYPE_A)), QUERY) is not None


@given(st.binary(max_size=200), st.integers(0, 65535))
def test_garbage_in_the_answers_is_survived(garbage: bytes, count: int) -> None:
    head = QUERY[:2] + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0)
    found = answer(head + QUERY[12:] + garbage, QUERY)
    assert found is not None
    assert len(found.addresses) <= 16


@given(st.binary(max_size=100))
def test_garbage_is_survived(garbage: bytes) -> None:
    answer(garbage, QUERY)


def test_truncated_answers_are_survived() -> None:
    whole = response(record(b"\xc0\x00\x02\x07"), record(b"\xc0\x00\x02\x08"))
    for length in range(len(whole)):
        answer(whole[:length], QUERY)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["abcdefgh"] * 40), "bücher.example"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        encode_name(name)
