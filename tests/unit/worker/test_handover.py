# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker hands to the tracker survives the pipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netpath.config import load, loads
from netpath.handover import Applied, decode, encode
from netpath.model import Uplink
from netpath.steering.policy import SteeringView

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["netpath.uci", "config.toml", "mwan3"])
def test_everything_reads_back_equal(name: str) -> None:
    config = load(EXAMPLES / name).config
    assert config is not None
    ids = {i.name: n + 1 for n, i in enumerate(config.interfaces)}
    applied = Applied(
        globals=config.globals,
        interfaces=config.interfaces,
        view=SteeringView.of(config, ids),
        families=("ipv4",),
        uplinks=(Uplink("wan", 1, "ipv4", "eth0", None, ("192.0.2.1/24",), True, ("192.0.2.0/24",)),),
        up={"wan": True},
        reasons={"wan": "because"},
        usable=frozenset({"wan"}),
        rules=len(config.rules),
        removed=2,
        warnings=({"message": "x"},),
        sources={"lan": "br-lan", "guest": None},
        load="5f",
        settle=True,
    )
    assert decode(json.loads(json.dumps(encode(applied)))) == applied


def test_schedules_quotas_and_what_is_closed_read_back_equal() -> None:
    text = (EXAMPLES / "netpath.uci").read_text().replace("#list", "list").replace("list rt_table_lookup '220'", "")
    config = loads(text).config
    assert config is not None
    ids = {i.name: n + 1 for n, i in enumerate(config.interfaces)}
    view = SteeringView.of(config, ids).closing({"lte_m2"})
    assert view.closed == {"lte_m2"}
    lte = next(m for p in view.policies for m in p.members if m.name == "lte_m2")
    assert lte.quota is not None
    assert lte.schedule is not None
    assert SteeringView.from_json(json.loads(json.dumps(view.to_json()))) == view
