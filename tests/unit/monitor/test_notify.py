# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told, when, and in which words: the pure parts of messages to people."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netpath.model import State
from netpath.monitor.notify import dial, uplinks
from netpath.monitor.notify.outbox import Bucket, Outbox
from netpath.monitor.notify.outcome import UndeliveredError, told
from netpath.monitor.notify.payload import payload
from netpath.monitor.notify.pile import Pile, restored
from netpath.monitor.notify.reach import Reach
from netpath.monitor.notify.text import Message, compose
from netpath.monitor.notify.transition import Filter, Transition, clean, transition
from netpath.monitor.notify.uplinks import ways
from netpath.monitor.notify.webhook import _pause
from netpath.monitoring import Shape
from netpath.steering.marks import MarkSpace
from tests.monitor.notify.support import NOW, event, settings

ZONE = timezone(timedelta(hours=1), "CET")


def told_of(*steps: str, events: tuple[str, ...] = ("online", "offline"), **more: Any) -> list[str]:
    """What is told of one interface that goes through these states."""
    picker = Filter(settings(events=events, **more))
    rows = [event(n, old=a, new=b) for n, (a, b) in enumerate(itertools.pairwise(steps))]
    found = [picker.pick(one) for row in rows if (one := transition(row)) is not None]
    return [f"{one.old}-{one.new}" for one in found if one is not None]


def one(seq: int = 1, interface: str = "wan", old: str = "online", new: str = "offline", **more: Any) -> Transition:
    found = transition(event(seq, interface, old, new, **more))
    assert found is not None
    return found


def pile(*found: Transition) -> Pile:
    made = Pile()
    for each in found:
        made.add(each)
    return made


# -- which ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["online", "disconnecting", "online"], []),
        (["disconnecting", "online"], []),
        (["online", "disconnecting", "offline", "connecting", "offline"], ["online-offline"]),
        (["online", "offline", "connecting", "online"], ["online-offline", "offline-online"]),
        (["online", "disabled", "offline"], ["online-offline"]),
        (["connecting", "offline", "connecting", "online"], ["offline-online"]),
    ],
)
def test_only_what_has_changed_for_those_who_want_to_know_online_and_offline(
    steps: list[str], expected: list[str]
) -> None:
    assert told_of(*steps) == expected


def test_each_state_that_is_asked_for_is_told() -> None:
    everything = tuple(str(state) for state in State)
    assert told_of("online", "disconnecting", "online", events=everything) == [
        "online-disconnecting",
        "disconnecting-online",
    ]


def test_other_interfaces_and_kinds_are_left_out() -> None:
    assert told_of("online", "offline", interfaces=("lte",)) == []
    assert transition({**event(1), "kind": "config"}) is None
    member = {**event(1, old="open", new="closed"), "kind": "member", "member": "lte_m2"}
    found = transition(member)
    assert found is not None and Filter(settings(events=("closed",))).pick(found) is not None
    assert Filter(settings(events=("offline",))).pick(found) is None


ODD: list[Any] = [
    None,
    True,
    -1,
    10**400,
    2.5,
    float("nan"),
    float("inf"),
    "",
    "wan",
    "\r\n\x00",
    "é" * 999,
    [],
    {},
    "member",
]


@pytest.mark.parametrize(
    "key", ["seq", "time", "kind", "interface", "member", "from", "to", "reason", "until", "since"]
)
def test_no_event_breaks_anything(key: str) -> None:
    for base in (event(1), {**event(1), "kind": "member", "member": "m", "until": 5}):
        for value in ODD:
            found = transition({**base, key: value})
            if found is not None:
                assert message(found).body.replace("\n", "").isprintable()
                assert len(message(found).body) < 1000
                json.dumps(found.row(), allow_nan=False)


# -- when -----------------------------------------------------------------------------------------------------------


def test_events_within_the_time_are_gathered() -> None:
    box = Outbox(5.0, 10, 0.0)
    assert box.wait(0.0) is None
    box.add(one(1), 10.0)
    box.add(one(2), 14.0)
    assert box.wait(14.0) == 1.0
    assert box.wait(15.0) == 0.0
    assert len(box.take(15.0)) == 2
    box.add(one(3), 16.0)
    assert box.wait(100.0) is None, "one at a time"
    box.delivered()
    assert (box.wait(100.0), box.sent, box.held) == (0.0, 1, 1)


@given(st.integers(1, 200), st.lists(st.floats(0.1, 4000.0), max_size=60))
def test_never_more_in_an_hour_than_the_limit(limit: int, pauses: list[float]) -> None:
    bucket, now, gone = Bucket(limit, 0.0), 0.0, list[float]()
    for pause in [*pauses, *[0.0] * (limit + 5)]:
        now += max(pause, bucket.wait(now))
        bucket.take(now)
        gone.append(now)
        assert len([at for at in gone if at > now - 3599.9]) <= limit


def test_a_failed_message_costs_nothing_and_keeps_its_place() -> None:
    box = Outbox(0.0, 1, 0.0)
    box.add(one(1), 0.0)
    for now in (0.0, 40.0):
        assert box.wait(now) == 0.0
        box.take(now)
        box.add(one(2 + int(now)), now)
        box.failed(now, pause=30.0)
        assert box.wait(now) == 30.0
    assert [each.seq for each in box.take(70.0).listed] == [1, 2, 42]
    box.refused()
    assert (box.dropped, box.held) == (3, 0)


def test_a_flood_is_folded_and_nothing_of_it_uncounted() -> None:
    box = Outbox(0.0, 1, 0.0)
    for seq in range(1, 1001):
        up = seq % 4 > 1
        box.add(one(seq, "lte" if seq % 2 else "wan", *(("offline", "online") if up else ("online", "offline"))), 0.0)
    found = box.take(0.0)
    assert (len(found), len(found.listed), len(found.folds)) == (1000, 20, 2)
    body = compose(found, {"wan": "offline", "lte": "online"}, "gw", NOW + 2000, zone=ZONE).body
    assert "and 980 more transitions:" in body
    assert "wan: 490 from 09:00:22 to 09:16:40, at last offline" in body.replace("  ", "")
    assert [each.new for each in found.ends] == ["online", "offline"]
    assert len(json.dumps(found.row())) < 8000
    again = restored(json.loads(json.dumps(found.row())))
    assert (len(again), again.row()) == (1000, found.row())


def test_what_a_damaged_file_holds_is_left_out() -> None:
    good = pile(one(1)).row()
    assert len(restored({**good, "folds": [1, [1, 2], [1, -5, {}], ["x", 1, {}]], "more": "x"})) == 1
    assert len(restored({"listed": [1, {}, None], "folds": 7})) == 0
    assert len(restored([])) == 0


# -- words ----------------------------------------------------------------------------------------------------------


def message(*found: Transition, **more: Any) -> Message:
    return compose(pile(*found), {"wan": "offline", "lte": "online"}, "gw", NOW + 60, zone=ZONE, **more)


def test_a_message_in_words() -> None:
    found = message(one(1, since=NOW - 7205, reason="2 of 2 targets do not answer"))
    assert found.subject == "gw: wan went offline"
    assert found.body.splitlines() == [
        "wan went offline at 09:00:01 (online -> offline after 2 h 6 s online): 2 of 2 targets do not answer",
        "",
        "Online now: lte.",
        "Not online: wan (offline).",
        "Router gw, 2027-01-15 09:01:00 CET (UTC+01:00)",
    ]


def test_a_time_without_any_uplink_is_told() -> None:
    reach = Reach()
    reach.known({"wan": "online", "lte": "offline"})
    for seq, (name, old, new) in enumerate(
        [("wan", "online", "disconnecting"), ("wan", "disconnecting", "offline"), ("lte", "offline", "connecting")]
    ):
        reach.follow(one(seq, name, old, new))
    assert reach.outage is None
    reach.follow(one(40, "lte", "connecting", "online"))
    assert reach.outage == (NOW + 1, NOW + 40)
    body = message(one(1), one(40, "lte", "offline", "online"), outage=reach.outage).body
    assert "No uplink worked from 09:00:01 to 09:00:40 (39 s)." in body
    reach.told((0.0, 0.0))
    assert reach.outage is not None, "another one has been told of"
    reach.told(reach.outage)
    assert reach.outage is None


def test_one_of_two_is_no_outage() -> None:
    reach = Reach()
    reach.known({"wan": "offline", "lte": "online"})  # the tracker is ahead of its events
    reach.follow(one(1))
    reach.follow(one(2, old="offline", new="online"))
    assert reach.outage is None


def test_times_of_a_clock_that_was_not_set() -> None:
    found = one(1, time=86400.0, since=80000.0)
    assert "went offline at a time when the clock was not set (online -> offline): no answer" in message(found).body


def test_the_same_content_has_the_same_name() -> None:
    assert message(one(1)).ident == message(one(1)).ident
    assert len({message(one(1)).ident, message(one(2)).ident, message(one(1), one(2)).ident}) == 3


def test_controls_and_length_are_cut() -> None:
    assert clean("a\r\nBcc: x\x1b[31m\u202e" + "y" * 500, 40) == "a Bcc: x [31m " + "y" * 23 + "..."
    assert told("POST /geheim failed with geheim", ("/geheim", "geheim", "")) == "POST *** failed with ***"


def body_of(shape: Shape, *found: Transition) -> tuple[dict[str, Any], str]:
    body, headers = payload(message(*found), shape)
    return (json.loads(body) if headers["Content-Type"] == "application/json" else {}), body.decode()


def test_formats_stay_within_what_their_receivers_take() -> None:
    many = [one(n, f"wan{n}", reason="<!channel> @everyone & " + "ä" * 290) for n in range(1, 500)]
    everything, _ = body_of(Shape.JSON, *many)
    assert everything["text"].startswith(everything["subject"])
    slack, _ = body_of(Shape.SLACK, *many)
    assert list(slack) == ["text"] and "<!" not in slack["text"] and "&lt;!channel&gt;" in slack["text"]
    discord, _ = body_of(Shape.DISCORD, *many)
    assert len(discord["content"]) == 2000 and discord["allowed_mentions"] == {"parse": []}
    _, plain = body_of(Shape.NTFY, *many)
    assert 3000 < len(plain.encode()) <= 4000
    gotify, _ = body_of(Shape.GOTIFY, *many)
    assert gotify["title"] == "gw: 499 transitions of 499 interfaces"


def test_a_title_that_is_not_ascii_is_one_line_of_ascii() -> None:
    made = compose(pile(one(1, "größe" * 12)), {}, "röuter", NOW, zone=ZONE)
    title = payload(made, Shape.NTFY)[1]["Title"]
    assert title.isascii() and "\n" not in title and title.startswith("=?utf-8?")


# -- ways -----------------------------------------------------------------------------------------------------------


def row(name: str, number: int, status: str = "online", **more: Any) -> dict[str, Any]:
    plain = {"family": "ipv4", "device": f"eth{number}", "metered": False, "latency": 10.0}
    return {"name": name, "id": number, "status": status, **plain, **more}


def test_the_best_uplink_comes_first() -> None:
    rows = [
        row("off", 1, "offline"),
        row("shaky", 2, "disconnecting"),
        row("lte", 3, metered=True),
        row("slow", 4, latency=50.0),
        row("unknown", 5, latency=None),
        row("fast", 6),
        row("gone", 7, device=None),
        {"name": 7, "status": "online"},
    ]
    assert [str(way) for way in ways(rows, MarkSpace(0x3F00))] == ["fast", "slow", "unknown", "lte", "shaky"]


def test_the_second_uplink_of_a_device_has_its_own_mark() -> None:
    rows = [row("a", 1, device="eth0"), row("b", 2, device="eth0", latency=20.0)]
    assert [hex(way.mark) for way in ways(rows, MarkSpace(0x3F00))] == ["0x3f00", "0x200"]


@pytest.mark.parametrize(
    ("rows", "served", "direct", "expected"),
    [
        ([row("wan", 1)], ["ipv4"], set(), ["wan", "the main table 2001:db8::9"]),
        ([row("wan", 1)], ["ipv4", "ipv6"], set(), ["wan"]),
        ([row("wan", 1)], ["ipv4", "ipv6"], {"192.0.2.9"}, ["the main table 192.0.2.9"]),
        ([row("wan", 1, "offline")], ["ipv4", "ipv6"], set(), []),
        ([row("wan", 1)], [], set(), ["the main table 192.0.2.9 2001:db8::9"]),
        (None, ["ipv4"], set(), ["the main table 192.0.2.9 2001:db8::9"]),
    ],
)
def test_which_ways_lead_to_a_name(
    rows: list[dict[str, Any]] | None,
    served: list[str],
    direct: set[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial, "_resolve", lambda host: [("ipv4", "192.0.2.9"), ("ipv6", "2001:db8::9")])
    monkeypatch.setattr(uplinks, "steered", lambda: dict.fromkeys(served, MarkSpace(0x3F00)))
    monkeypatch.setattr(uplinks, "is_direct", lambda address, family, marks: address in direct)

    async def scene() -> list[str]:
        dialer = dial.Dialer("hook.example", 1.0)
        found = await dialer.ways(rows)
        return [" ".join([str(w), *(a for _, a in dialer._plain if w.uplink is None)]) for w in found]

    assert asyncio.run(scene()) == expected


def test_retry_after_is_read_and_bounded() -> None:
    assert _pause("120") == 120.0
    assert _pause("Fri, 01 Jan 2010 00:00:00 GMT") == 0.0
    assert [_pause(text) for text in ("", "soon", "-5", "²", "Fri, 99 Foo 2010")] == [0.0] * 5
    assert UndeliveredError("", _pause("9" * 400)).pause == 3600.0
