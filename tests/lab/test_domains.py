# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules by domain with a real dnsmasq: a client asks for a name, and its packets to what it got take the rule's way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.plan import LAN
from netpath.lab.uci import section
from tests.lab.dnsmasq import Dnsmasq, ask

pytestmark = pytest.mark.lab

POLICIES = section("policy", "first", {"members": ["wan_m1_w1", "wan_6_m1_w1"]}) + section(
    "policy", "second", {"members": ["wan2_m1_w1", "wan2_6_m1_w1"]}
)
REST = section("rule", "rest", {"policy": "first"})
FAMILIES = ("ipv4", "ipv6")
NAMES = {"site.example": 4, "www.site.example": 5, "other.example": 6, "elsewhere.example": 7}
"""Name -> which of the server addresses it has."""


@pytest.fixture
def resolver(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dnsmasq]:
    upstream = lab.start_dns([(n, f"{SERVERS['ipv4'][i]},{SERVERS['ipv6'][i]}") for n, i in NAMES.items()])
    resolver = Dnsmasq(lab, SERVERS["ipv4"][:1])
    resolver.start()
    monkeypatch.setenv("PATH", resolver.path)
    try:
        yield resolver
    finally:
        resolver.stop()
        upstream.stop()


def begin(lab: Lab, resolver: Dnsmasq, rules: str, **more: Any) -> None:
    text = lab.config(rules=POLICIES + rules + REST, globals_={**resolver.globals_, **more})
    lab.start_netpath(text)
    lab.wait_states(dict.fromkeys(("wan", "wan_6", "wan2", "wan2_6"), "online"))


def reload(lab: Lab, resolver: Dnsmasq, rules: str) -> list[dict[str, Any]]:
    lab.config_file.write_text(lab.config(rules=POLICIES + rules + REST, globals_=resolver.globals_))
    reply = lab.call({"cmd": "reload"})
    assert "error" not in reply, reply
    warnings: list[dict[str, Any]] = reply["warnings"]
    return warnings


def visit(lab: Lab, name: str, family: str, router: str = "") -> set[str]:
    """A LAN client resolves `name` by the router and opens connections to it: the uplinks that they take."""
    answer = ask(lab, lab.lan, router or LAN.router("ipv4"), name, family)
    server = SERVERS[family][NAMES[name]]
    assert answer[0] == server
    return set(lab.flows(3, family, dst=server))


def test_a_name_and_all_below_it_take_the_rules_way_in_both_families(lab: Lab, resolver: Dnsmasq) -> None:
    begin(lab, resolver, section("rule", "sites", {"domain": ["site.example", "*.Other.example."], "policy": "second"}))
    assert resolver.told() == ["try-restart dnsmasq.service"]
    for family in FAMILIES:
        assert set(lab.flows(3, family, dst=SERVERS[family][4])) == {"wan"}, "nobody has asked yet"
        assert visit(lab, "site.example", family) == {"wan2"}
        assert visit(lab, "www.site.example", family) == {"wan2"}
        assert visit(lab, "other.example", family) == {"wan2"}
        assert visit(lab, "elsewhere.example", family) == {"wan"}


def test_other_criteria_and_the_family_hold_too(lab: Lab, resolver: Dnsmasq) -> None:
    options = {"domain": "site.example", "proto": "tcp", "dest_port": "5001", "family": "ipv4", "policy": "second"}
    begin(lab, resolver, section("rule", "site", options))
    assert visit(lab, "site.example", "ipv4") == {"wan"}
    visit(lab, "site.example", "ipv6")
    server, server6 = SERVERS["ipv4"][4], SERVERS["ipv6"][4]
    assert lab.flows(3, proto="tcp", dport=5001, dst=server) == {"wan2": 3}
    assert lab.flows(3, proto="tcp", dport=5002, dst=server) == {"wan": 3}
    assert lab.flows(3, "ipv6", proto="tcp", dport=5001, dst=server6) == {"wan": 3}
    assert all("6#" not in line for line in resolver.lines)


def test_several_rules_share_a_name(lab: Lab, resolver: Dnsmasq) -> None:
    """dnsmasq uses one line for a name: the longest domain that fits, and the first of those."""
    udp = section("rule", "one", {"domain": "site.example", "proto": "udp", "policy": "second"})
    tcp = section("rule", "two", {"domain": ["www.site.example", "site.example"], "proto": "tcp", "policy": "second"})
    web = section("rule", "three", {"domain": "www.site.example", "policy": "blackhole"})
    begin(lab, resolver, udp + tcp + web)
    heads = [line.partition("=/")[2].partition("/")[0] for line in resolver.lines]
    assert heads == ["site.example", "www.site.example"], "one line a domain"
    assert visit(lab, "www.site.example", "ipv4") == {"wan2"}
    assert lab.flows(2, proto="tcp", dst=SERVERS["ipv4"][5]) == {"wan2": 2}
    assert lab.flows(2, "ipv4", "udp", dst=SERVERS["ipv4"][4]) == {"wan": 2}


def test_addresses_stay_over_reloads_and_go_with_the_name(lab: Lab, resolver: Dnsmasq) -> None:
    site = section("rule", "site", {"domain": "site.example", "policy": "second"})
    begin(lab, resolver, site)
    assert visit(lab, "site.example", "ipv4") == {"wan2"}
    reload(lab, resolver, site + section("rule", "more", {"proto": "icmp", "policy": "second"}))
    server = SERVERS["ipv4"][4]
    assert lab.flows(2, dst=server) == {"wan2": 2}
    assert len(resolver.told()) == 1, "nothing has changed for dnsmasq"
    reload(lab, resolver, section("rule", "site", {"domain": "other.example", "policy": "second"}))
    assert lab.flows(2, dst=server) == {"wan": 2}, "no longer a name of the rule"
    assert visit(lab, "other.example", "ipv4") == {"wan2"}
    assert len(resolver.told()) == 2


def test_a_table_that_was_lost_is_filled_again(lab: Lab, resolver: Dnsmasq) -> None:
    """dnsmasq adds nothing that it has in its cache, so it has to forget."""
    begin(lab, resolver, section("rule", "site", {"domain": "site.example", "policy": "second"}))
    assert visit(lab, "site.example", "ipv4") == {"wan2"}
    with lab.events() as events:
        lab.router.run(["nft", "delete", "table", "inet", "netpath"])
        events.wait_for(lambda event: event["kind"] == "table", "the loss")
    assert "error" not in lab.call({"cmd": "reload"})
    assert visit(lab, "site.example", "ipv4") == {"wan2"}


def test_the_file_goes_with_the_last_rule_with_a_switched_off_netpath_and_with_a_stop(
    lab: Lab, resolver: Dnsmasq
) -> None:
    site = section("rule", "site", {"domain": "site.example", "policy": "second"})
    theirs = resolver.directory / "mine.conf"
    theirs.write_text("# of somebody else\n")
    begin(lab, resolver, site)
    assert resolver.file.exists()
    reload(lab, resolver, "")
    assert not resolver.file.exists()
    assert "dom_site" not in lab.router.run(["nft", "list", "ruleset"])
    reload(lab, resolver, site)
    assert resolver.file.exists()
    text = lab.config(rules=POLICIES + site + REST, globals_={**resolver.globals_, "enabled": 0})
    lab.config_file.write_text(text)
    lab.call({"cmd": "reload"})
    assert not resolver.file.exists()
    reload(lab, resolver, site)
    before = len(resolver.told())
    lab.netpath("restart", check=False)
    assert resolver.file.exists()
    assert len(resolver.told()) == before, "kept over a restart"
    lab.netpath("stop")
    assert not resolver.file.exists()
    assert len(resolver.told()) == before + 1
    assert theirs.read_text() == "# of somebody else\n"
    assert sorted(f.name for f in resolver.directory.iterdir()) == ["mine.conf"]


def test_a_file_of_somebody_else_is_left_alone(lab: Lab, resolver: Dnsmasq) -> None:
    resolver.file.write_text("# mine\n")
    begin(lab, resolver, "")
    warnings = reload(lab, resolver, section("rule", "site", {"domain": "site.example", "policy": "second"}))
    assert [w for w in warnings if "not ours" in w["message"]], warnings
    assert resolver.file.read_text() == "# mine\n"
    assert resolver.told() == []
    lab.netpath("stop")
    assert resolver.file.read_text() == "# mine\n"


OTHERS = {
    "without nftset": '--version) echo "Compile time options: IPv6 DHCP no-nftset";;',
    "does not take our lines (bad option at line 2)": '--test) echo "bad option at line 2" >&2; exit 1;;',
}


@pytest.mark.parametrize("why", OTHERS)
def test_a_dnsmasq_without_nftset_gets_no_line_that_would_stop_it(lab: Lab, resolver: Dnsmasq, why: str) -> None:
    site = section("rule", "site", {"domain": "site.example", "policy": "second"})
    begin(lab, resolver, site)
    assert resolver.file.exists()
    real = shutil.which("dnsmasq")
    other = resolver.home / "bin" / "dnsmasq"
    other.write_text(f'#!/bin/sh\ncase "$1" in {OTHERS[why]} *) exec {real} "$@";; esac\n')
    other.chmod(0o755)
    try:
        warnings = reload(lab, resolver, site)
        assert not resolver.file.exists(), "it came to replace the one that took the lines"
        assert [why in w["message"] for w in warnings if w["option"] == "domain"] == [True]
        assert ask(lab, lab.lan, LAN.router("ipv4"), "site.example")[0] == SERVERS["ipv4"][4], "DNS goes on"
        checks = lab.call({"cmd": "diag"})["checks"]
        assert [c["status"] for c in checks if c["topic"] == "domains"] == ["error"]
    finally:
        other.unlink()


def test_explain_asks_the_kernel_for_the_set(lab: Lab, resolver: Dnsmasq) -> None:
    begin(lab, resolver, section("rule", "site", {"domain": "site.example", "policy": "second"}))
    question = {"cmd": "explain", "src": "192.0.2.2", "dst": SERVERS["ipv4"][4], "proto": "udp", "dport": 7}
    before = lab.call(question)
    assert before["rule"] == "rest"
    assert {"rule": "site", "criterion": "domain"} in before["rejected"]
    assert [w for w in before["why"] if "not among the 0 addresses" in w]
    visit(lab, "site.example", "ipv4")
    after = lab.call(question)
    assert (after["rule"], after["uplink"]) == ("site", "wan2")
    assert [w for w in after["why"] if "under a domain of rule site" in w]
    assert lab.call({"cmd": "rules"})["rules"][0]["match"] == "domain site.example"
