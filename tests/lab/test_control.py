# SPDX-License-Identifier: GPL-2.0-or-later
"""Start, reload, kill, stop, and what else runs on the machine."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest

from netpath.lab import Lab
from netpath.lab.namespace import wait_until
from netpath.lab.uci import config, section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab


def world(lab: Lab) -> dict[str, str]:
    """Everything in the router's kernel that is not ours, and all that should be gone after a stop."""
    router = lab.router
    return {
        "ruleset": router.run(["nft", "list", "ruleset"]),
        "rules": router.run(["ip", "rule"]),
        "rules6": router.run(["ip", "-6", "rule"]),
        "routes": router.run(["ip", "route", "show", "table", "all"]),
        "routes6": "\n".join(
            line
            for line in router.run(["ip", "-6", "route", "show", "table", "all"]).splitlines()
            if "expires" not in line
        ),
    }


def ip_rules(lab: Lab, family: str = "-4") -> list[str]:
    """Without their order among equal priorities, which means nothing."""
    return sorted(lab.router.run(["ip", family, "rule"]).splitlines())


FOREIGN = """
table inet other { set big { type ipv4_addr; flags interval; elements = { 192.0.2.64/26 } }
  chain c { type filter hook prerouting priority -200; meta mark set meta mark | 0x80000; }
}
table ip netpath {
 chain c { }
}
"""


def test_stop_leaves_nothing_of_ours_and_everything_else_as_it_was(lab: Lab, start: Start) -> None:
    lab.router.nft(FOREIGN)
    lab.router.ip("rule add pref 6050 fwmark 0x80000/0xff0000 lookup 52\nroute add 192.0.2.200/32 dev lan table 1001\n")
    try:
        before = world(lab)
        start()
        assert world(lab) != before
        assert lab.flows(20)["wan2"] == 10
        lab.netpath("stop")
        assert world(lab) == before
        assert not lab.socket.exists()
    finally:
        lab.router.nft("delete table inet other\ndelete table ip netpath\n")
        lab.router.ip("rule del pref 6050\nroute flush table 1001\n")


def test_a_signal_stops_it_as_cleanly(lab: Lab, start: Start) -> None:
    before = world(lab)
    process = start()
    process.signal(15)
    assert process.wait() == 0
    assert world(lab) == before


def test_a_killed_tracker_leaves_steering_standing_and_the_next_takes_over(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    lab.cut("wan")
    lab.wait_status(wan="offline", wan_6="offline")
    with lab.hold(proto="tcp") as held, lab.pulse() as fresh:
        held.wait(lambda r: r.outcome == "wan2")
        process.signal(9)
        process.wait()
        assert lab.flows(20) == {"wan2": 20}, "steering must outlive its tracker"
        lab.start_netpath(lab.config(mode="failover"))
        rows = lab.call({"cmd": "status"})["interfaces"]
        assert rows["wan"]["status"] == "offline", "the state of a dead uplink is remembered"
        after = held.records()[-1].seq
        held.wait(lambda r: r.seq > after + 5)
        assert set(held.outcomes()) == {"wan2"}
        assert set(fresh.outcomes()) == {"wan2"}
    lab.netpath("stop")


def test_a_worker_killed_in_mid_apply_leaves_a_state_that_the_next_load_mends(lab: Lab, start: Start) -> None:
    start(mode="failover")
    reference = world(lab)
    with lab.pulse() as fresh:
        fresh.wait(lambda r: r.outcome == "wan")
        for step in range(6):
            program = (
                "import os, sys, threading\n"
                f"threading.Timer({0.03 * (step + 1)}, lambda: os.kill(os.getpid(), 9)).start()\n"
                "from netpath.worker.__main__ import main\nmain(sys.argv[1:])\n"
            )
            argv = [sys.executable, "-c", program, "apply", "--config", str(lab.config_file)]
            lab.router.run([*argv, "--state-dir", str(lab.state_dir)], stdin='{"source":"file"}', check=False)
        assert "error" not in lab.call({"cmd": "reload"})
        assert set(fresh.outcomes()) == {"wan"}
    assert world(lab).keys() == reference.keys()
    for part in ("rules", "rules6", "routes"):
        assert sorted(world(lab)[part].splitlines()) == sorted(reference[part].splitlines())


def test_reload_disturbs_no_flow_and_leaves_no_packet_unsteered(lab: Lab, start: Start) -> None:
    """wan2 only; whatever leaves by wan (the main default) while reloading was not steered."""
    second = section("policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]})
    one = section("rule", "r", {"policy": "second"}) + second
    more = (section("rule", f"x{n}", {"policy": "all", "dest_ip": f"198.51.100.{n}"}) for n in range(1, 200))
    many = "".join(more) + one
    start(rules=one)
    flows = {f: (lab.hold(f, "tcp"), lab.pulse(f, "udp", interval=0.003)) for f in ("ipv4", "ipv6")}
    for held, fresh in flows.values():
        held.wait(lambda r: r.outcome == "wan2")
        fresh.wait(lambda r: r.outcome == "wan2")
    with lab.capture("wan") as capture:
        for n in range(8):
            lab.config_file.write_text(lab.config(rules=many if n % 2 else one))
            assert "error" not in lab.call({"cmd": "reload"})
        wrong = [p for p in capture.packets() if p.outgoing and p.proto in ("tcp", "udp") and p.dport == 7]
    assert wrong == []
    for held, fresh in flows.values():
        held.stop(), fresh.stop()
        assert set(held.outcomes()) == {"wan2"}
        assert set(fresh.outcomes()) == {"wan2"}


def test_counters_and_ids_survive_a_reload_that_reorders_adds_and_removes(lab: Lab, start: Start) -> None:
    rule = section("rule", "web", {"proto": "tcp", "dest_port": 7, "policy": "all"})
    start(rules=rule)
    lab.flows(40, proto="tcp")
    ids = {r["name"]: r["id"] for r in lab.call({"cmd": "interfaces"})["interfaces"]}
    new = section("rule", "new", {"proto": "tcp", "dest_port": 81, "policy": "all"})
    text = lab.config(
        rules=new + rule, extra=section("interface", "aaa", {"ifname": "nonesuch", "track_method": "none"})
    )
    blocks = text.split("\n\n")
    lab.config_file.write_text("\n\n".join([blocks[0], *reversed(blocks[1:])]))
    assert "error" not in lab.call({"cmd": "reload"})
    rows = {r["name"]: r for r in lab.call({"cmd": "interfaces"})["interfaces"]}
    assert {n: rows[n]["id"] for n in ids} == ids
    assert rows["aaa"]["up"] is False
    assert {r["name"]: r["packets"] for r in lab.call({"cmd": "rules"})["rules"]} == {"new": 0, "web": 40}
    lab.flows(10, proto="tcp")
    assert {r["name"]: r["packets"] for r in lab.call({"cmd": "rules"})["rules"]} == {"new": 0, "web": 50}
    assert sum(m["new_flows"] for m in lab.call({"cmd": "metrics"})["interfaces"].values()) == 50


def test_removing_an_interface_moves_its_flows_and_no_other(lab: Lab, start: Start) -> None:
    start(mode="balanced")
    with lab.hold(proto="udp") as one, lab.hold(proto="udp") as two:
        homes = [t.wait(lambda r: r.answered).outcome for t in (one, two)]
        assert sorted(homes) == ["wan", "wan2"]
        lab.config_file.write_text(config(lab.uplinks[1:], mode="balanced"))
        reply = lab.call({"cmd": "reload"})
        assert "error" not in reply, reply
        gone = (one, two)[homes.index("wan")]
        gone.wait(lambda r: r.outcome == "wan2")
        assert set((one, two)[homes.index("wan2")].outcomes()) == {"wan2"}


@pytest.mark.parametrize("by", ["socket", "signal"])
def test_a_bad_file_never_replaces_a_good_configuration(lab: Lab, start: Start, by: str) -> None:
    process = start(mode="failover")
    before = lab.router.run(["nft", "list", "table", "inet", "netpath"]).replace("counter packets", "")
    lab.config_file.write_text(
        "config interface 'wan'\n\toption interval 'soon'\nconfig rule\n\toption policy 'nope'\n"
    )
    with lab.events() as events:
        if by == "socket":
            reply = lab.call({"cmd": "reload"})
            assert "interval" in reply["error"]
            assert {(p["option"], p["value"]) for p in reply["problems"]} >= {("interval", "soon"), ("policy", "nope")}
        else:
            process.signal(1)
        events.wait_for(lambda e: e["kind"] == "config", "the refusal")
    assert lab.flows(20) == {"wan": 20}
    assert lab.router.run(["nft", "list", "table", "inet", "netpath"]).count("chain") == before.count("chain")
    process.signal(9)
    process.wait()
    lab.start_netpath(file=lab.config_file)
    lab.wait_status(wan="online")
    assert lab.flows(20) == {"wan": 20}, "after a crash the last good configuration runs on"


def test_a_firewall_that_flushes_everything_is_noticed_at_once(lab: Lab, start: Start) -> None:
    """What fw4's restart does: one transaction that flushes the ruleset and loads its own tables."""
    start(rules=section("rule", "r", {"policy": "second"}) + section("policy", "second", {"members": ["wan2_m1_w1"]}))
    firewall = lab.router.run(["nft", "list", "table", "inet", "home"])
    with lab.hold(proto="tcp") as held, lab.events() as events:
        held.wait(lambda r: r.outcome == "wan2")
        lab.router.nft("flush ruleset\n" + firewall)
        events.wait_for(lambda e: e["kind"] == "table", "the loss to be noticed")
        wait_until(lambda: lab.flows(4) == {"wan2": 4}, 10, "steering to be back")
        moment = held.records()[-1].done
        held.wait(lambda r: r.answered, since=moment)  # where it began anew while nothing was steered, it stays
    lab.router.nft("flush table inet netpath\n")
    wait_until(lambda: lab.flows(4) == {"wan2": 4}, 10, "an emptied table to be filled again")
    lab.router.nft("delete table inet home\n" + firewall)
    assert lab.flows(4) == {"wan2": 4}


def test_the_seeds_way_to_ask(lab: Lab, start: Start) -> None:
    start()
    manual = subprocess.run(["nc", "-h"], capture_output=True, text=True, check=False)
    # OpenBSD's nc, Debian's usual one, only ends with its input when told to; the others do so by themselves.
    ends = ["-N"] if "-N" in manual.stdout + manual.stderr else []
    out = lab.router.run(["nc", *ends, "-U", str(lab.socket)], stdin='{"cmd":"status"}\n')
    status = json.loads(out)
    assert {"wan", "wan2", "wan_6", "wan2_6"} == set(status["interfaces"])
    row = status["interfaces"]["wan"]
    assert {
        "age", "online", "offline", "uptime", "score", "lost", "turn", "status", "enabled", "running", "tracking", "up",
        "track_ip",
    } <= set(row)  # fmt: skip
    assert row["track_ip"][0]["status"] == "up"
    assert status["policies"]["ipv4"]["all"] == [
        {"interface": "wan", "percent": 50},
        {"interface": "wan2", "percent": 50},
    ]
    assert "198.51.100.0/28" in status["connected"]["ipv4"]


def test_use_sends_all_of_a_command_by_one_uplink(lab: Lab, start: Start) -> None:
    start(mode="failover")
    program = (
        "import socket\n"
        "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
        "    s = socket.socket(socket.AF_INET, kind); s.settimeout(3); s.connect(('203.0.113.201', 7))\n"
        "    s.send(b'x\\n'); print(s.recv(99).decode().split()[0])\n"
    )
    out = lab.netpath("use", "wan2", sys.executable, "-c", program)
    assert [lab.uplink_of(word) for word in out.split()] == ["wan2", "wan2"]
    plain = lab.router.run([sys.executable, "-c", program])
    assert [lab.uplink_of(word) for word in plain.split()] == ["wan", "wan"]
    assert "nonesuch" in lab.router.run(
        ["sh", "-c", 'exec "$@" 2>&1', "sh", *lab._netpath("--socket", str(lab.socket), "use", "nonesuch", "true")],
        check=False,
    )


def test_only_one_tracker_a_state_directory(lab: Lab, start: Start) -> None:
    start()
    second = lab.router.popen(
        [*lab._netpath("run"), "--config", str(lab.config_file), "--socket", str(lab.directory / "other.sock"),
         "--state-dir", str(lab.state_dir)], name="second",
    )  # fmt: skip
    assert second.wait() == 1
    assert "another tracker" in second.output()


def test_many_clients_at_once_and_garbage_do_not_delay_failover(lab: Lab, start: Start) -> None:
    from netpath.lab.daemon import Connection

    start(mode="failover")
    idle = [Connection(lab.socket) for _ in range(40)]
    for connection in idle[:20]:
        connection._socket.sendall(b'{"cmd":')
    with lab.events() as events:
        lab.cut("wan")
        events.wait("wan", "offline")
    assert lab.flows(10) == {"wan2": 10}
    for connection in idle:
        connection.close()


def test_switched_off_in_the_configuration_it_leaves_nothing_and_comes_back(lab: Lab, start: Start) -> None:
    before = world(lab)
    start(mode="failover")
    lab.config_file.write_text(lab.config(globals_={"enabled": 0}))
    assert "error" not in lab.call({"cmd": "reload"})
    assert world(lab) == before
    status = lab.call({"cmd": "status"})
    assert status["interfaces"] == {}
    assert "switched off" in status["problem"]
    lab.config_file.write_text(lab.config(mode="failover"))
    assert "error" not in lab.call({"cmd": "reload"})
    lab.wait_status(wan="online", wan2="online")
    assert lab.flows(5) == {"wan": 5}


def test_a_full_state_directory_stops_neither_start_nor_failover(lab: Lab) -> None:
    lab.state_dir.mkdir(exist_ok=True)
    lab.router.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4,mode=0700", "none", str(lab.state_dir)])
    try:
        lab.start_netpath(lab.config(mode="failover"))
        lab.wait_status(wan="online")
        lab.cut("wan")
        lab.wait_status(wan="offline", wan_6="offline")
        assert lab.flows(5) == {"wan2": 5}
        reply = lab.call({"cmd": "reload"})
        assert any("No space" in w["message"] for w in reply["warnings"])
        assert lab.flows(5) == {"wan2": 5}
        lab.netpath("stop")
    finally:
        lab.router.run(["umount", str(lab.state_dir)])


def test_after_a_full_disk_no_older_configuration_comes_back(lab: Lab) -> None:
    def load() -> str:
        """The name of the text that stands, empty while there is none."""
        found = lab.router.run(["nft", "list", "chain", "inet", "netpath", "loaded"], check=False)
        return found.partition("comment ")[2].partition("\n")[0]

    lab.state_dir.mkdir(exist_ok=True)
    lab.router.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(lab.state_dir)])
    try:
        lab.start_netpath(lab.config(mode="failover"))
        lab.wait_status(wan="online", wan2="online")
        filler, before = lab.state_dir / "filler", {"", load()}
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        second = section("rule", "r", {"policy": "second"}) + section("policy", "second", {"members": ["wan2_m1_w1"]})
        lab.config_file.write_text(lab.config(mode="failover", rules=second))
        reply = lab.call({"cmd": "reload"})
        assert any("No space" in w["message"] for w in reply["warnings"])
        assert lab.flows(5) == {"wan2": 5}
        before.add(load())
        filler.unlink()
        lab.router.nft("delete table inet netpath\n")
        wait_until(lambda: load() not in before, 10, "a load of its own, whatever was put back before")
        assert lab.flows(5) == {"wan2": 5}
    finally:
        lab.netpath("stop")
        lab.router.run(["umount", str(lab.state_dir)])


def test_a_removed_route_or_rule_of_ours_is_put_back(lab: Lab, start: Start) -> None:
    start(rules=section("rule", "r", {"policy": "second"}) + section("policy", "second", {"members": ["wan2_m1_w1"]}))
    rules, table = ip_rules(lab), lab.router.run(["ip", "route", "show", "table", "1003"])
    assert "default" in table
    lab.router.run(["ip", "route", "flush", "table", "1003"])
    wait_until(lambda: lab.router.run(["ip", "route", "show", "table", "1003"]) == table, 10, "routes to be back")
    lab.router.run(["ip", "rule", "del", *next(r for r in rules if "lookup 1003" in r and "fwmark" in r).split()[1:]])
    wait_until(lambda: ip_rules(lab) == rules, 10, "the ip rule to be back")
    assert lab.flows(5) == {"wan2": 5}


def test_another_table_mask_and_priorities_replace_the_old_ones(lab: Lab, start: Start) -> None:
    before = world(lab)
    start(mode="failover")
    moved = {"nft_table": "steering", "mark_mask": "0xff0000", "rule_priority": 12000}
    lab.config_file.write_text(lab.config(mode="failover", globals_=moved))
    assert "error" not in lab.call({"cmd": "reload"})
    ruleset, rules = lab.router.run(["nft", "list", "ruleset"]), lab.router.run(["ip", "rule"])
    assert "table inet steering" in ruleset
    assert "table inet netpath" not in ruleset
    assert "0x3f00" not in rules
    assert "6000:" not in rules
    assert lab.flows(5) == {"wan": 5}
    lab.cut("wan")
    lab.wait_status(wan="offline")
    assert lab.flows(5) == {"wan2": 5}
    lab.netpath("stop")
    assert world(lab) == before
