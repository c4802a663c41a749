# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of /connections, good and bad."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.monitor import snapshot
from netpath.monitor.readings import ServiceError
from netpath.monitor.shares import Connection, Snapshot


def read(message: bytes) -> tuple[Snapshot, int]:
    """The snapshot, and how often it paused."""
    reading, pauses = snapshot.parse(message), 0
    while True:
        try:
            next(reading)
            pauses += 1
        except StopIteration as done:
            return done.value, pauses


def row(**other: Any) -> dict[str, Any]:
    metadata = {"network": "tcp", "type": "HTTPS", "process": "", "host": "www.example.com"}
    return {"id": "a", "upload": 1, "download": 2, "chains": ["DIRECT"], "metadata": metadata, "rule": "Match", **other}


def message(*rows: Any, **other: Any) -> bytes:
    return json.dumps({"downloadTotal": 20, "uploadTotal": 10, "connections": rows, "memory": 0, **other}).encode()


def test_a_message_of_mihomo() -> None:
    found, _ = read(message(row(), row(id="b", upload=5, download=6, chains=["Tokyo", "Auto"])))
    assert found == Snapshot(10, 20, {"a": Connection(1, 2, True), "b": Connection(5, 6, False)})


def test_order_and_white_space_do_not_matter() -> None:
    text = (
        ' {"connections" : [ {"chains":null,"download":2,"upload":1,"id":"a"} ]\n, "uploadTotal":3 ,"downloadTotal":4} '
    )
    assert read(text.encode())[0] == Snapshot(3, 4, {"a": Connection(1, 2, False)})


def test_no_connections_are_null() -> None:
    assert read(b'{"downloadTotal":0,"uploadTotal":0,"connections":null,"memory":0}')[0] == Snapshot(0, 0, {})


def test_letters_of_any_script_and_bytes_of_none() -> None:
    found, _ = read(message(row(metadata={"process": "浏览器"}, rule="规则"), row(id="b")).replace(b"www", b"\xff\xfe"))
    assert set(found.connections) == {"a", "b"}


def test_connections_that_the_totals_leave_out() -> None:
    """mihomo's hop for another connection, and its own questions to DNS servers; what it fetches for itself counts."""
    inner = {"type": "Inner", "process": ""}
    found, _ = read(message(row(metadata=inner), row(id="b", metadata={"type": "Inner", "process": "mihomo"})))
    assert set(found.connections) == {"b"}


def test_an_id_that_is_there_twice_counts_once() -> None:
    assert read(message(row(), row(upload=9)))[0].connections == {"a": Connection(9, 2, True)}


def test_many_connections_are_read_with_pauses() -> None:
    rows = [row(id=f"connection {n}") for n in range(5 * snapshot.BATCH)]
    found, pauses = read(message(*rows))
    assert (len(found.connections), pauses) == (5 * snapshot.BATCH, 5)


BAD = {
    "empty": b"",
    "text": b"hello",
    "html": b"<!DOCTYPE html>",
    "list": b"[]",
    "number": b"3",
    "cut": message(row())[:-9],
    "more": message(row()) + b"{}",
    "no totals": b'{"connections":[]}',
    "negative": message(uploadTotal=-1),
    "a float": message(uploadTotal=1.5),
    "true": message(uploadTotal=True),
    "text for a number": message(downloadTotal="12"),
    "enormous": message(downloadTotal=10**30),
    "longer than Python reads": message().replace(b"20", b"9" * 10_000),
    "NaN": message(downloadTotal=float("nan")),
    "infinity": message(uploadTotal=float("inf")),
    "NaN of a connection": message(row(upload=float("nan"))),
    "negative connection": message(row(download=-5)),
    "connection without id": message(row(id=None)),
    "endless id": message(row(id="x" * 1000)),
    "connection of another type": message(5),
    "connections of another type": message(connections={"a": 1}),
    "chains of another type": message(row(chains="DIRECT")),
    "deep": b'{"connections":[' + b"[" * 200_000,
    "deep object": b'{"memory":' + b'{"a":' * 200_000,
    "comma at the end": b'{"downloadTotal":1,"uploadTotal":1,}',
    "comma in a list": message(row()).replace(b"}], ", b"},], "),
    "no colon": b'{"downloadTotal" 1}',
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_clear_error(name: str) -> None:
    with pytest.raises(ServiceError, match="/connections of Clash or mihomo"):
        read(BAD[name])


def test_chains_with_odd_things_in_them_are_not_direct() -> None:
    for chains in ([], [5], [{"a": 1}], [None], [["DIRECT"]], ["Tokyo", "DIRECT"]):
        assert read(message(row(chains=chains)))[0].connections["a"].direct is False


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MOST_CONNECTIONS", 3)
    with pytest.raises(ServiceError, match="over 3 connections"):
        read(message(*[row()] * 4))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_error_not_a_crash(data: bytes) -> None:
    with pytest.raises(ServiceError):
        read(data)


@given(st.integers(0, 400), st.binary(max_size=3))
def test_damaged_messages_never_crash(at: int, damage: bytes) -> None:
    whole = message(row(), row(id="b"))
    with contextlib.suppress(ServiceError):
        read(whole[:at] + damage + whole[at + len(damage) :])
