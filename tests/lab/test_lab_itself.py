# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab does what tests, demo and benchmarks rely on: with plain static routes, without NetPath."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from netpath.lab import SERVERS, Capture, Lab, LabError, Unavailable, UplinkSpec
from netpath.lab.namespace import NETNS_DIR, pids_in, wait_until
from netpath.lab.world import PACKAGE_ROOT

pytestmark = pytest.mark.lab
FAMILIES = ("ipv4", "ipv6")
RTMGRP_LINK, IFF_RUNNING = 1, 0x40


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with Lab(2, clients=8, guest=True) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The shared lab; every uplink is whole again afterwards."""
    yield shared
    for uplink in shared.uplinks:
        shared.restore(uplink.number)
    shared.mute()


def prefer(lab: Lab, name: str) -> None:
    """Let the router's main table use this uplink first, as a static failover would."""
    for family in FAMILIES:
        lines = ["route flush default"]
        for uplink in lab.uplinks:
            metric = 5 if uplink.name == name else uplink.metric
            lines.append(f"route add default via {lab.gateway(uplink.name, family)} dev {uplink.name} metric {metric}")
        lab.router.ip("\n".join(lines), family)


def link_messages() -> socket.socket:
    """A netlink socket that hears of link changes from now on."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    listener.bind((0, RTMGRP_LINK))
    return listener


def waiting(listener: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        while True:
            yield listener.recv(65536)


@pytest.mark.parametrize("proto", ["udp", "tcp"])
@pytest.mark.parametrize("family", FAMILIES)
def test_client_learns_by_which_uplink_each_flow_came(lab: Lab, family: str, proto: str) -> None:
    prefer(lab, "wan2")
    assert lab.flows(50, family, proto) == {"wan2": 50}
    prefer(lab, "wan")
    assert lab.flows(50, family, proto) == {"wan": 50}


def test_flows_come_from_the_clients_in_turn_and_in_order(lab: Lab) -> None:
    with lab.capture("lan") as capture:
        records = lab.flow_records(16, src=lab.clients_of(), dport=5001, concurrency=1)
        sources = Counter(p.src for p in capture.packets() if not p.outgoing and p.dport == 5001)
    assert [record.seq for record in records] == list(range(16))
    assert sources == dict.fromkeys(lab.clients_of(), 2)


def test_second_lan_reaches_the_servers_too(lab: Lab) -> None:
    assert lab.guest
    assert lab.flows(3, where=lab.guest) == {"wan": 3}
    assert lab.flows(3, "ipv6", where=lab.guest) == {"wan": 3}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_target_answers_ping(lab: Lab, family: str) -> None:
    for address in SERVERS[family]:
        lab.router.run(["ping", "-c1", "-W2", "-q", address])


@pytest.mark.parametrize("family", FAMILIES)
def test_cut_is_silent_and_leaves_the_carrier(lab: Lab, family: str) -> None:
    ping = ["ping", "-c1", "-W0.5", "-q", "-I", "wan"]
    gateway = lab.gateway(1, family)
    lab.cut("wan")
    assert lab.flows(3, family, timeout=0.3) == {"timeout": 3}
    with pytest.raises(LabError):
        lab.router.run([*ping, gateway])
    assert lab.has_carrier("wan")
    lab.cut("wan", gateway_alive=True)
    assert lab.flows(3, family, timeout=0.3) == {"timeout": 3}
    lab.router.run([*ping, gateway])
    lab.restore("wan")
    assert lab.flows(3, family) == {"wan": 3}


def test_loss_is_the_share_of_round_trips(lab: Lab) -> None:
    lab.loss("wan", 50)
    outcomes = lab.flows(1000, timeout=0.3, concurrency=1000)
    assert 400 < outcomes["timeout"] < 600  # nine standard deviations wide: chance never leaves it
    assert outcomes["wan"] == 1000 - outcomes["timeout"]


@pytest.mark.parametrize("family", FAMILIES)
def test_latency_delays_one_uplink_and_keeps_its_flows(lab: Lab, family: str) -> None:
    with lab.hold(family, "tcp") as stream, lab.hold(family, "udp", timeout=0.5) as datagrams:
        for flow in (stream, datagrams):
            flow.wait(lambda record: record.answered)
        lab.latency("wan", 150)
        slow_from = time.monotonic()
        for flow in (stream, datagrams):
            slow = flow.wait(lambda record: record.answered, since=slow_from)
            assert slow.done - slow.sent >= 0.15
        lab.latency("wan", 0)
        fast_from = time.monotonic()
        for flow in (stream, datagrams):
            flow.wait(lambda record: record.done - record.sent < 0.15, since=fast_from)
        datagrams.wait(lambda record: record.sent > fast_from + 0.6)  # a lost one would have been given up by now
        assert set(stream.outcomes()) == set(datagrams.outcomes()) == {"wan"}


def test_carrier_goes_and_comes_back_with_routes_of_both_families(lab: Lab) -> None:
    lab.carrier("wan", False)
    assert not lab.has_carrier("wan")
    lab.carrier("wan", True)
    for family in FAMILIES:
        assert lab.flows(3, family) == {"wan": 3}


def test_flapping_ends_with_a_whole_uplink(lab: Lab) -> None:
    with lab.router.inside(link_messages) as messages:
        lab.flap("wan", 5)
        assert lab.flows(3) == {"wan": 3}
        flags = [struct.unpack_from("I", message, 24)[0] for message in waiting(messages)]
    running = [bool(value & IFF_RUNNING) for value in flags]
    assert Counter(state for state, _ in groupby(running))[False] == 5


@pytest.mark.parametrize("family", FAMILIES)
def test_netifd_like_down_and_up(lab: Lab, family: str) -> None:
    lab.ifdown("wan")
    assert lab.flows(3, family) == {"wan2": 3}
    lab.ifup("wan")
    assert lab.flows(3, family) == {"wan": 3}


@pytest.mark.parametrize("family", FAMILIES)
def test_address_and_gateway_change(lab: Lab, family: str) -> None:
    before = lab.address("wan", family), lab.gateway("wan", family)
    after = lab.change_address("wan", family), lab.change_gateway("wan", family)
    try:
        assert before[0] != after[0]
        assert before[1] != after[1]
        route = lab.router.run(["ip", "-4" if family == "ipv4" else "-6", "route", "show", "default", "dev", "wan"])
        assert f"via {after[1]} " in route
        assert lab.flows(3, family) == {"wan": 3}
        with pytest.raises(LabError):
            lab.router.run(["ping", "-c1", "-W0.5", "-q", "-I", "wan", before[1]])
    finally:
        lab.change_address("wan", family)
        lab.change_gateway("wan", family)


def test_muted_target_is_silent_on_every_uplink(lab: Lab) -> None:
    lab.mute(SERVERS["ipv4"][1])
    assert lab.flows(2, dst=SERVERS["ipv4"][1], timeout=0.3) == {"timeout": 2}
    assert lab.flows(2, dst=SERVERS["ipv4"][2]) == {"wan": 2}


def test_provider_drops_and_counts_foreign_sources(lab: Lab) -> None:
    before = lab.spoofed("wan")
    source = lab.address("wan2")
    lab.flows(4, where=lab.router, src=source, device="wan", timeout=0.3)
    assert lab.spoofed("wan") == before  # the router's masquerade put that right
    lab.router.nft("insert rule inet home srcnat oifname wan udp dport 5002 accept")
    with Capture(lab.internet, "isp1") as capture:
        lab.flows(4, where=lab.router, src=source, device="wan", dport=5002, timeout=0.3)
        assert [p for p in capture.packets() if p.dport == 5002] == []
    assert lab.spoofed("wan") == before + 4


@pytest.mark.parametrize("family", FAMILIES)
def test_forwarded_port_is_reachable_by_the_main_uplink(lab: Lab, family: str) -> None:
    server = lab.serve(lab.lan)
    server.wait_for("ready")
    lab.port_forward("tcp", 5004)
    outcomes = lab.flows(3, family, "tcp", where=lab.internet, dst=lab.address("wan", family), dport=5004)
    assert set(outcomes) & {"timeout", "refused", "unreachable"} == set()
    assert outcomes.total() == 3
    server.stop()


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_long_flow_records_its_gap(lab: Lab, proto: str) -> None:
    with lab.hold(proto=proto, timeout=0.3) as flow:
        flow.wait(lambda record: record.answered)
        lab.cut("wan")
        cut = time.monotonic()
        flow.wait(lambda record: record.outcome == "timeout" and record.sent > cut)
        lab.restore("wan")
        back = flow.wait(lambda record: record.answered, since=time.monotonic())
        assert flow.longest_gap() >= 0.3
        assert back.outcome == "wan"


def test_held_tcp_flow_shows_a_reset_and_connects_again(lab: Lab) -> None:
    with lab.hold(proto="tcp") as flow:
        first = flow.wait(lambda record: record.answered)
        lab.router.nft("insert rule inet home srcnat oifname wan tcp dport 7 counter")
        lab.router.run(["nft", "add chain inet home kill { type filter hook forward priority 0; }"])
        lab.router.run(["nft", "add rule inet home kill tcp dport 7 reject with tcp reset"])
        flow.wait(lambda record: record.outcome in ("reset", "refused"), since=first.sent)
        lab.router.run(["nft", "delete chain inet home kill"])
        flow.wait(lambda record: record.answered, since=time.monotonic())


def test_download_runs_and_tells_its_uplink(lab: Lab) -> None:
    with lab.download(rate=1_000_000) as download:
        progress = download.wait(lambda record: record.seq > 100_000)
        assert progress.outcome == "wan"


def test_capture_proves_by_which_uplink_packets_left(lab: Lab) -> None:
    with lab.capture("wan") as used, lab.capture(2) as spare:
        lab.flows(10, dport=5003)
        lab.flows(10, "ipv6", "tcp", dport=5003)
        left = Counter((p.family, p.proto) for p in used.packets() if p.outgoing and p.dport == 5003)
        assert left["ipv4", "udp"] == 10
        assert left["ipv6", "tcp"] >= 30
        assert [p for p in spare.packets() if p.dport == 5003] == []


def test_http_and_https_servers(lab: Lab) -> None:
    certificate = lab.start_https()
    fetch = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(certificate)]
    assert lab.lan.run([*fetch, f"http://{SERVERS['ipv4'][0]}/status/204"]) == "204"
    assert lab.lan.run([*fetch, f"https://{SERVERS['ipv4'][3]}/status/503"]) == "503"
    assert lab.lan.run([*fetch, f"https://[{SERVERS['ipv6'][0]}]/"]) == "200"
    with pytest.raises(LabError, match="certificate"):
        lab.lan.run(["curl", "-sS", f"https://{SERVERS['ipv4'][0]}/"])


def test_dns_server_answers_on_every_address_by_udp_and_tcp(lab: Lab) -> None:
    server = lab.start_dns([("lab.example", "203.0.113.205")])
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x07example\x00\x00\x01\x00\x01"
    ask = (
        "import socket\n"
        f"for address in {[*SERVERS['ipv4'], *SERVERS['ipv6']]!r}:\n"
        "    family = socket.AF_INET6 if ':' in address else socket.AF_INET\n"
        "    for kind, before in ((socket.SOCK_DGRAM, b''), (socket.SOCK_STREAM, b'\\x00\\x1d')):\n"
        "        with socket.socket(family, kind) as asking:\n"
        "            asking.settimeout(3)\n"
        "            asking.connect((address, 53))\n"
        f"            asking.sendall(before + {query!r})\n"
        "            print(kind.name, address, '.'.join(map(str, asking.recv(512)[-4:])))\n"
    )
    answers = lab.lan.run([sys.executable, "-c", ask]).splitlines()
    kinds = ("SOCK_DGRAM", "SOCK_STREAM")
    assert answers == [f"{kind} {a} 203.0.113.205" for family in FAMILIES for a in SERVERS[family] for kind in kinds]
    server.stop()


def test_process_of_the_lab_sees_control_groups_and_ends_with_its_children(lab: Lab) -> None:
    before = set(pids_in([lab.router.name]))
    process = lab.router.popen(
        ["sh", "-c", "ls /sys/fs/cgroup; (trap '' TERM; echo listed; sleep 1000) & wait"], name="group"
    )
    process.wait_for("listed")
    assert process.out.read_text() != "listed\n"
    assert len(set(pids_in([lab.router.name])) - before) >= 2
    process.stop()
    wait_until(lambda: set(pids_in([lab.router.name])) <= before, 3, "the whole group to be gone")


def test_sockets_made_inside_belong_to_the_namespace(lab: Lab) -> None:
    names = lab.router.inside(lambda: sorted(name for _, name in socket.if_nameindex()))
    assert names == ["guest", "lan", "lo", "wan", "wan2"]
    assert "wan2" not in Path("/proc/net/dev").read_text()


def test_names_families_and_metrics_are_the_callers(lab: Lab) -> None:
    specs = [UplinkSpec("pppoe-wan", ipv6=False), UplinkSpec("eth0.2", ipv4=False), UplinkSpec("usb", metric=3)]
    with Lab(specs) as own:
        assert own.flows(3) == {"usb": 3}
        own.ifdown("usb")
        assert own.flows(3) == {"pppoe-wan": 3}
        assert own.flows(3, "ipv6") == {"eth0.2": 3}
    assert lab.flows(3) == {"wan": 3}  # labs live side by side


def test_without_ipv6_translation_the_lan_keeps_its_addresses() -> None:
    with Lab(1, nat66=False) as own:
        with own.capture("wan") as capture:
            assert own.flows(3, "ipv6", dport=5005) == {"wan": 3}
            assert {p.src for p in capture.packets() if p.outgoing and p.dport == 5005} == {own.clients_of("ipv6")[0]}
        own.carrier("wan", False)
        own.carrier("wan", True)
        assert own.flows(3, "ipv6") == {"wan": 3}


def test_sixty_uplinks() -> None:
    with Lab(60) as own:
        for number in (1, 37, 60):
            uplink = own.uplink(number)
            for family in FAMILIES:
                own.router.run(["ping", "-c1", "-W2", "-q", "-I", uplink.name, SERVERS[family][0]])
        with pytest.raises(Unavailable):
            own.change_address(1)


def test_errors_name_what_is_wrong(lab: Lab) -> None:
    with pytest.raises(LabError, match="no uplink 'wan9'; there are wan, wan2"):
        lab.cut("wan9")
    with pytest.raises(LabError, match="no-such-program"):
        lab.router.run(["no-such-program"])
    with pytest.raises(ValueError, match="60"):
        Lab(61)
    with pytest.raises(ValueError, match="differ"):
        Lab(["wan", "wan"])


def test_netpath_that_does_not_start_is_reported_with_its_output(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no luck today >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(broken))
    with pytest.raises(LabError, match=r"(?s)ended with 3.*no luck today"):
        lab.start_netpath()


def traces(pid: int) -> list[str]:
    spaces = [entry.name for entry in NETNS_DIR.iterdir() if entry.name.startswith(f"np-{pid}-")]
    return spaces + [entry.name for entry in Path("/tmp").glob(f"netpath-lab-{pid}-*")]


def start_lab_elsewhere() -> subprocess.Popen[str]:
    """Another Python with a lab and a busy process in it; it prints "up" when both are there."""
    program = (
        "import time\nfrom netpath.lab import Lab\nwith Lab(1) as lab:\n"
        "    lab.router.popen(['sleep', '1000'])\n    print('up', flush=True)\n    time.sleep(1000)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env)
    assert other.stdout
    assert other.stdout.readline() == "up\n"
    return other


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_removes_everything(number: signal.Signals) -> None:
    other = start_lab_elsewhere()
    assert traces(other.pid)
    other.send_signal(number)
    other.wait(20)
    assert traces(other.pid) == []


def test_next_lab_removes_what_a_killed_one_left() -> None:
    other = start_lab_elsewhere()
    other.kill()
    other.wait(20)
    assert traces(other.pid)
    living = traces(os.getpid())
    with Lab(1):
        assert traces(other.pid) == []
        assert set(living) < set(traces(os.getpid()))


def test_failed_building_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = traces(os.getpid())
    monkeypatch.setattr("netpath.lab.layout.router_side", lambda *_: "no such command\n")
    with pytest.raises(LabError, match="no such command"), Lab(1):
        pass
    assert traces(os.getpid()) == before
