# SPDX-License-Identifier: GPL-2.0-or-later
"""The socket's other side misbehaves: the command ends with one clear sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netpath.cli.client import Client, call
from netpath.cli.errors import CommandError, NotRunningError
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker


def test_a_large_reply_arrives_whole(tracker: FakeTracker, instance: Path) -> None:
    reply = {"connected": ["192.0.2.0/24"] * 100_000}
    tracker.replies["connected"] = reply
    assert call(instance / "s", {"cmd": "connected"}) == reply


def test_one_connection_serves_several_requests(tracker: FakeTracker, instance: Path) -> None:
    tracker.replies.update(a={"n": 1}, b={"n": 2})
    with Client(instance / "s") as client:
        assert [client.call({"cmd": name})["n"] for name in "abab"] == [1, 2, 1, 2]
        assert client.peer == os.getpid()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "closed the connection"),
        (b'{"half": ', "closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n", "no JSON object"),
        (b"[1]\n", "no JSON object"),
        (b"[" * 100_000 + b"\n", "no JSON object"),
        (b"\xff\xfe\n", "no JSON object"),
    ],
)
def test_a_stranger_on_the_socket(reply: bytes, words: str, tracker: FakeTracker, run: Run) -> None:
    tracker.replies["metrics"] = reply
    result = run("metrics")
    assert (result.code, result.out) == (1, "")
    assert words in result.err


def test_an_endless_reply_is_given_up(tracker: FakeTracker, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netpath.cli.client.REPLY_LIMIT", 1_000_000)
    tracker.replies["status"] = b"x" * 2_000_000
    with pytest.raises(CommandError, match="over 1000000 bytes"):
        call(instance / "s", {"cmd": "status"})


def test_a_silent_tracker_is_given_up(instance: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(instance / "s"))
        listener.listen()
        with pytest.raises(CommandError, match="no answer within"):
            call(instance / "s", {"cmd": "status"}, timeout=0.05)


def test_a_path_that_is_no_socket_or_too_long(instance: Path) -> None:
    with pytest.raises(NotRunningError):
        Client(instance / "nothing")
    with pytest.raises(CommandError, match="too long"):
        Client(instance / ("x" * 200))
