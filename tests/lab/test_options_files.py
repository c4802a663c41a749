# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole files: the two examples, imported mwan3 files, weights and metrics together, two gateways on one device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from netpath.lab.uci import config, section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WIKI = ROOT / "tests/unit/config/data/mwan3-wiki.uci"
FAMILIES = ("ipv4", "ipv6")


def lent(text: str) -> str:
    """The file with targets that the lab has, instead of public servers."""
    public = ("1.1.1.1", "8.8.8.8", "9.9.9.9", "2606:4700:4700::1111", "2001:4860:4860::8888")
    here = (*SERVERS["ipv4"][:3], *SERVERS["ipv6"][:2])
    for theirs, ours in zip(public, here, strict=True):
        text = text.replace(theirs, ours)
    return text


def answered(lab: Lab, *names: str) -> bool:
    rows = lab.call({"cmd": "metrics"})["interfaces"]
    return all(any(t["latency"] for t in rows[n]["targets"]) for n in names)


@pytest.mark.parametrize("name", ["netpath.uci", "config.toml"])
def test_the_examples_run_as_they_are(name: str) -> None:
    """A lab whose devices have the example's names, with the servers that its tracking methods ask for."""
    with Lab(["eth1", "wwan0", "pppoe-dsl", "eth2"], guest=True) as lab:
        lab.start_https()
        lab.start_dns([("example.com", SERVERS["ipv4"][0])])
        file = lab.directory / name
        file.write_text(lent((EXAMPLES / name).read_text()))
        lab.start_netpath(file=file)
        rows = lab.call({"cmd": "status"})["interfaces"]
        assert set(rows) == {"wan", "wan6", "lte", "dsl", "cable"}
        wait_until(lambda: answered(lab, *rows), 15, "every tracking method to be answered")
        lab.wait_states(dict.fromkeys(rows, "online"))
        tcp = lab.flows(50, proto="tcp")
        assert tcp == {"eth1": 30, "pppoe-dsl": 10, "eth2": 10}, "balanced_lines: 3 to 1 to 1"
        assert lab.flows(4, "ipv6") == {"eth1": 4}
        assert lab.flows(1, sport=5060, tos=46 << 2) == {"eth1": 1}, "voice"
        assert lab.flows(4, "ipv6", where=lab.guest) == {"eth1": 4}
        lab.call({"cmd": "ifdown", "interface": "wan"})
        assert lab.flows(1, sport=5061, tos=40 << 2) == {"wwan0": 1}, "voice falls back to lte"
        assert "error" not in lab.netpath("--config", str(file), "check"), "its exit code is 0 too"
        assert "error" not in lab.call({"cmd": "reload"})
        assert lab.flows(20, proto="tcp") == {"pppoe-dsl": 10, "eth2": 10}


def test_imported_mwan3_files_steer_as_the_originals() -> None:
    """`netpath import mwan3` of the wiki's example, started by the daemon; then mwan3's shipped file."""
    with Lab(["wan", "wan2", "wanb"], clients=4) as lab:
        original, native = lab.directory / "mwan3", lab.directory / "netpath"
        text = WIKI.read_text()
        for number, target in enumerate(("8.8.4.4", "8.8.8.8", "208.67.222.222", "208.67.220.220")):
            text = text.replace(target, SERVERS["ipv4"][number])
        original.write_text(text)
        lab.netpath("import", "mwan3", str(original), "-o", str(native))
        assert "use_policy" not in native.read_text()
        process = lab.start_netpath(file=native)
        lab.wait_status(wan="online", wan2="online")
        taken = lab.flows(50, proto="tcp")
        assert (taken["wan"], taken["wan2"]) == (30, 20)
        process.stop()
        shipped = (EXAMPLES / "mwan3").read_text()
        targets = ("1.0.0.1", "1.1.1.1", "208.67.222.222", "208.67.220.220")
        for number, target in enumerate(targets):
            shipped = shipped.replace(target, SERVERS["ipv4"][number])
        original.write_text(
            shipped.replace("option enabled '0'\n\toption family 'ipv4'", "option family 'ipv4'\n\toption enabled '1'")
        )
        lab.netpath("import", "mwan3", str(original), "-o", str(native), "--force")
        lab.start_netpath(file=native)
        lab.wait_status(wan="online", wanb="online", wan6="disabled", wanb6="disabled")
        assert lab.flows(10, proto="tcp") == {"wan": 5, "wanb": 5}
        https = Counter(next(iter(_by_capture(lab, client))) for client in lab.clients_of() for _ in range(2))
        assert set(https) == {"wan", "wanb"}
        assert all(n % 2 == 0 for n in https.values()), "rule https is sticky"


def _by_capture(lab: Lab, client: str) -> set[str]:
    """The uplinks that carried a connection to port 443, where nothing listens."""
    captures = {name: lab.capture(name) for name in ("wan", "wanb")}
    lab.flows(1, "ipv4", "tcp", src=client, dport=443, timeout=1)
    used = {n for n, c in captures.items() if any(p.outgoing and p.dport == 443 for p in c.packets())}
    for capture in captures.values():
        capture.close()
    return used


@pytest.fixture(scope="module")
def three() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


def serve(lab: Lab, **choices: Any) -> None:
    """Start, or reload, with these choices of `netpath.lab.uci.config`."""
    text = lab.config(**choices)
    if lab.socket.exists():
        lab.config_file.write_text(text)
        reply = lab.call({"cmd": "reload"})
        assert "error" not in reply, reply
    else:
        lab.start_netpath(text)
    lab.wait_states({u.interface(f): "online" for u in lab.uplinks for f in FAMILIES})


@pytest.mark.parametrize("family", FAMILIES)
def test_three_to_two_to_one_is_exact_and_without_bursts(three: Lab, family: str) -> None:
    serve(three, mode="balanced", weights={"wan": 3, "wan2": 2, "wan3": 1})
    taken = [r.outcome for r in three.flow_records(120, family, "tcp", concurrency=1)]
    assert Counter(taken) == {"wan": 60, "wan2": 40, "wan3": 20}
    assert Counter(taken[:6]) == {"wan": 3, "wan2": 2, "wan3": 1}, "each six flows have the whole share"
    assert max(len(list(run)) for _, run in groupby(taken)) <= 2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["balanced", "round-robin", "weighted", "random", "hash", "failover"])
def test_metrics_and_weights_together(three: Lab, mode: str, family: str) -> None:
    """wan3 waits while one of the others lives; a dead one's share goes to its peer of the same metric."""
    metrics, weights = {"wan": 1, "wan2": 1, "wan3": 2}, {"wan": 3, "wan2": 1, "wan3": 9}
    serve(three, mode=mode, metrics=metrics, weights=weights)
    clients = three.clients_of(family)
    taken = three.flows(80, family, "tcp", src=clients)
    wanted: dict[str, dict[str, int]] = {
        "balanced": {"wan": 60, "wan2": 20},
        "round-robin": {"wan": 40, "wan2": 40},
        "failover": {"wan": 80},
    }
    if mode in wanted:
        assert taken == wanted[mode]
    else:
        assert set(taken) <= {"wan", "wan2"}
        assert sum(taken.values()) == 80
    names = {n: n if family == "ipv4" else f"{n}_6" for n in ("wan", "wan2")}
    three.call({"cmd": "ifdown", "interface": names["wan"]})
    assert three.flows(20, family, "tcp", src=clients) == {"wan2": 20}
    three.call({"cmd": "ifdown", "interface": names["wan2"]})
    assert three.flows(20, family, "tcp", src=clients) == {"wan3": 20}
    for name in names.values():
        three.call({"cmd": "ifup", "interface": name})


def test_mwan3s_use_policy_names_another_policy_for_each_rule(lab: Lab, start: Start) -> None:
    one = section("policy", "one", {"use_member": ["wan2_m1_w1", "wan2_6_m1_w1"]})
    start(
        rules=section("rule", "r", {"use_policy": "one", "proto": "tcp"})
        + one
        + section("rule", "s", {"use_policy": "unreachable"})
    )
    assert lab.flows(4, proto="tcp") == {"wan2": 4}
    assert lab.flows(4, "ipv6", "tcp") == {"wan2": 4}
    with lab.capture("lan") as told:
        assert lab.flows(2, timeout=0.5).keys() <= {"timeout", "unreachable"}
        assert [p for p in told.packets() if p.outgoing and p.proto == "icmp"]


SECOND_PUBLIC = "203.0.113.50"
SECOND_GATEWAY = f"""
table inet second {{
  chain in {{ type filter hook prerouting priority -145; iifname "cust2" ct mark set 5; }}
  chain nat {{ type nat hook postrouting priority 90; ct mark 5 ip saddr 198.51.100.0/24 snat ip to {SECOND_PUBLIC}; }}
}}
"""


@pytest.fixture
def second_gateway(lab: Lab) -> Iterator[str]:
    """A second router in wan's subnet, with a MAC address of its own; servers see its flows as `SECOND_PUBLIC`."""
    isp, gateway = lab.isps[1], lab.uplinks[0].gateways4[1]
    isp.sysctl({"ipv4/conf/all/arp_ignore": 1})
    isp.ip("link add cust2 link cust type macvlan mode bridge\nlink set cust2 up\n")
    isp.ip(f"addr add {gateway}/28 dev cust2 noprefixroute\n")
    isp.nft(SECOND_GATEWAY)
    lab.internet.ip(f"route add {SECOND_PUBLIC}/32 via {lab.uplinks[0].public('ipv4')} dev isp1\n")
    yield gateway
    lab.internet.ip(f"route del {SECOND_PUBLIC}/32 dev isp1\n")
    isp.nft("delete table inet second\n")
    isp.ip("link del cust2\n")
    isp.sysctl({"ipv4/conf/all/arp_ignore": 0})


def two_lines(lab: Lab, gateway: str) -> str:
    """Two sections of device wan, one for each gateway; port 5001 belongs to the second."""
    text = config(lab.uplinks[1:], mode="failover", rules="")
    for name, via in (("line_a", lab.gateway("wan")), ("line_b", gateway)):
        track: dict[str, Any] = {
            "track_targets": [SERVERS["ipv4"][0]],
            "interval": "100ms",
            "failure_interval": "100ms",
            "up": 2,
        }
        text += section("interface", name, {"ifname": "wan", "gateway": via, **track})
        text += section("member", f"{name}_m", {"interface": name})
        text += section("policy", f"by_{name}", {"members": [f"{name}_m"]})
    text += section("rule", "b", {"proto": "tcp", "dest_port": 5001, "policy": "by_line_b"})
    return text + section("rule", "a", {"policy": "by_line_a"})


def test_two_gateways_in_one_subnet_serve_their_own_rules(lab: Lab, start: Start, second_gateway: str) -> None:
    start(two_lines(lab, second_gateway))
    assert lab.flows(6, proto="tcp") == {"wan": 6}
    assert lab.flows(6, proto="tcp", dport=5001) == {SECOND_PUBLIC: 6}
    with lab.hold(proto="tcp", dport=5001) as held:
        held.wait(lambda r: r.seq > 10)
        assert set(held.outcomes()) == {SECOND_PUBLIC}


def test_each_of_two_gateways_in_one_subnet_is_tracked_by_itself(lab: Lab, start: Start, second_gateway: str) -> None:
    start(two_lines(lab, second_gateway))
    isp = lab.isps[1]
    isp.nft('table netdev dead { chain c { type filter hook ingress device "cust2" priority 0; drop\n }\n}\n')
    try:
        lab.wait_states({"line_b": "offline", "line_a": "online"}, 5)
    finally:
        isp.nft("delete table netdev dead\n")
