# SPDX-License-Identifier: GPL-2.0-or-later
"""What flows see of the six modes, metrics and sticky rules. Real flows from LAN clients, seen by real servers.

Where the order or the exact number of new flows counts they are TCP: the kernel draws UDP source ports at random, and
one drawn twice is no new flow.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from netpath.lab import Lab
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

FAMILIES = ("ipv4", "ipv6")


def fail(lab: Lab, name: str) -> None:
    """Cut an uplink silently and wait until NetPath has noticed, in both families."""
    lab.cut(name)
    lab.wait_states({name: "offline", f"{name}_6": "offline"})


def mend(lab: Lab, name: str) -> None:
    lab.restore(name)
    lab.wait_states({name: "online", f"{name}_6": "online"})


@pytest.mark.parametrize("family", FAMILIES)
def test_balanced_is_exact_and_interleaved(lab: Lab, start: Start, family: str) -> None:
    start(mode="balanced", weights={"wan": 3, "wan2": 2})
    records = lab.flow_records(300, family, "tcp", concurrency=1)
    taken = [r.outcome for r in records]
    assert (taken.count("wan"), taken.count("wan2")) == (180, 120)
    assert max(len(list(run)) for _, run in groupby(taken)) <= 2


def test_balanced_is_not_disturbed_by_inbound_and_probe_traffic(lab: Lab, start: Start) -> None:
    start(mode="balanced", options={"interval": "20ms"})
    lab.serve(lab.lan).wait_for("ready")
    lab.port_forward("udp", 5001)
    with lab.pulse(where=lab.internet, dst=lab.address("wan2"), dport=5001, interval=0.003) as scan:
        taken = [r.outcome for r in lab.flow_records(200, proto="tcp", concurrency=1)]
        assert scan.records(), "the inbound scan did not run"
    assert (taken.count("wan"), taken.count("wan2")) == (100, 100)
    assert max(len(list(run)) for _, run in groupby(taken)) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_failover_uses_members_in_order(lab: Lab, start: Start, family: str) -> None:
    start(mode="failover")
    assert lab.flows(50, family) == {"wan": 50}
    fail(lab, "wan")
    assert lab.flows(50, family) == {"wan2": 50}
    mend(lab, "wan")
    assert lab.flows(50, family) == {"wan": 50}


@pytest.mark.parametrize("mode", ["balanced", "failover", "round-robin", "hash", "weighted", "random"])
def test_metrics_work_in_every_mode(lab: Lab, start: Start, mode: str) -> None:
    start(mode=mode, metrics={"wan": 2, "wan2": 1}, weights={"wan": 100})
    assert lab.flows(60, src=lab.clients_of()) == {"wan2": 60}
    fail(lab, "wan2")
    assert lab.flows(60, src=lab.clients_of()) == {"wan": 60}


def test_round_robin_ignores_weights(lab: Lab, start: Start) -> None:
    start(mode="round-robin", weights={"wan": 9})
    taken = [r.outcome for r in lab.flow_records(100, proto="tcp", concurrency=1)]
    assert (taken.count("wan"), taken.count("wan2")) == (50, 50)


def test_weighted_and_random_are_random_by_their_chances(lab: Lab, start: Start) -> None:
    start(mode="weighted", weights={"wan": 3, "wan2": 1})
    taken = lab.flows(400)
    assert 240 <= taken["wan"] <= 360, taken  # 300 expected; beyond 6 standard deviations is a fault
    assert taken["wan"] + taken["wan2"] == 400
    lab.config_file.write_text(lab.config(mode="random", weights={"wan": 99}))
    assert "error" not in lab.call({"cmd": "reload"})
    taken = lab.flows(400)
    assert 140 <= taken["wan"] <= 260, taken


def test_hash_keeps_clients_and_moves_only_those_of_a_failed_uplink() -> None:
    with Lab(3, clients=60) as lab:
        lab.start_netpath(lab.config(mode="hash"))

        def homes() -> dict[str, str]:
            found = {}
            for client in lab.clients_of():
                taken = lab.flows(3, src=client)
                assert len(taken) == 1, f"{client} was spread over {taken}"
                found[client] = next(iter(taken))
            return found

        before = homes()
        assert set(before.values()) == {"wan", "wan2", "wan3"}
        fail(lab, "wan2")
        during = homes()
        moved = {client for client in before if during[client] != before[client]}
        assert moved == {client for client, home in before.items() if home == "wan2"}
        assert "wan2" not in during.values()
        mend(lab, "wan2")
        assert homes() == before


def sticky_rule(**options: Any) -> str:
    from netpath.lab.uci import section

    return section("rule", "web", {"policy": "all", "sticky": 1, "proto": "udp", **options})


def test_sticky_clients_stay_move_at_failure_and_stay_there(lab: Lab, start: Start) -> None:
    start(rules=sticky_rule())
    clients = lab.clients_of()

    def where() -> dict[str, set[str]]:
        return {client: set(lab.flows(6, src=client)) for client in clients}

    first = where()
    assert all(len(taken) == 1 for taken in first.values()), first
    assert {next(iter(t)) for t in first.values()} == {"wan", "wan2"}
    assert where() == first
    fail(lab, "wan")
    assert all(taken == {"wan2"} for taken in where().values())
    mend(lab, "wan")
    assert all(taken == {"wan2"} for taken in where().values()), "a sticky client must not move without need"


def test_sticky_state_survives_a_reload_and_a_killed_tracker(lab: Lab, start: Start) -> None:
    process = start(rules=sticky_rule())
    clients = lab.clients_of()
    first = {client: lab.flows(2, src=client) for client in clients}
    lab.config_file.write_text(lab.config(rules=sticky_rule(), weights={"wan": 7}))
    assert "error" not in lab.call({"cmd": "reload"})
    assert {client: lab.flows(2, src=client) for client in clients} == first
    process.signal(9)
    process.wait()
    assert {client: lab.flows(2, src=client) for client in clients} == first
    start(rules=sticky_rule())
    assert {client: lab.flows(2, src=client) for client in clients} == first
