# SPDX-License-Identifier: GPL-2.0-or-later
"""The menu entry, for LuCI's Lua dispatcher and for its JSON menus."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.packages.conftest import ROOT

FAKES = """
-- Stand-ins for what LuCI's dispatcher gives a controller.
package.seeall = package.seeall
package.preload["luci.dispatcher"] = function() end
made = {}
function entry(path, target, title, order)
	local node = { path = table.concat(path, "/"), target = target, title = title, order = order }
	made[#made + 1] = node
	return node
end
view = function(name) return { type = "view", path = name } end
firstchild = function() return { type = "firstchild", path = "-" } end
_ = function(text) return text end
dofile(arg[1])
luci.controller.netpath.index()
for _, node in ipairs(made) do
	print(node.path, node.target.type, node.target.path, node.title, node.order)
end
print(made[1].acl_depends[1], made[1].uci_depends.netpath)
"""


@pytest.mark.skipif(shutil.which("lua5.1") is None, reason="there is no lua5.1 here")
def test_both_menus_are_the_same() -> None:
    controller = ROOT / "luasrc/controller/netpath.lua"
    argv = ["lua5.1", "-", str(controller)]
    said = subprocess.run(argv, input=FAKES, capture_output=True, text=True, check=True).stdout.splitlines()
    menu = json.loads((ROOT / "root/usr/share/luci/menu.d/luci-app-netpath.json").read_text())
    expected = [
        [path, node["action"]["type"], node["action"].get("path", "-"), node["title"], str(node["order"])]
        for path, node in menu.items()
    ]
    assert [line.split("\t") for line in said[:-1]] == expected
    needs = menu["admin/network/netpath"]["depends"]
    assert said[-1].split("\t") == [needs["acl"][0], str(needs["uci"]["netpath"]).lower()]
    for _, kind, view, *_ in expected:
        assert kind != "view" or (ROOT / f"htdocs/luci-static/resources/view/{view}.js").exists(), view


def test_the_menu_needs_rights_that_exist_and_reading_changes_nothing() -> None:
    acl = json.loads((ROOT / "root/usr/share/rpcd/acl.d/luci-app-netpath.json").read_text())["luci-app-netpath"]
    assert "status" in acl["read"]["ubus"]["netpath"]
    assert set(acl["write"]["ubus"]["netpath"]).isdisjoint(acl["read"]["ubus"]["netpath"])
    assert {"enable", "disable", "reload", "bond_genkey"} == set(acl["write"]["ubus"]["netpath"])
    assert "file" not in acl["read"]
    assert "file" not in acl["write"]
