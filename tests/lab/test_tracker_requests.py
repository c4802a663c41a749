# SPDX-License-Identifier: GPL-2.0-or-later
"""What the socket answers to nonsense, and to everybody in every state of the tracker."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from netpath.lab import Lab
from netpath.lab.daemon import Connection
from netpath.lab.uci import section
from tests.lab.conftest import Start

pytestmark = pytest.mark.lab

VERBS = {
    "status": ("section", "interface"),
    "interfaces": (),
    "policies": (),
    "metrics": (),
    "history": ("interface", "since", "coarse"),
    "events": ("since", "after", "follow"),
    "enable": ("interface",),
    "ifup": ("interface",),
    "disable": ("interface",),
    "ifdown": ("interface",),
    "use": ("interface",),
    "version": (),
    "stop": ("keep",),
}
REPORTS = {
    "rules": ("offset", "limit"),
    "check": ("file",),
    "config": (),
    "explain": ("src", "dst", "proto", "sport", "dport", "iface", "mac", "dscp"),
    "internal": ("family",),
    "connected": (),
    "diag": (),
}
RAW = ["[]", "{}", '[{"a":[1]}]', "-1", "1.5", "1e999", "9" * 400, '"\\u0000"', '"\\ud800"', '"' + "x" * 5000 + '"']
FEW = ['[{"a":1}]', "-1", "1e999", "9" * 400, '"\\u0000"', '"\\ud800/../.."']
GOOD = {"explain": {"src": '"192.0.2.7"', "dst": '"198.51.100.1"'}}


def hostile() -> list[tuple[str, str, str]]:
    """(verb, argument, value as JSON) of all combinations."""
    return [
        (verb, argument, value)
        for table, values in ((VERBS, [*RAW, "true", "null"]), (REPORTS, FEW))
        for verb, arguments in table.items()
        for argument, value in itertools.product(arguments, values)
        if (verb, value) not in (("stop", "true"), ("stop", "null"))
        and (verb, argument, value) != ("events", "follow", "true")
    ]


def finite(value: Any) -> None:
    raise AssertionError(f"{value} is no JSON")


def test_arguments_of_wrong_types_get_an_error_in_words(lab: Lab, start: Start) -> None:
    process = start(mode="failover")
    with Connection(lab.socket) as connection:
        for verb, argument, value in hostile():
            others = {k: v for k, v in GOOD.get(verb, {}).items() if k != argument}
            words = [f'"{key}":{text}' for key, text in {"cmd": f'"{verb}"', **others, argument: value}.items()]
            connection._socket.sendall(f"{{{','.join(words)}}}\n".encode())
            reply = connection.receive(30)
            json.loads(json.dumps(reply), parse_constant=finite)
            error = str(reply.get("error", ""))
            asked = f"{verb} {argument}={value[:20]}: {error}"
            assert "internal error" not in error, asked
            assert "worker" not in error, asked
            if value.startswith(("[", "{")):
                assert argument in error, asked
    assert "internal error" not in process.output()
    assert lab.call({"cmd": "status"})["interfaces"]["wan"]["status"] == "online"
    assert lab.flows(5) == {"wan": 5}


def test_before_anything_works_every_verb_answers(lab: Lab) -> None:
    """No configuration, then none of it usable, then switched off."""
    lab.start_netpath("config interface 'wan'\n\toption interval 'soon'\n")
    missing = {"ifname": "nonesuch", "track_method": "none", "family": "ipv6"}
    texts = [
        None,
        section("globals", "g", {"enabled": 1}),
        section("interface", "six", missing),
        section("globals", "g", {"enabled": 0}) + section("interface", "six", missing),
    ]
    for text in texts:
        if text is not None:
            lab.config_file.write_text(text)
            assert "error" not in lab.call({"cmd": "reload"}), text
        for verb in (*VERBS, *REPORTS):
            if verb != "stop":
                reply = lab.call({"cmd": verb, "interface": "six", "src": "2001:db8::1", "dst": "2001:db8::2"})
                assert not {"internal error", "worker"} & set(str(reply.get("error")).split(":")), reply
                assert "Traceback" not in json.dumps(reply)
                assert "failed (exit code" not in json.dumps(reply), (verb, reply)
        status = lab.call({"cmd": "status"})
        if text is None or "enabled '0'" in text:
            assert status["problem"]
    lab.config_file.write_text("config interface 'x'\n\toption interval 'soon'\n")
    assert "error" in lab.call({"cmd": "reload"})
    assert "switched off" in lab.call({"cmd": "status"})["problem"], "a bad reload must not hide why nothing runs"


def test_a_reply_never_outgrows_the_socket(lab: Lab) -> None:
    """10,000 rules, one of them with thousands of addresses, and a problem in each of thousands of lines."""
    hosts = [f"198.18.{n // 250}.{n % 250 + 1}" for n in range(3000)]
    huge = section("rule", "huge", {"policy": "all", "dest_ip": hosts})
    many = "".join(
        section("rule", f"r{n}", {"policy": "all", "dest_ip": f"203.0.{n // 250 % 250}.{n % 250}/32", "proto": "udp"})
        for n in range(10000)
    )
    lab.start_netpath(lab.config(rules=huge + many))
    names = ["huge", *(f"r{n}" for n in range(10000))]
    for offset in (0, 9900, 10001):
        page = lab.call({"cmd": "rules", "offset": offset, "limit": 100000})
        found = [rule["name"] for rule in page["rules"]]
        assert page["total"] == 10001
        assert found == names[offset : offset + len(found)]
        assert page["truncated"] is (offset + len(found) < 10001)
        assert found or offset == 10001
    assert lab.call({"cmd": "internal"})["truncated"]
    bad = "".join(section("rule", f"b{n}", {"policy": "nope"}) for n in range(5000))
    lab.config_file.write_text(lab.config(rules=bad))
    reply = lab.call({"cmd": "reload"})
    assert "nope" in reply["error"]
    assert len(reply["problems"]) == 200
    check = lab.call({"cmd": "check"})
    assert check["truncated"]
    assert len(check["problems"]) == 500


def test_explain_with_every_uplink_down_does_not_name_one(lab: Lab, start: Start) -> None:
    start(mode="failover")
    question = {"cmd": "explain", "src": "192.0.2.7", "dst": "203.0.113.201"}
    assert lab.call(question)["uplink"] == "wan"
    lab.cut("wan")
    lab.cut("wan2")
    lab.wait_status(wan="offline", wan2="offline")
    reply = lab.call(question)
    assert reply["uplink"] is None
    assert any("usable" in sentence for sentence in reply["why"])
