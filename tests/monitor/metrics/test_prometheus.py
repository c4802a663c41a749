# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Prometheus scrapes a real router whose uplinks fail, with the alert rules and dashboard that we hand out."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from netpath.lab import Lab
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from netpath.steering.names import rule_chain
from tests.monitor.metrics.own import OWN
from tests.monitor.metrics.prometheus import EXAMPLES, PATIENCE, Prometheus

pytestmark = pytest.mark.lab

PORT = 9919
LONG = "a_rule_with_a_name_that_is_longer_than_forty_characters"
VARIABLES = {"$instance": ".*", "$policy": ".*", "$__rate_interval": "5s", "$__range": "1m"}


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Lab, Prometheus]]:
    with Lab(2) as lab:
        prometheus = Prometheus(lab, f"127.0.0.1:{PORT}")  # first: it looks for its targets after 5 s
        extra = section("member", "lte", {"interface": "wan2", "metric": 2, "quota": "5G", "quota_reset": 3})
        extra += section("policy", "limited", {"members": ["wan_m1_w1", "lte"]})
        rules = section("rule", LONG, {"proto": "tcp", "dest_port": 4711, "policy": "limited"})
        rules += section("rule", "everything", {"policy": "all"})
        lab.start_netpath(lab.config(extra=extra, rules=rules))
        lab.wait_status(wan="online", wan2="online", wan_6="online", wan2_6="online")
        own = lab.directory / "own.json"
        own.write_text(json.dumps(OWN))
        monitor = lab.python(lab.router, "metrics", str(lab.socket), str(PORT), str(own), "127.0.0.1", "::1")
        monitor.wait_for("ready")
        prometheus.wait()
        yield lab, prometheus


@pytest.fixture
def lab(site: tuple[Lab, Prometheus]) -> Lab:
    return site[0]


@pytest.fixture
def prometheus(site: tuple[Lab, Prometheus]) -> Prometheus:
    return site[1]


def awaited(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE, what)


def test_the_examples_are_valid() -> None:
    """And each alert fires when it should, by its own tests."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    directory = EXAMPLES / "prometheus"
    for argv in (
        ["promtool", "check", "config", str(directory / "prometheus.yml")],
        ["promtool", "check", "rules", str(directory / "netpath.rules.yml")],
        ["promtool", "test", "rules", str(directory / "netpath.rules.test.yml")],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    rules = (EXAMPLES / "prometheus/netpath.rules.yml").read_text()
    tests = (EXAMPLES / "prometheus/netpath.rules.test.yml").read_text()
    alerts = [line.split()[-1] for line in rules.splitlines() if "- alert:" in line]
    assert len(alerts) > 10
    assert [alert for alert in alerts if f"alertname: {alert}\n" not in tests] == []


def test_promtool_finds_nothing_to_complain_of(lab: Lab) -> None:
    text = lab.router.run(["curl", "-sg", f"http://[::1]:{PORT}/metrics"])
    assert "netpath_interface_up{" in text
    assert lab.router.run(["promtool", "check", "metrics"], stdin=text) == ""


def test_it_is_scraped_as_openmetrics(prometheus: Prometheus) -> None:
    awaited(lambda: prometheus.values('up{job="netpath"}') == [1.0], "the first scrape")
    (metadata,) = prometheus.api("metadata", metric="netpath_interface_status")["netpath_interface_status"]
    assert metadata["type"] == "stateset", "the older text has no such type"
    (target,) = prometheus.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_every_expression_of_the_dashboard_has_data(prometheus: Prometheus) -> None:
    dashboard = json.loads((EXAMPLES / "grafana/netpath.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) > 30
    missing = set(expressions)

    def filled() -> bool:
        for expression in list(missing):
            text = expression
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            assert "$" not in text
            if prometheus.query(text):
                missing.discard(expression)
        return not missing

    try:
        awaited(filled, "data")
    finally:
        assert not missing


def test_its_variables_are_those_of_the_expressions() -> None:
    text = (EXAMPLES / "grafana/netpath.json").read_text()
    variables = {each["name"] for each in json.loads(text)["templating"]["list"]}
    assert variables == {"datasource", "instance", "policy"}
    panels = [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    assert all("$instance" in target["expr"] for panel in panels for target in panel["targets"])


def test_rules_are_counted_by_their_names(lab: Lab, prometheus: Prometheus) -> None:
    """Those that nft knows by a part and a hash of them too, as `netpath rules` has them."""
    assert len(rule_chain(LONG, "ipv4")) < len(LONG)
    lab.flows(5, "ipv4", "udp")
    lab.flows(3, "ipv6", "udp")
    lab.flows(2, "ipv4", "tcp", dport=4711)
    reply = lab.call({"cmd": "rules"})["rules"]
    expected = {row["name"]: float(row["packets"]) for row in reply}
    assert expected[LONG] >= 2
    assert expected["everything"] >= 8

    def seen() -> dict[str, float]:
        return {row["metric"]["rule"]: float(row["value"][1]) for row in prometheus.query("netpath_rule_packets_total")}

    awaited(lambda: seen() == expected, f"{expected}")


def test_a_failing_source_is_told(prometheus: Prometheus) -> None:
    awaited(lambda: prometheus.firing() >= {("NetPathSourceDown", "office")}, "the alert")
    assert ("NetPathSourceDown", "home") not in prometheus.firing()


def test_a_cut_uplink_shows_and_is_told_until_it_is_back(lab: Lab, prometheus: Prometheus) -> None:
    awaited(lambda: prometheus.values("netpath_interface_up") == [1.0] * 4, "all uplinks up")
    before = prometheus.firing()
    lab.cut("wan2")
    awaited(lambda: prometheus.values('netpath_interface_up{interface="wan2"}') == [0.0], "wan2 down")
    awaited(
        lambda: prometheus.values('netpath_policy_share_ratio{policy="all",interface="wan"}') == [1.0], "all by wan"
    )
    awaited(
        lambda: prometheus.values('netpath_interface_status{netpath_interface_status="offline"}').count(1.0) == 2, "two"
    )
    down = {("NetPathInterfaceDown", "wan2"), ("NetPathInterfaceDown", "wan2_6")}
    awaited(lambda: prometheus.firing() >= down, "the alerts of wan2")
    assert not {alert for alert, _ in prometheus.firing()} & {"NetPathPolicyDown"}
    changes = 'netpath_interface_status_changes_total{interface="wan2",status="offline"}'
    awaited(lambda: prometheus.values(changes) == [1.0], "the change")

    lab.cut("wan")
    awaited(
        lambda: prometheus.firing() >= {("NetPathPolicyDown", "all"), ("NetPathPolicyDown", "limited")}, "the policies"
    )
    awaited(lambda: prometheus.values('netpath_probe_up{interface="wan"}') == [0.0, 0.0], "the probes of wan")
    lab.restore("wan")
    lab.restore("wan2")
    awaited(lambda: prometheus.firing() <= before | _of_losses(), "the end of the alerts")
    awaited(
        lambda: prometheus.values('netpath_policy_share_ratio{policy="all",interface="wan"}') == [0.5], "half by wan"
    )


def test_without_the_tracker_the_monitor_is_scraped_on(lab: Lab, prometheus: Prometheus) -> None:
    (tracker,) = [process for process in lab.processes if process.name == "netpath"]
    tracker.stop()
    awaited(lambda: ("NetPathTrackerDown", "") in prometheus.firing(), "the alert")
    awaited(lambda: prometheus.values('up{job="netpath"}') == [1.0], "a scrape")
    assert prometheus.query("netpath_interface_up") == []
    awaited(lambda: prometheus.values('netpath_monitor_up{name="home"}') == [1.0], "the monitor")
    lab.start_netpath(file=lab.config_file)
    awaited(lambda: prometheus.values("netpath_tracker_up") == [1.0], "the tracker")
    awaited(lambda: len(prometheus.query("netpath_interface_up")) == 4, "its uplinks")
    awaited(lambda: ("NetPathTrackerDown", "") not in prometheus.firing(), "the end of the alert")


def test_no_rule_fails(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule["name"], "ok", "") for rule in rules
    }


def _of_losses() -> set[tuple[str, str]]:
    """What a window of probes remembers for a while."""
    return {("NetPathInterfaceLoss", name) for name in ("wan", "wan2", "wan_6", "wan2_6")}
