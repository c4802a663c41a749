# SPDX-License-Identifier: GPL-2.0-or-later
"""Every tracking method, from the configuration through the running daemon to real servers, and back to real flows."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab, Process
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

SERVER, SERVER6 = SERVERS["ipv4"][2], SERVERS["ipv6"][2]
WEB = """
import http.server, pathlib, socket, sys
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(int(pathlib.Path(sys.argv[1]).read_text()))
        self.end_headers()
    def log_message(self, *_): pass
server = Server(("::", 8080), Handler)
print("ready", flush=True)
server.serve_forever()
"""
"""Answers each HEAD with the status that a file holds."""


def http_server(lab: Lab) -> Path:
    """Start `WEB` on port 8080 of all servers; the file that holds its status, 200 now."""
    status = lab.directory / "status"
    status.write_text("200")
    lab.internet.popen([sys.executable, "-c", WEB, str(status)], name="web").wait_for("ready")
    return status


@contextlib.contextmanager
def dns_server(lab: Lab) -> Iterator[Process]:
    server = lab.start_dns([("lab.example", f"{SERVER},{SERVER6}")])
    try:
        yield server
    finally:
        server.stop()


def reason(lab: Lab, name: str) -> str:
    return str(lab.call({"cmd": "status"})["interfaces"][name]["reason"])


def by_both_families(method: str, target: str, target6: str, **more: Any) -> dict[str, dict[str, Any]]:
    """wan and wan_6 tracked by `method`; wan2 stays with ping."""
    return {
        "wan": {"track_method": method, "track_targets": [target], **more},
        "wan_6": {"track_method": method, "track_targets": [target6], **more},
    }


def test_ping_says_who_refused(lab: Lab, start: Start) -> None:
    """A router on the way that rejects the probes is quoted, and nobody waits for a timeout."""
    start(mode="failover", options={"timeout": 60}, per_interface={"wan": {"track_targets": [SERVER]}})
    isp = lab.isps[1]
    isp.nft(
        "table inet refuse { chain c { type filter hook forward priority 0;\n"
        f" ip daddr {SERVER} icmp type echo-request reject with icmp host-unreachable\n }}\n}}\n"
    )
    try:
        lab.wait_status(wan="offline")
        assert "unreachable" in reason(lab, "wan")
        assert lab.flows(5) == {"wan2": 5}
    finally:
        isp.nft("delete table inet refuse\n")
    lab.wait_status(wan="online")


def test_httping_judges_the_status_of_a_page(lab: Lab, start: Start) -> None:
    status = http_server(lab)
    pages = by_both_families("httping", f"http://{SERVER}:8080/page", f"http://[{SERVER6}]:8080/page")
    start(mode="failover", per_interface=pages)
    assert lab.flows(5) == {"wan": 5}
    status.write_text("500")
    lab.wait_status(wan="offline", wan_6="offline", wan2="online")
    assert "HTTP status 500" in reason(lab, "wan")
    assert lab.flows(5) == {"wan2": 5}
    assert lab.flows(5, "ipv6") == {"wan2": 5}
    status.write_text("302")
    lab.wait_status(wan="online", wan_6="online")
    assert lab.flows(5) == {"wan": 5}


def start_with_names(lab: Lab, text: str, certificate: Path) -> Process:
    """Start NetPath where the server's DNS is the system's and `certificate` an authority of the system."""
    resolv = lab.directory / "resolv.conf"
    resolv.write_text(f"nameserver {SERVER}\n")
    lab.config_file.write_text(text)
    own_mounts = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(resolv)]
    argv = [*own_mounts, "env", *lab.environment, f"SSL_CERT_FILE={certificate}", *lab._netpath("run")]
    process = lab.router.popen(argv, name="netpath")
    wait_until(lab._answers, 20, "NetPath to answer", process)
    return process


def test_httping_over_tls_checks_the_certificate_of_a_name(lab: Lab) -> None:
    """The server's certificate is for lab.example and bare addresses; other.example is the same server."""
    certificate = lab.start_https()
    records = [("lab.example", SERVER), ("other.example", SERVER)]
    server = lab.start_dns(records)
    try:
        targets = {
            "wan": {"track_targets": ["https://lab.example/"]},
            "wan2": {"track_targets": ["other.example"], "httping_ssl": 1},
            "wan_6": {"track_targets": [SERVER6], "httping_ssl": 1},
            "wan2_6": {"track_targets": [SERVERS["ipv6"][3]], "track_method": "ping"},
        }
        with lab.capture("wan") as capture:
            start_with_names(lab, lab.config(options={"track_method": "httping"}, per_interface=targets), certificate)
            lab.wait_status(wan="online", wan_6="online", wan2="offline")
            assert "certificate: Hostname mismatch" in reason(lab, "wan2")
            wait_until(lambda: _proved(lab, "wan") and _proved(lab, "wan_6"), 10, "probes to be answered")
            asked = {(p.family, p.proto, p.dport) for p in capture.packets() if p.outgoing and p.dport in (53, 443)}
        assert asked == {("ipv4", "udp", 53), ("ipv4", "tcp", 443), ("ipv6", "tcp", 443)}
    finally:
        server.stop()


def _proved(lab: Lab, name: str) -> bool:
    """Whether a target of the interface has answered (not only been trusted at the start)."""
    return any(t["latency"] for t in lab.call({"cmd": "metrics"})["interfaces"][name]["targets"])


@pytest.mark.parametrize("method", ["dns", "nslookup"])
def test_dns_notices_a_server_that_is_gone(lab: Lab, start: Start, method: str) -> None:
    with dns_server(lab) as server:
        start(mode="failover", per_interface=by_both_families(method, SERVER, SERVER6, dns_query="lab.example"))
        wait_until(lambda: _proved(lab, "wan") and _proved(lab, "wan_6"), 10, "queries to be answered")
        server.stop()
        lab.wait_status(wan="offline", wan_6="offline", wan2="online", wan2_6="online")
        assert "refused" in reason(lab, "wan"), "port unreachable is no reason to wait for a timeout"
        assert lab.flows(5) == {"wan2": 5}
    with dns_server(lab):
        lab.wait_status(wan="online", wan_6="online")


def test_arping_asks_the_gateway_and_nothing_behind_it(lab: Lab, start: Start) -> None:
    """With arping wan lives as long as its gateway does; a ping through the same line tells that the line is dead."""
    witness: dict[str, Any] = {
        "ifname": "wan",
        "track_method": "ping",
        "track_targets": [SERVER],
        "interval": "100ms",
        "up": 3,
    }
    start(
        mode="failover",
        options={"failure_interval": "100ms"},
        per_interface={
            "wan": {"track_method": "arping", "track_targets": [lab.gateway("wan")]},
            "wan_6": {"track_method": "arping", "track_targets": [lab.gateway("wan", "ipv6")]},
        },
        extra=section("interface", "witness", witness),
    )
    wait_until(lambda: _proved(lab, "wan") and _proved(lab, "wan_6"), 10, "neighbours to answer")
    lab.cut("wan", gateway_alive=True)
    lab.wait_status(witness="offline")
    before = lab.call({"cmd": "metrics"})["interfaces"]

    def asked_again() -> bool:
        now = lab.call({"cmd": "metrics"})["interfaces"]
        return all(now[n]["targets"][0]["sent"] > before[n]["targets"][0]["sent"] + 5 for n in ("wan", "wan_6"))

    wait_until(asked_again, 10, "more neighbour probes")
    lab.wait_status(wan="online", wan_6="online", witness="offline")
    lab.cut("wan")
    lab.wait_status(wan="offline", wan_6="offline")
    assert lab.flows(5) == {"wan2": 5}
    assert lab.flows(5, "ipv6") == {"wan2": 5}
    lab.restore("wan")
    lab.wait_status(wan="online", wan_6="online")


def test_arping_without_targets_asks_the_gateway(lab: Lab, start: Start) -> None:
    text = lab.config(mode="failover", per_interface={"wan": {"track_method": "arping"}})
    lines = text.split("\n\n")
    for index, block in enumerate(lines):
        if "interface 'wan'" in block.splitlines()[0]:
            lines[index] = "\n".join(line for line in block.splitlines() if "track_targets" not in line)
    start("\n\n".join(lines))
    assert "track_targets" not in lines[1]
    wait_until(lambda: _proved(lab, "wan"), 10, "the gateway to answer")
    lab.cut("wan")
    lab.wait_status(wan="offline")


def test_tcp_tells_a_filtered_port_from_a_closed_one(lab: Lab, start: Start) -> None:
    """A closed port answers, so the line is alive; a filtered one is silent."""
    start(
        mode="failover",
        per_interface=by_both_families("tcp", f"{SERVER}:5001", f"[{SERVER6}]:5001")
        | {"wan2": {"track_method": "tcp", "track_targets": [SERVERS["ipv4"][3]], "tcp_port": 9}},
    )
    wait_until(lambda: all(_proved(lab, n) for n in ("wan", "wan_6", "wan2")), 10, "connections to be answered")
    lab.internet.nft("table inet filtered { chain c { type filter hook input priority 0; tcp dport 5001 drop\n }\n}\n")
    try:
        lab.wait_status(wan="offline", wan_6="offline", wan2="online")
        assert lab.flows(5) == {"wan2": 5}
    finally:
        lab.internet.nft("delete table inet filtered\n")
    lab.wait_status(wan="online", wan_6="online")


def test_none_and_no_targets_leave_it_to_the_link(lab: Lab, start: Start) -> None:
    start(mode="failover", per_interface={"wan": {"track_method": "none"}})
    assert lab.call({"cmd": "status"})["interfaces"]["wan"]["tracking"] == "none"
    with lab.events() as events:
        lab.cut("wan")
        events.wait("wan_6", "offline")
        lab.wait_status(wan="online")
        assert lab.call({"cmd": "metrics"})["interfaces"]["wan"]["targets"] == []
        lab.carrier("wan", False)
        events.wait("wan", "offline")
    assert lab.flows(5) == {"wan2": 5}


def arp_requests(lab: Lab, device: str) -> socket.socket:
    """A socket that receives what the router asks by ARP from now on."""

    def make() -> socket.socket:
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        sniffer.bind((device, 3))  # ETH_P_ALL: ETH_P_ARP would not see outgoing packets
        sniffer.settimeout(10)
        return sniffer

    return lab.router.inside(make)


def test_mwan3s_names_of_methods_send_what_they_should(lab: Lab, start: Start) -> None:
    targets = {"ipv4": [SERVER], "ipv6": [SERVER6]}
    with lab.capture("wan") as first, lab.capture("wan2") as second, dns_server(lab):
        start(
            per_interface={
                "wan": {"track_method": "nping-tcp", "track_targets": targets["ipv4"]},
                "wan_6": {"track_method": "nping-udp", "track_targets": targets["ipv6"]},
                "wan2": {"track_method": "nslookup", "track_targets": targets["ipv4"], "dns_query": "lab.example"},
                "wan2_6": {"track_method": "nping-icmp", "track_targets": targets["ipv6"]},
            }
        )
        wait_until(lambda: all(_proved(lab, n) for n in ("wan", "wan_6", "wan2", "wan2_6")), 10, "answers")

        def sent(packets: list[Any], dst: str) -> set[tuple[str, int]]:
            return {(p.proto, p.dport) for p in packets if p.outgoing and p.dst == dst}

        assert sent(first.packets(), SERVER) == {("tcp", 443)}
        assert sent(second.packets(), SERVER) == {("udp", 53)}
        assert sent(first.packets(), SERVER6) == {("icmpv6", 0)}
        assert sent(second.packets(), SERVER6) == {("icmpv6", 0)}
    lab.config_file.write_text(
        lab.config(per_interface={"wan": {"track_method": "nping-arp", "track_targets": [lab.gateway("wan")]}})
    )
    wanted = socket.inet_aton(lab.gateway("wan"))
    with arp_requests(lab, "wan") as arp:
        assert "error" not in lab.call({"cmd": "reload"})
        while True:
            data, where = arp.recvfrom(256)
            if where[1] == 0x0806 and where[2] == socket.PACKET_OUTGOING and data[24:28] == wanted:
                break
        assert int.from_bytes(data[6:8]) == 1, "an ARP request"


@pytest.mark.parametrize(
    ("method", "target"),
    [("ping", "{}"), ("tcp", "{}:7"), ("dns", "{}"), ("httping", "http://{}/")],
    ids=["ping", "tcp", "dns", "httping"],
)
def test_probes_leave_by_their_own_uplink_and_meet_no_policy(lab: Lab, start: Start, method: str, target: str) -> None:
    """Everything is sent to wan2; wan's own targets, of both families, are seen on wan and nowhere else."""
    own = {"wan": SERVER, "wan_6": f"[{SERVER6}]" if method in ("tcp", "httping") else SERVER6}
    second = section("policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]})
    with dns_server(lab) if method == "dns" else contextlib.nullcontext():
        with lab.capture("wan") as here, lab.capture("wan2") as there:
            process = start(
                rules=section("rule", "r", {"policy": "second", "sticky": 1}) + second,
                per_interface={
                    n: {"track_method": method, "track_targets": [target.format(a)], "dns_query": "lab.example"}
                    for n, a in own.items()
                },
            )
            with lab.events() as events:
                for _ in range(2):
                    before = _sent(lab)
                    lab.router.run(["conntrack", "-F"], check=False)
                    lab.netpath("reload")
                    events.wait_for(lambda e: e["kind"] == "config", "the reload")
                    wait_until(lambda b=before: _sent(lab) > b + 6, 10, "more probes")  # type: ignore[misc]
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                assert children == "", "probes need no other program"
                assert [e for e in events.seen if e["kind"] == "interface"] == []
            for wanted in (SERVER, SERVER6):
                assert [p for p in here.packets() if p.outgoing and p.dst == wanted], "no probes on their own uplink"
                assert [p for p in there.packets() if p.outgoing and p.dst == wanted] == []
        assert all(_proved(lab, n) for n in own)
        replies = lab.call({"cmd": "rules"})
        assert [r["packets"] for r in replies["rules"]] == [0], "a probe was counted by a rule"
        assert replies["default"]["packets"] == 0
        assert lab.call({"cmd": "status"})["interfaces"]["wan"]["status"] == "online"
        assert lab.flows(5) == {"wan2": 5}


def _sent(lab: Lab) -> int:
    rows = lab.call({"cmd": "metrics"})["interfaces"]
    return int(min(sum(t["sent"] for t in rows[n]["targets"]) for n in ("wan", "wan_6")))
