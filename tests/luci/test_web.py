# SPDX-License-Identifier: GPL-2.0-or-later
"""The server of the stand-in: who may ask what, and the real access list that it goes by."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netpath.lab.web import ACCESS, FIRST_PAGE, MENU, READER, Web
from netpath.tracker.arguments import METHODS

OF_OTHERS = {"monitor", "bond", "bond_genkey"}
"""Methods that the tracker has no part in."""
WRITING = {"enable", "disable", "reload"}
UBUS = "/cgi-bin/luci/admin/ubus"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path / "nobody.sock") as served:
        yield served


def request(web: Web, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(web.address.rpartition(":")[2]), timeout=20)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def ubus(web: Web, session: str, object_: str, method: str) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": "call", "params": [session, object_, method, {}]}
    status, text = request(web, "POST", UBUS, json.dumps(message), Content_Type="application/json")
    assert status == 200
    answer: dict[str, Any] = json.loads(text)
    return answer


def test_the_access_list_names_every_method_once_and_gives_nothing_else() -> None:
    group = json.loads(ACCESS.read_text())["luci-app-netpath"]
    reading, writing = group["read"]["ubus"]["netpath"], group["write"]["ubus"]["netpath"]
    assert set(writing) == {*WRITING, "bond_genkey"}
    assert sorted(reading + writing) == sorted([*METHODS, *OF_OTHERS])
    assert set(group["read"]) == set(group["write"]) == {"ubus", "uci"}
    # Who may only read gets no passwords: not the file itself, but what the method `config` leaves of it.
    assert group["read"]["uci"] == ["mwan3"]
    assert group["write"]["uci"] == {"netpath": ["read", "write"]}
    assert set(group["read"]["ubus"]) == set(group["write"]["ubus"]) == {"netpath"}


def test_a_reader_may_read_only(web: Web) -> None:
    assert ubus(web, READER, "netpath", "status")["result"][1]["running"] is False
    for method in WRITING:
        assert ubus(web, READER, "netpath", method)["error"]["code"] == -32002
        assert ubus(web, "root", "netpath", method)["result"][1]["running"] is False
    assert ubus(web, "root", "netpath", "stop")["error"]["code"] == -32002
    assert ubus(web, "root", "file", "exec")["error"]["code"] == -32002


def test_pages_of_others_cannot_ask(web: Web) -> None:
    body = '{"jsonrpc":"2.0","id":1,"method":"call","params":["root","netpath","reload",{}]}'
    assert request(web, "POST", UBUS, body, Content_Type="text/plain")[0] == 403
    assert request(web, "POST", UBUS, body, Content_Type="application/json", Host="rebound.example")[0] == 403
    assert request(web, "POST", UBUS, "nonsense", Content_Type="application/json")[0] == 400
    assert "Invalid request" in request(web, "POST", UBUS, "[1]", Content_Type="application/json")[1]


def test_nothing_but_the_pages_is_served(web: Web) -> None:
    assert request(web, "GET", "/luci-static/resources/netpath/format.js")[0] == 200
    assert request(web, "GET", FIRST_PAGE)[0] == 200
    for path in ("/stand-in/../web.py", "/luci-static/../../pyproject.toml", "/etc/passwd", "/stand-in/%2e%2e/web.py"):
        assert request(web, "GET", path)[0] == 404, path


def test_the_menu_has_a_place_for_each_page_and_one_access_group() -> None:
    menu = json.loads(MENU.read_text())
    (root,) = [entry for path, entry in menu.items() if path.count("/") == 2]
    assert root["depends"] == {"acl": ["luci-app-netpath"], "uci": {"netpath": True}}
    views = [entry["action"]["path"] for entry in menu.values() if entry["action"]["type"] == "view"]
    assert views[0] == "netpath/overview"
    assert len(set(views)) == len(views)
    for path in menu:
        orders = [e["order"] for p, e in menu.items() if p.rpartition("/")[0] == path]
        assert len(set(orders)) == len(orders), path
