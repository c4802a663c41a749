# SPDX-License-Identifier: GPL-2.0-or-later
"""Uplinks that die and come back, under traffic."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start
from tests.lab.test_control import ip_rules

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_silent_failure_moves_established_and_new_flows(lab: Lab, start: Start, family: str, proto: str) -> None:
    start(mode="failover")
    with lab.hold(family, proto) as held, lab.pulse(family, proto, interval=0.02) as fresh:
        held.wait(lambda r: r.outcome == "wan")
        with lab.events() as events:
            lab.cut("wan")
            events.wait("wan" if family == "ipv4" else "wan_6", "offline")
        held.wait(lambda r: r.outcome == "wan2")
        moved = fresh.wait(lambda r: r.outcome == "wan2")
        late = [r.outcome for r in fresh.since(moved.done) if r.answered]
        assert set(late) <= {"wan2"}


def test_flows_of_the_living_uplink_are_not_touched(lab: Lab, start: Start) -> None:
    start(mode="balanced")
    with lab.hold(proto="tcp") as one, lab.hold(proto="tcp") as two:
        homes = [t.wait(lambda r: r.answered).outcome for t in (one, two)]
        assert sorted(homes) == ["wan", "wan2"]
        living = (one, two)[homes.index("wan2")]
        lab.cut("wan")
        lab.wait_status(wan="offline")
        dying = (one, two)[homes.index("wan")]
        dying.wait(lambda r: r.outcome == "wan2")
        assert set(living.outcomes()) == {"wan2"}, "a healthy flow was reset or moved"


@pytest.mark.parametrize("last_resort", ["unreachable", "blackhole", "default"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_all_down(lab: Lab, start: Start, last_resort: str, family: str) -> None:
    start(last_resort=last_resort)
    captures = [lab.capture("wan"), lab.capture("wan2")]
    for name in ("wan", "wan2"):
        lab.cut(name)
    lab.wait_status(wan="offline", wan_6="offline", wan2="offline", wan2_6="offline")
    with lab.capture("lan") as told:
        udp = lab.flows(5, family, "udp", timeout=0.5)
        errors = [p for p in told.packets() if p.outgoing and p.proto.startswith("icmp")]
    tcp = lab.flows(5, family, "tcp", timeout=0.5)
    client = lab.clients_of(family)[0]
    leaked = [p for c in captures for p in c.packets() if p.outgoing and p.src == client]
    assert not leaked, "a LAN address left the router unmasqueraded"
    if last_resort == "unreachable":
        assert len(errors) >= 5, "each UDP client is told at once that there is no way"
        assert tcp == {"refused": 5}
    else:
        assert not errors
        assert udp == {"timeout": 5}
        assert tcp == {"timeout": 5}
    # Forwarded ones only (TTL 63): the router itself resets what still comes of connections of tests before.
    by_main = [p for p in captures[0].packets() if p.outgoing and p.dport == 7 and p.family == family and p.ttl < 64]
    assert bool(by_main) == (last_resort == "default"), "default means the main table, the others mean nowhere"


def test_flows_survive_an_outage_when_there_is_no_other_way(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.cut("wan2")
    lab.wait_status(wan2="offline", wan2_6="offline")
    with lab.hold(proto="tcp", timeout=20) as held:
        held.wait(lambda r: r.outcome == "wan")
        lab.cut("wan")
        lab.wait_status(wan="offline", wan_6="offline")
        lab.restore("wan")
        lab.wait_status(wan="online", wan_6="online")
        back = held.wait(lambda r: r.outcome == "wan", since=held.records()[-1].done)
        assert back.answered
        assert set(held.outcomes()) == {"wan"}, "the connection was reset although nothing else was up"


def test_recovery_of_another_uplink_frees_flows_pinned_to_the_dead_one(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.cut("wan2")
    lab.wait_status(wan2="offline", wan2_6="offline")
    with lab.hold(proto="udp") as held:
        held.wait(lambda r: r.outcome == "wan")
        lab.cut("wan")
        lab.wait_status(wan="offline", wan_6="offline")
        lab.restore("wan2")
        lab.wait_status(wan2="online")
        held.wait(lambda r: r.outcome == "wan2")


def test_recovery_leaves_flows_on_the_backup_unless_it_is_metered(lab: Lab, start: Start) -> None:
    start(mode="failover")
    for metered in (False, True):
        lab.config_file.write_text(lab.config(mode="failover", per_interface={"wan2": {"metered": int(metered)}}))
        assert "error" not in lab.call({"cmd": "reload"})
        lab.cut("wan")
        lab.wait_status(wan="offline")
        with lab.hold(proto="udp") as held:
            held.wait(lambda r: r.outcome == "wan2")
            lab.restore("wan")
            lab.wait_status(wan="online")
            moment = held.records()[-1].done
            after = held.wait(lambda r: r.answered and r.seq > 40, since=moment)
            assert lab.flows(1) == {"wan": 1}
            assert after.outcome == ("wan" if metered else "wan2")


def test_carrier_loss_acts_at_once_and_comes_back(lab: Lab, start: Start) -> None:
    start(mode="failover", options={"interval": 60, "failure_interval": 0.1, "up": 2})
    with lab.events() as events:
        lab.carrier("wan", False)
        event = events.wait("wan", "offline")
        assert "carrier" in event["reason"]
        assert lab.flows(20) == {"wan2": 20}
        lab.carrier("wan", True)
        lab.ifup("wan")
        events.wait("wan", "online")
    assert lab.flows(20) == {"wan": 20}
    lab.wait_status(wan_6="online")
    assert lab.flows(20, "ipv6") == {"wan": 20}


def test_a_lost_default_route_takes_the_uplink_out_and_its_return_brings_it_back(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.router.run(["ip", "route", "del", "default", "dev", "wan"])
    lab.wait_status(wan="offline")
    assert "route" in lab.call({"cmd": "status"})["interfaces"]["wan"]["reason"]
    assert lab.flows(10) == {"wan2": 10}
    lab.ifup("wan")
    lab.wait_status(wan="online")
    assert lab.flows(10) == {"wan": 10}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_renewed_lease_with_another_address_and_gateway(lab: Lab, start: Start, family: str) -> None:
    start(mode="failover")
    name = "wan" if family == "ipv4" else "wan_6"
    try:
        address, gateway = lab.change_address("wan", family), lab.change_gateway("wan", family)
        lab.wait_states({name: "online"})

        def current() -> bool:
            row = lab.call({"cmd": "status"})["interfaces"][name]
            return bool(row["gateway"] == gateway and row["addresses"][0].startswith(f"{address}/"))

        wait_until(current, 10, "the new address and gateway to be known")
        lab.wait_states({name: "online"})
        assert lab.flows(10, family) == {"wan": 10}
    finally:
        lab.change_address("wan", family)
        lab.change_gateway("wan", family)


@pytest.mark.parametrize("gone", [False, True])
def test_an_uplink_that_is_just_back_is_not_answered_by_another(lab: Lab, start: Start, gone: bool) -> None:
    """Its packets come before its load: who asks by it hears nothing until then, and never by the main default."""
    process = start(mode="failover")
    lab.ifdown("wan2")
    if gone:
        lab.router.ip("link set dev wan2 name elsewhere\n")
    lab.wait_status(wan2="offline", wan2_6="offline")
    wait_until(lambda: not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(), 10, "the load")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        if gone:
            lab.router.ip("link set dev elsewhere name wan2\n")
        lab.ifup("wan2")
        with lab.capture("wan") as other, lab.capture("wan2") as back:
            for family in ("ipv4", "ipv6"):
                lab.flows(3, family, "tcp", where=lab.internet, dst=lab.address("wan2", family), dport=9, timeout=0.3)
            assert [p for p in back.packets() if p.dport == 9], "they have come"
            assert not [p for p in other.packets() if p.sport == 9]
    finally:
        os.kill(process.pid, signal.SIGCONT)
    lab.wait_status(wan2="online", wan2_6="online")
    refused = {"refused": 3}
    assert lab.flows(3, proto="tcp", where=lab.internet, dst=lab.address("wan2"), dport=9, timeout=1) == refused


def test_a_hundred_flaps_leak_nothing(lab: Lab, start: Start) -> None:
    process = start(mode="failover", options={"up": 1})
    descriptors = len(lab.router.run(["ls", f"/proc/{process.pid}/fd"]).split())
    rules = ip_rules(lab), ip_rules(lab, "-6")
    chains = lab.router.run(["nft", "list", "table", "inet", "netpath"]).count("chain ")
    lab.flap("wan", 100)
    lab.ifup("wan")
    lab.carrier("wan2", False)
    lab.wait_status(wan2="offline")
    lab.carrier("wan2", True)
    lab.ifup("wan2")
    lab.config_file.write_text(lab.config(mode="failover", options={"up": 1, "stable_time": 0}))
    lab.call({"cmd": "disable", "interface": "wan"})
    lab.call({"cmd": "enable", "interface": "wan"})  # by hand: old flaps are forgiven
    lab.wait_states({"wan": "online", "wan2": "online"}, 30)
    assert lab.flows(10) == {"wan": 10}
    assert (ip_rules(lab), ip_rules(lab, "-6")) == rules
    assert lab.router.run(["nft", "list", "table", "inet", "netpath"]).count("chain ") == chains
    assert len(lab.router.run(["ls", f"/proc/{process.pid}/fd"]).split()) <= descriptors + 1


def test_quality_takes_a_lossy_uplink_out(lab: Lab, start: Start) -> None:
    start(mode="failover", options={"check_quality": 1, "failure_loss": 30, "recovery_loss": 5, "reliability": 1})
    lab.loss("wan", 60)
    lab.wait_states({"wan": "offline"}, 30)
    assert lab.flows(10) == {"wan2": 10}


def test_failed_probes_of_one_target_are_not_a_failure(lab: Lab, start: Start) -> None:
    start(mode="failover")
    lab.mute(SERVERS["ipv4"][0])
    with lab.pulse(dst=SERVERS["ipv4"][2]) as fresh:
        fresh.wait(lambda r: r.seq > 100)
        assert set(fresh.outcomes()) <= {"wan"}
    row = lab.call({"cmd": "status"})["interfaces"]["wan"]
    assert row["status"] == "online"
    assert [t["status"] for t in row["track_ip"]] == ["down", "up"]


def test_ifdown_and_ifup_by_hand(lab: Lab, start: Start) -> None:
    start(mode="failover")
    assert lab.call({"cmd": "ifdown", "interface": "wan"}) == {"result": "ok"}
    assert lab.call({"cmd": "status"})["interfaces"]["wan"]["status"] == "disabled"
    assert lab.flows(10) == {"wan2": 10}
    assert lab.call({"cmd": "ifup", "interface": "wan"}) == {"result": "ok"}
    lab.wait_status(wan="online")
    assert lab.flows(10) == {"wan": 10}
    assert "wan2" in lab.call({"cmd": "ifup", "interface": "nonesuch"})["error"]


def test_user_script_and_hooks_get_mwan3s_environment(lab: Lab) -> None:
    log = lab.directory / "hook.log"
    script = lab.directory / "netpath.user"
    script.write_text(f'echo "$ACTION $INTERFACE $DEVICE" >> {log}\n')
    text = lab.config(mode="failover", extra=section("rule", "last", {"policy": "default"}))
    lab.start_netpath(text, NETPATH_USER_SCRIPT=str(script))
    lab.wait_status(wan="online")
    lab.cut("wan")
    lab.wait_status(wan="offline")
    lab.restore("wan")
    lab.wait_status(wan="online")
    lab.carrier("wan2", False)
    lab.wait_status(wan2="offline", wan2_6="offline")

    def lines() -> list[str]:
        return [line for line in log.read_text().splitlines() if " wan " in line] if log.exists() else []

    wait_until(lambda: "connected wan wan" in lines(), 10, "the script to have run")
    assert lines() == ["disconnecting wan wan", "disconnected wan wan", "connecting wan wan", "connected wan wan"]
    wait_until(lambda: "ifdown wan2 wan2" in log.read_text(), 10, "ifdown to be told")


def test_the_routers_own_packets_leave_a_dead_device_though_the_main_default_stays_there(
    lab: Lab, start: Start
) -> None:
    start(mode="failover")
    assert lab.flows(4, where=lab.router) == {"wan": 4}
    with lab.events() as events:
        lab.carrier("wan", False)
        events.wait_for(lambda e: e.get("interface") == "wan" and e.get("to") == "offline", "wan to be offline")
    assert "default" in lab.router.run(["ip", "route", "show", "dev", "wan"])
    assert lab.flows(4, where=lab.router) == {"wan2": 4}
    assert "error" not in lab.call({"cmd": "reload"})  # the rules now know of the lost device
    assert lab.flows(4, where=lab.router) == {"wan2": 4}


def test_a_hanging_user_script_delays_no_failover(lab: Lab) -> None:
    begun, script = lab.directory / "begun", lab.directory / "hanging.user"
    script.write_text(f'echo "$ACTION $INTERFACE" >> {begun}\nexec sleep 3600\n')
    lab.start_netpath(lab.config(mode="failover"), NETPATH_USER_SCRIPT=str(script))
    lab.wait_status(wan="online", wan2="online")
    with lab.pulse() as fresh:
        fresh.wait(lambda r: r.outcome == "wan")
        lab.cut("wan")
        fresh.wait(lambda r: r.outcome == "wan2")
        lab.restore("wan")
        fresh.wait(lambda r: r.outcome == "wan", since=time.monotonic())
    assert len(begun.read_text().splitlines()) == 1, "it hangs at its first event all the time"


def test_the_loglevel_decides_what_is_logged(lab: Lab) -> None:
    process = lab.start_netpath(lab.config(globals_={"loglevel": "error"}))
    for level, logged in (("error", False), ("notice", True)):
        lab.config_file.write_text(lab.config(globals_={"loglevel": level}))
        assert "error" not in lab.call({"cmd": "reload"})
        before = len(process.output())
        lab.call({"cmd": "disable", "interface": "wan"})
        lab.call({"cmd": "enable", "interface": "wan"})
        assert ("interface wan is disabled" in process.output()[before:]) == logged


def test_what_began_while_the_line_had_no_address_is_answered_once_it_has_one(lab: Lab, start: Start) -> None:
    """The kernel masquerades it by an address of the LAN. As long as it goes on, nothing else would end that."""

    def flow() -> socket.socket:
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        made.connect((SERVERS["ipv6"][0], 5000))
        made.settimeout(0.1)
        return made

    def answered() -> bool:
        with contextlib.suppress(OSError):  # a time-out, or an ICMPv6 error
            asking.send(b"x\n")
            return bool(asking.recv(512))
        return False

    tracker = start(mode="failover")
    old, new = (f"{address}/64 dev wan" for address in lab.uplink("wan").addresses6)
    tracker.signal(signal.SIGSTOP)  # else it depends on who is quicker
    with lab.lan.inside(flow) as asking:
        try:
            lab.router.ip(f"addr del {old}\n")
            assert not answered()
            lab.router.ip(f"addr add {new} nodad\n")
            assert not answered(), "it is masqueraded by the right address"
            tracker.signal(signal.SIGCONT)
            wait_until(answered, 10, "an answer to the same socket")
        finally:
            tracker.signal(signal.SIGCONT)
            lab.router.ip(f"addr del {new}\naddr add {old} nodad\n")
