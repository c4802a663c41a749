# SPDX-License-Identifier: GPL-2.0-or-later
"""What is exported: every family as documented, in both formats, with what is not known left out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser as classic_parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from netpath.monitor.metrics.counts import KINDS
from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import LONGEST_LABEL, Kind, Sheet, gauge
from netpath.monitor.metrics.scrape import FAMILIES, SUBJECTS, Exposition
from tests.monitor.metrics.own import OWN
from tests.unit.monitor.facts import METRICS, bond, facts, interface, member

ROOT = Path(__file__).parents[3]
open_metrics: Any = openmetrics_parser.text_string_to_metric_families
classic: Any = classic_parser.text_string_to_metric_families
EXPORTED = (*(family for subject in SUBJECTS.values() for family in subject.FAMILIES), *FAMILIES)
"""In the order of the page."""
SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


def exposition(known: Facts) -> Exposition:
    metrics: list[Metric] = []
    for subject in SUBJECTS.values():
        sheet = Sheet(subject.FAMILIES)
        subject.fill(sheet, known)
        metrics += sheet.metrics()
    own = Sheet(FAMILIES)
    own.add(FAMILIES[0], 1, "rules")
    own.add(FAMILIES[1], 0.01)
    return Exposition([*metrics, *own.metrics()])


def samples(known: Facts) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Family -> labels -> value, as a reader of OpenMetrics sees them."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in open_metrics(exposition(known).text(True, False).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(known: Facts, family: str, /, **labels: str) -> float | None:
    return samples(known).get(family, {}).get(tuple(sorted(labels.items())))


def test_the_document_lists_exactly_what_is_exported() -> None:
    text = (ROOT / "docs/monitor.md").read_text().partition("\n## Metrics\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    documented = [(name, kind, re.findall(r"`(\w+)`", labels), meaning) for name, kind, labels, meaning in rows]
    declared = [(f.name, str(f.kind), [*f.labels, *([f.name] if f.states else [])], f.help) for f in EXPORTED]
    assert documented == declared
    exported = {
        (sample.name, family.type, tuple(sorted(sample.labels)))
        for family in open_metrics(exposition(facts()).text(True, False).decode())
        for sample in family.samples
    }
    assert exported == {(name, kind, tuple(sorted(labels))) for name, kind, labels, _ in documented}


def test_names_follow_prometheus_conventions() -> None:
    names = [family.name for family in EXPORTED]
    assert len(names) == len(set(names))
    for family in EXPORTED:
        assert re.fullmatch(r"(netpath_|process_)[a-z0-9_]+", family.name)
        assert family.help.endswith(".")
        for kind, suffix in SUFFIX.items():
            assert family.name.endswith(suffix) == (family.kind is kind), family.name
        # The scraper's own labels would be renamed.
        assert not {"instance", "job", "le", "quantile"} & {*family.labels}


def test_promtool_finds_nothing_to_complain_of() -> None:
    text = exposition(facts()).text(False, False)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_both_formats_say_the_same() -> None:
    known = exposition(facts())

    def seen(families: Any) -> set[tuple[str, str, float]]:
        return {(s.name, str(sorted(s.labels.items())), s.value) for f in families for s in f.samples}

    assert seen(classic(known.text(False, False).decode())) == seen(open_metrics(known.text(True, False).decode()))


def test_units_are_base_units() -> None:
    known = facts()
    assert value(known, "netpath_interface_latency_seconds", interface="wan") == 0.0125
    assert value(known, "netpath_interface_loss_ratio", interface="wan") == 0.02
    assert value(known, "netpath_policy_share_ratio", policy="all", family="ipv4", interface="wan") == 1.0
    assert value(known, "netpath_monitor_uptime_ratio", part="source", name="home") == 0.995
    assert value(known, "netpath_interface_receive_bytes_total", interface="wan", device="eth-wan") == 1e15


def test_the_state_set_has_one_state() -> None:
    states = samples(facts())["netpath_interface_status"]
    assert {dict(labels)["netpath_interface_status"] for labels, on in states.items() if on} == {
        *("online", "offline", "disconnecting")
    }
    assert sum(states.values()) == 3
    assert len(states) == 15


def test_online_and_disconnecting_are_up() -> None:
    up = {dict(labels)["interface"]: on for labels, on in samples(facts())["netpath_interface_up"].items()}
    assert up == {"wan": 1.0, "lte": 0.0, "wan_6": 1.0}


def test_changes_of_status_are_there_before_the_first_one() -> None:
    """Prometheus takes the first value that it sees for the beginning."""
    known = facts()
    name = "netpath_interface_status_changes_total"
    assert value(known, name, interface="wan", status="offline") == 2
    assert value(known, name, interface="wan_6", status="offline") == 0
    assert {dict(labels)["kind"] for labels in samples(known)["netpath_events_total"]} == {*KINDS}


def test_every_kind_of_event_is_known_beforehand() -> None:
    source = "".join(path.read_text() for path in (ROOT / "netpath/tracker").glob("*.py"))
    assert {*re.findall(r"journal\.add\(\s*\"(\w+)\"", source)} == {*KINDS}


def test_what_is_not_known_is_missing() -> None:
    found = samples(facts())
    assert value(facts(), "netpath_interface_latency_seconds", interface="lte") is None
    assert value(facts(), "netpath_interface_connections", interface="lte") is None
    assert (("interface", "lte"),) not in found["netpath_interface_loss_ratio"]
    assert {dict(labels)["target"] for labels in found["netpath_probe_loss_ratio"]} == {"203.0.113.1"}
    assert {dict(labels)["interface"] for labels in found["netpath_interface_receive_bytes_total"]} == {"wan"}
    assert value(facts(), "netpath_source_connections", source="office") is None
    assert "nan" not in exposition(facts()).text(True, False).decode().lower()


def test_a_closed_member_of_an_open_interface_takes_nothing_from_its_share() -> None:
    rows = [member("wan", 0, is_open=False), member("wan", 60), member("lte", 40)]
    policy = {"name": "p", "mode": "balanced", "last_resort": "default", "members": rows}
    known = facts(policies=[{**policy, "active": {"ipv4": ["wan", "lte"], "ipv6": []}}])
    shares = samples(known)["netpath_policy_share_ratio"]
    assert sum(shares.values()) == 1.0
    assert value(known, "netpath_policy_usable_members", policy="p", family="ipv4") == 2
    assert value(known, "netpath_policy_members", policy="p", family="ipv4") == 3


def test_without_the_tracker_the_rest_stays() -> None:
    known = Facts(OWN, facts().counts, rules={"https": (1, 60)})
    found = samples(known)
    assert found["netpath_tracker_up"] == {(): 0.0}
    assert found["netpath_rule_packets_total"] == {(("rule", "https"),): 1.0}
    assert found["netpath_monitor_up"]
    assert "netpath_interface_up" not in found
    assert "netpath_tracker_configured" not in found


def test_policies_do_not_lie_when_interfaces_are_not_known() -> None:
    assert "netpath_policy_members" not in samples(facts(interfaces=[]))


def test_a_monitor_of_few_parts() -> None:
    own = {**OWN, "sources": [], "server": None, "metrics": None, "broker": None, "notify": []}
    own["speeds"] = dict.fromkeys(OWN["speeds"])
    found = samples(Facts(own, facts().counts))
    assert not [name for name in found if name.startswith(("netpath_source", "netpath_udp", "netpath_mqtt"))]
    assert found["netpath_monitor_info"]


def test_odd_names_stay_one_label_of_bounded_length() -> None:
    odd = 'a"\\\n\udcff{}=,\0' + "x" * 1000
    known = facts(interfaces=[interface("wan", device=odd)], metrics={"wan": METRICS})
    text = exposition(known).text(True, False).decode()
    (seen,) = {dict(labels)["device"] for labels in samples(known)["netpath_interface_receive_bytes_total"]}
    assert seen.startswith('a"\\\n?{}=,\0xxx')
    assert len(seen) == LONGEST_LABEL
    assert text.endswith("# EOF\n")


def test_another_routers_interfaces_are_bounded() -> None:
    many = {f"eth{number}": {"up": 1, "down": 1} for number in range(5000)}
    own = {**OWN, "sources": [{**OWN["sources"][1], "interfaces": many}]}
    assert len(samples(Facts(own, facts().counts))["netpath_source_interface_speed_bytes_per_second"]) == 2 * 64


def test_texts_are_made_once() -> None:
    class Counting(Exposition):
        collected = 0

        def collect(self) -> Any:
            self.collected += 1
            return super().collect()

    sheet = Sheet([gauge("netpath_x", "X.")])
    sheet.add(gauge("netpath_x", "X."), 1)
    known = Counting(sheet.metrics())
    assert {known.text(True, True) for _ in range(5)} == {known.text(True, True)}
    assert known.text(True, False)
    assert known.collected == 1


@pytest.mark.parametrize("name", ["grafana/netpath.json", "prometheus/netpath.rules.yml"])
def test_examples_use_what_is_exported(name: str) -> None:
    text = (ROOT / "examples" / name).read_text()
    if name.endswith(".json"):
        text = " ".join(target["expr"] for panel in json.loads(text)["panels"] for target in panel.get("targets", ()))
    known = {family.name for family in EXPORTED}
    used = {*re.findall(r"\bnetpath_[a-z_]+", text)}
    assert used - known == set()
    assert len(used) > 10


REFUSED = ("unknown", "changed", "handshake")


def test_a_bonds_paths_are_told_by_link() -> None:
    known = facts()
    link = {"bond": "vps", "peer": "server", "link": "dsl"}
    assert value(known, "netpath_bond_up", bond="vps", peer="server") == 1
    assert value(known, "netpath_bond_bytes_total", bond="vps", peer="server", direction="out") == 2000
    assert value(known, "netpath_bond_link_paths", **link) == 2
    assert value(known, "netpath_bond_link_rate_bytes_per_second", **link) == 2e6
    assert value(known, "netpath_bond_link_round_trip_seconds", **link) == 0.02
    assert value(known, "netpath_bond_link_loss_ratio", direction="out", **link) == pytest.approx(0.1)
    gone = {**link, "link": "lte"}
    assert value(known, "netpath_bond_link_paths", **gone) == 0
    assert value(known, "netpath_bond_link_round_trip_seconds", **gone) is None
    assert value(known, "netpath_bond_faulty_total", bond="vps", peer="server") == 7
    assert value(known, "netpath_bond_headless_total", bond="vps", peer="server") == 6
    why = {why: value(known, "netpath_bond_refused_datagrams_total", bond="vps", why=why) for why in REFUSED}
    assert why == {"unknown": 8, "changed": 9, "handshake": 10}
    down = facts(bonds=[bond(state="connecting", paths=[])])
    assert value(down, "netpath_bond_up", bond="vps", peer="server") == 0
