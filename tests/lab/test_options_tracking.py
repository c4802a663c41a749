# SPDX-License-Identifier: GPL-2.0-or-later
"""What each option of an interface does to real probes and real flows.

Durations are compared by counting probes: two sections on one device differ in one option, and the one that should
probe more often has done so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab, Packet
from netpath.lab.namespace import wait_until
from netpath.lab.uci import FAST, section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

FAR, FAR6 = SERVERS["ipv4"][4], SERVERS["ipv6"][4]
ANSWERING = (SERVERS["ipv4"][0], SERVERS["ipv4"][1], FAR)
NO_SUCH = "203.0.113.250"
"""Nobody has this address; the providers' way to it ends in silence."""


def twin(name: str, **options: Any) -> str:
    """Another section on the device of wan, in no policy: it only watches."""
    return section("interface", name, {"ifname": "wan", "track_targets": [FAR], **FAST, **options})


def row(lab: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.call({"cmd": "status"})["interfaces"][name]
    return found


def sent(lab: Lab, name: str) -> int:
    return sum(t["sent"] for t in lab.call({"cmd": "metrics"})["interfaces"][name]["targets"])


def lost(lab: Lab, name: str) -> int:
    return sum(t["lost"] for t in lab.call({"cmd": "metrics"})["interfaces"][name]["targets"])


def probes(packets: list[Packet], target: str) -> list[Packet]:
    return [p for p in packets if p.outgoing and p.dst == target]


def reload(lab: Lab, text: str) -> None:
    lab.config_file.write_text(text)
    reply = lab.call({"cmd": "reload"})
    assert "error" not in reply, reply


def test_size_and_max_ttl_are_seen_on_the_wire(lab: Lab, start: Start) -> None:
    own = {"size": 200, "max_ttl": 9}
    chosen = {"wan": {"track_targets": [FAR], **own}, "wan_6": {"track_targets": [FAR6], **own}}
    with lab.capture("wan") as capture:
        start(per_interface=chosen)
        wait_until(lambda: sent(lab, "wan") > 2 and sent(lab, "wan_6") > 2, 10, "probes")
        seen = {f: {(p.length, p.ttl) for p in probes(capture.packets(), t)} for f, t in (("4", FAR), ("6", FAR6))}
    assert seen == {"4": {(20 + 8 + 200, 9)}, "6": {(40 + 8 + 200, 9)}}
    reload(lab, lab.config(per_interface={"wan": {"track_targets": [FAR]}}))
    with lab.capture("wan") as capture:
        wait_until(lambda: bool(probes(capture.packets(), FAR)), 10, "probes")
        assert {(p.length, p.ttl) for p in probes(capture.packets(), FAR)} == {(20 + 8 + 56, 60)}, "the defaults"


def test_a_max_ttl_that_is_too_short_never_reaches_the_target(lab: Lab, start: Start) -> None:
    start(wait=False, per_interface={"wan": {"max_ttl": 1}})
    lab.wait_status(wan="offline", wan2="online")


def test_count_probes_go_out_together_and_one_answer_is_enough(lab: Lab, start: Start) -> None:
    start(per_interface={"wan": {"count": 4, "track_targets": [FAR]}})
    wait_until(lambda: sent(lab, "wan") >= 8, 10, "probes")
    assert sent(lab, "wan") % 4 == 0
    lab.loss("wan", 40)
    with lab.events() as events:
        before = sent(lab, "wan")
        wait_until(lambda: sent(lab, "wan") >= before + 80, 20, "20 rounds with loss")
        events.wait("wan_6", "disconnecting")
        assert not [e for e in events.seen if e["interface"] == "wan" and e["to"] == "offline"]
    assert lost(lab, "wan") > 0


def test_reliability_two_of_three(lab: Lab, start: Start) -> None:
    start(
        mode="failover",
        per_interface={"wan": {"reliability": 2, "track_targets": ANSWERING}, "wan2": {"track_targets": [FAR]}},
        extra=twin("one", reliability=1, track_targets=ANSWERING),
    )
    lab.mute(ANSWERING[0])
    wait_until(lambda: [t["status"] for t in row(lab, "wan")["track_ip"]] == ["down", "up", "up"], 10, "one down")
    assert lab.flows(5, dst=FAR) == {"wan": 5}
    lab.mute(*ANSWERING[:2])
    lab.wait_status(wan="offline", one="online")
    assert lab.flows(5, dst=FAR) == {"wan2": 5}
    lab.mute()
    lab.wait_status(wan="online")


@pytest.mark.parametrize("spelling", ["0.05", "50ms"])
def test_sub_second_intervals(lab: Lab, start: Start, spelling: str) -> None:
    start(per_interface={"wan": {"interval": spelling}, "wan2": {"interval": 10}})
    wait_until(lambda: sent(lab, "wan") >= 30, 10, "probes at 50 ms")
    assert sent(lab, "wan2") <= 4


def test_failure_interval_confirms_a_failure(lab: Lab, start: Start) -> None:
    """20 failed rounds at 50 ms are soon over; at the interval of 500 ms they would outlast the test."""
    start(mode="failover", options={"interval": 0.5, "timeout": 0.2, "down": 20, "failure_interval": "50ms"})
    lab.cut("wan")
    with lab.events() as events:
        events.wait("wan", "disconnecting")
        before = sent(lab, "wan")
        assert lab.flows(1, timeout=0.2) == {"timeout": 1}, "disconnecting still carries traffic"
        events.wait("wan", "offline", timeout=8)
    assert sent(lab, "wan") - before >= 20, "20 rounds of two targets, less those under way"


def test_recovery_interval_and_keep_failure_interval(lab: Lab, start: Start) -> None:
    slow: Mapping[str, Any] = {"failure_interval": "50ms", "recovery_interval": 3600, "track_targets": [FAR]}
    start(per_interface={"wan": dict(slow)}, extra=twin("knocking", **{**slow, "keep_failure_interval": 1}))
    lab.cut("wan")
    lab.wait_status(wan="offline", knocking="offline")
    before = sent(lab, "wan"), sent(lab, "knocking")
    wait_until(lambda: sent(lab, "knocking") >= before[1] + 20, 10, "knocks at failure_interval")
    assert sent(lab, "wan") - before[0] <= 1
    lab.restore("wan")
    lab.wait_status(knocking="connecting")
    assert row(lab, "wan")["status"] == "offline", "its next probe is an hour away"
    reload(lab, lab.config(per_interface={"wan": {**slow, "recovery_interval": "50ms"}}))
    lab.wait_status(wan="online")


def test_down_and_up_count_rounds(lab: Lab, start: Start) -> None:
    """Twins on one device: `down 1` acts on what `down 1000` only notes; `up 1` is back while `up 1000` proves."""
    start(
        per_interface={"wan": {"track_targets": [FAR], "down": 1, "up": 1}},
        extra=twin("patient", down=1000) + "\n" + twin("proving", down=1, up=1000),
    )
    lab.cut("wan")
    lab.wait_status(wan="offline", proving="offline", patient="disconnecting")
    lab.restore("wan")
    lab.wait_status(wan="online", patient="online", proving="connecting")
    assert 0 < row(lab, "proving")["score"] < 1000


def test_stable_time_keeps_a_fresh_uplink_waiting(lab: Lab, start: Start) -> None:
    start(mode="failover", per_interface={"wan": {"stable_time": "1m"}}, extra=twin("quick"))
    lab.cut("wan")
    lab.wait_status(wan="offline", quick="offline")
    lab.restore("wan")
    lab.wait_status(quick="online", wan="connecting")
    before = sent(lab, "wan")
    wait_until(lambda: sent(lab, "wan") >= before + 20, 10, "ten good rounds, more than `up`")
    assert row(lab, "wan")["status"] == "connecting"
    assert lab.flows(5) == {"wan2": 5}
    reload(lab, lab.config(mode="failover"))
    lab.wait_status(wan="online")


def test_initial_state_offline_must_prove_itself(lab: Lab, start: Start) -> None:
    proof = {"up": 1000}
    start(
        wait=False, mode="failover", per_interface={"wan": {"initial_state": "offline", **proof}, "wan2": dict(proof)}
    )
    lab.wait_status(wan="connecting", wan2="online")
    assert lab.flows(5) == {"wan2": 5}
    with lab.events() as events:
        assert "online" not in [e.get("to") for e in events.past if e.get("interface") == "wan"]
    reload(lab, lab.config(mode="failover", per_interface={"wan": {"up": 2}}))
    lab.wait_status(wan="online")
    assert lab.flows(5) == {"wan": 5}


def test_timeout_decides_what_is_late_and_late_replies_are_not_lost(lab: Lab, start: Start) -> None:
    """Probes held back for seconds count as lost until their replies come after all."""
    start(mode="failover", per_interface={"wan": {"timeout": "80ms"}}, extra=twin("patient", timeout=30))
    lab.latency("wan", 2000)
    lab.wait_status(wan="offline", patient="online")
    wait_until(lambda: lost(lab, "wan") >= 8, 10, "probes to be overdue")
    overdue = lost(lab, "wan")
    lab.latency("wan", 0)  # the delaying device hands back what it holds
    lab.wait_status(wan="online")
    wait_until(lambda: lost(lab, "wan") < overdue / 2, 10, "replies that came late to be counted")


def test_quality_latency(lab: Lab, start: Start) -> None:
    start(
        mode="failover",
        per_interface={"wan": {"check_quality": 1, "failure_latency": 100, "recovery_latency": 60}},
        extra=twin("unjudged", check_quality=0, failure_latency=100),
    )
    with lab.events() as events:
        lab.latency("wan", 250)
        assert "latency" in events.wait("wan", "offline")["reason"]
    lab.wait_status(unjudged="online")
    assert lab.flows(5) == {"wan2": 5}
    wait_until(lambda: (row(lab, "unjudged")["latency"] or 0) > 150, 20, "the latency to be shown")
    lab.latency("wan", 0)
    lab.wait_states({"wan": "online"}, 30)


def test_quality_jitter(lab: Lab, start: Start) -> None:
    jitter = {"check_quality": 1, "failure_jitter": 15, "recovery_jitter": 10}
    start(mode="failover", per_interface={"wan": jitter}, extra=twin("unjudged", check_quality=1))
    with lab.events() as events:
        lab.latency("wan", 80, jitter=80)
        assert "jitter" in events.wait("wan", "offline", timeout=30)["reason"]
    assert row(lab, "unjudged")["status"] == "online"
    assert row(lab, "unjudged")["jitter"] > 5


def entries(lab: Lab, name: str) -> int:
    """Tracked connections of LAN clients that are pinned to an uplink."""
    mark = row(lab, name)["id"] << 8
    out = lab.router.run(["conntrack", "-L", "-m", f"{mark:#x}/0x3f00", "-p", "udp"], check=False)
    return sum("src=192.0.2." in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("flush", "left"), [("never", 20), ("ifup", 20), ("disconnected", 0), ("ifdown", 0), ("always", 0)]
)
def test_flush_conntrack_at_failure(lab: Lab, start: Start, flush: str, left: int) -> None:
    start(mode="failover", options={"flush_conntrack": [flush]})
    assert lab.flows(20) == {"wan": 20}
    assert entries(lab, "wan") == 20
    with lab.events() as events:
        lab.cut("wan")
        events.wait_for(lambda e: e["kind"] == "switch" and "wan offline" in e["cause"], "the switch")
    assert entries(lab, "wan") == left


@pytest.mark.parametrize(("flush", "moved"), [("disconnected", False), ("ifup", True), ("connected", True)])
def test_flush_conntrack_at_recovery_brings_flows_home(lab: Lab, start: Start, flush: str, moved: bool) -> None:
    start(mode="failover", options={"flush_conntrack": ["disconnected", flush]})
    lab.cut("wan")
    lab.wait_status(wan="offline")
    with lab.hold(proto="udp") as held, lab.events() as events:
        held.wait(lambda r: r.outcome == "wan2")
        lab.restore("wan")
        events.wait_for(lambda e: e["kind"] == "switch" and "wan online" in e["cause"], "the switch")
        last = held.records()[-1].seq
        after = held.wait(lambda r: r.answered and r.seq > last + 10)
        assert after.outcome == ("wan" if moved else "wan2")


def test_an_interface_switched_off_in_the_file_is_shown_and_unused(lab: Lab, start: Start) -> None:
    start(mode="failover", per_interface={"wan": {"enabled": 0}})
    assert row(lab, "wan")["status"] == "disabled"
    assert row(lab, "wan")["enabled"] is False
    assert lab.flows(5) == {"wan2": 5}
    assert "disabled in" in lab.call({"cmd": "ifup", "interface": "wan"})["error"]


def test_a_gateway_in_the_file_needs_no_default_route(lab: Lab, start: Start) -> None:
    lab.router.run(["ip", "route", "del", "default", "dev", "wan2"])
    metrics = {"wan": 2, "wan2": 1}
    start(mode="failover", metrics=metrics, per_interface={"wan2": {"gateway": lab.gateway("wan2")}})
    assert lab.flows(5) == {"wan2": 5}
    reload(lab, lab.config(mode="failover", metrics=metrics))
    lab.wait_status(wan2="offline")
    assert "gateway" in row(lab, "wan2")["reason"]
    assert lab.flows(5) == {"wan": 5}


def test_a_silent_target_alone_takes_its_uplink_down(lab: Lab, start: Start) -> None:
    start(wait=False, per_interface={"wan": {"track_targets": [NO_SUCH]}})
    lab.wait_status(wan="offline", wan2="online")
