# SPDX-License-Identifier: GPL-2.0-or-later
"""The ubus object in front of a real tracker: rpcd's plugin as a process, and events by a `ubus` that is a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from netpath.lab import Lab, UplinkSpec
from netpath.lab.namespace import wait_until
from netpath.lab.uci import section
from netpath.tracker.arguments import METHODS
from netpath.tracker.bounded import UBUS_LIMIT
from tests.lab.conftest import Start
from tests.unit.rpcd.plugin import call, run
from tests.unit.rpcd.test_document import REPLIES

pytestmark = pytest.mark.lab

SECONDS, FIGURE, NAME = "seconds", "a whole number", "a name"
MWAN3 = {
    "interfaces": {
        NAME: {
            "age": SECONDS,
            "online": SECONDS,
            "offline": SECONDS,
            "uptime": SECONDS,
            "score": FIGURE,
            "lost": FIGURE,
            "turn": FIGURE,
            "status": ("online", "offline", "connecting", "disconnecting", "disabled", "unknown"),
            "enabled": bool,
            "running": bool,
            "tracking": str,
            "up": bool,
            "track_ip": [
                {"ip": str, "status": ("up", "down", "unknown", "skipped"), "latency": FIGURE, "packetloss": FIGURE}
            ],
        }
    },
    "connected": {"ipv4": [str], "ipv6": [str]},
    "policies": {"ipv4": {NAME: [{"interface": str, "percent": FIGURE}]}, "ipv6": {NAME: [{"interface": str}]}},
}
"""What mwan3 2.12 answers to `ubus call mwan3 status`, as its readers know it."""


def holds(found: Any, wanted: Any, where: str = "status") -> None:
    """`found` has at least what `wanted` describes; keys of our own may stand beside."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), where
        if NAME in wanted:
            assert found, f"{where} is empty"
            for name, each in found.items():
                holds(each, wanted[NAME], f"{where}.{name}")
        for key in wanted.keys() - {NAME}:
            assert key in found, f"{where} has no {key}"
            holds(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), where
        for each in found:
            holds(each, wanted[0], f"{where}[]")
    elif isinstance(wanted, tuple):
        assert found in wanted, f"{where}: {found!r}"
    elif isinstance(wanted, type):
        assert type(found) is wanted, f"{where}: {found!r}"
    else:
        assert type(found) is int, f"{where}: {found!r}"
        assert found >= 0, where


def test_status_has_mwan3s_shape(lab: Lab, start: Start) -> None:
    start()
    status = call("status", {}, socket=lab.socket)
    holds(status, MWAN3)
    assert all(row["track_ip"] for row in status["interfaces"].values())
    for wanted in ("interfaces", "connected", "policies"):
        part = call("status", {"section": wanted}, socket=lab.socket)
        assert set(part) == {wanted}
        holds(part[wanted], MWAN3[wanted], wanted)
    assert set(call("status", {"interface": "wan"}, socket=lab.socket)["interfaces"]) == {"wan"}
    wan = status["policies"]["ipv4"]
    assert {row["interface"] for rows in wan.values() for row in rows} <= set(status["interfaces"])


def test_the_object_reports_and_orders(lab: Lab, start: Start) -> None:
    process = start(mode="failover")

    def ask(method: str, **given: Any) -> dict[str, Any]:
        return call(method, given, socket=lab.socket)

    for method in METHODS:
        given: Mapping[str, Any] = {
            "explain": {"src": "192.0.2.7", "dst": "203.0.113.201"},
            "enable": {"interface": "wan"},
            "disable": {"interface": "wan2"},
        }.get(method, {})
        reply = ask(method, **given, ubus_rpc_session="00112233445566778899aabbccddeeff")
        assert "error" not in reply, (method, reply)
        assert set(REPLIES[method]) <= set(reply), method
    lab.wait_status(wan2="disabled")
    assert "known: section, interface" in ask("status", nonesuch=1)["error"]
    assert "configured are" in ask("disable", interface="nonesuch")["error"]
    assert ask("enable", interface="wan2") == {"result": "ok"}
    assert [row["name"] for row in ask("interfaces", offset=1, limit=1)["interfaces"]] == ["wan_6"]
    events = ask("events")["events"]
    older = ask("events", before=events[-1]["seq"], limit=2)["events"]
    assert older == events[-3:-1]
    assert "error" in ask("check", file="/etc/shadow")
    assert process.running
    process.stop()
    assert ask("status")["running"] is False


def test_no_reply_outgrows_rpcd() -> None:
    """60 uplinks, 150 policies of all of them, 10,000 rules; a caller can turn the pages all the same."""
    specs = [UplinkSpec("wan" if number == 1 else f"wan{number}", ipv6=False) for number in range(1, 61)]
    members = [f"{spec.name}_m1_w1" for spec in specs]
    policies = "".join(section("policy", f"p{n}", {"members": members}) for n in range(150))
    hosts = [f"198.18.{n // 250}.{n % 250 + 1}" for n in range(3000)]
    rules = section("rule", "huge", {"policy": "all", "dest_ip": hosts}) + "".join(
        section("rule", f"r{n}", {"policy": "all", "dest_ip": f"203.0.{n // 250 % 250}.{n % 250}/32", "proto": "udp"})
        for n in range(10_000)
    )
    with Lab(specs) as lab:
        lab.start_netpath(lab.config(options={"track_method": "none"}, rules=rules, extra=policies))
        lab.router.ip("".join(f"route add 198.19.{n // 250}.{n % 250}/32 dev lo\n" for n in range(6000)))
        for method in METHODS.keys() - {"enable", "disable", "reload"}:
            given = {"src": "192.0.2.7", "dst": "203.0.113.201"} if method == "explain" else {}
            data = run("call", method, stdin=json.dumps(given), socket=lab.socket)
            assert len(data) <= UBUS_LIMIT + 1, method
            reply = json.loads(data)
            assert "error" not in reply, (method, reply)
            if method in ("status", "policies", "rules", "internal", "connected"):
                assert reply.get("truncated") is True, (method, len(data))
        assert len(call("status", socket=lab.socket)["interfaces"]) == 60
        for method, total in (("rules", 10_001), ("policies", None), ("interfaces", 60)):
            names = list[str]()
            while True:
                page = call(method, {"offset": len(names)}, socket=lab.socket)
                names += [row["name"] for row in page[method]]
                if not page[method] or len(names) >= page["total"]:
                    break
            assert len(names) == len(set(names)) == page["total"], method
            assert total in (None, page["total"])


def test_transitions_are_sent_on_ubus(lab: Lab, tmp_path: Path) -> None:
    """To a `ubus` that writes them down. A user sees them by `ubus listen`."""
    out, program, socket = tmp_path / "out", tmp_path / "ubus", tmp_path / "ubus.sock"
    program.write_text(f'#!/bin/sh\nprintf "%s %s\\n" "$4" "$5" >> {out}\n')
    program.chmod(0o755)
    socket.touch()

    def sent(kind: str) -> list[dict[str, Any]]:
        lines = out.read_text().splitlines() if out.exists() else []
        return [json.loads(line.partition(" ")[2]) for line in lines if line.startswith(f"{kind} ")]

    lab.start_netpath(
        lab.config(mode="failover"), PATH=f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin", NETPATH_UBUS_SOCKET=str(socket)
    )
    lab.wait_status(wan="online", wan2="online")
    lab.cut("wan")
    lab.wait_status(wan="offline", wan_6="offline")
    wait_until(
        lambda: any((e["interface"], e["to"]) == ("wan_6", "offline") for e in sent("netpath.interface")), 10, "events"
    )
    told = [e for e in sent("netpath.interface") if e["interface"] == "wan"]
    journal = [e for e in lab.call({"cmd": "events"})["events"] if e.get("interface") == "wan"]
    assert [(e["seq"], e["from"], e["to"], e["reason"], e["time"]) for e in told] == [
        (e["seq"], e["from"], e["to"], e["reason"], e["time"]) for e in journal
    ]
    assert told[-1]["device"] == "wan"
    last = [e for e in sent("netpath.policy") if (e["policy"], e["family"]) == ("all", "ipv4")][-1]
    assert last["active"] == [{"interface": "wan2", "percent": 100}]
    assert last["cause"] == "wan offline"
