# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies that would harm rpcd: too long, too large numbers, NaN."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.tracker import bounded
from netpath.tracker.bounded import UBUS_LIMIT, fitted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=10), inner, max_size=8),
    max_leaves=30,
)


def fit(method: str, reply: dict[str, Any]) -> dict[str, Any]:
    line = fitted(method, reply)
    assert len(line) <= UBUS_LIMIT + 1
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=10), JSON, max_size=8), st.integers(80, 2000))
def test_any_reply_fits_any_limit(reply: dict[str, Any], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "UBUS_LIMIT", limit)
        line = fitted("rules", reply)
    assert len(line) <= limit + 1
    found = json.loads(line)
    assert isinstance(found, dict)
    assert set(found) <= {*reply, "truncated"}


def test_a_reply_that_fits_is_not_touched() -> None:
    reply = {"rules": [{"name": "r", "packets": 5}], "truncated": False}
    assert fit("rules", reply) == reply


def test_a_long_list_keeps_its_beginning_and_says_so() -> None:
    rows = [{"name": f"rule{n}", "match": "x" * 100} for n in range(10_000)]
    found = fit("rules", {"rules": rows, "total": 10_000, "truncated": False})
    assert found["truncated"] is True
    assert found["total"] == 10_000
    assert found["rules"] == rows[: len(found["rules"])]
    assert len(json.dumps(found)) > 0.8 * UBUS_LIMIT, "most of the room is used"


def test_of_events_and_history_the_newest_stay() -> None:
    rows = [[float(n), 1.5, 2.5, None, 0.0] for n in range(20_000)]
    found = fit("history", {"columns": ["time"], "interfaces": {"wan": rows, "lte": rows[:3]}, "truncated": False})
    assert found["interfaces"]["lte"] == rows[:3]
    assert found["interfaces"]["wan"] == rows[-len(found["interfaces"]["wan"]) :]
    events = [{"seq": n, "reason": "x" * 1000} for n in range(500)]
    assert fit("events", {"events": events})["events"][-1]["seq"] == 499


def test_one_endless_text_is_cut() -> None:
    found = fit("internal", {"links": ["eth0: up"], "ruleset as loaded": 'ä"\n' * 1_000_000})
    assert found["links"] == ["eth0: up"]
    assert found["ruleset as loaded"].endswith(" ...")
    assert found["truncated"] is True


def test_one_endless_row_is_cut() -> None:
    found = fit("rules", {"rules": [{"name": "r", "match": "x" * 1_000_000, "packets": 3}, {"name": "s"}]})
    assert found["rules"][0]["name"] == "r"
    assert found["rules"][0]["packets"] == 3
    assert len(found["rules"][0]["match"]) > 100_000


def test_many_members_share_the_room() -> None:
    """Every interface stays; what is long about each is cut."""
    row = {"status": "online", "targets": [{"target": "192.0.2.1", "loss": 0.0}] * 100}
    found = fit("metrics", {"interfaces": {f"wan{n}": row for n in range(250)}, "time": 1.5})
    assert len(found["interfaces"]) == 250
    assert all(each["status"] == "online" and each["targets"] for each in found["interfaces"].values())
    assert found["time"] == 1.5


def test_integers_are_those_of_64_bits() -> None:
    """A driver's counter of -1."""
    reply = {"interfaces": {"wan": {"rx_bytes": 2**64 - 1, "tx_bytes": -(2**64), "up": True, "s": "9" * 30}}}
    row = fit("metrics", reply)["interfaces"]["wan"]
    assert row == {"rx_bytes": 2**63 - 1, "tx_bytes": -(2**63), "up": True, "s": "9" * 30}
    assert fit("metrics", {"a": [2**63 - 1, 2**63]})["a"] == [2**63 - 1] * 2


def test_nan_is_no_reply() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fitted("status", {"latency": float("nan")})
