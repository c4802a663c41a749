# SPDX-License-Identifier: GPL-2.0-or-later
"""The router's own DNS: real providers' servers, which answer their customers only, and a real dnsmasq that asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from netpath.lab import Lab, Process
from netpath.lab.plan import LAN
from netpath.lab.uci import section
from tests.lab.conftest import Start
from tests.lab.dnsmasq import Dnsmasq, ask

pytestmark = pytest.mark.lab

SERVERS = {
    "ipv4": {"wan": "203.0.113.221", "wan2": "203.0.113.222"},
    "ipv6": {"wan": "2001:db8:5::1", "wan2": "2001:db8:5::2"},
}
"""Family -> uplink -> address of its provider's DNS server."""
ANSWER = {"wan": "203.0.113.241", "wan2": "203.0.113.242"}
"""What each of them says to every question."""


@pytest.fixture
def providers(lab: Lab) -> Iterator[Mapping[str, Process]]:
    servers = {}
    for uplink in lab.uplinks:
        isp = lab.isps[uplink.number]
        addresses = [SERVERS[f][uplink.name] for f in ("ipv4", "ipv6")]
        for address in addresses:
            length = "32" if "." in address else "128"
            isp.run(["ip", "addr", "replace", f"{address}/{length}", "dev", "lo"])
        # As providers do: who is no customer gets no answer.
        isp.nft('table inet own { chain in { type filter hook input priority 0; iifname != { "cust", "lo" } '
                "meta l4proto { tcp, udp } th dport 53 drop; }; }\n")  # fmt: skip
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root"]
        argv += ["--no-resolv", "--no-hosts", "--pid-file=", "--local-ttl=0", f"--address=/#/{ANSWER[uplink.name]}"]
        servers[uplink.name] = isp.popen([*argv, *(f"--listen-address={a}" for a in addresses), "--bind-interfaces"])
    for server in servers.values():
        server.wait_for("started, version")
    try:
        yield servers
    finally:
        for uplink in lab.uplinks:
            lab.isps[uplink.number].nft("delete table inet own\n")
            servers[uplink.name].stop()


def dns(family: str = "ipv4") -> dict[str, dict[str, Any]]:
    ending = "" if family == "ipv4" else "_6"
    return {f"{name}{ending}": {"dns": [address]} for name, address in SERVERS[family].items()}


def questions(lab: Lab, device: str, server: str, during: Any) -> int:
    """How many packets for `server` the router sends out of `device` while `during` is done."""
    with lab.capture(device) as capture:
        during()
        return sum(1 for p in capture.packets() if p.outgoing and p.dst == server and p.dport == 53)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_each_provider_is_asked_by_its_own_uplink(
    lab: Lab, start: Start, providers: Mapping[str, Process], family: str
) -> None:
    """Without that both questions leave by the main default, and the second provider does not answer strangers."""
    start(per_interface=dns(family), rules=FIRST)
    for name, server in SERVERS[family].items():
        assert ask(lab, lab.router, server, "any.example")[0] == ANSWER[name]
    lab.config_file.write_text(lab.config(per_interface=dns(family), globals_={"dns_failover": 0}, rules=FIRST))
    assert "error" not in lab.call({"cmd": "reload"})
    assert ask(lab, lab.router, SERVERS[family]["wan2"], "other.example")[0] == "TimeoutError"


FIRST = section("policy", "first", {"members": ["wan_m1_w1", "wan_6_m1_w1"]}) + section(
    "rule", "rest", {"policy": "first"}
)


@pytest.mark.parametrize("how", ["silent", "carrier"])
def test_a_dead_uplinks_server_is_not_asked(lab: Lab, start: Start, providers: Mapping[str, Process], how: str) -> None:
    """dnsmasq knows both servers and goes on to the living one by itself, for it is refused the other at once."""
    resolver = Dnsmasq(lab, list(SERVERS["ipv4"].values()))
    resolver.start()
    try:
        start(per_interface=dns())
        assert ask(lab, lab.lan, LAN.router("ipv4"), "a.example")[0] in ANSWER.values()
        with lab.events() as events:
            if how == "silent":
                lab.cut("wan")
            else:
                lab.carrier("wan", False)
                lab.router.ip("route del default dev wan\n", "ipv4")  # as netifd does
            events.wait("wan", "offline")
        dead = SERVERS["ipv4"]["wan"]

        def asked() -> None:
            for number in range(6):
                answer, seconds = ask(lab, lab.lan, LAN.router("ipv4"), f"b{number}.example")
                assert answer == ANSWER["wan2"]
                assert float(seconds) < 2.0, "dnsmasq itself waits longer than that for a silent server"

        with lab.capture("wan2") as second:
            if how == "silent":
                assert questions(lab, "wan", dead, asked) == 0
            else:
                asked()
            assert [p for p in second.packets() if p.outgoing and p.dst == dead] == []
        assert ask(lab, lab.router, dead, "direct.example")[0] == "PermissionError", "refused on the spot"
        why = lab.call({"cmd": "explain", "src": LAN.router("ipv4"), "dst": dead, "proto": "udp", "dport": 53})["why"]
        assert [w for w in why if "refused" in w], why
        with lab.events() as events:
            lab.restore("wan")
            lab.carrier("wan", True)
            lab.ifup("wan")
            events.wait("wan", "online")
        assert ask(lab, lab.router, dead, "back.example")[0] == ANSWER["wan"]
    finally:
        resolver.stop()


def test_a_server_that_both_uplinks_name_goes_on_by_the_other(
    lab: Lab, start: Start, providers: Mapping[str, Process]
) -> None:
    public = lab.start_dns([("any.example", "203.0.113.243")])
    try:
        server = "203.0.113.206"
        start(per_interface={"wan": {"dns": [server]}, "wan2": {"dns": [server]}})
        assert questions(lab, "wan", server, lambda: ask(lab, lab.router, server, "any.example")) == 1
        lab.call({"cmd": "ifdown", "interface": "wan"})
        lab.wait_states({"wan": "disabled"})
        assert questions(lab, "wan2", server, lambda: ask(lab, lab.router, server, "any.example")) == 1
        assert ask(lab, lab.router, server, "any.example")[0] == "203.0.113.243"
    finally:
        public.stop()


def test_a_probe_of_a_dead_uplinks_server_goes_on(lab: Lab, start: Start, providers: Mapping[str, Process]) -> None:
    """Tracked by its own DNS server, the uplink is found to be back: probes are not refused."""
    own = {"wan": {**dns()["wan"], "track_method": "dns", "track_targets": [SERVERS["ipv4"]["wan"]]}}
    start(per_interface=own)
    with lab.events() as events:
        lab.cut("wan")
        events.wait("wan", "offline")
        lab.restore("wan")
        events.wait("wan", "online")
