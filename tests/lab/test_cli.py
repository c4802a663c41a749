# SPDX-License-Identifier: GPL-2.0-or-later
"""The `netpath` command on the lab's router, against the real daemon: what one types, sees and gets."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def netpath(lab: Lab) -> Iterator[Command]:
    """Run the command. A tracker that `start` left behind is stopped at the end."""

    def run(*argv: str) -> Result:
        line = lab.router.argv(["env", *lab.environment, *lab._netpath(*argv)])
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    yield run
    run("stop")


def pid_of(lab: Lab) -> int:
    with lab.events() as connection:
        credentials = connection._socket.getsockopt(1, 17, 12)  # SOL_SOCKET, SO_PEERCRED
    return int.from_bytes(credentials[:4], sys.byteorder)


def test_start_restart_and_stop_under_traffic(lab: Lab, netpath: Command) -> None:
    """Detached; a restart is another process and no flow notices; after stop nothing is left."""
    before = lab.router.run(["nft", "list", "ruleset"]), lab.router.run(["ip", "rule"])
    second = section("policy", "second", {"members": ["wan2_m1_w1"]})
    lab.config_file.write_text(lab.config(rules=section("rule", "r", {"policy": "second"}) + second))
    started = netpath("start")
    assert (started.code, started.err) == (0, "")
    assert "wan2 is online" in started.out
    first = pid_of(lab)
    assert f"process {first}" in started.out
    assert os.getsid(first) == first, "it must outlive the terminal"
    again = netpath("start")
    assert again.code == 1
    assert f"already running (process {first}" in again.err
    with lab.hold(proto="tcp") as held, lab.pulse(proto="udp") as fresh, lab.capture("wan") as other:
        for flow in (held, fresh):
            flow.wait(lambda r: r.outcome == "wan2")
        assert netpath("restart").code == 0
        assert pid_of(lab) != first
        seen = held.records()[-1].seq
        held.wait(lambda r: r.seq > seen + 20)
        assert set(held.outcomes()) == {"wan2"}
        assert set(fresh.outcomes()) == {"wan2"}
        assert not [p for p in other.packets() if p.outgoing and p.dport == 7], "steered all the while"
    stopped = netpath("stop")
    assert (stopped.code, "removed" in stopped.out) == (0, True)
    assert (lab.router.run(["nft", "list", "ruleset"]), lab.router.run(["ip", "rule"])) == before
    assert "no tracker was running" in netpath("stop").out
    for command in ("status", "metrics", "events", "ifup wan", "reload"):
        gone = netpath(*command.split())
        assert gone.code == 3, command
        assert "netpath start" in gone.err


def test_reload_prints_what_is_wrong_and_where(lab: Lab, start: Start, netpath: Command) -> None:
    start(mode="failover")
    assert netpath("reload").code == 0
    good = lab.config_file.read_text()
    lab.config_file.write_text(good.replace("option down", "option dwn", 1).replace("'all'", "'nowhere'", 1))
    bad = netpath("reload")
    assert bad.code == 1
    line = next(n for n, text in enumerate(lab.config_file.read_text().splitlines(), 1) if "option dwn" in text)
    assert f"{lab.config_file}:{line}: warning: interface 'wan'" in bad.out or f":{line}: " in bad.out
    assert "down" in bad.out, "the nearest known option"
    assert netpath("check").code == 1
    checked = netpath("check", "--json")
    assert checked.code == 1
    assert {"severity", "file", "line", "section", "option", "value", "message", "fix"} <= set(
        checked.json["problems"][0]
    )
    assert lab.flows(4) == {"wan": 4}
    lab.config_file.write_text(good)
    assert netpath("check").code == 0


READING = (
    ("status", "interface wan is online"),
    ("interfaces", f"target {SERVERS['ipv4'][0]} is up"),
    ("policies", "wan2_m1_w1"),
    ("rules", "everything"),
    ("connected", "192.0.2.0/25"),
    ("metrics", "wan2_6"),
    ("watch", "wan2_6"),
    ("history", "wan2"),
    ("history wan", "rx_rate"),
    ("history --coarse", ""),
    ("events", "loaded"),
    ("events --since 10m", "loaded"),
    ("check", "no problems"),
    ("diag", "tracker"),
    (f"explain 192.0.2.2 {SERVERS['ipv4'][0]} udp 7", "everything"),
    (f"explain --src 2001:db8:1::2 --dst {SERVERS['ipv6'][0]} --proto tcp --dport 443", "wan_6"),
    ("internal", "table inet netpath"),
    ("internal ipv6", "2001:db8:2:1::2"),
    ("version", "nftables"),
)


def test_every_reading_command_in_words_and_in_json(lab: Lab, start: Start, netpath: Command) -> None:
    start(mode="failover")
    assert netpath("reload").code == 0
    wait_until(lambda: bool(lab.call({"cmd": "history"})["interfaces"]["wan"]), 10, "a sample")
    for place, (words, expected) in enumerate(READING):
        plain = netpath(*words.split())
        assert plain.code == 0, f"{words}: {plain.err}"
        assert expected in plain.out, words
        assert "\x1b" not in plain.out, "no terminal, no colours"
        argv = words.split()
        argv.insert(place % 2 * len(argv), "--json")  # before and after count the same
        assert isinstance(netpath(*argv).json, dict), argv
    assert "_netpath" in netpath("completion", "bash").out
    for command in ("ifdown", "ifup"):
        assert netpath(command, "wan", "--json").json["result"] == "ok"
    refused = netpath("ifup", "nonesuch")
    assert refused.code == 1
    assert "wan2" in refused.err, "what there is instead"
    assert netpath("ifup", "nonesuch", "--json").json["error"]
    assert netpath("frobnicate").code == 2
    assert netpath("history", "nonesuch").code == 1


def test_ifdown_and_ifup_move_traffic_and_survive_a_reload(lab: Lab, start: Start, netpath: Command) -> None:
    start(mode="failover")
    assert netpath("ifdown", "wan").code == 0
    assert lab.flows(3) == {"wan2": 3}
    assert netpath("reload").code == 0
    assert lab.flows(3) == {"wan2": 3}
    assert "interface wan is disabled" in netpath("status").out
    assert netpath("ifup", "wan").code == 0
    lab.wait_status(wan="online")
    assert lab.flows(3) == {"wan": 3}


ASK = (
    "import socket, sys\n"
    "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
    "    s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, kind); s.settimeout(3)\n"
    "    s.connect((sys.argv[1], 7)); s.send(b'x\\n'); print(s.recv(99).decode().split()[0])\n"
)


def test_use_takes_children_and_both_families_and_gives_the_exit_code(lab: Lab, start: Start, netpath: Command) -> None:
    start(mode="failover", globals_={"nft_table": "users"})
    for family, name in (("ipv4", "wan2"), ("ipv6", "wan2_6")):
        shell = f'"$0" -c "$1" {SERVERS[family][0]}; exit 7'
        done = netpath("use", name, "sh", "-c", shell, sys.executable, ASK)
        assert [lab.uplink_of(word) for word in done.out.split()] == ["wan2", "wan2"], done.err
        assert done.code == 7
    assert netpath("use", "wan2", "no-such-program").code == 127
    assert netpath("use", "wan2", "/etc").code == 126
    lab.cut("wan2")
    lab.wait_status(wan2="offline")
    dead = netpath("use", "wan2", sys.executable, "-c", ASK, SERVERS["ipv4"][0])
    assert dead.out == "", "it must not leak by another uplink"
    assert dead.code != 0


def test_use_survives_the_stop_of_another_instance(lab: Lab, start: Start, netpath: Command) -> None:
    """Two instances in two network namespaces share the tree of control groups."""
    start(mode="failover", globals_={"nft_table": "users"})
    group = Path(lab.call({"cmd": "use", "interface": "wan2"})["cgroup"])
    assert group.is_dir()
    places = [
        "--config",
        str(lab.config_file),
        "--socket",
        str(lab.directory / "o"),
        "--state-dir",
        str(lab.directory / "other"),
    ]
    other = lab.lan.popen(["env", *lab.environment, *lab._netpath("run", *places)], name="other")
    wait_until((lab.directory / "o").exists, 10, "the other instance", other)
    other.stop()
    assert group.is_dir(), "the group of a running instance is gone"


class Terminal:
    """`netpath` on a pseudo terminal of 24 lines by 140 columns."""

    def __init__(self, lab: Lab, *argv: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 140))
        line = lab.router.argv(["env", "TERM=xterm", *lab.environment, *lab._netpath(*argv)])
        self.process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def until(self, text: str) -> str:
        """Everything up to the next `text`."""
        wanted = text.encode()
        while wanted not in self.seen:
            assert select.select([self.master], [], [], 60)[0], f"{text!r} does not come: {self.seen[-2000:]!r}"
            self.seen += os.read(self.master, 65536)
        before, _, self.seen = self.seen.partition(wanted)
        return before.decode(errors="replace") + text

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.mark.parametrize("end", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_watch_shows_an_uplink_die(lab: Lab, start: Start, end: str) -> None:
    start(mode="failover")
    terminal = Terminal(lab, "watch")
    try:
        assert "\x1b[?1049h" in terminal.until("latency"), "the alternate screen"
        terminal.until("wan2_6")
        lab.cut("wan")
        terminal.until("offline")
        terminal.press(end) if end == "q" else os.killpg(terminal.process.pid, signal.SIGINT)
        terminal.until("\x1b[?1049l")
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()


def test_events_follow_as_they_happen(lab: Lab, start: Start) -> None:
    start(mode="failover")
    follow = lab.router.popen(["env", *lab.environment, *lab._netpath("events", "--follow", "--json")], name="follow")
    plain = lab.router.popen(["env", *lab.environment, *lab._netpath("events", "-f")], name="plain")
    lab.call({"cmd": "reload"})
    follow.wait_for("loaded")
    plain.wait_for("loaded")
    lab.cut("wan")
    follow.wait_for('"switch"')
    follow.wait_for('"offline"')
    plain.wait_for("wan disconnecting -> offline")
    events = [json.loads(line) for line in follow.out.read_text().splitlines()]
    assert [e["seq"] for e in events] == sorted(e["seq"] for e in events)
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    wan = [(e["from"], e["to"]) for e in events if e.get("interface") == "wan"]
    assert wan[-2:] == [("online", "disconnecting"), ("disconnecting", "offline")]
    for process in (follow, plain):
        process.stop()


def checks(result: Result, topic: str) -> list[dict[str, str]]:
    """What diag found wrong in a topic."""
    return [c for c in result.json["checks"] if c["topic"] == topic and c["status"] != "ok"]


def test_diag_finds_real_faults_and_says_what_to_do(lab: Lab, start: Start, netpath: Command) -> None:
    process = start(mode="failover")
    healthy = netpath("diag", "--json")
    assert healthy.code == 0, healthy.out
    assert [c for c in healthy.json["checks"] if c["status"] != "ok"] == []
    # conflicts: an ip rule like pbr's on our bits, and strict reverse-path filtering
    lab.router.ip("rule add pref 29990 fwmark 0x100/0xff00 lookup 52\n")
    lab.router.sysctl({"ipv4/conf/wan2/rp_filter": 1})
    try:
        found = checks(netpath("diag", "--json"), "conflicts")
        assert any("29990" in c["message"] and "pbr" in c["message"] and c["remedy"] for c in found), found
        assert any("rp_filter" in c["remedy"] and "wan2" in c["message"] for c in found), found
        assert "29990" in netpath("check").out, "check looks at the rules that are present, too"
    finally:
        lab.router.sysctl({"ipv4/conf/wan2/rp_filter": 2})
        lab.router.ip("rule del pref 29990\n")
    # tracking: the line is dead
    lab.cut("wan")
    lab.wait_status(wan="offline")
    tracking = checks(netpath("diag", "--json"), "tracking")
    assert any("wan is offline" in c["message"] and c["remedy"] for c in tracking)
    plain = netpath("diag")
    assert plain.code == 1
    assert "wan is offline" in plain.out
    # link
    lab.carrier("wan2", False)
    lab.wait_status(wan2="offline")
    unplugged = netpath("diag", "--json")
    assert "no carrier" in checks(unplugged, "link")[0]["message"]
    assert any("wan2 is offline: its link is down" in c["message"] for c in checks(unplugged, "tracking"))
    fine = [c["message"] for c in unplugged.json["checks"] if c["status"] == "ok"]
    assert not any("wan2 " in message for message in fine), fine
    lab.carrier("wan2", True)
    lab.ifup("wan2")
    lab.wait_status(wan2="online")
    # routes and rules: nobody mends them while no tracker runs
    process.signal(9)
    process.wait()
    lab.router.run(["ip", "route", "flush", "table", "1001"])
    lab.router.ip("rule delete pref 6103 fwmark 0x300/0x3f00\n")
    lab.router.nft("flush table inet netpath\n")
    broken = netpath("diag", "--json")
    assert broken.code == 3
    assert checks(broken, "tracker")
    assert any("1001" in c["message"] and c["remedy"] for c in checks(broken, "routes"))
    assert any("6103: from all fwmark 0x300/0x3f00 lookup 1003" in c["message"] for c in checks(broken, "routes"))
    assert "missing or empty" in checks(broken, "rules")[0]["message"]


def test_diag_finds_a_dead_gateway_at_once(lab: Lab, start: Start, netpath: Command) -> None:
    start(mode="failover")
    lab.cut("wan")
    lab.wait_status(wan="offline")
    found = checks(netpath("diag", "--json"), "gateway")
    assert any(lab.gateway("wan") in c["message"] and c["remedy"] for c in found), found


def test_metrics_are_what_was_sent(lab: Lab, start: Start) -> None:
    """Bytes of the device, new flows and open connections of each uplink, and a rate while a download runs."""
    start(mode="failover", options={"interval": 60})
    lab.router.run(["conntrack", "-F"], check=False)
    before = lab.call({"cmd": "metrics"})["interfaces"]
    with lab.capture("wan") as capture:
        assert lab.flows(7, timeout=5) == {"wan": 7}

        def sampled() -> bool:
            now = lab.call({"cmd": "metrics"})["interfaces"]["wan"]
            return bool(now["tx_packets"] >= before["wan"]["tx_packets"] + 7)

        wait_until(sampled, 10, "the counters to be read again")
        outgoing = [p for p in capture.packets() if p.outgoing]
        row = lab.call({"cmd": "metrics"})["interfaces"]
        sent = row["wan"]["tx_packets"] - before["wan"]["tx_packets"]
        assert 7 <= sent <= len(outgoing) + 8, "neighbour discovery is not captured as IP"
        assert row["wan"]["new_flows"] - before["wan"]["new_flows"] == 7
        assert row["wan"]["new_bytes"] - before["wan"]["new_bytes"] == sum(p.length for p in outgoing if p.dport == 7)
        assert row["wan2"]["new_flows"] == before["wan2"]["new_flows"]
    wait_until(lambda: lab.call({"cmd": "metrics"})["interfaces"]["wan"]["connections"] == 7, 15, "7 connections")
    assert lab.call({"cmd": "metrics"})["interfaces"]["wan2"]["connections"] == 0
    with lab.download(rate=400_000) as download:
        download.wait(lambda r: r.answered)

        def rate() -> float:
            return float(lab.call({"cmd": "metrics"})["interfaces"]["wan"]["rx_rate"])

        wait_until(lambda: rate() > 200_000, 15, "the rate to be seen")
        assert rate() < 1_200_000
    history = lab.call({"cmd": "history", "interface": "wan"})
    column = history["columns"].index("rx_rate")
    assert max(sample[column] or 0 for sample in history["interfaces"]["wan"]) > 200_000
    times = [sample[0] for sample in history["interfaces"]["wan"]]
    assert times == sorted(times)
    later = lab.call({"cmd": "history", "interface": "wan", "since": times[-1] - 0.5})["interfaces"]["wan"]
    assert later
    assert all(sample[0] >= times[-1] - 0.5 for sample in later)
    # A date that is still to come was read off a clock that has been set back since.
    assert len(lab.call({"cmd": "history", "interface": "wan", "since": times[-1] + 3600})["interfaces"]["wan"]) > 1
