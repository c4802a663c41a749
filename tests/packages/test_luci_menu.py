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
function fake_entry(path, target, title, order)
	made = { path = table.concat(path, "/"), target = target, title = title, order = order }
	return made
end
package.preload["luci.dispatcher"] = function() end
entry = fake_entry
view = function(name) return { type = "view", path = name } end
_ = function(text) return text end
dofile(arg[1])
luci.controller.netpath.index()
print(made.path, made.target.type, made.target.path, made.title, made.order)
print(made.acl_depends[1], made.uci_depends.netpath)
"""


@pytest.mark.skipif(shutil.which("lua5.1") is None, reason="there is no lua5.1 here")
def test_both_menus_are_the_same() -> None:
    controller = ROOT / "luasrc/controller/netpath.lua"
    argv = ["lua5.1", "-", str(controller)]
    said = subprocess.run(argv, input=FAKES, capture_output=True, text=True, check=True).stdout.splitlines()
    menu = json.loads((ROOT / "root/usr/share/luci/menu.d/luci-app-netpath.json").read_text())
    ((path, node),) = menu.items()
    action = node["action"]
    assert said[0].split("\t") == [path, action["type"], action["path"], node["title"], str(node["order"])]
    assert said[1].split("\t") == [node["depends"]["acl"][0], str(node["depends"]["uci"]["netpath"]).lower()]
    assert (ROOT / f"htdocs/luci-static/resources/view/{action['path']}.js").exists()


def test_the_menu_needs_rights_that_exist_and_reading_changes_nothing() -> None:
    acl = json.loads((ROOT / "root/usr/share/rpcd/acl.d/luci-app-netpath.json").read_text())["luci-app-netpath"]
    assert "status" in acl["read"]["ubus"]["netpath"]
    assert set(acl["write"]["ubus"]["netpath"]).isdisjoint(acl["read"]["ubus"]["netpath"])
    assert {"enable", "disable", "reload"} == set(acl["write"]["ubus"]["netpath"])
    assert "file" not in acl["read"]
    assert "file" not in acl["write"]
